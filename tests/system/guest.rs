//! Gateways with the misbehaving guest of `tests/guest` in their chains.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::guests;
use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, HEAD};

/// The guest with every hook.
pub(crate) fn every_hook() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| guests::misbehaving().unwrap())
}

/// The guest with filters alone: it authorizes nobody, so it may be skipped when it fails.
pub(crate) fn filters() -> &'static Path {
    &examples().filters
}

/// The guest that keeps entries in `kv`.
pub(crate) fn keeper() -> &'static Path {
    &examples().keeper
}

/// The guest that knows secrets.
pub(crate) fn confidant() -> &'static Path {
    &examples().confidant
}

/// The guest that uses keys and can do without `kv`.
pub(crate) fn locksmith() -> &'static Path {
    &examples().locksmith
}

/// The guest with a timer and a filter.
pub(crate) fn ticking() -> &'static Path {
    &examples().ticking
}

/// The guest with a timer alone.
pub(crate) fn clockwork() -> &'static Path {
    &examples().clockwork
}

/// A filter that hands over as much by one call as it is told; see `tests/guest/examples/flooding.rs`.
pub(crate) fn flooding() -> &'static Path {
    &examples().flooding
}

/// A plugin that answers by numbers it does not have; see `tests/guest/examples/forging.rs`.
pub(crate) fn forging() -> &'static Path {
    &examples().forging
}

/// A plugin that tells what came with its calls; see `tests/guest/examples/prefetched.rs`.
pub(crate) fn prefetched() -> &'static Path {
    &examples().prefetched
}

/// A filter that reads what comes with its calls, and changes it; see `tests/guest/examples/rereading.rs`.
pub(crate) fn rereading() -> &'static Path {
    &examples().rereading
}

/// A filter that hands on what it counted when its configuration is left behind; see `tests/guest/examples/heir.rs`.
pub(crate) fn heir() -> &'static Path {
    &examples().heir
}

/// The guest that asks other servers.
pub(crate) fn asking() -> &'static Path {
    &examples().asking
}

/// The guest that looks whom it may ask, and asks nobody; see `tests/guest/examples/looking.rs`.
pub(crate) fn looking() -> &'static Path {
    &examples().looking
}

/// The guest that tells what it knows of a request.
pub(crate) fn facts() -> &'static Path {
    &examples().facts
}

/// The guest that tries to change what its hooks may not.
pub(crate) fn trespasser() -> &'static Path {
    &examples().trespasser
}

/// The guest that tells what each of its hooks was told.
pub(crate) fn witness() -> &'static Path {
    &examples().witness
}

/// The guest whose observer can hold up the control thread; see `tests/guest/examples/holding.rs`.
pub(crate) fn holding() -> &'static Path {
    &examples().holding
}

/// The guest whose forwarder writes the plan it is configured with; see `tests/guest/examples/planner.rs`.
pub(crate) fn planner() -> &'static Path {
    &examples().planner
}

struct Examples {
    planner: PathBuf,
    witness: PathBuf,
    holding: PathBuf,
    asking: PathBuf,
    looking: PathBuf,
    facts: PathBuf,
    trespasser: PathBuf,
    filters: PathBuf,
    keeper: PathBuf,
    confidant: PathBuf,
    locksmith: PathBuf,
    ticking: PathBuf,
    clockwork: PathBuf,
    heir: PathBuf,
    flooding: PathBuf,
    forging: PathBuf,
    prefetched: PathBuf,
    rereading: PathBuf,
}

fn examples() -> &'static Examples {
    static BUILT: OnceLock<Examples> = OnceLock::new();
    BUILT.get_or_init(|| {
        // Built by the same cargo into the same folder, so they come after the other one.
        let release = every_hook().parent().unwrap();
        let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.current_dir(guests::root().join("tests/guest"));
        command.args(["build", "--release", "--target", "wasm32-wasip2", "--package", "plugway-test-guest", "--examples"]);
        command.arg("--target-dir").arg(guests::target());
        for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
            command.env_remove(name);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let component = |name: &str| release.join(format!("examples/{name}.wasm"));
        Examples {
            planner: component("planner"),
            witness: component("witness"),
            holding: component("holding"),
            asking: component("asking"),
            looking: component("looking"),
            facts: component("facts"),
            trespasser: component("trespasser"),
            filters: component("filters"),
            keeper: component("keeper"),
            confidant: component("confidant"),
            locksmith: component("locksmith"),
            ticking: component("ticking"),
            clockwork: component("clockwork"),
            heir: component("heir"),
            flooding: component("flooding"),
            forging: component("forging"),
            prefetched: component("prefetched"),
            rereading: component("rereading"),
        }
    })
}

/// A component of the shipped plugins as a file: what the gateway embeds was built there.
pub(crate) fn shipped(name: &str) -> PathBuf {
    let file = format!("plugway_plugin_{}.wasm", name.replace('-', "_"));
    guests::target().join("wasm32-wasip2/release").join(file)
}

/// `[plugins.NAME]` of a file; `more` is the rest of its table.
pub(crate) fn plugin(name: &str, file: &Path, config: &str, more: &str) -> String {
    format!("[plugins.{name}]\nsource = {:?}\nconfig = {{ {config} }}\n{more}\n", file.to_str().unwrap())
}

/// `[plugins.NAME]` of the guest with every hook.
pub(crate) fn guest(name: &str, config: &str, more: &str) -> String {
    plugin(name, every_hook(), config, more)
}

/// A route for everything to `up`.
pub(crate) fn route(settings: &str) -> String {
    format!("[[routes]]\nname = \"all\"\nmatch = {{ path = \"/*\" }}\nupstream = \"up\"\n{settings}\n")
}

/// A whole configuration: one worker, the upstream `up`, and these parts.
pub(crate) fn config(upstream: &Upstream, parts: &[&str]) -> String {
    format!("{HEAD}\n[upstreams.up]\nendpoints = [\"{}\"]\n{}", upstream.url(), parts.join("\n"))
}

/// A gateway whose only plugin is the guest, in the chain of a route that takes everything.
pub(crate) fn with_guest(upstream: &Upstream, guest_config: &str, more: &str) -> Gateway {
    crate::common::start(&config(upstream, &[&guest("misbehaving", guest_config, more), &route("plugins = [\"misbehaving\"]")]))
}

/// One GET with these headers on a connection of its own.
pub(crate) fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> RawResponse {
    let mut raw = Raw::connect(address).unwrap();
    send(&mut raw, path, headers)
}

/// One GET with these headers.
pub(crate) fn send(raw: &mut Raw, path: &str, headers: &[(&str, &str)]) -> RawResponse {
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    raw.send(format!("GET {path} HTTP/1.1\r\nhost: example.com\r\n{lines}\r\n").as_bytes()).unwrap();
    raw.response().unwrap()
}

/// One GET that tells the guest what to do.
pub(crate) fn tell(gateway: &Gateway, mode: &str) -> RawResponse {
    get(gateway.address("web").unwrap(), "/", &[("x-misbehave", mode), ("x-tenant-id", "acme")])
}

/// What the upstream saw of a request.
pub(crate) fn report(response: &RawResponse) -> serde_json::Value {
    assert_eq!(response.status, 200, "{}", response.text());
    serde_json::from_slice(&response.body).unwrap()
}

/// The first value of a header that the upstream saw.
pub(crate) fn seen(response: &RawResponse, name: &str) -> Option<String> {
    plugway_harness::client::reported(&report(response), name).first().map(|value| (*value).to_owned())
}

/// That a response is the gateway's own problem document, and says nothing of what is behind the gateway.
pub(crate) fn assert_problem(response: &RawResponse, status: u16, code: &str) {
    assert_eq!(response.status, status, "{}", response.text());
    assert_eq!(response.header("content-type"), Some(&b"application/problem+json"[..]));
    let problem: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(problem["code"], code, "{problem}");
    assert_eq!(problem["status"], status, "{problem}");
    let keys: Vec<&str> = problem.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(keys.iter().all(|key| ["type", "title", "status", "code", "request_id"].contains(key)), "{problem}");
    let whole = format!("{}{}", String::from_utf8_lossy(&response.head), response.text()).to_ascii_lowercase();
    for internal in ["misbehaving", "wasm", "trap", "unreachable", "panic", "as told", "/work", ".rs", "127.0.0.1", "backtrace"] {
        assert!(!whole.contains(internal), "the answer names `{internal}`: {whole}");
    }
}

/// `plugway check` of a configuration: its output, and both streams as one text.
pub(crate) fn check(config: &str) -> (Output, String) {
    check_in(&Launch::new(BINARY).unwrap(), config)
}

/// As [`check`], in a folder that may hold files.
pub(crate) fn check_in(launch: &Launch, config: &str) -> (Output, String) {
    let output = launch.run("check", config).unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output, text)
}

/// The text of a configuration that `check` refuses.
pub(crate) fn refused(config: &str) -> String {
    let (output, text) = check(config);
    assert_eq!(output.status.code(), Some(1), "it was not refused: {text}");
    text
}
