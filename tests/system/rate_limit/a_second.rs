//! 100 a second and the burst, held against what a bucket is: at every moment that can be told, it has let pass the burst and what came in since.
//!
//! The load is h2load's and the times are the gateway's own, from its access log: a request was decided between its arrival and its end. Every
//! refusal says that nothing was left then, so what had been let pass is held against what there was, both as far as the log tells.

use std::process::{Command, Stdio};
use std::time::Duration;

use plugway_harness::peers::H2LOAD;
use plugway_harness::process;
use plugway_harness::upstream::Upstream;

use super::{assert_spread, limited};
use crate::common::{metric, until};

const BURST: u64 = 200;
const A_SECOND: u64 = 100;
/// Between two tokens, microseconds.
const INTERVAL: u64 = 1_000_000 / A_SECOND;
const OFFERED: usize = 10_000;
const CONNECTIONS: usize = 40;
/// 4,000 requests a second: the last is offered 2.5 s after the first, or later where the machine is slow.
const EACH_A_SECOND: usize = 100;

/// A request in the access log: decided between these two, microseconds.
#[derive(Debug, Clone, Copy)]
struct Decided {
    from: u64,
    to: u64,
    admitted: bool,
}

/// What was let pass by a moment and may have been, as far as the log tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    least: u64,
    most: u64,
}

/// What a bucket of these numbers has let pass when it refuses somebody then, and what this one had.
fn held_against_the_bucket(decided: &[Decided]) -> Vec<(Range, Range)> {
    // It was full until the first came.
    let (first_from, first_to) = (decided.iter().map(|one| one.from).min().unwrap(), decided.iter().map(|one| one.to).min().unwrap());
    let sorted = |time: fn(&Decided) -> u64| {
        let mut times: Vec<u64> = decided.iter().filter(|one| one.admitted).map(time).collect();
        times.sort_unstable();
        times
    };
    let (begun, ended) = (sorted(|one| one.from), sorted(|one| one.to));
    let by = |times: &[u64], moment: u64| times.partition_point(|time| *time <= moment) as u64;
    let came = |since: u64, until: u64| BURST + until.saturating_sub(since) / INTERVAL;
    let at = |refused: &Decided| {
        let right = Range { least: came(first_to, refused.from), most: came(first_from, refused.to) };
        let seen = Range { least: by(&ended, refused.from), most: by(&begun, refused.to) };
        (right, seen)
    };
    decided.iter().filter(|one| !one.admitted).map(at).collect()
}

/// `2000-10-10T13:55:36.250000Z`: microseconds of its day. No test lasts over midnight without being made again.
fn microseconds(timestamp: &str) -> u64 {
    let time = timestamp.split_once('T').and_then(|(_, time)| time.strip_suffix('Z')).expect(timestamp);
    let mut parts = time.split([':', '.']).map(|part| part.parse::<u64>().unwrap());
    let mut next = || parts.next().expect(timestamp);
    ((next() * 60 + next()) * 60 + next()) * 1_000_000 + next()
}

#[test]
fn ten_thousand_of_h2load_are_a_hundred_a_second_and_the_burst() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = limited(
        &upstream,
        &format!("{{ name = \"all\", key = \"route\", requests = {A_SECOND}, period = \"1s\", burst = {BURST} }}"),
        "[access_log]\nfile = \"access.log\"\nfields = [\"status\", \"duration_us\"]\n",
    );
    let mut load = Command::new(H2LOAD.find().unwrap())
        .args(["--h1", "-t1", &format!("-n{OFFERED}"), &format!("-c{CONNECTIONS}"), &format!("--rps={EACH_A_SECOND}")])
        .arg(format!("http://{}/", gateway.address("web").unwrap()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert!(process::wait(&mut load, Duration::from_secs(120)).unwrap().success());

    let log = gateway.directory().join("access.log");
    let lines = || std::fs::read_to_string(&log).unwrap_or_default();
    until("every request is in the log", || lines().lines().count() >= OFFERED);
    assert_spread(&gateway);
    let lines: Vec<serde_json::Value> = lines().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let decided: Vec<Decided> = lines
        .iter()
        .map(|line| {
            let from = microseconds(line["timestamp"].as_str().unwrap());
            let status = line["status"].as_u64().unwrap();
            assert!(status == 200 || status == 429, "{line}");
            // Both times are cut to whole microseconds.
            Decided { from, to: from + line["duration_us"].as_u64().unwrap() + 2, admitted: status == 200 }
        })
        .collect();
    assert_eq!(decided.len(), OFFERED);
    let admitted = decided.iter().filter(|one| one.admitted).count() as u64;
    assert_eq!(upstream.requests(), admitted, "counted at the backend");
    let refused = metric(&gateway, "plugway_plugin_rate_limited_total", &["plugin=\"limit\"", "limit=\"all\""]);
    assert_eq!(refused, OFFERED as f64 - admitted as f64);

    let moments = held_against_the_bucket(&decided);
    for (right, seen) in &moments {
        assert!(seen.least <= right.most && right.least <= seen.most, "{seen:?} were let pass, {right:?} is right");
    }
}

#[test]
fn a_bucket_that_lets_one_more_pass_is_found_out() {
    // Four a millisecond, and a bucket as the textbook has it; `more` are let pass that should not be.
    let decided = |more: u64| {
        let mut passed = 0;
        let one = |number: u64| {
            let from = 1_000_000 + number * 250;
            let admitted = passed < BURST + number * 250 / INTERVAL + if number > 2_000 { more } else { 0 };
            passed += u64::from(admitted);
            Decided { from, to: from + 100, admitted }
        };
        (0..10_000).map(one).collect::<Vec<_>>()
    };
    let is_right = |decided: &[Decided]| {
        held_against_the_bucket(decided).iter().all(|(right, seen)| seen.least <= right.most && right.least <= seen.most)
    };
    assert!(is_right(&decided(0)));
    assert!(!is_right(&decided(1)));
}
