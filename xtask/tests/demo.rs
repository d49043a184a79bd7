//! `cargo xtask demo` as people run it: what it prints is tried, what it counts is compared, and Ctrl-C ends all of it. With the gateway that cargo
//! built beside it, and not with a release build of its own.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use plugway_harness::temp::TempDir;
use plugway_harness::terminal::Terminal;
use rustix::process::Signal;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

/// The gateway that was built with this.
fn gateway() -> String {
    let gateway = Path::new(XTASK).with_file_name("plugway");
    assert!(gateway.is_file(), "{} is not there: `cargo build` makes it", gateway.display());
    gateway.to_str().unwrap().to_owned()
}

/// Longest wait for what it shows: first of all components are compiled.
const SHOWN: Duration = Duration::from_secs(120);

/// What a line of shell prints.
fn shell(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn its_lines_can_be_tried_its_count_is_right_and_ctrl_c_ends_it() {
    let directory = TempDir::new().unwrap();
    let line = format!("exec {XTASK} demo --free-ports --gateway {}", gateway());
    let mut terminal = Terminal::start(&line, directory.path()).unwrap();
    let text =
        terminal.shown("\u{1b}[2Krequests 0 | orders-1 0, orders-2 0, orders-3 0 | hello 0 | refused 0", SHOWN).unwrap().replace('\r', "");
    for upstream in ["orders-1", "orders-2", "orders-3", "hello", "stranger"] {
        assert!(
            text.lines().any(|line| line.starts_with("  /") && line.contains("://127.0.0.1:") && line.contains(upstream)),
            "{upstream}: {text}"
        );
    }

    // Every line below "Try:", as it stands there: five for the gateway, one of them after a line that sets TOKEN, and two for its admin listener.
    let (_, tries) = text.split_once("Try:\n").unwrap();
    let lines: Vec<&str> = tries.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    let token = tries.lines().map(str::trim).find(|line| line.starts_with("TOKEN=")).unwrap();
    let [hello, refused, allowed, partner, stranger, status, metrics] = lines[..] else { panic!("{lines:#?}") };
    let answer = shell(hello);
    assert!(answer.contains("\"upstream\":\"hello\""), "{answer}");
    let answer = shell(refused);
    assert!(answer.starts_with("HTTP/2 401") && answer.contains("www-authenticate: Bearer"), "{answer}");
    let answer = shell(&format!("{token}\n{allowed}"));
    assert!(answer.contains("orders-") && answer.contains("orders.internal"), "{answer}");
    let answers: Vec<String> = (0..6).map(|_| shell(partner)).collect();
    let (last, passed) = answers.split_last().unwrap();
    assert!(passed.iter().all(|answer| answer.starts_with("HTTP/2 200")) && last.starts_with("HTTP/2 429"), "{answers:#?}");
    let answer = shell(stranger);
    assert!(answer.starts_with("HTTP/2 502") && answer.contains("application/problem+json"), "{answer}");
    assert!(shell(status).contains("\"routes\"") && shell(metrics).contains("plugway_requests_total"));

    // Each was sent once, and the partner's six times.
    let text = terminal.shown("\u{1b}[2Krequests 10 |", SHOWN).unwrap();
    let last = text.rsplit("\u{1b}[2K").find(|line| line.starts_with("requests 10")).unwrap();
    assert!(last.contains("| hello 6 | refused 2") && last.matches("orders-").count() == 3, "{last}");
    assert_eq!([1, 2, 3].map(|number| last.contains(&format!("orders-{number} 1"))).into_iter().filter(|is| *is).count(), 1, "{last}");

    let (_, admin) = text.split_once("operators on http://").unwrap();
    let admin: SocketAddr = admin.split_whitespace().next().unwrap().parse().unwrap();
    assert!(TcpStream::connect(admin).is_ok());
    terminal.signal(Signal::INT).unwrap();
    let ended = terminal.wait().unwrap();
    assert!(ended.success(), "{ended}: {}", terminal.text());
    assert!(TcpStream::connect(admin).is_err(), "the gateway outlived it");
}

#[test]
fn once_it_judges_what_it_sent_and_leaves_the_report_of_it() {
    let output = Command::new(XTASK).args(["demo", "--once", "--gateway", &gateway()]).output().unwrap();
    let (said, trouble) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{trouble}");
    for heading in ["hash-router", "oauth2", "tls-forward", "api-key", "rate-limit", "metrics", "monitoring store"] {
        assert!(said.contains(heading), "{heading}: {said}");
    }
    assert!(said.contains("target/demo/report.html is the page of it"), "{said}");
}

#[test]
fn what_it_does_not_know_it_says() {
    let output = Command::new(XTASK).args(["demo", "--twice"]).output().unwrap();
    assert!(!output.status.success());
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "xtask: `cargo xtask demo` has no option --twice; it has --once, --free-ports and --gateway FILE\n"
    );
}
