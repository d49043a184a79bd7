//! `plugway plugin keygen`, `sign` and `verify`.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use clap::Args;

use plugway::plugin::{ComponentFile, LoadedComponent, SignatureFile, SigningKey};

use super::{Trusted, read};
use crate::cli::{complain, print};

/// Make a key pair.
#[derive(Debug, Args)]
pub(in crate::cli) struct Keygen {
    /// Where to, without the endings `.key` and `.pub`.
    #[arg(value_name = "NAME")]
    name: PathBuf,
}

/// Sign a plugin.
#[derive(Debug, Args)]
pub(in crate::cli) struct Sign {
    /// The component.
    file: PathBuf,
    /// The private key (PEM, PKCS#8).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// Tell whether a plugin is signed by a trusted key.
#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// The component.
    file: PathBuf,
    #[command(flatten)]
    trusted: Trusted,
}

impl Keygen {
    pub(super) fn run(&self) -> Result<bool, String> {
        let (private, public) = (with_ending(&self.name, "key"), with_ending(&self.name, "pub"));
        // Looked for first, so that nothing is left of a pair that cannot be written.
        if let Some(there) = [&private, &public].into_iter().find(|file| fs::symlink_metadata(file).is_ok()) {
            return Err(format!("{} exists; name another key", there.display()));
        }
        let (key, pem) = SigningKey::generate().map_err(|error| format!("the key {error}"))?;
        write_new(&private, pem.as_bytes(), 0o600)?;
        write_new(&public, key.verifying_key().to_pem().as_bytes(), 0o644)?;
        let name = self.name.file_name().unwrap_or_default().to_string_lossy();
        print(&format!(
            "wrote {}, to sign with: keep it to yourself\nwrote {}, to be trusted: {}\n\n[trust.keys]\n{name} = {:?}\n",
            private.display(),
            public.display(),
            key.verifying_key(),
            public.display().to_string()
        ))?;
        Ok(true)
    }
}

impl Sign {
    pub(super) fn run(&self) -> Result<bool, String> {
        let file = self.file.display();
        let bytes = read(&self.file)?;
        // Whoever signs something else has named the wrong file.
        ComponentFile::read(&bytes).map_err(|error| format!("{file} was not signed: {error}"))?;
        let key = SigningKey::from_pem(&read(&self.key)?).map_err(|error| format!("{} {error}", self.key.display()))?;
        if fs::metadata(&self.key).is_ok_and(|metadata| metadata.mode() & 0o077 != 0) {
            complain(&format!("warning: others can get at {0}; run `chmod 600 {0}`", self.key.display()));
        }
        let digest = LoadedComponent::digest(&bytes);
        let beside = SignatureFile::beside(&self.file);
        let there = SignatureFile::read(&beside).map_err(|error| format!("{} {error}; remove it first", beside.display()))?;
        // Signatures of other bytes are of no use any more.
        let mut signatures = there.filter(|there| there.digest() == digest).unwrap_or_else(|| SignatureFile::new(&digest));
        signatures.sign(&key).map_err(|error| format!("{}: {error}", beside.display()))?;
        replace(&beside, signatures.to_string().as_bytes())?;
        print(&format!("wrote {}: sha256:{digest} by {}\n", beside.display(), key.verifying_key()))?;
        Ok(true)
    }
}

impl Verify {
    pub(super) fn run(&self) -> Result<bool, String> {
        let trust = self.trusted.read()?.ok_or("whose signature counts? Name keys with --key, or a configuration with --config")?;
        let digest = LoadedComponent::digest(&read(&self.file)?);
        let file = self.file.display();
        match trust.keys.signer(&self.file, &digest) {
            Ok((name, _)) => {
                print(&format!("{file} is signed by `{name}`: sha256:{digest}\n"))?;
                Ok(true)
            }
            Err(why) => {
                complain(&format!("{file} is not signed by a trusted key: {why}\n    help: {}", why.remedy()));
                Ok(false)
            }
        }
    }
}

fn with_ending(name: &Path, ending: &str) -> PathBuf {
    let mut name = name.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

fn write_new(file: &Path, content: &[u8], mode: u32) -> Result<(), String> {
    let written = fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(file).and_then(|mut file| file.write_all(content));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{} exists; name another key", file.display()),
        _ => format!("{} cannot be written: {error}", file.display()),
    })
}

/// Written beside and renamed: a gateway that watches the folder never reads half of it.
fn replace(file: &Path, content: &[u8]) -> Result<(), String> {
    let partial = with_ending(file, &format!("{}.partial", std::process::id()));
    fs::write(&partial, content).and_then(|()| fs::rename(&partial, file)).map_err(|error| {
        drop(fs::remove_file(&partial));
        format!("{} cannot be written: {error}", file.display())
    })
}
