//! What most of these tests start with.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;

/// The program under test: the one that cargo built with these tests, or another one, as `cargo xtask conformance release` says.
pub(crate) const BINARY: &str = match option_env!("PLUGWAY_UNDER_TEST") {
    Some(program) => program,
    None => env!("CARGO_BIN_EXE_plugway"),
};

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
    sum_of(&admin(gateway, "/metrics"), name, labels)
}

/// The same of one answer of `/metrics`.
fn sum_of(metrics: &str, name: &str, labels: &[&str]) -> f64 {
    let of = |line: &&str| line.split(['{', ' ']).next() == Some(name) && labels.iter().all(|label| line.contains(label));
    metrics.lines().filter(of).map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

/// That the first worker was `most` times at work for longer than `bound`, one of the histogram's in seconds, while something was due: as the gateway
/// measured it, in CPU time. And never ten times as long.
///
/// What a hypervisor takes from a worker in the middle of its work is charged to it, so one time tells nothing of the gateway.
pub(crate) fn assert_seldom_stalled(gateway: &Gateway, bound: &str, most: f64) {
    let metrics = admin(gateway, "/metrics");
    let busy = |name: &str, label: &str| sum_of(&metrics, &format!("plugway_worker_event_loop_busy_seconds_{name}"), &[label]);
    let stalls = busy("count", "") - busy("bucket", &format!("le=\"{bound}\""));
    let longest = &status(gateway)["workers"][0]["longest_stall"];
    assert!(stalls <= most, "{stalls} stalls of more than {bound} s: {longest}");
    assert!(longest["busy_us"].as_f64().unwrap() <= bound.parse::<f64>().unwrap() * 1e7, "{longest}");
}

/// Sets a flag when it is dropped, also where a test fails: threads that go on until then are waited for.
pub(crate) struct Ends<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Longest wait for a line of the gateway's log, which is written when there is time.
pub(crate) const LOGGED: std::time::Duration = std::time::Duration::from_secs(20);

/// Waits until a text is in the gateway's log.
pub(crate) fn until_logged(gateway: &Gateway, text: &str) {
    let found = gateway.log().wait(LOGGED, |line| line.text.contains(text));
    assert!(found.is_some(), "{text:?} is not in the log:\n{}", gateway.log().text());
}

/// Waits until a condition holds; says what did not come true.
pub(crate) fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(std::time::Duration::from_secs(60), what, holds);
}

/// As [`until`], for what takes its time.
pub(crate) fn until_within(bound: std::time::Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = std::time::Instant::now() + bound;
    while !holds() {
        assert!(std::time::Instant::now() < deadline, "{what} did not come true");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

/// The beginning of a configuration with these endpoints; `upstream` holds more keys of the upstream, `more` goes at the end
/// of the file.
pub(crate) fn one_upstream(endpoints: &[String], upstream: &str, more: &str) -> String {
    format!(
        r#"{HEAD}
[upstreams.up]
endpoints = {endpoints:?}
{upstream}
[[routes]]
name = "all"
match = {{ path = "/*" }}
public = true
upstream = "up"
{more}"#
    )
}

/// The same configuration for two workers.
pub(crate) fn two_workers(config: &str) -> String {
    config.replace("workers = 1", "workers = 2")
}

/// A listener `tls` beside `web`, and the authority that signed it for `example.com`. Its files are in the launch.
pub(crate) fn start_tls(config: &str) -> (Gateway, plugway_harness::ca::Authority) {
    let authority = plugway_harness::ca::Authority::new("Test CA").unwrap();
    let identity = authority.server(&["example.com"]).unwrap();
    let launch = Launch::new(BINARY).unwrap();
    identity.write(launch.directory(), "web").unwrap();
    let tls = "[listen.tls]\naddress = \"127.0.0.1:0\"\ntls = { certificate = \"web.pem\", key = \"web.key\" }\n";
    (launch.start(&config.replace("[admin]", &format!("{tls}[admin]"))).unwrap(), authority)
}

/// A connection to the listener `web`.
pub(crate) fn web(gateway: &Gateway) -> plugway_harness::raw::Raw {
    plugway_harness::raw::Raw::connect(gateway.address("web").unwrap()).unwrap()
}

/// Text as HTTP/1.1 has it on the wire.
pub(crate) fn wire(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// The answer to one request on a connection of its own; lines of `request` end in LF here.
pub(crate) fn ask(gateway: &Gateway, request: &str) -> plugway_harness::raw::RawResponse {
    let mut client = web(gateway);
    client.send(wire(request)).unwrap();
    client.response_to(request.split(' ').next().unwrap()).unwrap()
}

/// An answer's body as JSON: an upstream's report, or a problem.
pub(crate) fn json(response: &plugway_harness::raw::RawResponse) -> serde_json::Value {
    serde_json::from_slice(&response.body).unwrap_or_else(|error| panic!("{error} in {}: {}", response.status, response.text()))
}

/// Asserts that an answer is this fault's problem (RFC 9457), and that nothing in it tells what is behind the gateway.
pub(crate) fn assert_problem(response: &plugway_harness::raw::RawResponse, status: u16, code: &str) {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(response.header("content-type"), Some(&b"application/problem+json"[..]), "{}", response.text());
    let problem = json(response);
    assert_eq!(problem["code"], code, "{problem:#}");
    assert_eq!(problem["status"], status, "{problem:#}");
    assert_eq!(problem["request_id"].as_str().map(str::as_bytes), response.header("x-request-id"));
    let keys: Vec<_> = problem.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["code", "request_id", "status", "title", "type"]);
    assert!(!response.text().contains("127.0.0.1"), "{problem:#}");
}

/// An upstream that does with every connection what a test says. Its thread ends with the test's process.
pub(crate) struct Scripted {
    address: std::net::SocketAddr,
}

impl Scripted {
    /// `serve` gets each connection with its number, from 0, one after another.
    pub(crate) fn start(serve: impl Fn(usize, &mut std::net::TcpStream) + Send + 'static) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                serve(number, &mut stream.unwrap());
            }
        });
        Self { address }
    }

    /// For `endpoints`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// An address where every connection is refused: the socket has the port, so nobody else is given it, and never listens.
pub(crate) struct Refusing(socket2::Socket);

impl Refusing {
    pub(crate) fn new() -> Self {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        Self(socket)
    }

    pub(crate) fn address(&self) -> std::net::SocketAddr {
        self.0.local_addr().unwrap().as_socket().unwrap()
    }

    /// For `endpoints`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

/// Reads one request head; `None` when the connection ends first.
pub(crate) fn read_head(stream: &mut std::net::TcpStream) -> Option<String> {
    use std::io::Read;
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return None,
        }
    }
    Some(String::from_utf8(head).unwrap())
}
