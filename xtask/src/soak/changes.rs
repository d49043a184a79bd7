//! Changes, one after the other: the plugin's file, and every few times the configuration's. How the gateway hears of it takes turns:
//! by itself, by `POST /reload`, by SIGHUP.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};
use rustix::process::Signal;
use serde_json::Value;

use super::clients::Floor;
use super::world::World;
use super::{PACE, Plan, RELOAD_EVERY};
use crate::interrupt;

/// A change that does not serve by then is lost. Compiling steps back for everything else: half a second of it took 22 s beside eight
/// busy programs.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// How often the gateway is asked whether it does.
const ASK: Duration = Duration::from_millis(25);

/// What was done.
#[derive(Debug, Default, Clone)]
pub(super) struct Made {
    pub(super) swaps: u32,
    pub(super) reloads: u32,
    /// From a file in place to every worker serving by it, the longest.
    pub(super) longest: Duration,
    /// What the gateway itself says it took for that one.
    pub(super) longest_reload: Duration,
}

/// Makes changes.
pub(super) struct Changes<'w> {
    world: &'w World,
    floor: Arc<Floor>,
}

impl<'w> Changes<'w> {
    pub(super) fn new(world: &'w World, floor: &Arc<Floor>) -> Self {
        Self { world, floor: Arc::clone(floor) }
    }

    /// As many as are planned and there is time for, each at its time or as soon as the one before it serves; `done` hears of each.
    pub(super) fn steadily(&mut self, plan: &Plan, after: u32, began: Instant, mut done: impl FnMut(&Made) -> Result<()>) -> Result<Made> {
        let mut made = Made::default();
        for step in (1..=plan.changes).take_while(|_| began.elapsed() < plan.at_most()) {
            let due = began + PACE * step;
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            interrupt::check()?;
            let (took, reload) = self.make(after + step)?;
            if took > made.longest {
                (made.longest, made.longest_reload) = (took, reload);
            }
            if is_reload(after + step) {
                made.reloads += 1;
            } else {
                made.swaps += 1;
            }
            done(&made)?;
        }
        Ok(made)
    }

    /// The change of that number, until every worker serves by it: how long that took, and the gateway's part of it.
    pub(super) fn make(&mut self, number: u32) -> Result<(Duration, Duration)> {
        let began = Instant::now();
        let is_reload = is_reload(number);
        let (file, content) = if is_reload {
            (self.world.config_file(), self.world.reconfigured(number).into_bytes())
        } else {
            self.floor.comes(number);
            (self.world.plugin_file(), self.world.version(number))
        };
        replace(&file, &content)?;
        match number % 3 {
            0 => drop(self.world.admin("POST", "/reload")?),
            1 => self.world.gateway.signal(Signal::HUP)?,
            _ => {}
        }
        let digest = format!("sha256:{}", digest(&content));
        let reload = loop {
            let status = self.world.status()?;
            if serving(&status, is_reload) == Some(&digest) {
                // An earlier gateway does not say.
                let took_ms = status.get("last_reload").and_then(|reload| reload.get("took_ms")).and_then(Value::as_u64);
                break Duration::from_millis(took_ms.unwrap_or_default());
            }
            if began.elapsed() > PATIENCE {
                let last = status.get("last_reload").map(Value::to_string).unwrap_or_default();
                return Err(Error::new(format!("change {number} does not serve after {PATIENCE:?}; the last reload: {last}")));
            }
            interrupt::check()?;
            std::thread::sleep(ASK);
        };
        if !is_reload {
            self.floor.serves(number);
        }
        Ok((began.elapsed(), reload))
    }
}

fn is_reload(number: u32) -> bool {
    number.is_multiple_of(RELOAD_EVERY)
}

/// Digest of what serves.
fn serving(status: &Value, is_reload: bool) -> Option<&str> {
    let shown = if is_reload { status.get("configuration")? } else { status.get("plugins")?.get(0)? };
    shown.get("digest")?.as_str()
}

/// SHA-256 in hexadecimal digits.
fn digest(content: &[u8]) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, content);
    digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Puts a file in the place of another, as `mv` does.
fn replace(file: &Path, content: &[u8]) -> Result<()> {
    let beside = file.with_extension("new");
    std::fs::write(&beside, content).context(beside.display())?;
    std::fs::rename(&beside, file).context(file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serves_is_read_from_the_status() {
        let status = serde_json::json!({ "configuration": { "digest": "sha256:c" }, "plugins": [{ "digest": "sha256:p" }] });
        assert_eq!((serving(&status, true), serving(&status, false)), (Some("sha256:c"), Some("sha256:p")));
        assert_eq!(serving(&serde_json::json!({}), false), None);
        assert!(digest(b"").starts_with("e3b0c44298fc1c14"));
    }

    #[test]
    fn of_250_changes_50_are_the_configurations() {
        assert_eq!((1..=250).filter(|number| is_reload(*number)).count(), 50);
    }
}
