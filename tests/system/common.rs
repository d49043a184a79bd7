//! What most of these tests start with.

use std::future::Future;

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_plugway");

/// The beginning of every configuration: one worker, free ports.
pub(crate) const HEAD: &str = r#"
workers = 1
[listen.web]
address = "127.0.0.1:0"
[admin]
address = "127.0.0.1:0"
"#;

/// One public route that takes everything to one upstream; `more` goes at the end of the file.
pub(crate) fn one_route(upstream: &Upstream, more: &str) -> String {
    format!(
        r#"{HEAD}
[upstreams.up]
endpoints = ["{}"]
[[routes]]
name = "all"
match = {{ path = "/*" }}
public = true
upstream = "up"
{more}"#,
        upstream.url()
    )
}

/// A gateway with that configuration.
pub(crate) fn start(config: &str) -> Gateway {
    Launch::new(BINARY).unwrap().start(config).unwrap()
}

/// Runs a client's part.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).unwrap();
    runtime.block_on(future)
}

/// What an admin page says.
pub(crate) fn admin(gateway: &Gateway, path: &str) -> String {
    let mut raw = plugway_harness::raw::Raw::connect(gateway.admin().unwrap()).unwrap();
    raw.send(format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    let response = raw.response().unwrap();
    assert_eq!(response.status, 200, "{path}: {}", String::from_utf8_lossy(&response.body));
    String::from_utf8(response.body).unwrap()
}

/// `/status`
pub(crate) fn status(gateway: &Gateway) -> serde_json::Value {
    serde_json::from_str(&admin(gateway, "/status")).unwrap()
}

/// The sum of a metric's series whose labels hold all of these texts, such as `route="all"`.
pub(crate) fn metric(gateway: &Gateway, name: &str, labels: &[&str]) -> f64 {
    let text = admin(gateway, "/metrics");
    let of = |line: &&str| line.split(['{', ' ']).next() == Some(name) && labels.iter().all(|label| line.contains(label));
    text.lines().filter(of).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// Waits until a condition holds; says what did not come true.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what} did not come true");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}
