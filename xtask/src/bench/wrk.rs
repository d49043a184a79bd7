//! Load by wrk: as much as it and a proxy can do, so what it says is throughput and latency.

use std::process::Command;
use std::time::Duration;

use plugway_harness::error::Context;
use plugway_harness::peers::WRK;
use plugway_harness::{Error, Result};
use serde_json::Value;

use super::load::{self, Answered};
use super::stage::Stage;
use super::subject::Subject;

/// Longest wait for an answer: of thousands of connections each has its turn.
const PATIENCE: &str = "30s";

/// Runs wrk with the script of `xtask/peers/wrk.lua`, as fast as it is answered or at a rate.
pub(super) fn run(stage: &Stage, subject: &Subject, duration: Duration, per_second: Option<f64>) -> Result<Answered> {
    let scenario = stage.scenario();
    let [program, words @ ..] = scenario.load_core();
    let output = Command::new(program)
        .args(words)
        .arg(WRK.find()?)
        .args(["-t1", &format!("-c{}", scenario.flood_connections()), &format!("-d{}s", load::seconds(duration)), "--timeout", PATIENCE])
        .args(subject.header())
        .arg("-s")
        .arg(stage.script(per_second)?)
        .arg(format!("{}://{}/", scenario.scheme(), subject.address()))
        .output()
        .context("taskset, of util-linux")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(Error::new(format!("wrk ended with {}: {}{text}", output.status, String::from_utf8_lossy(&output.stderr))));
    }
    let (answered, bytes) = parse(&text)?;
    load::complete(stage, answered.requests, bytes)?;
    Ok(answered)
}

/// The script's last line is JSON; gives the answers and their bytes.
fn parse(text: &str) -> Result<(Answered, f64)> {
    let line = text.lines().rev().find(|line| line.starts_with('{')).context(format!("wrk counted nothing: {text}"))?;
    let report: Value = serde_json::from_str(line).context(line)?;
    let number = |name: &str| report.get(name).and_then(Value::as_f64).context(format!("no {name} in {line}"));
    if number("failed")? > 0.0 || number("requests")? < 1.0 {
        let said: Vec<&str> =
            text.lines().filter(|line| line.contains("Socket errors") || line.contains("Non-2xx")).map(str::trim).collect();
        return Err(Error::new(format!("requests failed: {line} {}", said.join("; "))));
    }
    let answered = Answered {
        requests: number("requests")?,
        seconds: number("microseconds")? / 1e6,
        p50_us: number("p50_us")?,
        p99_us: number("p99_us")?,
        p999_us: number("p999_us")?,
    };
    Ok((answered, number("bytes")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Running 2s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  201234 requests in 2.10s, 45.00MB read
Requests/sec:  95825.71
{\"requests\": 201234, \"microseconds\": 2100000, \"bytes\": 47185920, \"p50_us\": 302, \"p99_us\": 1100, \"p999_us\": 2200, \"failed\": 0}
";

    #[test]
    fn what_the_script_prints_is_read() {
        let (answered, bytes) = parse(TEXT).unwrap();
        assert_eq!(answered, Answered { requests: 201_234.0, seconds: 2.1, p50_us: 302.0, p99_us: 1_100.0, p999_us: 2_200.0 });
        assert_eq!(bytes, 47_185_920.0);
    }

    #[test]
    fn a_run_with_errors_is_no_measurement() {
        assert!(parse(&TEXT.replace("\"failed\": 0", "\"failed\": 7")).is_err());
        assert!(parse(&TEXT.replace("201234,", "0,")).is_err());
        assert!(parse("nothing").is_err());
    }
}
