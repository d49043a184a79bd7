//! Load by wrk: as much as it and a proxy can do, so what it says is throughput and latency.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use plugway_harness::error::Context;
use plugway_harness::peers::WRK;
use plugway_harness::{Error, Result};

use super::CONNECTIONS;
use super::subject::LOAD_CORE;

/// What wrk says of a run.
#[derive(Debug, PartialEq)]
pub(super) struct Answered {
    pub(super) requests: f64,
    pub(super) seconds: f64,
    /// Median latency, microseconds.
    pub(super) p50_us: f64,
}

/// Runs wrk.
pub(super) fn run(address: SocketAddr, duration: Duration) -> Result<Answered> {
    let [program, words @ ..] = LOAD_CORE;
    let seconds = format!("-d{}s", duration.as_secs());
    let output = Command::new(program)
        .args(words)
        .arg(WRK.find()?)
        .args(["-t1", &format!("-c{CONNECTIONS}"), &seconds, "--latency", "-H", "x-tenant-id: acme"])
        .arg(format!("http://{address}/"))
        .output()
        .context("taskset, of util-linux")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(Error::new(format!("wrk ended with {}: {}{text}", output.status, String::from_utf8_lossy(&output.stderr))));
    }
    parse(&text)
}

/// `  12345 requests in 3.00s, 2.00MB read`; errors have lines of their own.
fn parse(text: &str) -> Result<Answered> {
    if let Some(line) = text.lines().find(|line| line.contains("Socket errors") || line.contains("Non-2xx")) {
        return Err(Error::new(format!("requests failed: {}", line.trim())));
    }
    let line = text.lines().find(|line| line.contains(" requests in ")).context(format!("wrk counted nothing: {text}"))?;
    let mut words = line.split_whitespace();
    let requests = words.next().unwrap_or_default().parse().context("requests")?;
    let seconds = microseconds(words.nth(2).unwrap_or_default().trim_end_matches(','))? / 1e6;
    if requests < 1.0 {
        return Err(Error::new(format!("no request was answered: {text}")));
    }
    let median = text.lines().find_map(|line| line.trim().strip_prefix("50%")).context("wrk shows no median")?;
    Ok(Answered { requests, seconds, p50_us: microseconds(median.trim())? })
}

/// `318.00us`, `1.20ms`, `3.00s`, `1.05m`
fn microseconds(text: &str) -> Result<f64> {
    let units = [("us", 1.0), ("ms", 1e3), ("m", 60e6), ("s", 1e6)];
    let (number, factor) = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor))).context(text)?;
    Ok(number.parse::<f64>().context(text)? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Running 2s test @ http://127.0.0.1:1/
  1 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   318.05us   92.00us   3.21ms   88.00%
  Latency Distribution
     50%  302.00us
     99%    1.10ms
  201234 requests in 2.10s, 45.00MB read
Requests/sec:  95825.71
";

    #[test]
    fn what_wrk_prints_is_read() {
        assert_eq!(parse(TEXT).unwrap(), Answered { requests: 201_234.0, seconds: 2.1, p50_us: 302.0 });
        assert!((microseconds("1.20ms").unwrap() - 1200.0).abs() < 1e-6);
        assert!((microseconds("1.50m").unwrap() - 90e6).abs() < 1e-6);
    }

    #[test]
    fn a_run_with_errors_is_no_measurement() {
        for line in ["  Socket errors: connect 0, read 3, write 0, timeout 0\n", "  Non-2xx or 3xx responses: 7\n"] {
            assert!(parse(&format!("{TEXT}{line}")).is_err());
        }
        assert!(parse("nothing").is_err());
    }
}
