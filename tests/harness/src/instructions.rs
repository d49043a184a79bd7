//! Instructions that a gateway executes, counted by valgrind: as many on a slow machine as on a fast one, whoever else is at work there.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::error::{Context, Error, Result};
use crate::gateway::Launch;
use crate::peers::VALGRIND;
use crate::raw::Raw;
use crate::temp::TempDir;

/// What a configuration needs so that the gateway fits under valgrind, which has less room for addresses: memory of plugins is reserved at the start.
pub const LIMITS: &str = "[limits]\nmax_plugin_instances = 12\n";

/// Requests of the two runs that are compared: everything that is not of a request is in both.
const FEW: u32 = 200;
const MANY: u32 = 1_200;

/// Longest wait for the end: under valgrind everything takes fifty times as long.
const STOP: Duration = Duration::from_secs(120);

/// A function that workers alone execute: callgrind names threads by numbers.
const OF_A_WORKER: &str = "plugway::server::worker::run";

/// Whether plugins can be counted, too: they are compiled for all this processor can do, and valgrind knows no AVX-512.
pub fn counts_plugins() -> bool {
    #[cfg(target_arch = "x86_64")]
    return !std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return true;
}

/// Instructions of a worker for one request of `head`, sent one after the other over one connection to the listener `web`.
///
/// # Errors
/// When valgrind is not installed, the gateway does not start, or a request is not answered with 200.
pub fn per_request(binary: &Path, config: &str, head: &str) -> Result<f64> {
    // Plugins are compiled natively and found compiled by those that are counted.
    drop(Launch::new(binary)?.start(config)?);
    let (few, many) = (all(binary, config, head, FEW)?, all(binary, config, head, MANY)?);
    Ok((many - few) / f64::from(MANY - FEW))
}

/// What its workers execute while a gateway answers so many requests. The control thread wakes by the clock, and a slow machine gives it more time to.
fn all(binary: &Path, config: &str, head: &str, requests: u32) -> Result<f64> {
    let counts = TempDir::new()?;
    let files = counts.path().join("thread");
    let valgrind = VALGRIND.find()?.to_string_lossy().into_owned();
    let words = [valgrind, "--tool=callgrind".into(), "--separate-threads=yes".into(), format!("--callgrind-out-file={}", files.display())];
    let mut gateway = Launch::new(binary)?.wrapper(words).start(config)?;
    let mut client = Raw::connect(gateway.address("web")?)?;
    for _ in 0..requests {
        client.send(head.as_bytes())?;
        let response = client.response()?;
        if response.status != 200 {
            return Err(Error::new(format!("answered with {}: {}", response.status, response.text())));
        }
    }
    drop(client);
    gateway.signal(Signal::TERM)?;
    gateway.wait(STOP)?;
    let mut workers = Vec::new();
    for file in std::fs::read_dir(counts.path()).context("what valgrind counted")? {
        let text = std::fs::read_to_string(file.context("what valgrind counted")?.path()).context("what valgrind counted")?;
        if text.contains(OF_A_WORKER) {
            workers.push(total(&text).context("a file of valgrind's without a total")?);
        }
    }
    if workers.is_empty() {
        return Err(Error::new(format!("valgrind saw no {OF_A_WORKER}:\n{}", gateway.log().text())));
    }
    Ok(workers.iter().sum())
}

/// The line that ends a file of callgrind's.
fn total(text: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix("totals: "))?.trim().parse().ok()
}
