//! Load by h2load at a given rate, the same for every proxy. wrk sends as fast as it is answered: in front of a fast proxy it
//! and the backend fill their core and are always awake, in front of a slower one they sleep between requests, and waking
//! them costs the proxy CPU time that is none of its own.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plugway_harness::error::Context;
use plugway_harness::peers::H2LOAD;
use plugway_harness::temp::TempDir;
use plugway_harness::{Error, Result};

use super::load::{self, Answered, quantile};
use super::stage::Stage;
use super::subject::{Subject, TENANT};

/// Sends requests at that rate; says how many were answered.
pub(super) fn paced(stage: &Stage, subject: &Subject, duration: Duration, per_second: f64) -> Result<f64> {
    begin(stage, subject, duration, per_second)?.finish(stage)
}

/// Begins to send requests at that rate.
pub(super) fn begin(stage: &Stage, subject: &Subject, duration: Duration, per_second: f64) -> Result<Underway> {
    let each = per_second / f64::from(stage.scenario().connections);
    start(stage, subject, duration, &[format!("--rps={}", rate(each))])
}

/// Sends as fast as it is answered; every request's latency is in a file.
pub(super) fn flood(stage: &Stage, subject: &Subject, duration: Duration) -> Result<Answered> {
    let directory = TempDir::new()?;
    let file = directory.path().join("latency");
    let requests = start(stage, subject, duration, &[format!("--log-file={}", file.display())])?.finish(stage)?;
    let mut latencies = latencies(&std::fs::read_to_string(&file).context(file.display())?)?;
    latencies.sort_by(f64::total_cmp);
    Ok(Answered {
        requests,
        seconds: load::seconds(duration) as f64,
        p50_us: quantile(&latencies, 0.5)?,
        p99_us: quantile(&latencies, 0.99)?,
        p999_us: quantile(&latencies, 0.999)?,
    })
}

/// An h2load that runs; it is ended on drop.
pub(super) struct Underway(Option<Child>);

impl Underway {
    /// Waits for its end; says how many requests were answered.
    pub(super) fn finish(mut self, stage: &Stage) -> Result<f64> {
        let child = self.0.take().context("h2load has ended already")?;
        let output = child.wait_with_output().context("h2load")?;
        let text = String::from_utf8_lossy(&output.stdout);
        if !output.status.success() {
            return Err(Error::new(format!("h2load ended with {}: {}{text}", output.status, String::from_utf8_lossy(&output.stderr))));
        }
        let (answers, bytes) = parse(&text)?;
        load::complete(stage, answers, bytes)?;
        Ok(answers)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

fn start(stage: &Stage, subject: &Subject, duration: Duration, more: &[String]) -> Result<Underway> {
    let scenario = stage.scenario();
    let [program, words @ ..] = scenario.load_core();
    let mut command = Command::new(program);
    command.args(words).arg(H2LOAD.find()?);
    command.args(["-t1", &format!("-c{}", scenario.connections), &format!("-m{}", scenario.streams)]);
    command.args([&format!("-D{}", load::seconds(duration)), "-H", &format!("x-tenant-id: {TENANT}")]).args(subject.header()).args(more);
    if !scenario.http2 {
        command.arg("--h1");
    }
    command.arg("-i").arg(stage.addresses(subject.address())?);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("taskset, of util-linux")?;
    Ok(Underway(Some(child)))
}

/// `--rps` takes whole numbers only.
fn rate(per_connection: f64) -> u64 {
    per_connection.round().max(1.0) as u64
}

/// Answers and the bytes of their bodies:
/// `requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout`
/// `traffic: 2.31KB (2367) total, 783B (783) headers (space savings 0.00%), 576B (576) data`
fn parse(text: &str) -> Result<(f64, f64)> {
    let line = text.lines().find(|line| line.starts_with("requests: ")).context(format!("h2load counted nothing: {text}"))?;
    let count = |what: &str| {
        line.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse::<f64>().ok()).context(format!("{what} in {line}"))
    };
    let answers = count(" succeeded")?;
    if count(" failed")? + count(" errored")? + count(" timeout")? > 0.0 || answers < 1.0 {
        let codes = text.lines().find(|line| line.starts_with("status codes: ")).unwrap_or_default();
        return Err(Error::new(format!("requests failed: {line}; {codes}")));
    }
    let traffic = text.lines().find(|line| line.starts_with("traffic: ")).context("h2load shows no traffic")?;
    let data = traffic.strip_suffix(") data").and_then(|rest| rest.rsplit_once('(')).context(traffic)?;
    Ok((answers, data.1.parse().context(traffic)?))
}

/// Lines of start, status and duration, the last in microseconds (h2load(1), `--log-file`).
fn latencies(text: &str) -> Result<Vec<f64>> {
    text.lines().map(|line| line.rsplit('\t').next().unwrap_or_default().parse().context(line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "finished in 3.00s, 40000.00 req/s, 9MB/s
requests: 120000 total, 120032 started, 120000 done, 120000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 120000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 25.98MB (27240000) total, 16.94MB (17760000) headers (space savings 0.00%), 7.32MB (7680000) data
";

    #[test]
    fn what_h2load_prints_is_read() {
        assert_eq!(parse(TEXT).unwrap(), (120_000.0, 7_680_000.0));
        assert!(parse(&TEXT.replace("0 failed", "3 failed")).is_err());
        assert!(parse("nothing").is_err());
    }

    #[test]
    fn latencies_are_the_last_column() {
        assert_eq!(latencies("1700000000000000\t200\t312\n1700000000000001\t200\t401\n").unwrap(), [312.0, 401.0]);
        assert!(latencies("no number").is_err());
    }
}
