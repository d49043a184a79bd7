//! What a connection costs while its client is silent.

use std::time::Duration;

use plugway_harness::Result;
use plugway_harness::client::{Client, Connection};
use plugway_harness::error::Context;

use super::{Measured, ROUNDS, allow_descriptors, check, load, scenario};
use crate::bench::peers::Entry;
use crate::bench::scenario::Scenario;
use crate::bench::stage::Stage;
use crate::bench::subject::{Built, Proxy, Subject};
use crate::interrupt;

/// Connections that are there at once: what else a proxy remembers is small beside them.
const CONNECTIONS: u32 = 4_000;
/// Until what a proxy does after the last answer is done: plugway's connections give up their buffers when they were idle for a second,
/// 640 of them a second.
const SETTLE: Duration = Duration::from_secs(10);
/// At most this for each, KB, in the clear and with TLS.
const GOALS_KB: [f64; 2] = [12.0, 32.0];

const SUBJECTS: [Entry; 3] = [
    Entry { name: "nginx", proxy: Proxy::Nginx, plugins: 0, workers: 1 },
    Entry { name: "HAProxy", proxy: Proxy::Haproxy, plugins: 0, workers: 1 },
    Entry { name: "plugway", proxy: Proxy::Plugway, plugins: 0, workers: 1 },
];

/// Memory of an idle connection, of each proxy, in the clear and with TLS.
pub(super) fn all(built: &Built) -> Result<Vec<Measured>> {
    let mut found = Vec::new();
    for (tls_in, goal) in [false, true].into_iter().zip(GOALS_KB) {
        let scenario = Scenario { name: "idle", connections: 10_000, tls_in, ..scenario::SMALL };
        allow_descriptors(scenario.descriptors())?;
        // The load that warms is usual, what is told to proxies is for many.
        let (stage, usual) = (Stage::start(scenario)?, Stage::start(Scenario { tls_in, ..scenario::SMALL })?);
        for entry in SUBJECTS {
            // HAProxy is not installed by everybody who measures plugway.
            if entry.proxy == Proxy::Haproxy && plugway_harness::peers::HAPROXY.find().is_err() {
                continue;
            }
            let samples = (0..ROUNDS).map(|_| one(&stage, &usual, entry, built)).collect::<Result<Vec<_>>>()?;
            let name = if tls_in { "memory of an idle connection, TLS" } else { "memory of an idle connection, plain" };
            let measured = Measured::new(name, entry.name, "KB", samples);
            found.push(if entry.proxy.is_own() { measured.at_most(goal) } else { measured });
        }
    }
    Ok(found)
}

fn one(stage: &Stage, usual: &Stage, entry: Entry, built: &Built) -> Result<f64> {
    interrupt::check()?;
    let subject = Subject::start(entry, stage, built)?;
    subject.wake()?;
    check::until_serving(stage, &subject)?;
    load::flood(usual, &subject, Duration::from_secs(1))?;
    std::thread::sleep(SETTLE);
    let before = subject.rss_bytes()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")?;
    let held = runtime.block_on(hold(stage, &subject))?;
    std::thread::sleep(SETTLE);
    let after = subject.rss_bytes()?;
    drop(held);
    Ok(after.saturating_sub(before) as f64 / 1e3 / f64::from(CONNECTIONS))
}

/// Makes the connections, one after the other, each of which has one answer.
async fn hold(stage: &Stage, subject: &Subject) -> Result<Vec<Connection>> {
    let host = subject.address().to_string();
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS {
        let client = if stage.scenario().tls_in {
            Client::https(subject.address(), &host, stage.authority())
        } else {
            Client::http(subject.address(), &host)
        };
        let mut connection = client.connect().await?;
        let status = connection.get("/").await?.status;
        if status != http::StatusCode::OK {
            return Err(plugway_harness::Error::new(format!("{} answered {status}", subject.name())));
        }
        held.push(connection);
    }
    Ok(held)
}
