//! A gateway with a past: what the store's own writer wrote of the minutes before it starts.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use plugway::config::model::Keep;
use plugway::fault::Fault;
use plugway::store::{Pending, Writer, seconds};
use plugway::telemetry::latency::Bins;
use plugway::telemetry::{PluginTally, Tally, TallyCell};
use plugway_harness::ca::Authority;
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::temp::TempDir;
use plugway_harness::upstream::Upstream;
use serde_json::Value;

use super::incidents;
use crate::common::{BINARY, HEAD};

pub(super) struct Scene {
    pub(super) folder: TempDir,
    /// The two endpoints of one upstream.
    pub(super) endpoints: [Upstream; 2],
}

/// A minute of the past: what each endpoint answered wrongly, how many milliseconds its route's requests took, what calls of the plugin
/// took and by which version, what the consumer sent, how much each endpoint got of a route that is slow and of which a fifth fails.
#[derive(Clone, Copy)]
pub(super) struct Minute {
    pub(super) failed: [u64; 2],
    pub(super) took: u64,
    pub(super) status_failed: u64,
    pub(super) plugin: (&'static str, u64),
    pub(super) consumer: u64,
    pub(super) exports: [u64; 2],
}

pub(super) const QUIET: Minute = Minute { failed: [0, 0], took: 1, status_failed: 0, plugin: ("aaaa", 20), consumer: 20, exports: [0, 0] };

/// The route that is slow, and of which a fifth fails.
pub(super) const EXPORTS: &str = r#"[[routes]]
name = "exports"
match = { path = "/exports/*" }
public = true
upstream = "up"
"#;

impl Scene {
    pub(super) fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), endpoints: ["a", "b"].map(|name| Upstream::plain(name).unwrap()) }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("monitoring.db")
    }

    /// Writes minutes until this one began: the last of `minutes` is the one before it. Returns when this one began.
    pub(super) fn past(&self, minutes: &[Minute]) -> i64 {
        let day = Duration::from_secs(86_400);
        let keep = Keep { minutes: day, hours: 30 * day, days: 365 * day, samples: 7 * day };
        let now = seconds(SystemTime::now());
        let (until, count) = (now - now % 60, i64::try_from(minutes.len()).unwrap());
        let mut writer = Writer::open(&self.file(), keep, 1 << 30, until - 60 * count).unwrap();
        for (minute, at) in minutes.iter().zip((until - 60 * count..).step_by(60)) {
            let mut pending = Pending::new();
            pending.add(at, Tally { cells: self.cells(minute), ..Tally::default() });
            let (version, us) = minute.plugin;
            let timed = 200;
            pending.add_plugins(
                at,
                &[PluginTally {
                    plugin: "counts".into(),
                    version: version.into(),
                    hook: "observer",
                    calls: 400,
                    failures: Vec::new(),
                    timed,
                    timed_ns: timed * us * 1_000,
                    times: Bins::default(),
                }],
            );
            writer.write(&mut pending, at).unwrap();
        }
        writer.roll_up(until).unwrap();
        writer.end(until).unwrap();
        until
    }

    /// Waits for the next minute where this one is about to end: a gateway that has not looked at its past by then looks at a minute without
    /// requests besides.
    pub(super) fn early_in_a_minute() {
        let second = seconds(SystemTime::now()) % 60;
        if second >= 45 {
            std::thread::sleep(Duration::from_secs(u64::try_from(60 - second).unwrap()));
        }
    }

    fn cells(&self, minute: &Minute) -> Vec<TallyCell> {
        let gone = Some(Fault::UpstreamReset);
        let of_endpoint = |(endpoint, failed): (&Upstream, u64)| {
            let outcomes = [(200, None, 200 - failed), (502, gone, failed)];
            cell("orders", &endpoint.url(), "", minute.took, &outcomes)
        };
        let mut cells: Vec<_> = self.endpoints.iter().zip(minute.failed).map(of_endpoint).collect();
        cells.push(cell("orders", &self.endpoints[0].url(), "mia", minute.took, &[(200, None, minute.consumer)]));
        let outcomes = [(200, None, 100 - minute.status_failed), (500, Some(Fault::Internal), minute.status_failed)];
        cells.push(cell("status", "", "", 1, &outcomes));
        let exports = self.endpoints.iter().zip(minute.exports).filter(|(_, requests)| *requests > 0);
        cells.extend(exports.map(|(endpoint, requests)| {
            cell("exports", &endpoint.url(), "", 300, &[(200, None, requests - requests / 5), (502, gone, requests / 5)])
        }));
        cells
    }

    pub(super) fn config(&self, more: &str) -> String {
        let urls = self.endpoints.each_ref().map(|endpoint| format!("{:?}", endpoint.url())).join(", ");
        format!(
            r#"{HEAD}
[listen.tls]
address = "127.0.0.1:0"
tls = {{ certificate = {:?}, key = {:?} }}
[store]
file = {:?}
[plugins.counts]
source = "builtin:metrics"
[upstreams.up]
endpoints = [{urls}]
[[routes]]
name = "orders"
api = "shop"
match = {{ path = "/orders/*" }}
public = true
upstream = "up"
plugins = ["counts"]
slo = {{ availability = "99.9%" }}
[[routes]]
name = "status"
match = {{ path = "/status/*" }}
public = true
upstream = "up"
{more}"#,
            self.folder.path().join("web.pem"),
            self.folder.path().join("web.key"),
            self.file()
        )
    }

    /// A gateway whose certificate ends in so many days.
    pub(super) fn start(&self, days: u64, more: &str) -> Gateway {
        let until = SystemTime::now() + Duration::from_secs(days * 86_400);
        let issued = Authority::new("test").unwrap().server_until(until, &["localhost"]).unwrap();
        issued.write(self.folder.path(), "web").unwrap();
        Launch::new(BINARY).unwrap().start(&self.config(more)).unwrap()
    }

    /// `plugway incidents`, of the store.
    pub(super) fn listed(&self, more: &[&str]) -> Vec<Value> {
        let file = self.file();
        incidents(&[&["--store", file.to_str().unwrap(), "--format", "json"], more].concat())
    }
}

fn cell(route: &str, endpoint: &str, consumer: &str, took: u64, outcomes: &[(u16, Option<Fault>, u64)]) -> TallyCell {
    let requests: u64 = outcomes.iter().map(|(.., count)| count).sum();
    let mut bins = Bins::default();
    (0..requests).for_each(|number| bins.add(Duration::from_micros(1_000 * took - 100 + number % 200)));
    TallyCell {
        api: (route == "orders").then(|| "shop".into()),
        version: None,
        route: route.into(),
        endpoint: endpoint.into(),
        consumer: consumer.into(),
        outcomes: outcomes
            .iter()
            .filter(|(.., count)| *count > 0)
            .map(|(status, fault, count)| (*status, fault.map(Into::into), *count))
            .collect(),
        bins,
        duration: Duration::from_millis(took * requests),
        longest: Duration::from_micros(1_000 * took + 100),
        request_bytes: 0,
        response_bytes: 0,
    }
}

impl Scene {
    fn store(&self) -> rusqlite::Connection {
        let store = rusqlite::Connection::open(self.file()).unwrap();
        store.busy_timeout(Duration::from_secs(5)).unwrap();
        store
    }

    /// Promises that the store knows: they are written when analysis has come to now.
    pub(super) fn promises(&self) -> i64 {
        self.store().query_row("SELECT count(*) FROM slos", [], |row| row.get(0)).unwrap_or_default()
    }

    /// So that the next gateway's can be waited for.
    pub(super) fn forget_promises(&self) {
        self.store().execute("DELETE FROM slos", []).unwrap();
    }
}
