//! What a worker notices of many endpoints that become others while it serves.

use std::time::Duration;

use plugway_harness::Result;
use plugway_harness::error::Context;
use plugway_harness::gateway::Launch;
use plugway_harness::temp::TempDir;
use serde_json::Value;

use super::start::hashed;
use super::{Built, Measured, ROUNDS};
use crate::{admin, interrupt};

const ENDPOINTS: usize = 10_000;
/// Reloads of one gateway, each of which brings other endpoints.
const RELOADS: usize = 8;
/// Endpoints of one reload are so far from those of another: a network of their own.
const NETWORK: usize = 1 << 16;
const PATIENCE: Duration = Duration::from_secs(60);
/// At most this for the longest stretch that a worker was at work on anything at all, ms.
const GOAL_STALL_MS: f64 = 5.0;

/// The longest that a worker kept everybody waiting.
pub(super) fn all(built: &Built) -> Result<Measured> {
    let cache = TempDir::new()?;
    let samples = (0..ROUNDS).map(|_| one(built, &cache)).collect::<Result<Vec<_>>>()?;
    let name = format!("longest stall of a worker while 10,000 endpoints are replaced, {RELOADS} times");
    Ok(Measured::new(name, "plugway, hash-router", "ms", samples).at_most(GOAL_STALL_MS))
}

fn one(built: &Built, cache: &TempDir) -> Result<f64> {
    let text = |reload: usize| hashed(cache.path(), reload * NETWORK..reload * NETWORK + ENDPOINTS);
    let gateway = Launch::new(&built.gateway)?.start(&text(0))?;
    let (file, beside) = (gateway.directory().join("plugway.toml"), gateway.directory().join("plugway.toml.new"));
    for reload in 1..=RELOADS {
        interrupt::check()?;
        std::fs::write(&beside, text(reload)).and_then(|()| std::fs::rename(&beside, &file)).context(file.display())?;
        admin::ask(&gateway, "POST", "/reload", PATIENCE)?;
    }
    let status = admin::status(&gateway, PATIENCE)?;
    let workers = status.get("workers").and_then(Value::as_array).into_iter().flatten();
    let longest = workers.filter_map(|worker| worker.get("event_loop_busy_max_us")?.as_f64()).reduce(f64::max);
    Ok(longest.context("/status does not say how long a worker was busy")? / 1e3)
}
