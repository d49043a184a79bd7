//! The steady load: h2load over HTTP/1.1 at a fixed rate.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plugway_harness::error::Context;
use plugway_harness::peers::H2LOAD;
use plugway_harness::{Error, Result, process};

use super::world::World;
use crate::bench::quantile;

const CONNECTIONS: u32 = 16;
/// Requests a second.
pub(super) const RATE: u32 = 1_600;
/// For its end, when it should have ended.
const END: Duration = Duration::from_secs(15);

/// h2load at work.
pub(super) struct Load {
    child: Child,
    log: PathBuf,
    output: PathBuf,
    duration: Duration,
}

/// What it saw.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Loaded {
    pub(super) requests: u64,
    /// For how long it was sent.
    pub(super) duration: Duration,
    /// Not answered, or with another status than 200.
    pub(super) failures: u64,
    /// What h2load was told to keep up, answered: 0 to 1.
    pub(super) kept_up: f64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) longest_us: f64,
}

impl Load {
    pub(super) fn start(world: &World, duration: Duration, directory: &Path) -> Result<Self> {
        let (log, output) = (directory.join("requests"), directory.join("h2load"));
        let seconds = duration.as_secs().max(1);
        let written = File::create(&output).context(output.display())?;
        let child = Command::new(H2LOAD.find()?)
            .args(["--h1", "-t1", &format!("-c{CONNECTIONS}"), &format!("-D{seconds}"), &format!("--rps={}", RATE / CONNECTIONS)])
            .arg(format!("--log-file={}", log.display()))
            .arg(format!("http://{}/", world.gateway.address("web")?))
            .stdin(Stdio::null())
            .stderr(written.try_clone().context("h2load's output")?)
            .stdout(written)
            .spawn()
            .context("h2load")?;
        Ok(Self { child, log, output, duration: Duration::from_secs(seconds) })
    }

    /// Waits for its end, which comes by itself.
    pub(super) fn finish(mut self) -> Result<Loaded> {
        let status = process::wait(&mut self.child, self.duration + END).context("h2load")?;
        let text = std::fs::read_to_string(&self.output).context(self.output.display())?;
        if !status.success() {
            return Err(Error::new(format!("h2load ended with {status}: {text}")));
        }
        let (mut failures, wanted) = (failures(&text)?, f64::from(RATE) * self.duration.as_secs_f64());
        let (mut latencies, mut others) = (Vec::new(), 0);
        for line in BufReader::new(File::open(&self.log).context(self.log.display())?).lines() {
            let (status, latency) = request(&line.context(self.log.display())?)?;
            others += u64::from(status != 200);
            latencies.push(latency);
        }
        failures = failures.max(others);
        latencies.sort_by(f64::total_cmp);
        Ok(Loaded {
            requests: latencies.len() as u64,
            duration: self.duration,
            failures,
            kept_up: latencies.len() as f64 / wanted,
            p50_us: quantile(&latencies, 0.5)?,
            p99_us: quantile(&latencies, 0.99)?,
            longest_us: quantile(&latencies, 1.0)?,
        })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        process::end(&mut self.child, Duration::from_secs(1));
    }
}

/// `requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout`; failed ones include errored ones, and
/// statuses from 400 on.
fn failures(text: &str) -> Result<u64> {
    let line = text.lines().find(|line| line.starts_with("requests: ")).context(format!("h2load counted nothing: {text}"))?;
    let count = |what: &str| {
        line.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse::<u64>().ok()).context(format!("{what} in {line}"))
    };
    Ok((count(" failed")?.max(count(" errored")?)).max(count(" timeout")?))
}

/// A line of `--log-file`: start, status and duration in microseconds (h2load(1)).
fn request(line: &str) -> Result<(i32, f64)> {
    let mut columns = line.split('\t').skip(1);
    let mut next = || columns.next().context(format!("h2load's log: {line:?}"));
    Ok((next()?.parse().context(line)?, next()?.parse().context(line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_counted() {
        let text = "\nrequests: 120 total, 120 started, 120 done, 117 succeeded, 3 failed, 1 errored, 0 timeout\n";
        assert_eq!(failures(text).unwrap(), 3);
        assert!(failures("nothing").is_err());
    }

    #[test]
    fn requests_are_read() {
        assert_eq!(request("1700000000000000\t200\t312").unwrap(), (200, 312.0));
        assert_eq!(request("1700000000000000\t-1\t9").unwrap(), (-1, 9.0));
        assert!(request("200").is_err());
    }
}
