//! The monitoring store and what is reported from it: exact whatever happens to the gateway meanwhile.

mod disk;
mod exact;
mod generated;
mod killed;
mod page;
mod prometheus;
mod sketch;
/// What `cargo xtask conformance store-year` fills a store with.
#[path = "../../host/benches/store_year/year.rs"]
mod year;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::temp::TempDir;
use plugway_harness::upstream::Upstream;
use rusqlite::Connection;

use crate::common::{BINARY, HEAD, until};
use crate::guest::get;
use crate::reload::version;

/// Three routes to one upstream, and one to an upstream that is not there.
const ROUTES: &str = r#"
[upstreams.gone]
endpoints = ["http://127.0.0.1:1"]
[[routes]]
name = "orders"
api = "shop"
version = "v1"
match = { path = "/orders/*" }
public = true
upstream = "up"
[[routes]]
name = "status"
api = "shop"
version = "v2"
match = { path = "/status/*" }
public = true
upstream = "up"
[[routes]]
name = "slow"
match = { path = "/slow/*" }
public = true
upstream = "up"
[[routes]]
name = "gone"
match = { path = "/gone" }
public = true
upstream = "gone"
"#;

/// What outlives a gateway: its store, and what it stands before.
struct Scene {
    folder: TempDir,
    upstream: Upstream,
}

/// How often each route answered with each status.
type Counts = BTreeMap<(String, i64), i64>;

impl Scene {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), upstream: Upstream::plain("up").unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("monitoring.db")
    }

    fn config(&self, more: &str) -> String {
        let head = HEAD.replace("workers = 1", "workers = 2");
        let url = self.upstream.url();
        format!("{head}\n[store]\nfile = {:?}\n[upstreams.up]\nendpoints = [\"{url}\"]\n{ROUTES}\n{more}", self.file())
    }

    fn start(&self) -> Gateway {
        Launch::new(BINARY).unwrap().start(&self.config("")).unwrap()
    }

    /// With a plugin on a route `swapped`, which says its version; and its file.
    fn start_with_plugin(&self) -> (Gateway, PathBuf) {
        const MORE: &str = "[plugins.auth]\nsource = \"auth.wasm\"\nconfig = { mode = \"version\" }\n\
            [[routes]]\nname = \"swapped\"\nmatch = { path = \"/swapped\" }\npublic = true\nupstream = \"up\"\nplugins = [\"auth\"]\n";
        let launch = Launch::new(BINARY).unwrap();
        let plugins = launch.directory().join("plugins.d");
        std::fs::create_dir(&plugins).unwrap();
        let file = plugins.join("auth.wasm");
        std::fs::write(&file, version(1)).unwrap();
        (launch.start(&self.config(MORE)).unwrap(), file)
    }

    /// What a gateway was asked for is written.
    fn written(&self, requests: i64) {
        until("all requests are in the store", || self.number("SELECT sum(requests) FROM route_minute") == requests);
    }

    fn connection(&self) -> Connection {
        let connection = Connection::open(self.file()).unwrap();
        connection.busy_timeout(Duration::from_secs(5)).unwrap();
        connection
    }

    /// A sum; nothing where there are no rows, or no tables yet.
    fn number(&self, sql: &str) -> i64 {
        let read = self.connection().query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        read.ok().flatten().unwrap_or_default()
    }

    fn stored(&self, tier: &str) -> Counts {
        let sql =
            format!("SELECT r.route, o.status, sum(o.requests) FROM outcome_by_{tier} o JOIN routes r ON r.id = o.route GROUP BY 1, 2");
        let connection = self.connection();
        let mut rows = connection.prepare(&sql).unwrap();
        let rows = rows.query_map([], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).unwrap();
        rows.collect::<Result<_, _>>().unwrap()
    }
}

/// Asks for something so many times, each time on a connection of its own so that both workers have a part.
fn ask(gateway: &Gateway, counts: &mut Counts, (route, path, status): (&str, &str, i64), times: i64) {
    for _ in 0..times {
        let answer = get(gateway.address("web").unwrap(), path, &[]);
        assert_eq!(i64::from(answer.status), status, "{path}");
    }
    *counts.entry((route.to_owned(), status)).or_default() += times;
}

/// Something of everything.
fn traffic(gateway: &Gateway, counts: &mut Counts) {
    ask(gateway, counts, ("orders", "/orders/17", 200), 23);
    ask(gateway, counts, ("status", "/status/201", 201), 7);
    ask(gateway, counts, ("status", "/status/404", 404), 5);
    ask(gateway, counts, ("status", "/status/503", 503), 3);
    ask(gateway, counts, ("slow", "/slow/20", 200), 2);
    ask(gateway, counts, ("gone", "/gone", 502), 2);
    ask(gateway, counts, ("none", "/nothing", 404), 4);
}

/// What `/metrics` says.
fn metrics(gateway: &Gateway) -> Counts {
    let text = crate::common::admin(gateway, "/metrics");
    let mut counts = Counts::new();
    for line in text.lines().filter(|line| line.starts_with("plugway_requests_total{")) {
        let label = |name: &str| line.split(&format!("{name}=\"")).nth(1).unwrap().split('"').next().unwrap().to_owned();
        let value: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        *counts.entry((label("route"), label("status").parse().unwrap())).or_default() += value as i64;
    }
    counts
}

/// What `plugway report` says of a store.
fn report(file: &Path, words: &[&str]) -> String {
    let mut command = std::process::Command::new(BINARY);
    command.args(["report", "--store"]).arg(file).args(words);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json_report(file: &Path, words: &[&str]) -> serde_json::Value {
    serde_json::from_str(&report(file, &[words, &["--format", "json"]].concat())).unwrap()
}

fn sum(counts: &Counts) -> i64 {
    counts.values().sum()
}
