//! What goes wrong is found by a gateway itself: in what its store has of the time before it started, and in what it serves.
//!
//! A store has minutes, and analysis wants some of them. So that no test waits for them, the past is written by the store's own writer,
//! as a gateway would have; what comes then is a real gateway's.

use std::path::PathBuf;
use std::process::Command;
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

use crate::common::{BINARY, HEAD, admin, metric, status, until, until_logged, until_within};
use crate::guest::get;

/// Days until the certificate ends.
const DAYS: u64 = 9;
/// For what comes at the end of a minute, and perhaps of the next one, on a machine with neighbours.
const MINUTES: Duration = Duration::from_secs(240);

struct Scene {
    folder: TempDir,
    /// The two endpoints of one upstream.
    endpoints: [Upstream; 2],
}

/// A minute of the past: what each endpoint answered wrongly, how many milliseconds its route's requests took, what calls of the plugin
/// took and by which version, what the consumer sent.
#[derive(Clone, Copy)]
struct Minute {
    failed: [u64; 2],
    took: u64,
    status_failed: u64,
    plugin: (&'static str, u64),
    consumer: u64,
}

const QUIET: Minute = Minute { failed: [0, 0], took: 1, status_failed: 0, plugin: ("aaaa", 20), consumer: 20 };

impl Scene {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap(), endpoints: ["a", "b"].map(|name| Upstream::plain(name).unwrap()) }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("monitoring.db")
    }

    /// Writes minutes until this one began: the last of `minutes` is the one before it. Returns when this one began.
    fn past(&self, minutes: &[Minute]) -> i64 {
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
                }],
            );
            writer.write(&mut pending, at).unwrap();
        }
        writer.roll_up(until).unwrap();
        writer.end(until).unwrap();
        until
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
        cells
    }

    fn config(&self, more: &str) -> String {
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
    fn start(&self, days: u64, more: &str) -> Gateway {
        let until = SystemTime::now() + Duration::from_secs(days * 86_400);
        let issued = Authority::new("test").unwrap().server_until(until, &["localhost"]).unwrap();
        issued.write(self.folder.path(), "web").unwrap();
        Launch::new(BINARY).unwrap().start(&self.config(more)).unwrap()
    }

    /// `plugway incidents`, of the store.
    fn listed(&self, more: &[&str]) -> Vec<Value> {
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

fn incidents(words: &[&str]) -> Vec<Value> {
    let ran = Command::new(BINARY).arg("incidents").args(words).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// Kinds and subjects, sorted.
fn about(incidents: &[Value]) -> Vec<(String, String)> {
    let text = |incident: &Value, key: &str| incident[key].as_str().unwrap().to_owned();
    let about = |incident: &Value| (text(incident, "kind"), format!("{}{}", text(incident, "route"), text(incident, "subject")));
    let mut about: Vec<_> = incidents.iter().map(about).collect();
    about.sort();
    about
}

fn of<'a>(incidents: &'a [Value], kind: &str) -> &'a Value {
    incidents.iter().find(|incident| incident["kind"] == kind).unwrap_or_else(|| panic!("no {kind} among {incidents:#?}"))
}

/// Everything that can go wrong does, most of it in the last twenty minutes of three hours; something else went wrong before and is over.
fn trouble() -> Vec<Minute> {
    let mut minutes = vec![QUIET; 180];
    minutes[70..85].iter_mut().for_each(|minute| minute.status_failed = 30);
    minutes[120..].iter_mut().for_each(|minute| minute.plugin = ("bbbb", 60));
    minutes[160..].iter_mut().for_each(|minute| (minute.failed, minute.consumer) = ([1, 80], 400));
    minutes
}

#[test]
fn what_the_store_has_is_looked_at_when_a_gateway_starts_and_told_once_whoever_starts_again() {
    let scene = Scene::new();
    let began = scene.past(&trouble());
    let gateway = scene.start(DAYS, "");
    let address = gateway.admin().unwrap().to_string();
    until("the past is lived through", || scene.promises() == 1);
    let open = status(&gateway)["incidents"].as_array().unwrap().clone();
    let (bad, certificate) = (scene.endpoints[1].url(), scene.folder.path().join("web.pem").display().to_string());
    let expected = [
        ("certificate", certificate.as_str()),
        ("consumer-traffic", "mia"),
        ("endpoint", &format!("{bad} of up")),
        ("error-rate", "orders"),
        ("plugin-version", "counts"),
        ("slo-burn", "ordersavailability"),
    ];
    assert_eq!(about(&open), expected.map(|(kind, subject)| (kind.to_owned(), subject.to_owned())), "{open:#?}");
    // Since when, by what, and why.
    let errors = of(&open, "error-rate");
    let started = errors["started"].as_i64().unwrap();
    assert!((began - 21 * 60..=began - 18 * 60).contains(&started), "{started} of {began}");
    assert_eq!((&errors["severity"], &errors["api"], &errors["ended"]), (&"page".into(), &"shop".into(), &Value::Null));
    assert!(errors["cause"].as_str().unwrap().contains(&bad), "{errors:#}");
    assert!(errors["evidence"]["errors now"].as_str().unwrap().ends_with('%'), "{errors:#}");
    assert!(of(&open, "plugin-version")["cause"].as_str().unwrap().contains("from aaaa to bbbb"));
    // The same everywhere.
    assert_eq!(metric(&gateway, "plugway_incidents_open", &["kind=\"slo-burn\"", "severity=\"page\""]), 1.0);
    assert_eq!(metric(&gateway, "plugway_incidents_open", &[]), 6.0);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&admin(&gateway, "/incidents?open=true")).unwrap(), open);
    assert_eq!(incidents(&["--admin", &address, "--open", "--format", "json"]), open);
    assert_eq!(scene.listed(&["--open"]), open);
    until_logged(&gateway, "An incident began: More requests of route orders fail");
    // What was over before anybody looked is there too, with its end.
    let all = scene.listed(&["--since", "24h"]);
    assert_eq!(all.len(), 7, "{all:#?}");
    let over = all.iter().find(|incident| incident["route"] == "status").unwrap();
    assert_eq!((&over["outcome"], &over["kind"]), (&"recovered".into(), &"error-rate".into()));
    let lasted = over["ended"].as_i64().unwrap() - over["started"].as_i64().unwrap();
    assert!((12 * 60..20 * 60).contains(&lasted), "{over:#}");
    assert_eq!(scene.listed(&["--since", "30m"]).len(), 6);
    let table = Command::new(BINARY).args(["incidents", "--admin", &address]).output().unwrap();
    assert!(String::from_utf8(table.stdout).unwrap().contains("likely cause: "));
    // Real requests are counted on top of it.
    assert_eq!(get(gateway.address("web").unwrap(), "/orders/1", &[]).status, 200);
    let report: Value = serde_json::from_str(&admin(&gateway, "/report?since=24h&format=json")).unwrap();
    assert_eq!(report["incidents"].as_array().unwrap().len(), 7);
    let slo = &report["slos"][0];
    assert_eq!((&slo["route"], &slo["name"]), (&"orders".into(), &"availability".into()));
    assert_eq!(slo["total"].as_i64().unwrap() - slo["good"].as_i64().unwrap(), 20 * 81, "{slo:#}");

    // Whoever starts again finds the same, and tells nothing twice.
    gateway.stop().unwrap();
    scene.forget_promises();
    let gateway = scene.start(DAYS, "");
    until("the past is lived through again", || scene.promises() == 1);
    assert_eq!(status(&gateway)["incidents"].as_array().unwrap().len(), 6);
    let numbers = |incidents: &[Value]| incidents.iter().map(|incident| incident["number"].as_i64().unwrap()).collect::<Vec<_>>();
    assert_eq!(numbers(&scene.listed(&["--since", "24h"])), numbers(&all));
    assert!(!gateway.log().text().contains("An incident began"), "{}", gateway.log().text());
}

#[test]
fn what_is_no_more_configured_or_was_renewed_ends() {
    let scene = Scene::new();
    scene.past(&trouble());
    let gateway = scene.start(DAYS, "");
    until("the past is lived through", || scene.promises() == 1);
    gateway.stop().unwrap();
    scene.forget_promises();
    // Another certificate, and a gateway that no longer promises anything.
    let config = scene.config("").replace("slo = { availability = \"99.9%\" }\n", "");
    let issued = Authority::new("test").unwrap();
    let until_then = SystemTime::now() + Duration::from_secs(300 * 86_400);
    issued.server_until(until_then, &["localhost"]).unwrap().write(scene.folder.path(), "web").unwrap();
    let gateway = Launch::new(BINARY).unwrap().start(&config).unwrap();
    until("they have ended", || status(&gateway)["incidents"].as_array().unwrap().len() == 4);
    let ended = scene.listed(&["--since", "24h"]).into_iter().filter(|incident| incident["outcome"] == "silent");
    let kinds: Vec<_> = ended.map(|incident| incident["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds.len(), 2, "{kinds:?}");
    assert!(["certificate", "slo-burn"].iter().all(|kind| kinds.contains(&(*kind).to_owned())), "{kinds:?}");
    let report: Value = serde_json::from_str(&admin(&gateway, "/report?since=24h&format=json")).unwrap();
    assert_eq!(report["slos"], serde_json::json!([]));
}

#[test]
fn a_plugin_that_made_its_route_slower_is_named_for_it() {
    let scene = Scene::new();
    let mut minutes = vec![QUIET; 180];
    minutes[150..].iter_mut().for_each(|minute| (minute.took, minute.plugin) = (4, ("bbbb", 3_000)));
    let began = scene.past(&minutes);
    let gateway = scene.start(300, "");
    until("the past is lived through", || scene.promises() == 1);
    let open = status(&gateway)["incidents"].as_array().unwrap().clone();
    // Of a plugin and its route that grew slower together one incident tells.
    assert_eq!(about(&open), [("plugin-version".to_owned(), "counts".to_owned())], "{open:#?}");
    let found = &open[0];
    let started = found["started"].as_i64().unwrap();
    assert!((began - 31 * 60..=began - 28 * 60).contains(&started), "{started} of {began}: {found:#}");
    assert!(found["cause"].as_str().unwrap().contains("plugin counts went from aaaa to bbbb"), "{found:#}");
    assert!(found["title"].as_str().unwrap().contains("3.0 ms"), "{found:#}");
}

#[test]
fn answers_that_grow_slower_while_a_gateway_serves_are_found_at_the_end_of_the_minute() {
    let scene = Scene::new();
    let mut minutes = vec![QUIET; 120];
    // Four of five minutes are a step, and it is believed once the third look in a row has shown it.
    minutes[115..].iter_mut().for_each(|minute| minute.took = 20);
    scene.past(&minutes);
    let gateway = scene.start(300, "");
    until("the past is lived through", || scene.promises() == 1);
    assert_eq!(status(&gateway)["incidents"], serde_json::json!([]), "five minutes might be chance");
    let web = gateway.address("web").unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| assert_eq!(get(web, "/orders/1", &[("x-behave", "/slow/20")]).status, 200)));
        }
    });
    until_within(MINUTES, "the minute has ended, and it is found", || status(&gateway)["incidents"] != serde_json::json!([]));
    let open = status(&gateway)["incidents"].as_array().unwrap().clone();
    let latency = of(&open, "latency");
    assert_eq!((&latency["route"], &latency["api"]), (&"orders".into(), &"shop".into()), "{latency:#}");
    until_logged(&gateway, "An incident began: Requests of route orders take longer");
}

#[test]
fn what_goes_wrong_with_what_a_reload_promised_is_found_at_the_end_of_the_minute() {
    let scene = Scene::new();
    scene.past(&vec![QUIET; 90]);
    let gateway = scene.start(300, "");
    until("the past is lived through", || scene.promises() == 1);
    let reload = |more: &str| std::fs::write(gateway.directory().join("plugway.toml"), scene.config(more)).unwrap();
    reload("slo = { availability = \"99.9%\" }");
    until("the promise is known", || metric(&gateway, "plugway_slo_objective_ratio", &["route=\"status\""]) > 0.0);
    assert_eq!(status(&gateway)["incidents"], serde_json::json!([]), "quiet hours have none");
    let web = gateway.address("web").unwrap();
    for _ in 0..600 {
        assert_eq!(get(web, "/status/503", &[]).status, 503);
    }
    until_within(MINUTES, "the minute has ended, and it is found", || {
        let open = status(&gateway)["incidents"].clone();
        open.as_array().unwrap().iter().any(|incident| incident["kind"] == "slo-burn" && incident["severity"] == "page")
    });
    until_logged(&gateway, "The error budget for availability of route status is used up");
    let burn = scene.listed(&["--open"]);
    let burn = of(&burn, "slo-burn");
    assert_eq!((&burn["route"], &burn["subject"], &burn["api"]), (&"status".into(), &"availability".into(), &"".into()));
    // All of them, unless a minute ended among them.
    let bad: u64 = burn["evidence"]["bad requests in the long window"].as_str().unwrap().parse().unwrap();
    assert!((1..=600).contains(&bad), "{burn:#}");
    // What nobody promises any more is no incident.
    reload("");
    until_within(MINUTES, "it has ended", || status(&gateway)["incidents"] == serde_json::json!([]));
    let ended = scene.listed(&["--since", "24h"]);
    assert_eq!(of(&ended, "slo-burn")["outcome"], "gone", "{ended:#?}");
}

impl Scene {
    fn store(&self) -> rusqlite::Connection {
        let store = rusqlite::Connection::open(self.file()).unwrap();
        store.busy_timeout(Duration::from_secs(5)).unwrap();
        store
    }

    /// Promises that the store knows: they are written when analysis has come to now.
    fn promises(&self) -> i64 {
        self.store().query_row("SELECT count(*) FROM slos", [], |row| row.get(0)).unwrap_or_default()
    }

    /// So that the next gateway's can be waited for.
    fn forget_promises(&self) {
        self.store().execute("DELETE FROM slos", []).unwrap();
    }
}
