//! `plugway why`: what happened to a request that failed, was slow or was sampled.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use plugway_harness::gateway::Gateway;
use plugway_harness::otlp::Receiver;
use plugway_harness::upstream::Upstream;
use serde_json::Value;

use crate::common::{BINARY, HEAD, admin, ask, one_route, start, status, until};
use crate::guest::{config, filters, guest, plugin, route, tell};

fn why(gateway: &Gateway, words: &[&str]) -> Output {
    Command::new(BINARY).arg("why").args(words).args(["--admin", &gateway.admin().unwrap().to_string()]).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What is remembered of a request, once it is.
fn story(gateway: &Gateway, id: &str) -> Value {
    let all = || serde_json::from_str::<Vec<Value>>(&admin(gateway, "/requests")).unwrap();
    until(&format!("{id} is remembered"), || all().iter().any(|story| story["id"] == id));
    serde_json::from_str::<Vec<Value>>(&admin(gateway, &format!("/requests/{id}"))).unwrap().remove(0)
}

fn id(answer: &plugway_harness::raw::RawResponse) -> String {
    String::from_utf8(answer.header("x-request-id").unwrap().to_vec()).unwrap()
}

fn steps(story: &Value) -> Vec<(String, String)> {
    let steps = story["steps"].as_array().unwrap();
    let what = |step: &Value| match step["hook"].as_str() {
        Some(hook) => format!("{} {hook}", step["plugin"].as_str().unwrap()),
        None => format!("attempt {}", step["attempt"]),
    };
    steps.iter().map(|step| (what(step), step["result"].as_str().unwrap().to_owned())).collect()
}

#[test]
fn a_failed_request_tells_which_version_decided_what_in_order() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&config(
        &upstream,
        &[
            &guest("first", "mode = \"by-header\", hook = \"response-filter\"", ""),
            &plugin("second", filters(), "mode = \"pass\"", "on_failure = \"skip\""),
            &route("plugins = [\"first\", \"second\"]\nrouter = \"first\"\nforwarder = \"first\""),
        ],
    ));
    let answer = tell(&gateway, "trap");
    assert_eq!(answer.status, 500);
    let story = story(&gateway, &id(&answer));
    let expected = [
        ("first authorizer", "allowed"),
        ("first request-filter", "next"),
        ("second request-filter", "next"),
        ("first router", "chosen"),
        ("first forwarder", "planned"),
        ("attempt 1", "replied"),
        ("second response-filter", "next"),
        ("first response-filter", "failed"),
    ];
    assert_eq!(steps(&story), expected.map(|(what, result)| (what.to_owned(), result.to_owned())), "{story:#}");
    assert_eq!((&story["status"], &story["fault"], &story["blame"]), (&500.into(), &"plugin-failed".into(), &"plugin".into()));
    assert_eq!((&story["route"], &story["sampled"]), (&"all".into(), &false.into()));
    assert_eq!(story["steps"][7]["fault"], "plugin-failed");
    assert_eq!(story["steps"][5]["status"], 200);
    assert!(story["steps"][0].get("took_us").is_none(), "nothing had failed before: {story:#}");
    let attempt = |key: &str| story["steps"][5][key].as_u64().unwrap();
    assert!(attempt("after_us") + attempt("took_us") <= story["duration_us"].as_u64().unwrap(), "{story:#}");
    let again = tell(&gateway, "loop");
    let timed = self::story(&gateway, &id(&again));
    let micros = |step: &Value, key: &str| step[key].as_u64().unwrap_or_else(|| panic!("{key} of {step:#}"));
    let all = timed["steps"].as_array().unwrap();
    for pair in all.windows(2) {
        assert!(micros(&pair[0], "after_us") + micros(&pair[0], "took_us") <= micros(&pair[1], "after_us") + 1, "{timed:#}");
    }
    let last = all.last().unwrap();
    assert!(last["result"] == "failed" && micros(last, "took_us") >= 9_000, "what it was that took so long: {timed:#}");
    let digest = status(&gateway)["plugins"][0]["digest"].as_str().unwrap().to_owned();
    assert!(digest.contains(story["steps"][0]["version"].as_str().unwrap()), "{story:#}");

    let table = text(&why(&gateway, &[&id(&answer)]));
    let line = table.lines().find(|line| line.contains("response-filter") && line.contains("first")).unwrap();
    assert!(line.contains("failed plugin-failed") && line.contains(story["steps"][0]["version"].as_str().unwrap()), "{table}");
    assert!(table.contains("500 after") && table.contains("plugin-failed (plugin's fault)"), "{table}");
    let untimed = "so only attempts have times";
    assert!(table.contains(untimed) && !text(&why(&gateway, &[&id(&again)])).contains(untimed), "{table}");
    let by_trace = text(&why(&gateway, &[story["trace_id"].as_str().unwrap(), "--json"]));
    assert_eq!(serde_json::from_str::<Value>(&by_trace).unwrap()[0]["id"], story["id"]);
    let list = text(&why(&gateway, &[]));
    assert!(list.contains(&id(&answer)), "{list}");
}

#[test]
fn a_request_that_a_plugin_refused_is_told_of_and_makes_no_trouble() {
    let (issuer, upstream) = (crate::issuer::Issuer::new(), Upstream::plain("up").unwrap());
    let auth = format!(
        "[plugins.auth]\nsource = \"builtin:oauth2\"\ngrants = {{ crypto = {{}} }}\n[plugins.auth.config]\nissuer = \"https://id.example.com\"\n\
         audience = \"orders\"\njwks = '{}'\n",
        issuer.jwks()
    );
    let gateway = start(&config(&upstream, &[&auth, &route("plugins = [\"auth\"]")]));
    let answer = ask(&gateway, "GET / HTTP/1.1\nhost: a\nauthorization: Bearer a.b.c\n\n");
    assert_eq!(answer.status, 401);
    let first = story(&gateway, &id(&answer));
    assert_eq!(steps(&first), [("auth authorizer".to_owned(), "answered".to_owned())], "{first:#}");
    assert_eq!((&first["status"], &first["fault"], &first["blame"]), (&401.into(), &"plugin-status".into(), &"client".into()));
    // Somebody's token is always over: nobody's hooks are timed for that.
    let again = story(&gateway, &id(&ask(&gateway, "GET / HTTP/1.1\nhost: a\nauthorization: Bearer a.b.c\n\n")));
    assert!(again["steps"][0].get("took_us").is_none(), "{again:#}");
    assert!(text(&why(&gateway, &[&id(&answer)])).contains("401 after"));
}

#[test]
fn a_sampled_request_has_times() {
    let (receiver, upstream) = (Receiver::start().unwrap(), Upstream::plain("up").unwrap());
    let traced = format!("[otlp]\nendpoint = \"{}\"\n[tracing]\nsample = \"100%\"\n", receiver.url());
    let gateway = start(&config(
        &upstream,
        &[&plugin("one", filters(), "mode = \"pass\"", ""), &route("public = true\nplugins = [\"one\"]"), &traced],
    ));
    let answer = ask(&gateway, "GET /slow/50 HTTP/1.1\nhost: a\n\n");
    let story = story(&gateway, &id(&answer));
    assert_eq!(story["sampled"], true);
    let steps = story["steps"].as_array().unwrap();
    let micros = |step: &Value, key: &str| step[key].as_u64().unwrap_or_else(|| panic!("{key} of {step:#}"));
    assert!(micros(&steps[1], "took_us") >= 50_000, "{story:#}");
    for pair in steps.windows(2) {
        assert!(micros(&pair[0], "after_us") + micros(&pair[0], "took_us") <= micros(&pair[1], "after_us") + 1, "{story:#}");
    }
    assert!(text(&why(&gateway, &[&id(&answer)])).contains("ms"));
}

#[test]
fn what_is_slow_is_remembered_and_what_is_well_is_not() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "[tracing]\nslow = \"40ms\""));
    let well = ask(&gateway, "GET /bytes/1 HTTP/1.1\nhost: a\n\n");
    let slow = ask(&gateway, "GET /slow/50 HTTP/1.1\nhost: a\n\n");
    let story = story(&gateway, &id(&slow));
    assert_eq!(steps(&story), [("attempt 1".to_owned(), "replied".to_owned())]);
    assert!(story["steps"][0]["took_us"].as_u64().unwrap() >= 50_000, "what took so long is told without sampling: {story:#}");
    let output = why(&gateway, &[&id(&well)]);
    // On a busy machine it may have been slow.
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("nothing is remembered of this request. Only requests that failed"), "{said}");
    }
}

#[test]
fn floods_of_refused_requests_do_not_drive_out_what_failed_inside() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&one_route(&upstream, "").replace("\"/*\"", "\"/a/*\""));
    let failed = id(&ask(&gateway, "GET /a/close HTTP/1.1\nhost: a\nx-behave: /close\n\n"));
    story(&gateway, &failed);
    let mut client = crate::common::web(&gateway);
    let mut ids = Vec::new();
    for _ in 0..200 {
        client.send(crate::common::wire("GET /missing HTTP/1.1\nhost: a\n\n")).unwrap();
        ids.push(id(&client.response().unwrap()));
    }
    story(&gateway, ids.last().unwrap());
    let all: Vec<Value> = serde_json::from_str(&admin(&gateway, "/requests")).unwrap();
    assert!(all.iter().any(|story| story["id"] == *failed), "it is still there");
    assert!(!all.iter().any(|story| story["id"] == ids[0]), "the oldest refused one is forgotten");
    assert_eq!(all.len(), 129, "128 refused ones, and the other");
}

#[test]
fn a_client_that_left_is_told_of_with_what_was_waited_for() {
    let upstream = Upstream::plain("up").unwrap();
    let trusted = format!("trusted_proxies = [\"127.0.0.0/8\"]\n{HEAD}");
    let gateway = start(&one_route(&upstream, "").replace(HEAD, &trusted));
    let mut client = crate::common::web(&gateway);
    client.send(crate::common::wire("GET /hang HTTP/1.1\nhost: a\nx-request-id: a/b?c%d\n\n")).unwrap();
    until("it is with the upstream", || upstream.requests() == 1);
    let began = Instant::now();
    until("it was waited for a while", || began.elapsed() >= Duration::from_millis(20));
    drop(client);
    until("it is remembered", || admin(&gateway, "/requests").contains("a/b?c%d"));
    let json: Value = serde_json::from_str(&text(&why(&gateway, &["a/b?c%d", "--json"]))).unwrap();
    assert_eq!((&json[0]["status"], &json[0]["fault"]), (&499.into(), &"client-gone".into()));
    assert_eq!(steps(&json[0]), [("attempt 1".to_owned(), "client-gone".to_owned())]);
    assert_eq!(json[0]["steps"][0]["endpoint"], upstream.url());
    assert!(json[0]["steps"][0]["took_us"].as_u64().unwrap() >= 20_000, "{json:#}");
}
