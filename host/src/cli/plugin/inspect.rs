//! `plugway plugin inspect`: what a file is and wants, and what has changed since another.

mod difference;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use plugway::assembly::builtin;
use plugway::config::plain;
use plugway::plugin::{ComponentFile, LoadedComponent, Rights, RightsError, SignatureFile, Signer, Untrusted};

use super::{Trust, Trusted, read};
use crate::cli::print;
use difference::Difference;

/// Print what a plugin is and wants.
#[derive(Debug, Args)]
pub(in crate::cli) struct Inspect {
    /// A component, or `builtin:NAME`.
    file: String,
    /// Print what is different from this component, or `builtin:NAME`.
    #[arg(long, value_name = "OLD")]
    against: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    trusted: Trusted,
}

/// What was found.
struct Inspected {
    source: String,
    size: usize,
    digest: String,
    file: ComponentFile,
    rights: Result<Rights, RightsError>,
    signed: Signed,
}

/// Who vouches for it.
enum Signed {
    /// It is part of this program.
    BuiltIn,
    /// Nobody was named to trust; who signed, if anybody did.
    Unjudged(Vec<Signer>),
    /// A trusted key.
    By(String),
    /// No trusted key.
    Not {
        why: Untrusted,
        /// Whether it is not loaded for that.
        required: bool,
    },
}

impl Inspect {
    pub(super) fn run(&self) -> Result<bool, String> {
        let trust = self.trusted.read()?;
        let new = Inspected::of(&self.file, trust.as_ref())?;
        let Some(old) = &self.against else {
            print(&if self.json { pretty(&new.json()) } else { new.text() })?;
            return Ok(new.refusals().is_empty());
        };
        let old = Inspected::of(old, trust.as_ref())?;
        let difference = Difference::between(&old, &new);
        print(&if self.json {
            pretty(&json!({ "old": old.json(), "new": new.json(), "difference": difference.json() }))
        } else {
            difference.text()
        })?;
        Ok(difference.is_none() && new.refusals().is_empty())
    }
}

impl Inspected {
    fn of(source: &str, trust: Option<&Trust>) -> Result<Self, String> {
        let (bytes, path) = match source.strip_prefix("builtin:") {
            Some(name) => (Cow::Borrowed(builtin(name).ok_or_else(|| format!("there is no built-in plugin `{name}`"))?), None),
            None => (Cow::Owned(read(Path::new(source))?), Some(PathBuf::from(source))),
        };
        let digest = LoadedComponent::digest(&bytes);
        let file = ComponentFile::read(&bytes)
            .map_err(|error| format!("{} is no plugin: {error}\n    help: {}", plain(source), error.remedy(source)))?;
        let signed = match path {
            None => Signed::BuiltIn,
            Some(path) => Signed::judge(&path, &digest, trust)?,
        };
        Ok(Self { source: source.to_owned(), size: bytes.len(), digest, rights: Rights::read(&file), file, signed })
    }

    /// Why the gateway would not load it, and what to do.
    fn refusals(&self) -> Vec<(String, String)> {
        let rights = self.rights.as_ref().err().map(|error| (error.to_string(), error.remedy("NAME")));
        let signature = match &self.signed {
            Signed::Not { why, required: true } => Some((why.to_string(), why.remedy().to_owned())),
            _ => None,
        };
        rights.into_iter().chain(signature).collect()
    }

    /// Versions of a package it imports or exports, such as `plugway:gateway`.
    fn versions(&self, package: &str) -> BTreeSet<&str> {
        let names = self.file.imports.iter().map(|import| &import.name).chain(&self.file.exports);
        names.filter(|name| name.starts_with(package)).filter_map(|name| Some(name.rsplit_once('@')?.1)).collect()
    }

    fn hooks(&self) -> Vec<&'static str> {
        self.rights.iter().flat_map(|rights| &rights.hooks).map(|hook| hook.as_str()).collect()
    }

    fn capabilities(&self) -> &[&'static str] {
        self.rights.as_ref().map_or(&[], |rights| &rights.capabilities)
    }

    fn reads_identity(&self) -> bool {
        self.rights.as_ref().is_ok_and(|rights| rights.reads_identity)
    }

    fn grants(&self) -> Option<String> {
        self.rights.as_ref().ok()?.grants()
    }

    fn optional_grants(&self) -> Option<String> {
        self.rights.as_ref().ok()?.optional_grants()
    }

    /// What it says it was made by, in a line.
    fn made_by(&self) -> String {
        let sdk = self.file.sdk.iter().map(|version| format!("plugway-sdk {version}"));
        let tools = self.file.tools.values().flatten().map(|(name, version)| format!("{name} {version}").trim_end().to_owned());
        or_none(sdk.chain(tools).collect::<Vec<_>>().join(", "), "it does not say")
    }

    fn text(&self) -> String {
        let mut lines = vec![
            ("size", format!("{} bytes", self.size)),
            ("digest", format!("sha256:{}", self.digest)),
            ("contract", or_none(joined(self.versions("plugway:gateway/")), "none")),
        ];
        if self.rights.is_ok() {
            lines.push(("hooks", self.hooks().join(", ")));
            lines.push(("capabilities", or_none(self.capabilities().join(", "), "none beside those every plugin has")));
            lines.push(("identity", if self.reads_identity() { "asks who is calling" } else { "does not ask who is calling" }.to_owned()));
            lines.extend(self.grants().map(|grants| ("to load it", format!("{grants} in [plugins.NAME]"))));
            lines.extend(self.optional_grants().map(|grants| ("as needed", format!("{grants}: it can do without"))));
        } else {
            lines.push(("imports", self.file.imports.iter().map(|import| shown(&import.name)).collect::<Vec<_>>().join(", ")));
            lines.push(("exports", self.file.exports.iter().map(|export| shown(export)).collect::<Vec<_>>().join(", ")));
        }
        lines.push(("WASI", or_none(joined(self.versions("wasi:")), "none")));
        lines.push(("built with", self.made_by()));
        lines.push(("signature", self.signed.text()));
        let mut text = format!("{}\n", self.source);
        for (label, value) in lines {
            text.push_str(&format!("  {label:<13} {value}\n"));
        }
        for (why, help) in self.refusals() {
            text.push_str(&format!("this gateway would not load it: {why}\n    help: {help}\n"));
        }
        text
    }

    fn json(&self) -> Value {
        let refusals = self.refusals().into_iter().map(|(message, help)| json!({ "message": message, "help": help }));
        json!({
            "source": self.source,
            "size_bytes": self.size,
            "digest": format!("sha256:{}", self.digest),
            "contract": self.versions("plugway:gateway/"),
            "wasi": self.versions("wasi:"),
            "hooks": self.hooks(),
            "capabilities": self.capabilities(),
            "reads_identity": self.reads_identity(),
            "grants": self.grants(),
            "optional_grants": self.optional_grants(),
            "imports": self.file.imports.iter().map(|import| json!({ "name": import.name, "functions": import.functions })).collect::<Vec<_>>(),
            "exports": self.file.exports,
            "sdk": self.file.sdk,
            "tools": self.file.tools,
            "signature": self.signed.json(),
            "refused": refusals.collect::<Vec<_>>(),
        })
    }
}

// === impl Signed ===

impl Signed {
    fn judge(path: &Path, digest: &str, trust: Option<&Trust>) -> Result<Self, String> {
        let Some(trust) = trust else {
            let beside = SignatureFile::beside(path);
            let there = SignatureFile::read(&beside).map_err(|error| format!("{} {error}", beside.display()))?;
            return Ok(Self::Unjudged(there.iter().flat_map(|there| there.signers(digest)).collect()));
        };
        Ok(match trust.keys.signer(path, digest) {
            Ok((name, _)) => Self::By(name.to_string()),
            Err(why) => Self::Not { why, required: trust.require_signature },
        })
    }

    fn text(&self) -> String {
        match self {
            Self::BuiltIn => "part of this program".to_owned(),
            Self::By(name) => format!("by `{name}`"),
            Self::Not { why, .. } => why.to_string(),
            Self::Unjudged(signers) if signers.is_empty() => "none".to_owned(),
            Self::Unjudged(signers) => {
                let signer = |signer: &Signer| format!("{} {}", signer.key, if signer.fits { "signed it" } else { "did not sign this" });
                let signers: Vec<_> = signers.iter().map(signer).collect();
                format!("{}; name whom you trust with --config or --key", signers.join(", "))
            }
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::BuiltIn => json!({ "state": "built-in" }),
            Self::By(name) => json!({ "state": "trusted", "signed_by": name }),
            Self::Not { why, .. } => json!({ "state": why.as_str(), "message": why.to_string() }),
            Self::Unjudged(signers) => {
                let signer = |signer: &Signer| json!({ "key": signer.key.to_string(), "fits": signer.fits });
                json!({ "state": "unjudged", "signers": signers.iter().map(signer).collect::<Vec<_>>() })
            }
        }
    }
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A name out of a file, without what a terminal would obey.
fn shown(name: &str) -> String {
    name.escape_debug().to_string()
}

fn joined(texts: BTreeSet<&str>) -> String {
    texts.into_iter().map(shown).collect::<Vec<_>>().join(", ")
}

fn or_none(text: String, none: &str) -> String {
    if text.is_empty() { none.to_owned() } else { text }
}
