//! Request headers that a plugin says to the upstream, and no client may.

use std::collections::{BTreeMap, HashSet};

use http::HeaderName;

use crate::exchange::is_reserved;
use crate::http::known;

/// Names of one instance, in all its configurations.
const MOST: usize = 256;

/// What clients have to say themselves, beside the names of `known-headers.txt`: the rest of RFC 9110's and what browsers, gRPC and agreements about
/// requests rely on.
const OF_CLIENTS: [&str; 11] = [
    "early-data",
    "from",
    "idempotency-key",
    "max-forwards",
    "pragma",
    "prefer",
    "priority",
    "te",
    "upgrade-insecure-requests",
    "x-csrf-token",
    "x-requested-with",
];
const PREFIXES_OF_CLIENTS: [&str; 6] = ["accept", "access-control-", "content-", "grpc-", "if-", "sec-"];
/// The one well-known name that a gateway may say.
const TENANT: &str = "x-tenant-id";

/// By the plugin's own words, for each configuration it was given.
#[derive(Debug, Clone, Default)]
pub(super) struct KeptFromClients {
    by_configuration: BTreeMap<u32, Vec<HeaderName>>,
    /// All of them.
    names: HashSet<HeaderName>,
}

impl KeptFromClients {
    /// One more, if there is room.
    pub(super) fn add(&mut self, config: u32, name: HeaderName) -> bool {
        if !self.names.contains(&name) && self.names.len() >= MOST {
            return false;
        }
        self.names.insert(name.clone());
        let own = self.by_configuration.entry(config).or_default();
        if !own.contains(&name) {
            own.push(name);
        }
        true
    }

    /// Those of a configuration.
    pub(super) fn of(&self, config: u32) -> &[HeaderName] {
        self.by_configuration.get(&config).map_or(&[], Vec::as_slice)
    }
}

/// Whether clients have to say it themselves: a plugin must not take from routes it does not stand on what their clients need.
pub(super) fn is_of_clients(name: &HeaderName) -> bool {
    let text = name.as_str();
    is_reserved(name)
        || (known::number(name).is_some() && text != TENANT)
        || OF_CLIENTS.contains(&text)
        || PREFIXES_OF_CLIENTS.iter().any(|prefix| text.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> HeaderName {
        HeaderName::try_from(format!("x-{number}")).unwrap()
    }

    #[test]
    fn names_are_kept_for_each_configuration_up_to_a_number() {
        let mut kept = KeptFromClients::default();
        for number in (0..MOST).chain(0..MOST) {
            assert!(kept.add(u32::from(number % 2 == 0), name(number)), "{number}");
        }
        assert!(!kept.add(0, name(MOST)));
        assert_eq!((kept.of(0).len(), kept.of(1).first(), kept.of(2)), (MOST / 2, Some(&name(0)), &[][..]));
    }

    #[test]
    fn any_number_of_configurations_may_have_one_name() {
        let mut kept = KeptFromClients::default();
        assert!((0..10_000).all(|config| kept.add(config, name(1)) && kept.add(config, name(2))));
        assert_eq!(kept.of(9_999), [name(1), name(2)]);
    }

    #[test]
    fn what_clients_have_to_say_themselves_is_theirs() {
        for theirs in
            ["accept", "authorization", "cookie", "x-api-key", "x-request-id", "x-forwarded-for", "from", "sec-fetch-site", "grpc-timeout"]
        {
            assert!(is_of_clients(&HeaderName::from_static(theirs)), "{theirs}");
        }
        for free in ["x-user", "x-tenant-id", "user-id", "x-consumer"] {
            assert!(!is_of_clients(&HeaderName::from_static(free)), "{free}");
        }
    }
}
