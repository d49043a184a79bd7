//! Instructions that a gateway executes, counted by valgrind: as many on a slow machine as on a fast one, whoever else is at work there.

use std::path::Path;
use std::time::Duration;

use rustix::process::Signal;

use crate::error::{Context, Error, Result};
use crate::gateway::Launch;
use crate::peers::VALGRIND;
use crate::raw::Raw;

/// What a configuration needs so that the gateway fits under valgrind, which has less room for addresses: memory of plugins is reserved at the start.
pub const LIMITS: &str = "[limits]\nmax_plugin_instances = 12\n";

/// Requests of the two runs that are compared: everything that is not of a request is in both.
const FEW: u32 = 200;
const MANY: u32 = 1_200;

/// Longest wait for the end: under valgrind everything takes fifty times as long.
const STOP: Duration = Duration::from_secs(120);

/// Whether plugins can be counted, too: they are compiled for all this processor can do, and valgrind knows no AVX-512.
pub fn counts_plugins() -> bool {
    #[cfg(target_arch = "x86_64")]
    return !std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return true;
}

/// Instructions of one request of `head`, sent one after the other over one connection to the listener `web`.
///
/// # Errors
/// When valgrind is not installed, the gateway does not start, or a request is not answered with 200.
pub fn per_request(binary: &Path, config: &str, head: &str) -> Result<f64> {
    // Plugins are compiled natively and found compiled by those that are counted.
    drop(Launch::new(binary)?.start(config)?);
    let (few, many) = (all(binary, config, head, FEW)?, all(binary, config, head, MANY)?);
    Ok((many - few) / f64::from(MANY - FEW))
}

/// All instructions of a gateway that answers so many requests.
fn all(binary: &Path, config: &str, head: &str, requests: u32) -> Result<f64> {
    let launch = Launch::new(binary)?;
    let file = launch.directory().join("callgrind");
    let valgrind = VALGRIND.find()?;
    let words = [valgrind.to_string_lossy().into_owned(), "--tool=callgrind".into(), format!("--callgrind-out-file={}", file.display())];
    let mut gateway = launch.wrapper(words).start(config)?;
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
    let text = gateway.log().text();
    let collected = text.lines().find_map(|line| line.split_once("Collected : ")).context(format!("valgrind counted nothing:\n{text}"))?;
    collected.1.trim().parse().ok().context("what valgrind counted")
}
