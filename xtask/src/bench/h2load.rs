//! Load by h2load at a given rate, the same for every proxy. wrk sends as fast as it is answered: in front of a fast proxy it
//! and the backend fill their core and are always awake, in front of a slower one they sleep between requests, and waking
//! them costs the proxy CPU time that is none of its own.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use plugway_harness::error::Context;
use plugway_harness::peers::H2LOAD;
use plugway_harness::{Error, Result};

use super::CONNECTIONS;
use super::subject::LOAD_CORE;

/// Sends HTTP/1.1 requests at that rate; says how many were answered.
pub(super) fn run(address: SocketAddr, duration: Duration, per_second: f64) -> Result<f64> {
    let [program, words @ ..] = LOAD_CORE;
    let output = Command::new(program)
        .args(words)
        .arg(H2LOAD.find()?)
        .args(["--h1", "-t1", &format!("-c{CONNECTIONS}"), &format!("-D{}", duration.as_secs())])
        .args([&format!("--rps={:.0}", per_second / f64::from(CONNECTIONS)), "-H", "x-tenant-id: acme"])
        .arg(format!("http://{address}/"))
        .output()
        .context("taskset, of util-linux")?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(Error::new(format!("h2load ended with {}: {}{text}", output.status, String::from_utf8_lossy(&output.stderr))));
    }
    parse(&text)
}

/// `requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout`
fn parse(text: &str) -> Result<f64> {
    let line = text.lines().find(|line| line.starts_with("requests: ")).context(format!("h2load counted nothing: {text}"))?;
    let count = |what: &str| {
        line.split(", ").find_map(|part| part.strip_suffix(what)?.trim().parse::<f64>().ok()).context(format!("{what} in {line}"))
    };
    let answered = count(" succeeded")?;
    if count(" failed")? + count(" errored")? + count(" timeout")? > 0.0 || answered < 1.0 {
        return Err(Error::new(format!("requests failed: {line}")));
    }
    Ok(answered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_h2load_prints_is_read() {
        let text = "finished in 3.00s, 40000.00 req/s, 9MB/s\nrequests: 120000 total, 120032 started, 120000 done, 120000 succeeded, 0 failed, 0 errored, 0 timeout\n";
        assert!((parse(text).unwrap() - 120_000.0).abs() < 0.5);
        assert!(parse(&text.replace("0 failed", "3 failed")).is_err());
        assert!(parse("nothing").is_err());
    }
}
