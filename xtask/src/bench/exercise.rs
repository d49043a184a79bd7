//! Work for a gateway that is watched at it: what `cargo xtask release` optimises for.

use std::path::Path;
use std::time::Duration;

use plugway_harness::Result;

use super::monitored::MONITORED;
use super::stage::Stage;
use super::subject::{Built, Entry, Proxy, Subject};
use super::{load, peers, scenario, two_cores};
use crate::{interrupt, plugins};

const BARE: Entry = Entry { name: "no plugin", proxy: Proxy::Plugway, plugins: 0, workers: 1 };
const FIVE: Entry = Entry { name: "5 plugins", proxy: Proxy::Plugway, plugins: 5, workers: 1 };
const SHIPPED: Entry = Entry { name: "shipped chain", proxy: Proxy::PlugwayShipped, plugins: 1, workers: 1 };

/// Every kind of work that a gateway has, each about as long.
const WORK: [(&str, &[Entry]); 6] = [
    ("small", &[BARE, FIVE, SHIPPED, MONITORED]),
    ("tls-in", &[BARE, SHIPPED]),
    ("tls-out", &[BARE]),
    ("http2", &[BARE, SHIPPED]),
    ("body-64k", &[BARE]),
    ("routes-100", &[FIVE]),
];

/// As fast as it can, and at a rate at which it waits in between.
const LENGTH: Duration = Duration::from_secs(2);

/// Has a gateway do some of everything. It is told to end each time, since one that is killed does not write down what it counted.
pub(crate) fn exercise(gateway: &Path) -> Result<()> {
    two_cores()?;
    let entries: Vec<Entry> = WORK.iter().flat_map(|(_, entries)| entries.iter().copied()).collect();
    peers::install(&entries)?;
    interrupt::watch()?;
    let built = Built { gateway: gateway.to_owned(), guest: plugins::build("plugway-bench-guest")?, filters: Vec::new() };
    for (name, entries) in WORK {
        let stage = Stage::start(scenario::Scenario::named(name)?)?;
        for entry in entries {
            interrupt::check()?;
            println!("at work: {}, {name}", entry.name);
            let subject = Subject::start(*entry, &stage, &built)?;
            subject.wake()?;
            let most = load::flood(&stage, &subject, LENGTH)?.per_second();
            load::paced(&stage, &subject, LENGTH, most * super::SHARE)?;
            subject.stop()?;
        }
    }
    Ok(())
}
