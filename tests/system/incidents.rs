//! What goes wrong is found by a gateway itself: in what its store has of the time before it started, and in what it serves.
//!
//! A store has minutes, and analysis wants some of them. So that no test waits for them, the past is written by the store's own writer,
//! as a gateway would have; what comes then is a real gateway's.

mod scene;

use std::process::Command;
use std::time::{Duration, SystemTime};

use plugway_harness::ca::Authority;
use plugway_harness::gateway::Launch;
use serde_json::Value;

use crate::common::{BINARY, admin, metric, status, until, until_logged, until_within};
use crate::guest::get;

use self::scene::{EXPORTS, Minute, QUIET, Scene};

/// Days until the certificate ends.
const DAYS: u64 = 9;
/// For what comes at the end of a minute, and perhaps of the next one, on a machine with neighbours.
const MINUTES: Duration = Duration::from_secs(240);

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
    // The report of a route, or its API, has those of its plugins and of its upstream's endpoints too, and none of others.
    let of_it = ["endpoint", "error-rate", "plugin-version", "slo-burn"];
    // Without the plugin, and behind the same upstream: what was over before anybody looked is its own.
    for (whose, kinds) in [("route=orders", &of_it[..]), ("api=shop", &of_it[..]), ("route=status", &of_it[..2])] {
        let report: Value = serde_json::from_str(&admin(&gateway, &format!("/report?since=24h&{whose}&format=json"))).unwrap();
        let found: Vec<_> = about(report["incidents"].as_array().unwrap()).into_iter().map(|(kind, _)| kind).collect();
        assert_eq!(found, kinds, "{whose}");
    }
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
fn an_endpoint_that_gets_more_of_a_slow_and_failing_route_is_not_worse_than_its_siblings() {
    let scene = Scene::new();
    let mut minutes = vec![Minute { exports: [10, 10], ..QUIET }; 180];
    // A tenant comes, and a router sends it to the second endpoint.
    minutes[140..].iter_mut().for_each(|minute| minute.exports = [10, 300]);
    scene.past(&minutes);
    let gateway = scene.start(300, EXPORTS);
    until("the past is lived through", || scene.promises() == 1);
    assert_eq!(scene.listed(&["--since", "24h"]), Vec::<Value>::new());
    gateway.stop().unwrap();

    // With it the endpoint begins to fail, of a route that both serve.
    let scene = Scene::new();
    minutes[140..].iter_mut().for_each(|minute| minute.failed = [0, 40]);
    scene.past(&minutes);
    let gateway = scene.start(300, EXPORTS);
    until("the past is lived through", || scene.promises() == 1);
    let open = status(&gateway)["incidents"].as_array().unwrap().clone();
    let bad = format!("{} of up", scene.endpoints[1].url());
    assert_eq!(of(&open, "endpoint")["subject"], bad.as_str(), "{open:#?}");
    assert!(of(&open, "error-rate")["cause"].as_str().unwrap().contains(&scene.endpoints[1].url()), "{open:#?}");
}

#[test]
fn answers_that_grow_slower_while_a_gateway_serves_are_found_at_the_end_of_the_minute() {
    let scene = Scene::new();
    let mut minutes = vec![QUIET; 120];
    // Four of five minutes are a step, and it is believed once the third look in a row has shown it.
    minutes[115..].iter_mut().for_each(|minute| minute.took = 20);
    Scene::early_in_a_minute();
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
