//! Processes: nginx, and a stand-in for the gateway's program that prints what the gateway prints.

#![allow(clippy::unwrap_used, reason = "a helper that cannot do its work is a failed test")]

use std::time::{Duration, Instant};

use plugway_harness::gateway::Launch;
use plugway_harness::nginx::Nginx;
use plugway_harness::peers::Peer;
use plugway_harness::process;
use plugway_harness::raw::Raw;
use plugway_harness::temp::TempDir;

/// A program that logs like the gateway, then does as the script says.
fn program(directory: &TempDir, script: &str) -> std::path::PathBuf {
    let listening = r#"{"fields":{"message":"Listening","listener":"web","address":"127.0.0.1:4711"}}"#;
    let admin = r#"{"fields":{"message":"Admin listening","address":"127.0.0.1:4712"}}"#;
    let serving = r#"{"fields":{"message":"Serving","took_ms":3}}"#;
    let lines = format!("echo '{listening}' >&2\necho '{admin}' >&2\necho '{serving}' >&2\n");
    directory.program("plugway", &script.replace("LINES", &lines)).unwrap()
}

#[test]
fn nginx_serves_and_ends_with_its_owner() {
    let nginx = Nginx::start(&[], |port| format!("server {{ listen 127.0.0.1:{port}; return 200 'hello'; }}")).unwrap();
    let (address, pid) = (nginx.address(), nginx.pid());
    let mut raw = Raw::connect(address).unwrap();
    raw.send("GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    assert_eq!(raw.response().unwrap().text(), "hello");
    assert!(process::tree(pid).unwrap().len() >= 2, "a master and a worker");
    assert!(process::rss_bytes(pid).unwrap() > 100_000);
    drop(nginx);
    assert!(process::tree(pid).is_err());
    assert!(std::net::TcpStream::connect(address).is_err());
}

#[test]
fn an_nginx_that_does_not_start_says_why() {
    let error = Nginx::start(&[], |_| "no_such_directive on;".to_owned()).unwrap_err();
    assert!(error.to_string().contains("no_such_directive"), "{error}");
}

#[test]
fn a_missing_peer_says_how_to_get_it() {
    let missing = Peer { program: "plugway-no-such-program", package: "some-package" };
    let message = missing.find().unwrap_err().to_string();
    assert!(message.contains("some-package") && message.contains("cargo xtask setup"), "{message}");
}

#[test]
fn a_gateway_tells_its_addresses_and_stops() {
    let directory = TempDir::new().unwrap();
    let script = "test \"$1 $2\" = 'run --config' || exit 3\ntrap 'echo drained; exit 0' TERM\nLINES while :; do sleep 0.01; done";
    let mut gateway = Launch::new(program(&directory, script)).unwrap().start("x = 1\n").unwrap();
    assert_eq!(gateway.address("web").unwrap().port(), 4711);
    assert_eq!(gateway.admin().unwrap().port(), 4712);
    assert!(gateway.address("other").is_err());
    assert!(gateway.is_running());
    assert_eq!(std::fs::read_to_string(gateway.directory().join("plugway.toml")).unwrap(), "x = 1\n");
    assert!(gateway.stop().unwrap().iter().any(|line| line.text == "drained"));
}

#[test]
fn a_gateway_that_ends_at_once_shows_what_it_printed() {
    let directory = TempDir::new().unwrap();
    let error = Launch::new(program(&directory, "echo the reason >&2; exit 1")).unwrap().start("").unwrap_err();
    assert!(error.to_string().contains("the reason"), "{error}");
}

#[test]
fn cpu_time_counts_a_tree() {
    let directory = TempDir::new().unwrap();
    let burn = "LINES (while :; do :; done) & child=$!; trap 'kill $child; exit 0' TERM; wait";
    let gateway = Launch::new(program(&directory, burn)).unwrap().start("").unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while gateway.cpu_time().unwrap() < Duration::from_millis(50) {
        assert!(Instant::now() < deadline, "the child's time is not counted");
        std::thread::sleep(Duration::from_millis(10));
    }
    gateway.stop().unwrap();
}
