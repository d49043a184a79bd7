//! Instructions that a gateway executes, counted by valgrind: as many on a slow machine as on a fast one, whoever else is at work there.

use std::path::Path;
use std::process::Command;
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

/// Runs an ignored test of the running test program under valgrind, with a file that a variable of its environment names.
///
/// # Errors
/// When valgrind is not installed, or the test fails.
pub fn run_test(name: &str, variable: &str, file: &Path) -> Result<()> {
    let program = std::env::current_exe().context("the running test program")?;
    let mut command = Command::new(VALGRIND.find()?);
    command.arg("--tool=none").arg(program).args(["--ignored", "--exact", name, "--nocapture"]).env(variable, file);
    let output = command.output().context("valgrind")?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() && said.contains("1 passed") {
        return Ok(());
    }
    Err(Error::new(format!("{name} under valgrind: {}\n{said}{}", output.status, String::from_utf8_lossy(&output.stderr))))
}

/// Instructions of a worker for one request of `head`, sent one after the other over one connection to the listener `web`. Plugins must be in the cache
/// that the configuration names, compiled for what valgrind knows: see [`run_test`].
///
/// # Errors
/// When valgrind is not installed, the gateway does not start, or a request is not answered with 200.
pub fn per_request(binary: &Path, config: &str, head: &str) -> Result<f64> {
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
