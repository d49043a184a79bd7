//! A new version that is tried first: by a share of the clients, or in the shadow of the one that serves.

use std::path::Path;
use std::time::Duration;

use plugway_harness::gateway::Launch;
use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::Upstream;
use serde_json::Value;

use super::{LOOKED, Scene, meanwhile, metric, replace, status, until, version, version_of};
use crate::common::{BINARY, LOGGED, admin};
use crate::guest::{config, get, keeper, route, shipped};

/// A gateway that keeps versions in that folder, with that one in its plugin's file; others are tried so.
pub(super) fn start(state: &Path, number: u32, canary: &str) -> Scene {
    let upstream = Upstream::plain("up").unwrap();
    let text = Scene::config(&upstream, "mode = \"by-version\"", &format!("[plugins.auth.canary]\n{canary}\n"));
    start_with(state, &version(number), upstream, &text)
}

pub(super) fn start_with(state: &Path, content: &[u8], upstream: Upstream, text: &str) -> Scene {
    let launch = Launch::new(BINARY).unwrap();
    std::fs::create_dir(launch.directory().join("plugins.d")).unwrap();
    // Where a version's file is belongs to what is remembered of it, so every start finds it in the same place.
    let file = state.join("auth.wasm");
    std::fs::write(&file, content).unwrap();
    let text = text.replace("source = \"auth.wasm\"", &format!("source = {file:?}"));
    let gateway = launch.start(&format!("state_directory = {state:?}\ntrusted_proxies = [\"127.0.0.1/32\"]\n{text}")).unwrap();
    Scene { gateway, upstream }
}

pub(super) fn put(state: &Path, content: impl AsRef<[u8]>) {
    replace(&state.join("auth.wasm"), content);
}

/// A request of one of many clients.
pub(super) fn as_client(scene: &Scene, client: u32) -> RawResponse {
    let address = std::net::Ipv4Addr::from(0x0a00_0000 + client).to_string();
    get(scene.gateway.address("web").unwrap(), "/", &[("x-forwarded-for", &address)])
}

/// Which version each of these clients meets.
fn versions(scene: &Scene, clients: u32) -> Vec<u32> {
    (0..clients).map(|client| version_of(&as_client(scene, client))).collect()
}

pub(super) fn canary_runs(scene: &Scene) {
    until("a canary runs", || scene.plugin()["canary"].is_object());
}

fn post(scene: &Scene, path: &str) -> RawResponse {
    let mut raw = Raw::connect(scene.gateway.admin().unwrap()).unwrap();
    raw.patience(Duration::from_secs(60)).unwrap();
    raw.send(format!("POST /plugins/{path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    raw.response().unwrap()
}

fn command(scene: &Scene, arguments: &[&str]) -> (Option<i32>, String) {
    let admin = scene.gateway.admin().unwrap().to_string();
    let output = std::process::Command::new(BINARY).arg("plugin").args(arguments).args(["--admin", &admin]).output().unwrap();
    (output.status.code(), format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}

/// The same component with another digest.
pub(super) fn again(content: &[u8]) -> Vec<u8> {
    // A custom section: its id, its length, the length of its name and the name.
    [content, &[0, 6, 5], b"again"].concat()
}

fn ended(scene: &Scene) -> (String, Value) {
    let canary = scene.plugin()["last_canary"].clone();
    (canary["end"].as_str().unwrap_or_default().to_owned(), canary["reason"].clone())
}

#[test]
fn a_share_of_the_clients_meets_it_and_each_client_one_version() {
    let state = Launch::new(BINARY).unwrap();
    let state = state.directory();
    let scene = start(state, 1, "share = \"25%\"");
    assert_eq!(versions(&scene, 40), [1; 40]);
    put(state, version(2));
    canary_runs(&scene);
    let met = versions(&scene, 400);
    // 100 are expected; five standard deviations are 43.
    let share = met.iter().filter(|version| **version == 2).count();
    assert!((57..=143).contains(&share), "{share} of 400 clients met it");
    for _ in 0..2 {
        assert_eq!(versions(&scene, 400), met, "a client met another version");
    }

    let plugin = scene.plugin();
    let canary = &plugin["canary"];
    assert_eq!((plugin["file"].as_str(), canary["share"].as_str()), (Some("canary"), Some("25%")), "{plugin:#}");
    assert_eq!((&plugin["file_digest"], plugin["versions"].as_array().unwrap().len()), (&canary["digest"], 2));
    // Two hooks each; every request since it runs.
    let requests = 3 * share as u64;
    assert_eq!((canary["calls"].as_u64(), canary["failures"].as_u64()), (Some(2 * requests), Some(0)), "{canary:#}");
    assert!(canary["serving_calls"].as_u64() >= Some(2 * (1_200 - requests)), "{canary:#}");
    let short = &canary["digest"].as_str().unwrap()["sha256:".len()..][..12];
    let label = format!("version=\"{short}\"");
    assert_eq!(metric(&scene.gateway, "plugway_version_calls_total", &["plugin=\"auth\"", &label]), 2.0 * requests as f64);
    assert_eq!(metric(&scene.gateway, "plugway_canary_share", &["plugin=\"auth\"", &label]), 0.25);
    let (code, table) = command(&scene, &["list"]);
    let lines: Vec<_> = table.lines().filter(|line| line.starts_with("auth ")).collect();
    let serving = &plugin["digest"].as_str().unwrap()["sha256:".len()..][..12];
    assert!(code == Some(0) && lines.len() == 2 && lines[0].contains(&format!("{serving}  serving ")), "{table}");
    assert!(lines[1].contains(&format!("{short}  canary 25%")), "{table}");
    let calls = scene.plugin()["calls"].as_u64().unwrap();

    // It serves on as it is over a restart of the gateway, and each client meets what it met.
    drop(scene);
    let scene = start(state, 2, "share = \"25%\"");
    assert_eq!(versions(&scene, 400), met);
    assert_eq!(scene.plugin()["file"], "canary");

    let (code, said) = command(&scene, &["promote", "auth"]);
    assert!(code == Some(0) && said.contains("plugin auth: sha256:"), "{said}");
    assert_eq!(versions(&scene, 40), [2; 40]);
    let plugin = scene.plugin();
    assert_eq!((plugin["file"].as_str(), plugin["canary"].is_null(), ended(&scene).0.as_str()), (Some("serving"), true, "promoted"));
    assert!(plugin["calls"].as_u64() >= Some(2 * 440) && calls >= 2 * 1_240, "calls of versions that ended are the plugin's: {plugin:#}");
    assert_eq!(metric(&scene.gateway, "plugway_canaries_ended_total", &["end=\"promoted\""]), 1.0);
    // What the one before did is no series any more once nothing is left of it.
    let of_version =
        |digest: &str| metric(&scene.gateway, "plugway_version_calls_total", &["plugin=\"auth\"", &format!("version=\"{digest}\"")]);
    until("the version before is gone", || of_version(serving) == 0.0);
    assert!(of_version(short) >= 2.0 * 40.0);
    let (code, said) = command(&scene, &["promote", "auth"]);
    assert_eq!((code, said.as_str()), (Some(1), "there is nothing to promote: no canary of `auth` runs\n"));
    until("one generation is left", || status(&scene.gateway)["generations"]["live"].as_array().unwrap().len() == 1);

    drop(scene);
    let scene = start(state, 2, "share = \"25%\"");
    assert_eq!((versions(&scene, 40), scene.plugin()["file"].as_str()), (vec![2; 40], Some("serving")));
}

#[test]
fn a_canary_that_fails_is_taken_back_and_stays_back() {
    let state = Launch::new(BINARY).unwrap();
    let state = state.directory();
    let scene = start(state, 1, "share = \"50%\"\nmin_failures = 4");
    put(state, version(900_000));
    canary_runs(&scene);
    let mut failed = 0;
    let mut client = 0;
    until("it is taken back", || {
        let answer = as_client(&scene, client);
        client += 1;
        failed += u32::from(answer.status != 200);
        // A look is a quarter of a second away at most.
        std::thread::sleep(Duration::from_millis(if failed < 4 { 0 } else { 20 }));
        ended(&scene).0 == "returned"
    });
    assert_eq!(versions(&scene, 60), [1; 60]);
    let (end, reason) = ended(&scene);
    assert!(end == "returned" && reason.as_str().unwrap().contains("calls failed (100.00%)"), "{reason}");
    // When it was judged, that is: taking it back is a reload, which steps back for whatever else runs. Each request meets two of its hooks.
    let failures: u32 = reason.as_str().unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((4..200).contains(&failures) && failures <= 2 * failed, "{failed} requests failed; {reason}");
    assert_eq!(scene.plugin()["file"], "rolled back");
    assert_eq!(metric(&scene.gateway, "plugway_canaries_ended_total", &["end=\"returned\""]), 1.0);
    let log = scene.gateway.log();
    assert!(log.wait(LOGGED, |line| line.message().contains("A canary was taken back")).is_some(), "{}", log.text());

    drop(scene);
    let scene = start(state, 900_000, "share = \"50%\"\nmin_failures = 4");
    assert_eq!(versions(&scene, 60), [1; 60]);
    assert_eq!((ended(&scene), scene.plugin()["file"].as_str()), ((end, reason), Some("rolled back")));
    // What is mended is tried.
    put(state, version(3));
    canary_runs(&scene);
    let met = versions(&scene, 60);
    assert!(met.contains(&1) && met.contains(&3), "{met:?}");
    // And when it serves everybody, it is what served everybody before that is gone back to.
    assert_eq!(post(&scene, "auth/promote").status, 200);
    assert_eq!(versions(&scene, 20), [3; 20]);
    assert_eq!(post(&scene, "auth/rollback").status, 200);
    assert_eq!(versions(&scene, 20), [1; 20]);
}

#[test]
fn files_commands_and_configurations_end_it() {
    let state = Launch::new(BINARY).unwrap();
    let state = state.directory();
    let scene = start(state, 1, "share = \"50%\"");
    put(state, version(2));
    canary_runs(&scene);
    let second = scene.plugin()["canary"]["digest"].clone();
    let met = versions(&scene, 60);
    assert!(met.contains(&1) && met.contains(&2), "{met:?}");

    // Another file is tried instead, by the same clients; a bad one changes nothing.
    put(state, version(3));
    until("another one runs", || scene.plugin()["canary"]["digest"].as_str().is_some_and(|digest| second != digest));
    assert_eq!(versions(&scene, 60), met.iter().map(|version| if *version == 2 { 3 } else { 1 }).collect::<Vec<_>>());
    put(state, b"nothing");
    until("it is rejected", || scene.plugin()["file"] == "rejected");
    let met = versions(&scene, 60);
    assert!(met.contains(&3), "{met:?}");
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    replace(&scene.config_file(), format!("{text}\n[limits]\nmax_headers = 99\n"));
    let swapped = scene.reloads("swapped");
    until("something else is new", || scene.reloads("swapped") > swapped);
    assert_eq!((versions(&scene, 60), scene.plugin()["file"].as_str()), (met.clone(), Some("rejected")));
    put(state, version(1));
    until("it has ended", || ended(&scene).0 == "replaced");
    assert_eq!(scene.plugin()["file"], "serving");
    assert_eq!(versions(&scene, 60), [1; 60]);

    // Going back ends it; there is nothing before.
    put(state, version(3));
    canary_runs(&scene);
    assert_eq!(versions(&scene, 60), met);
    let response = post(&scene, "auth/rollback");
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!((ended(&scene).0.as_str(), versions(&scene, 60)), ("rolled-back", vec![1; 60]));
    meanwhile(LOOKED, || assert_eq!(version_of(&as_client(&scene, 7)), 1));

    // Another share, for more of the same clients; and none at all, which is to promote it.
    put(state, version(4));
    canary_runs(&scene);
    let met = versions(&scene, 60);
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    replace(&scene.config_file(), text.replace("50%", "75%"));
    until("the share is another", || scene.plugin()["canary"]["share"] == "75%");
    let more = versions(&scene, 60);
    assert!(met.iter().zip(&more).all(|(before, after)| before <= after) && met != more, "{met:?} {more:?}");
    replace(&scene.config_file(), text.replace("[plugins.auth.canary]\nshare = \"50%\"", ""));
    until("it serves everybody", || ended(&scene).0 == "promoted");
    assert_eq!(versions(&scene, 60), [4; 60]);
}

#[test]
fn time_promotes_it() {
    let state = Launch::new(BINARY).unwrap();
    let state = state.directory();
    let scene = start(state, 1, "share = \"50%\"\npromote_after = \"1s\"");
    put(state, version(2));
    canary_runs(&scene);
    until("it serves everybody", || versions(&scene, 20) == [2; 20]);
    until("that is shown", || ended(&scene).0 == "promoted");
}

#[test]
fn what_a_client_is_can_be_a_header_or_a_cookie() {
    let state = Launch::new(BINARY).unwrap();
    let state = state.directory();
    let upstream = Upstream::plain("up").unwrap();
    let text = Scene::config(&upstream, "mode = \"version\"", "[plugins.auth.canary]\nshare = \"50%\"\n");
    let scene = start_with(state, &version(1), upstream, &format!("canary_by = {{ header = \"x-user\", cookie = \"session\" }}\n{text}"));
    put(state, version(2));
    canary_runs(&scene);
    let of = |name: &str, value: &str| version_of(&get(scene.gateway.address("web").unwrap(), "/", &[(name, value)]));
    for (name, prefix) in [("x-user", ""), ("cookie", "session=")] {
        let met: Vec<_> = (0..60).map(|user| of(name, &format!("{prefix}{user}"))).collect();
        assert!(met.contains(&1) && met.contains(&2), "{met:?}");
        assert_eq!(met, (0..60).map(|user| of(name, &format!("{prefix}{user}"))).collect::<Vec<_>>());
    }
}

#[test]
fn what_came_together_is_met_together() {
    let state = Launch::new(BINARY).unwrap();
    let (state, upstream) = (state.directory(), Upstream::plain("up").unwrap());
    // On the way in the last of the chain has the last word, on the way back the first.
    let plugin = |name: &str, more: &str| {
        format!("[plugins.{name}]\nsource = \"auth.wasm\"\nconfig = {{ mode = \"version\" }}\ncanary = \"30%\"\n{more}\n")
    };
    let parts =
        [plugin("first", "isolation = \"request\""), plugin("second", ""), route("public = true\nplugins = [\"first\", \"second\"]")];
    let text = config(&upstream, &parts.each_ref().map(String::as_str));
    let scene = start_with(state, &version(1), upstream, &text);
    put(state, version(2));
    let canaries = || status(&scene.gateway)["plugins"].as_array().unwrap().iter().filter(|plugin| plugin["canary"].is_object()).count();
    until("both are tried", || canaries() == 2);
    let met = versions(&scene, 200);
    assert!(met.contains(&1) && met.contains(&2), "{met:?}");
    // One that serves everybody leaves the other where it was.
    assert_eq!(post(&scene, "first/promote").status, 200);
    let (mut on_the_way_in, mut on_the_way_back) = (Vec::new(), Vec::new());
    for client in 0..200 {
        let answer = as_client(&scene, client);
        on_the_way_in.push(crate::guest::seen(&answer, "x-version").unwrap());
        on_the_way_back.push(String::from_utf8(answer.header("x-version").unwrap().to_vec()).unwrap());
    }
    assert_eq!(on_the_way_in, met.iter().map(|number| format!("version-{number:06}")).collect::<Vec<_>>());
    assert_eq!(on_the_way_back, vec!["version-000002"; 200]);
}

#[test]
fn a_shadow_is_compared_and_answers_nobody() {
    let state = Launch::new(BINARY).unwrap();
    let state = state.directory();
    let scene = start(state, 1, "share = \"shadow\"");
    // It answers in the upstream's place, so it decides otherwise on both ways.
    put(state, version(800_000));
    canary_runs(&scene);
    assert_eq!(versions(&scene, 30), [1; 30]);
    let compared = |hook: &str, result: &str| {
        let labels = [format!("hook=\"{hook}\""), format!("result=\"{result}\"")];
        metric(&scene.gateway, "plugway_shadow_comparisons_total", &["plugin=\"auth\"", &labels[0], &labels[1]])
    };
    assert_eq!((compared("request-filter", "differ"), compared("response-filter", "differ")), (30.0, 30.0));
    let calls = scene.plugin()["calls"].as_u64().unwrap();
    assert_eq!(scene.plugin()["canary"]["calls"].as_u64(), Some(60));
    let (_, table) = command(&scene, &["list"]);
    let short = scene.plugin()["canary"]["digest"].as_str().unwrap()["sha256:".len()..][..12].to_owned();
    assert!(table.contains(&format!("{short}  shadow ")), "{table}");
    // The same decisions, and other changes.
    put(state, version(2));
    until("another one runs", || compared("request-filter", "changes") > 0.0 || version_of(&scene.get()) != 1);
    assert_eq!(versions(&scene, 10), [1; 10]);
    assert!(compared("response-filter", "changes") >= 10.0 && compared("response-filter", "failed") == 0.0);
    // It is called a moment before it is shown.
    let shows = |compared: &Value| compared.as_array().is_some_and(|all| all.iter().any(|one| one["result"] == "changes"));
    until("it is shown", || shows(&scene.plugin()["canary"]["compared"]));
    assert!(scene.plugin()["calls"].as_u64() >= Some(calls + 20), "{:#}", scene.plugin());
    // What fails costs nobody anything, and is taken back.
    put(state, version(900_000));
    until("it is taken back", || {
        assert_eq!(version_of(&scene.get()), 1);
        ended(&scene).0 == "returned"
    });
    assert_eq!((versions(&scene, 10), scene.plugin()["file"].as_str()), (vec![1; 10], Some("rolled back")));
    // One that agrees serves when it is told to.
    put(state, again(&version(1)));
    canary_runs(&scene);
    assert_eq!(versions(&scene, 10), [1; 10]);
    assert_eq!((compared("request-filter", "agree"), compared("response-filter", "agree")), (10.0, 10.0));
    assert_eq!(post(&scene, "auth/promote").status, 200);
    assert_eq!((versions(&scene, 10), ended(&scene).0.as_str()), (vec![1; 10], "promoted"));
}

#[test]
fn a_shadow_writes_and_takes_nothing_of_the_version_that_serves() {
    let state = Launch::new(BINARY).unwrap();
    let (state, upstream) = (state.directory(), Upstream::plain("up").unwrap());
    let keeper = std::fs::read(keeper()).unwrap();
    let part = "[plugins.auth]\nsource = \"auth.wasm\"\ncanary = \"shadow\"\ngrants = { kv = {} }\n";
    let text = config(&upstream, &[part, &route("public = true\nplugins = [\"auth\"]")]);
    let scene = start_with(state, &keeper, upstream, &text);
    let ask = |told: &str| get(scene.gateway.address("web").unwrap(), "/", &[("x-do", told)]).text();
    assert_eq!(ask("add visits 1 -"), "1");
    put(state, again(&keeper));
    canary_runs(&scene);
    for visits in 2..=20 {
        assert_eq!(ask("add visits 1 -"), visits.to_string());
    }
    // It began with none of them, so its answers are others; but what it counted is its own.
    assert_eq!(ask("get visits"), "20");
    assert_eq!(metric(&scene.gateway, "plugway_shadow_comparisons_total", &["result=\"changes\""]), 20.0);
    assert_eq!(metric(&scene.gateway, "plugway_kv_entries", &["plugin=\"auth\""]), 1.0);
    drop(scene);

    let upstream = Upstream::plain("up").unwrap();
    let limit = std::fs::read(shipped("rate-limit")).unwrap();
    let limits = "limits = [{ name = \"all\", key = \"route\", requests = 10, period = \"1h\" }]";
    let part =
        format!("[plugins.auth]\nsource = \"auth.wasm\"\ncanary = \"shadow\"\ngrants = {{ rate-limit = {{}} }}\nconfig = {{ {limits} }}\n");
    let text = config(&upstream, &[&part, &route("public = true\nplugins = [\"auth\"]")]);
    let directory = Launch::new(BINARY).unwrap();
    let scene = start_with(directory.directory(), &limit, upstream, &text);
    put(directory.directory(), again(&limit));
    canary_runs(&scene);
    let admitted = (0..30).filter(|_| scene.get().status == 200).count();
    assert_eq!(admitted, 10);
    assert_eq!(metric(&scene.gateway, "plugway_shadow_comparisons_total", &["result=\"differ\""]), 0.0);
    assert_eq!(metric(&scene.gateway, "plugway_shadow_comparisons_total", &["hook=\"request-filter\"", "result=\"agree\""]), 30.0);
    // Both refused twenty, and those of one were refused.
    assert_eq!(metric(&scene.gateway, "plugway_plugin_rate_limited_total", &["plugin=\"auth\""]), 20.0);
}

#[test]
fn what_is_told_of_a_request_names_the_version_it_met() {
    let state = Launch::new(BINARY).unwrap();
    let state = state.directory();
    let scene = start(state, 1, "share = \"50%\"\n[tracing]\nslow = \"1us\"");
    put(state, version(2));
    canary_runs(&scene);
    let plugin = scene.plugin();
    let short = |digest: &Value| digest.as_str().unwrap()["sha256:".len()..][..12].to_owned();
    let digests = [short(&plugin["digest"]), short(&plugin["canary"]["digest"])];
    let mut met = [0, 0];
    for client in 0..20 {
        let answer = as_client(&scene, client);
        let number = version_of(&answer);
        let id = String::from_utf8(answer.header("x-request-id").unwrap().to_vec()).unwrap();
        until("it is remembered", || admin(&scene.gateway, "/requests").contains(&id));
        let stories: Vec<Value> = serde_json::from_str(&admin(&scene.gateway, &format!("/requests/{id}"))).unwrap();
        let hooks = stories[0]["steps"].as_array().unwrap().iter().filter(|step| step["plugin"] == "auth");
        let versions: Vec<_> = hooks.map(|step| step["version"].as_str().unwrap().to_owned()).collect();
        let expected = &digests[usize::try_from(number).unwrap() - 1];
        assert!(!versions.is_empty() && versions.iter().all(|version| version == expected), "{number}: {versions:?} of {digests:?}");
        met[usize::try_from(number).unwrap() - 1] += 1;
    }
    assert!(met.iter().all(|count| *count > 0), "both were met: {met:?}");
}
