//! How long the gateway takes until it serves, and its plugins until they are compiled.

use std::ops::Range;
use std::path::Path;
use std::time::{Duration, Instant};

use plugway_harness::Result;
use plugway_harness::gateway::Launch;
use plugway_harness::temp::TempDir;

use super::{Built, Measured};
use crate::interrupt;

/// Starts that find their plugins compiled.
const WARM: usize = 11;
/// Starts that do not.
const COLD: usize = 9;
/// Until the allocator has given back what starting took.
const SETTLE: Duration = Duration::from_millis(500);
/// At most this for five plugins that are compiled already, ms.
const GOAL_START_MS: f64 = 100.0;
/// At most this to compile a shipped plugin, ms.
const GOAL_COMPILE_MS: f64 = 500.0;

const HASH_ROUTER: (&str, &str, &str) = ("hash-router", "config = { key = \"path\" }", "public = true\nrouter = \"it\"");
/// The shipped plugins, as a configuration names and uses them.
const SHIPPED: [(&str, &str, &str); 6] = [
    (
        "oauth2",
        "grants = { crypto = {} }\nconfig = { issuer = \"https://id.example.com\", audience = \"a\", jwks = { keys = [{ kty = \"EC\", crv = \
         \"P-256\", kid = \"1\", x = \"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\", y = \"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\" }] } }",
        "plugins = [\"it\"]",
    ),
    (
        "api-key",
        "grants = { crypto = {} }\nconfig = { consumers = [{ name = \"a\", keys = [\"sha256:\
         0000000000000000000000000000000000000000000000000000000000000000\"] }] }",
        "plugins = [\"it\"]",
    ),
    (
        "rate-limit",
        "grants = { rate-limit = {} }\nconfig = { limits = [{ name = \"a\", key = \"client-address\", requests = 100, period = \"1s\" }] }",
        "public = true\nplugins = [\"it\"]",
    ),
    HASH_ROUTER,
    ("tls-forward", "", "public = true\nforwarder = \"it\""),
    ("metrics", "", "public = true\nplugins = [\"it\"]"),
];

/// Everything about starting.
pub(super) fn all(built: &Built) -> Result<Vec<Measured>> {
    let mut found = Vec::new();
    let cache = TempDir::new()?;
    let five =
        configuration(cache.path(), &tags(&built.guest, 5), "public = true\nplugins = [\"t1\", \"t2\", \"t3\", \"t4\", \"t5\"]", 0..1);
    let first = start(&built.gateway, &five)?;
    found.push(Measured::new("start, nothing compiled", "plugway, 5 plugins of one file", "ms", vec![first.ms]));
    let warm = several(WARM, || start(&built.gateway, &five))?;
    found.push(times("start, everything compiled", "plugway, 5 plugins", &warm).at_most(GOAL_START_MS));
    found.push(Measured::new("memory after a start", "plugway, 5 plugins", "MB", warm.iter().map(|start| start.mb).collect()));
    let none = configuration(cache.path(), "", "public = true", 0..1);
    let none = several(WARM, || start(&built.gateway, &none))?;
    found.push(times("start, everything compiled", "plugway, no plugin", &none));
    for (plugin, settings, route) in SHIPPED {
        found.push(compilation(built, plugin, settings, route)?);
    }
    found.extend(tables(built)?);
    Ok(found)
}

/// What a start without the cache takes longer than one with it.
fn compilation(built: &Built, plugin: &str, settings: &str, route: &str) -> Result<Measured> {
    let mut samples = Vec::with_capacity(COLD);
    for _ in 0..COLD {
        let cache = TempDir::new()?;
        let part = format!("[plugins.it]\nsource = \"builtin:{plugin}\"\n{settings}\n");
        let text = configuration(cache.path(), &part, route, 0..1);
        let cold = start(&built.gateway, &text)?;
        samples.push((cold.ms - start(&built.gateway, &text)?.ms).max(0.0));
    }
    Ok(Measured::new("compiling a plugin", plugin, "ms", samples).at_most(GOAL_COMPILE_MS))
}

/// What many endpoints behind a router that makes a table of them take longer.
fn tables(built: &Built) -> Result<Vec<Measured>> {
    let cache = TempDir::new()?;
    let [one, many] = [1, 10_000].map(|endpoints| hashed(cache.path(), 0..endpoints));
    start(&built.gateway, &one)?;
    let mut samples = Vec::with_capacity(COLD);
    for _ in 0..COLD {
        let one = start(&built.gateway, &one)?;
        samples.push((start(&built.gateway, &many)?.ms - one.ms).max(0.0));
    }
    Ok(vec![Measured::new("10,000 endpoints at a start: read, checked, a table made", "plugway, hash-router", "ms", samples)])
}

/// These endpoints behind a router that makes a table of them.
pub(super) fn hashed(cache: &Path, endpoints: Range<usize>) -> String {
    let (name, settings, route) = HASH_ROUTER;
    let part = format!("[plugins.it]\nsource = \"builtin:{name}\"\n{settings}\n");
    configuration(cache, &part, route, endpoints)
}

fn times(name: &str, of: &str, starts: &[Start]) -> Measured {
    Measured::new(name, of, "ms", starts.iter().map(|start| start.ms).collect())
}

fn several(times: usize, mut start: impl FnMut() -> Result<Start>) -> Result<Vec<Start>> {
    (0..times).map(|_| start()).collect()
}

/// One start.
struct Start {
    /// From the program's start until it said that it serves.
    ms: f64,
    /// Resident memory then.
    mb: f64,
}

fn start(gateway: &Path, text: &str) -> Result<Start> {
    interrupt::check()?;
    let began = Instant::now();
    let gateway = Launch::new(gateway)?.start(text)?;
    let ms = began.elapsed().as_secs_f64() * 1e3;
    std::thread::sleep(SETTLE);
    Ok(Start { ms, mb: gateway.rss_bytes()? as f64 / 1e6 })
}

fn tags(guest: &Path, count: usize) -> String {
    (1..=count).map(|number| format!("[plugins.t{number}]\nsource = {guest:?}\nconfig = {{ header = \"x-plugin-{number}\" }}\n")).collect()
}

fn configuration(cache: &Path, plugins: &str, route: &str, endpoints: Range<usize>) -> String {
    let endpoints: Vec<String> =
        endpoints.map(|number| format!("\"http://10.{}.{}.{}:80\"", number / 65_536, number / 256 % 256, number % 256)).collect();
    format!(
        "workers = 1\ncache_directory = {cache:?}\n[listen.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
         {plugins}[upstreams.up]\nendpoints = [{}]\n[[routes]]\nname = \"all\"\n{route}\nupstream = \"up\"\n",
        endpoints.join(", ")
    )
}
