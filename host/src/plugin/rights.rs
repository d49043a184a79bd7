//! What a component exports says which hooks it has, what it imports says which capabilities it wants. Both are read
//! here, before anything of it runs, and held against what the operator granted.

use std::fmt;

use super::file::ComponentFile;
use crate::config::model::Grants;
use crate::telemetry::MOST_HOOKS;

/// The contract's package, without its version.
const PACKAGE: &str = "plugway:gateway/";
/// The versions this gateway links.
pub(super) const VERSIONS: &[&str] = &["0.1.0"];
/// The function by which a plugin learns who is calling.
const READS_IDENTITY: (&str, &str) = ("request", "caller");
/// Interfaces every plugin may import.
const ALWAYS: &[&str] = &[
    "types",
    "configuring",
    "header-names",
    "header-lines",
    "request",
    "response",
    "routing",
    "attempt",
    "forward-plan",
    "log",
    "clock",
    "random",
    "metrics",
    "endpoints",
    "granted",
    "trace",
    "batch",
];
/// Interfaces that have to be granted.
const GRANTED: &[&str] = &["crypto", "kv", "rate-limit", "secrets", "keys", WAITS.0];
/// The one function that waits, and so do calls of a plugin that imports it.
const WAITS: (&str, &str) = ("http-client", "send");
/// The interface whose functions say what a plugin can do without; each has the name of a capability.
const DISPENSABLE: &str = "granted";

/// One hook interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hook {
    /// `lifecycle`
    Lifecycle,
    /// `authorizer`
    Authorizer,
    /// `request-filter`
    RequestFilter,
    /// `router`
    Router,
    /// `outcome-observer`
    OutcomeObserver,
    /// `forwarder`
    Forwarder,
    /// `response-filter`
    ResponseFilter,
    /// `observer`
    Observer,
    /// `batch-observer`
    BatchObserver,
    /// `timer`
    Timer,
}

/// What a component has and wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// Hooks it exports.
    pub hooks: Vec<Hook>,
    /// Capabilities it imports beside those every plugin has.
    pub capabilities: Vec<&'static str>,
    /// Those of them it can do without: it asks whether it has them.
    pub optional: Vec<&'static str>,
    /// Whether it asks who is calling: components import single functions, so this too can be read from the file.
    pub reads_identity: bool,
    /// Whether it imports what waits: the rest of that capability alone makes nobody wait.
    waits: bool,
}

/// Why a component may not be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RightsError {
    /// It imports or exports the contract in a version that is not offered.
    WrongVersion {
        /// The interface and version it was built for.
        wanted: String,
    },
    /// It imports something no plugin gets.
    UnknownImport(String),
    /// It imports a capability that was not granted.
    NotGranted {
        /// The capability.
        capability: &'static str,
    },
    /// It has no hook at all.
    NoHook,
    /// It wants to learn how the attempts of a router ended, and is none.
    NoRouter,
}

// === impl Hook ===

impl Hook {
    /// Every hook, in the order of the contract.
    pub const ALL: [Self; 10] = [
        Self::Lifecycle,
        Self::Authorizer,
        Self::RequestFilter,
        Self::Router,
        Self::OutcomeObserver,
        Self::Forwarder,
        Self::ResponseFilter,
        Self::Observer,
        Self::BatchObserver,
        Self::Timer,
    ];

    /// Their interfaces' names, in the same order: `hook as usize` finds a hook's.
    pub const NAMES: [&'static str; 10] = [
        "lifecycle",
        "authorizer",
        "request-filter",
        "router",
        "outcome-observer",
        "forwarder",
        "response-filter",
        "observer",
        "batch-observer",
        "timer",
    ];

    /// Its interface's name.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.get(self as usize).copied().unwrap_or_default()
    }
}

/// Each is counted.
const _: () = assert!(Hook::NAMES.len() <= MOST_HOOKS);

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Rights ===

impl Rights {
    /// Reads a component's imports and exports.
    ///
    /// # Errors
    /// When they are not of this contract, or not of a version this gateway links.
    pub fn read(file: &ComponentFile) -> Result<Self, RightsError> {
        let mut rights = Self { hooks: Vec::new(), capabilities: Vec::new(), optional: Vec::new(), reads_identity: false, waits: false };
        for import in &file.imports {
            let name = &import.name;
            if name.starts_with("wasi:") {
                // Linked with an empty context; what is not WASI 0.2 fails to link, with its name.
                continue;
            }
            let interface = contract_interface(name)?.ok_or_else(|| RightsError::UnknownImport(name.clone()))?;
            let imports = |(of, wanted): (&str, &str)| interface == of && import.functions.iter().any(|function| function == wanted);
            rights.reads_identity |= imports(READS_IDENTITY);
            rights.waits |= imports(WAITS);
            if interface == DISPENSABLE {
                let asked = |capability: &&&'static str| import.functions.iter().any(|function| function == **capability);
                rights.optional.extend(GRANTED.iter().filter(asked));
            }
            match interface {
                known if ALWAYS.contains(&known) => {}
                known => match GRANTED.iter().find(|granted| **granted == known) {
                    Some(capability) => rights.capabilities.push(capability),
                    None => return Err(RightsError::UnknownImport(name.clone())),
                },
            }
        }
        for export in &file.exports {
            if let Some(interface) = contract_interface(export)? {
                rights.hooks.extend(Hook::ALL.into_iter().find(|hook| hook.as_str() == interface));
            }
        }
        if rights.hooks.iter().all(|hook| *hook == Hook::Lifecycle) {
            return Err(RightsError::NoHook);
        }
        if rights.hooks.contains(&Hook::OutcomeObserver) && !rights.hooks.contains(&Hook::Router) {
            return Err(RightsError::NoRouter);
        }
        rights.hooks.sort_unstable();
        Ok(rights)
    }

    /// Whether its calls may wait, where that was granted.
    pub fn waits(&self) -> bool {
        self.waits
    }

    /// Whether it also works where it was not.
    pub fn can_do_without_waiting(&self) -> bool {
        self.waits && self.optional.contains(&WAITS.0)
    }

    /// The line of `[plugins.NAME]` that grants all it cannot do without; `None` when there is nothing.
    pub fn grants(&self) -> Option<String> {
        self.line(|capability| !self.optional.contains(&capability))
    }

    /// The same of what it can do without.
    pub fn optional_grants(&self) -> Option<String> {
        self.line(|capability| self.optional.contains(&capability))
    }

    fn line(&self, which: impl Fn(&'static str) -> bool) -> Option<String> {
        let grant = |capability: &'static str| match capability {
            // Which ones, and where to, only the operator knows.
            "secrets" | "keys" => format!("{capability} = [\"NAME\"]"),
            "http-client" => "http-client = { hosts = [\"HOST\"] }".to_owned(),
            capability => format!("{capability} = {{}}"),
        };
        let wanted: Vec<_> = self.capabilities.iter().copied().filter(|capability| which(capability)).map(grant).collect();
        (!wanted.is_empty()).then(|| format!("grants = {{ {} }}", wanted.join(", ")))
    }

    /// Holds what is wanted against what was granted.
    ///
    /// # Errors
    /// The first capability that is wanted and was not granted.
    pub fn check(&self, grants: &Grants) -> Result<(), RightsError> {
        let missing = |capability: &&&'static str| !self.optional.contains(*capability) && !is_granted(grants, capability);
        match self.capabilities.iter().find(missing) {
            Some(capability) => Err(RightsError::NotGranted { capability }),
            None => Ok(()),
        }
    }
}

fn is_granted(grants: &Grants, capability: &str) -> bool {
    match capability {
        "crypto" => grants.crypto.is_some(),
        "kv" => grants.kv.is_some(),
        "rate-limit" => grants.rate_limit.is_some(),
        "secrets" => !grants.secrets.is_empty(),
        "keys" => !grants.keys.is_empty(),
        "http-client" => grants.http_client.is_some(),
        _ => false,
    }
}

/// The interface's name if it belongs to the contract and its version is offered; `None` if it is someone else's.
fn contract_interface(name: &str) -> Result<Option<&str>, RightsError> {
    let Some(rest) = name.strip_prefix(PACKAGE) else { return Ok(None) };
    match rest.split_once('@') {
        Some((interface, version)) if VERSIONS.contains(&version) => Ok(Some(interface)),
        _ => Err(RightsError::WrongVersion { wanted: name.to_owned() }),
    }
}

// === impl RightsError ===

impl RightsError {
    /// What the operator or author should do.
    pub fn remedy(&self, plugin: &str) -> String {
        match self {
            Self::WrongVersion { .. } => format!("rebuild it with a plugway-sdk of version {}", VERSIONS.join(" or ")),
            Self::UnknownImport(_) => "build it for the worlds in wit/world.wit; other imports are never linked".to_owned(),
            Self::NotGranted { capability: capability @ ("secrets" | "keys") } => {
                format!(
                    "write the names of those it may have: `grants = {{ {capability} = [\"NAME\"] }}` in [plugins.{plugin}], and a [secrets.NAME] for each"
                )
            }
            Self::NotGranted { capability: "http-client" } => {
                format!(
                    "if it may make requests, write where to: `grants = {{ http-client = {{ hosts = [\"HOST\"] }} }}` in [plugins.{plugin}]"
                )
            }
            Self::NotGranted { capability } => {
                format!("if it may have this, write `grants = {{ {capability} = {{}} }}` in [plugins.{plugin}]")
            }
            Self::NoHook => "export at least one hook interface, e.g. with the SDK's `export!` macro".to_owned(),
            Self::NoRouter => "export `router` as well, or leave `outcome-observer` out".to_owned(),
        }
    }
}

impl fmt::Display for RightsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongVersion { wanted } => {
                write!(f, "it was built for `{wanted}`, and this gateway offers plugway:gateway {}", VERSIONS.join(", "))
            }
            Self::UnknownImport(import) => write!(f, "it imports `{import}`, which no plugin gets"),
            Self::NotGranted { capability } => write!(f, "it imports the capability `{capability}`, which was not granted"),
            Self::NoHook => write!(f, "it exports no hook of plugway:gateway"),
            Self::NoRouter => write!(f, "it exports `outcome-observer` without `router`, so there is nothing it could learn of"),
        }
    }
}

impl std::error::Error for RightsError {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::plugin::file::Import;

    /// What a filter that imports these functions has and wants.
    fn rights(imports: &[(&str, &[&str])]) -> Rights {
        let import = |(interface, functions): &(&str, &[&str])| Import {
            name: format!("plugway:gateway/{interface}@0.1.0"),
            functions: functions.iter().map(|&function| function.to_owned()).collect(),
        };
        let exports = vec!["plugway:gateway/request-filter@0.1.0".to_owned()];
        Rights::read(&ComponentFile { imports: imports.iter().map(import).collect(), exports, sdk: None, tools: BTreeMap::new() }).unwrap()
    }

    #[test]
    fn who_asks_what_the_grant_lets_go_wants_the_capability_and_does_not_wait() {
        let sends: (&str, &[&str]) = ("http-client", &["[constructor]outgoing-request", "send", "may-ask"]);
        let looks: (&str, &[&str]) = ("http-client", &["may-ask"]);
        let does_without: (&str, &[&str]) = ("granted", &["http-client"]);
        let another: (&str, &[&str]) = ("request", &["send"]);
        for (imports, waits, without_waiting) in [
            (vec![sends], true, false),
            (vec![sends, does_without], true, true),
            (vec![looks], false, false),
            (vec![looks, does_without], false, false),
            // Of another interface it is another function.
            (vec![looks, another], false, false),
            (vec![], false, false),
        ] {
            let rights = rights(&imports);
            assert_eq!((rights.waits(), rights.can_do_without_waiting()), (waits, without_waiting), "{imports:?}");
            let wants = imports.iter().any(|(interface, _)| *interface == "http-client");
            let is_optional = imports.contains(&does_without);
            assert_eq!(rights.capabilities, if wants { vec!["http-client"] } else { vec![] }, "{imports:?}");
            assert_eq!(rights.check(&Grants::default()).is_ok(), !wants || is_optional, "{imports:?}");
        }
    }
}
