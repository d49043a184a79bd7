//! Who is measured, and at which rate.

use plugway_harness::Result;
use plugway_harness::error::Context;

use super::options::Options;
use super::{Built, Entry, SMALL, Scenario};
use crate::bench::subject::Proxy;

/// Every row, in the order of the table. Ratios are to the first.
pub(super) const LINEUP: [Entry; 24] = [
    Entry { name: "nginx", proxy: Proxy::Nginx, plugins: 0, workers: 1 },
    Entry { name: "nginx + Lua", proxy: Proxy::Nginx, plugins: 1, workers: 1 },
    Entry { name: "HAProxy", proxy: Proxy::Haproxy, plugins: 0, workers: 1 },
    Entry { name: ENVOY, proxy: Proxy::Envoy, plugins: 0, workers: 1 },
    Entry { name: "Envoy + 1 Wasm", proxy: Proxy::Envoy, plugins: 1, workers: 1 },
    Entry { name: "Envoy + 5 Wasm", proxy: Proxy::Envoy, plugins: 5, workers: 1 },
    Entry { name: "Envoy + 1 native", proxy: Proxy::EnvoyNative, plugins: 1, workers: 1 },
    Entry { name: "Envoy + 5 native", proxy: Proxy::EnvoyNative, plugins: 5, workers: 1 },
    Entry { name: "Envoy + 1 Lua", proxy: Proxy::EnvoyLua, plugins: 1, workers: 1 },
    Entry { name: "Envoy + 5 Lua", proxy: Proxy::EnvoyLua, plugins: 5, workers: 1 },
    Entry { name: "Traefik", proxy: Proxy::Traefik, plugins: 0, workers: 1 },
    Entry { name: "Traefik + 1 Wasm", proxy: Proxy::Traefik, plugins: 1, workers: 1 },
    Entry { name: "Traefik + 5 Wasm", proxy: Proxy::Traefik, plugins: 5, workers: 1 },
    Entry { name: "plugway", proxy: Proxy::Plugway, plugins: 0, workers: 1 },
    Entry { name: "plugway + 1 plugin", proxy: Proxy::Plugway, plugins: 1, workers: 1 },
    Entry { name: "plugway + 5 plugins", proxy: Proxy::Plugway, plugins: 5, workers: 1 },
    Entry { name: "plugway + 10 plugins", proxy: Proxy::Plugway, plugins: 10, workers: 1 },
    // What the next row is compared with: the token is read and sent on, and nobody asks for it.
    Entry { name: "plugway with a token", proxy: Proxy::PlugwayWithToken, plugins: 0, workers: 1 },
    // One of its plugins leaves a mark.
    Entry { name: "plugway + shipped chain", proxy: Proxy::PlugwayShipped, plugins: 1, workers: 1 },
    Entry { name: "nginx (2 workers)", proxy: Proxy::Nginx, plugins: 0, workers: 2 },
    Entry { name: "HAProxy (2 workers)", proxy: Proxy::Haproxy, plugins: 0, workers: 2 },
    Entry { name: "Envoy (2 workers)", proxy: Proxy::Envoy, plugins: 0, workers: 2 },
    Entry { name: "plugway (2 workers)", proxy: Proxy::Plugway, plugins: 0, workers: 2 },
    Entry { name: "plugway + 5 plugins (2 workers)", proxy: Proxy::Plugway, plugins: 5, workers: 2 },
];

/// The second proxy that ratios are to.
pub(super) const ENVOY: &str = "Envoy";

/// What a proxy says of its version.
pub(super) type Version = (Proxy, String);

/// The row that says what plugins cost by being compared with this one: the same proxy without.
pub(super) fn bare(entry: &Entry) -> Option<&'static Entry> {
    let proxy = match entry.proxy {
        Proxy::EnvoyLua | Proxy::EnvoyNative => Proxy::Envoy,
        Proxy::PlugwayShipped => Proxy::PlugwayWithToken,
        proxy => proxy,
    };
    let bare = LINEUP.iter().find(|other| other.proxy == proxy && other.plugins == 0 && other.workers == entry.workers);
    bare.filter(|_| entry.plugins > 0)
}

/// The row with one worker that one with two is compared with.
pub(super) fn single(entry: &Entry) -> Option<&'static Entry> {
    let alike = |other: &&Entry| other.proxy == entry.proxy && other.plugins == entry.plugins && other.workers == 1;
    LINEUP.iter().find(alike).filter(|_| entry.workers > 1)
}

/// Whether a row is measured in a scenario: what plugins cost is measured in the small one, the others compare proxies. Rows
/// that were asked for by name always are, where they can be.
pub(super) fn belongs(entry: &Entry, scenario: &Scenario, options: &Options) -> bool {
    let possible = match scenario {
        // Go takes every core it may use, whatever a configuration says.
        Scenario { workers: true, .. } => entry.proxy != Proxy::Traefik,
        // The shipped chain has no settings by route in the bench, and asks for a token in each of them.
        Scenario { by_route: true, .. } => entry.workers == 1 && !entry.proxy.has_token(),
        // The backend expects these at every endpoint's address.
        Scenario { endpoints: 2.., .. } => entry.workers == 1 && entry.plugins <= 1 && entry.proxy != Proxy::EnvoyNative,
        _ => entry.workers == 1,
    };
    let five = entry.proxy == Proxy::Plugway && entry.plugins == 5;
    let usual = match scenario {
        Scenario { endpoints: 2.., .. } => entry.plugins == 0 || entry.proxy.has_token(),
        _ => scenario.name == SMALL.name || (entry.plugins == 0 && !entry.proxy.has_token()) || five,
    };
    possible && (usual || options.chosen())
}

/// The versions of all proxies among the entries.
pub(super) fn versions(entries: &[Entry], built: &Built) -> Result<Vec<Version>> {
    let mut versions: Vec<Version> = Vec::new();
    for entry in entries {
        if !versions.iter().any(|(proxy, _)| *proxy == entry.proxy) {
            versions.push((entry.proxy, entry.proxy.version(&built.gateway).context(entry.name)?));
        }
    }
    Ok(versions)
}

/// The rate for each of the entries, given what they can do at most: one for nginx, HAProxy and plugway, whatever their plugins,
/// since their ratios are quoted to a percent; for each of the others the same, or `own` of what it can do where that is less.
///
/// Each is a multiple of the connections, since h2load takes whole requests a second for each of them; none where `own` of
/// what a proxy can do is less than one for each: it would be asked for more, and what a request costs at its end says nothing.
pub(super) fn rates(most: &[(Entry, f64)], connections: u32, share: f64, own: f64) -> Vec<Option<f64>> {
    let connections = f64::from(connections);
    let able = |most: f64| most * own >= connections;
    let whole = |rate: f64| (rate / connections).floor().max(1.0) * connections;
    let best = most.iter().map(|(_, most)| *most).next().unwrap_or_default();
    let close = most.iter().filter(|(entry, most)| is_close(entry) && able(*most));
    let common = close.fold(best * share, |rate, (_, most)| rate.min(most * own));
    most.iter().map(|(_, most)| able(*most).then(|| whole(common.min(most * own)))).collect()
}

/// Those whose ratios are quoted to a percent.
fn is_close(entry: &Entry) -> bool {
    matches!(entry.proxy, Proxy::Nginx | Proxy::Haproxy | Proxy::Plugway | Proxy::PlugwayWithToken | Proxy::PlugwayShipped)
}

/// In which order a round measures them. The close ones follow each other: what a machine takes for the same work wanders within a minute, and their
/// ratios are of samples that were taken within half of one. Each round begins with another one of them, and every other one goes back instead of forth.
pub(super) fn order(round: usize, entries: &[Entry]) -> Vec<usize> {
    let (mut close, mut others): (Vec<usize>, Vec<usize>) = (0..entries.len()).partition(|index| entries.get(*index).is_some_and(is_close));
    for group in [&mut close, &mut others] {
        let steps = round % group.len().max(1);
        group.rotate_left(steps);
    }
    close.append(&mut others);
    if round % 2 == 1 {
        close.reverse();
    }
    close
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> Entry {
        LINEUP.into_iter().find(|entry| entry.name == name).unwrap()
    }

    #[test]
    fn the_close_ones_share_a_rate_and_slower_peers_have_their_own() {
        let most = [("nginx", 80_000.0), ("Envoy", 20_000.0), ("Envoy + 1 Lua", 60_000.0), ("plugway + 10 plugins", 50_000.0)];
        let most = most.map(|(name, most)| (named(name), most));
        assert_eq!(rates(&most, 100, 0.5, 0.7), [35_000.0, 14_000.0, 35_000.0, 35_000.0].map(Some));
        assert_eq!(rates(&most[..3], 32, 0.5, 0.7), [40_000.0, 13_984.0, 40_000.0].map(Some));
    }

    #[test]
    fn who_cannot_be_asked_for_one_request_on_each_connection_is_left_out() {
        let most =
            [("nginx", 80_000.0), ("Envoy", 9_000.0), ("Traefik", 15_000.0), ("plugway", 14_000.0)].map(|(name, most)| (named(name), most));
        assert_eq!(rates(&most, 10_000, 0.5, 0.7), [Some(40_000.0), None, Some(10_000.0), None]);
    }

    #[test]
    fn each_is_measured_once_a_round_and_the_close_ones_beside_each_other() {
        let entries = LINEUP.into_iter().filter(|entry| entry.workers == 1).collect::<Vec<_>>();
        let close = entries.iter().filter(|entry| is_close(entry)).count();
        let firsts: Vec<usize> = (0..entries.len())
            .map(|round| order(round, &entries))
            .map(|order| {
                let at: Vec<usize> = order.iter().enumerate().filter(|(_, index)| is_close(&entries[**index])).map(|(at, _)| at).collect();
                assert_eq!(at.last().unwrap() - at[0] + 1, close);
                let mut all = order.clone();
                all.sort_unstable();
                assert_eq!(all, (0..entries.len()).collect::<Vec<_>>());
                order[0]
            })
            .collect();
        assert!(firsts[0] != firsts[2] && firsts[1] != firsts[3] && !is_close(&entries[firsts[1]]), "{firsts:?}");
        assert!(order(3, &[]).is_empty());
    }

    #[test]
    fn names_are_unique_and_the_first_is_nginx() {
        let names: std::collections::HashSet<_> = LINEUP.iter().map(|entry| entry.name).collect();
        assert_eq!((names.len(), LINEUP[0].name), (LINEUP.len(), "nginx"));
        assert!(names.contains(ENVOY));
        assert!(LINEUP.iter().all(|entry| entry.plugins == 0 || bare(entry).is_some_and(|bare| bare.plugins == 0)));
        assert!(LINEUP.iter().all(|entry| entry.workers == 1 || single(entry).is_some_and(|single| single.workers == 1)));
        assert!(names.iter().all(|name| !name.contains(',')), "--only takes them separated by commas");
    }
}
