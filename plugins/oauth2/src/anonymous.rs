//! Requests without a token that pass all the same, with lesser rights.

use std::cell::OnceCell;

use plugway_sdk::Identity;
use serde::Deserialize;

/// `anonymous = { … }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AnonymousConfig {
    #[serde(default = "anonymous")]
    subject: String,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
}

fn anonymous() -> String {
    "anonymous".to_owned()
}

/// Who a request without a token comes from.
#[derive(Debug)]
pub(crate) struct Anonymous {
    config: AnonymousConfig,
    /// Made with the first of them; copies are given away.
    identity: OnceCell<Identity>,
}

impl Anonymous {
    /// Nobody, where the place asks for more than he has.
    pub(crate) fn new(config: AnonymousConfig, scopes: &[String]) -> Option<Self> {
        scopes.iter().all(|needed| config.scopes.contains(needed)).then(|| Self { config, identity: OnceCell::new() })
    }

    /// Nobody vouches for it, so it has no issuer.
    pub(crate) fn identity(&self) -> Identity {
        let make = || {
            let mut identity = Identity::new(&self.config.subject);
            identity.set_scopes(&self.config.scopes.iter().map(String::as_str).collect::<Vec<_>>());
            identity
        };
        self.identity.get_or_init(make).clone()
    }
}
