//! Going back to a version that served before.

use std::path::Path;

use plugway_harness::gateway::Launch;
use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::Upstream;

use super::{LOOKED, Scene, meanwhile, replace, until, version, version_of};
use crate::common::{BINARY, LOGGED, Refusing, json};

/// A gateway that keeps versions in that folder, with that one in its plugin's file.
fn start(state: &Path, number: u32) -> Scene {
    start_with(state, &version(number))
}

/// The same with these bytes in the file.
fn start_with(state: &Path, file: &[u8]) -> Scene {
    let (launch, upstream) = (Launch::new(BINARY).unwrap(), Upstream::plain("up").unwrap());
    std::fs::create_dir(launch.directory().join("plugins.d")).unwrap();
    std::fs::write(launch.directory().join("plugins.d/auth.wasm"), file).unwrap();
    let text = format!("state_directory = {state:?}\nkeep_versions = 3\n{}", Scene::config(&upstream, "mode = \"version\"", ""));
    let gateway = launch.start(&text).unwrap();
    Scene { gateway, upstream }
}

fn roll_back(scene: &Scene, plugin: &str, query: &str) -> RawResponse {
    let mut raw = Raw::connect(scene.gateway.admin().unwrap()).unwrap();
    raw.patience(std::time::Duration::from_secs(60)).unwrap();
    raw.send(format!("POST /plugins/{plugin}/rollback{query} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").as_bytes()).unwrap();
    raw.response().unwrap()
}

fn command(scene: &Scene, arguments: &[&str]) -> std::process::Output {
    let admin = scene.gateway.admin().unwrap().to_string();
    std::process::Command::new(BINARY).args(["plugin", "rollback", "--admin", &admin]).args(arguments).output().unwrap()
}

#[test]
fn what_was_gone_back_to_stays_over_a_restart_until_the_file_changes() {
    let directory = Launch::new(BINARY).unwrap();
    let scene = start(directory.directory(), 1);
    scene.serves(1);
    let first = scene.plugin()["digest"].clone();
    replace(&scene.file(), version(2));
    scene.serves(2);
    until("both are shown", || scene.plugin()["versions"].as_array().is_some_and(|versions| versions.len() == 2));
    let response = roll_back(&scene, "auth", "");
    assert_eq!((response.status, json(&response)["result"].as_str()), (200, Some("swapped")), "{}", response.text());
    scene.still_serves(1);
    assert_eq!((&scene.plugin()["digest"], scene.plugin()["file"].as_str()), (&first, Some("rolled back")));
    // The same file once more is no change of it, and neither is anything else that is reloaded.
    replace(&scene.file(), version(2));
    meanwhile(LOOKED, || scene.still_serves(1));
    // A bad file is no newer decision.
    replace(&scene.file(), b"nothing");
    until("it is rejected", || scene.reloads("rejected") >= 1.0);
    scene.still_serves(1);
    drop(scene);

    let scene = start(directory.directory(), 2);
    assert_eq!(version_of(&scene.get()), 1);
    // Why it is not the file's is said, or nobody would know.
    let said = scene.gateway.log().wait(LOGGED, |line| line.message().contains("gone back to serves"));
    assert_eq!(said.and_then(|line| line.field("plugin").map(str::to_owned)).as_deref(), Some("auth"));
    replace(&scene.file(), version(3));
    scene.serves(3);
    until("the file counts again", || scene.plugin()["file"] == "serving");
    drop(scene);

    let scene = start(directory.directory(), 2);
    assert_eq!(version_of(&scene.get()), 2);
    // By digest too, with the command; and back to what the file holds.
    let output = command(&scene, &["auth", first.as_str().unwrap()]);
    assert!(output.status.success() && output.stdout.starts_with(b"plugin auth: sha256:"), "{output:?}");
    scene.still_serves(1);
    let output = command(&scene, &["other"]);
    assert_eq!((output.status.code(), &*output.stderr), (Some(1), &b"there is nothing to go back to: no plugin is named `other`\n"[..]));
    let response = roll_back(&scene, "auth", &format!("?digest={}", scene.plugin()["file_digest"].as_str().unwrap()));
    assert_eq!(response.status, 200, "{}", response.text());
    scene.still_serves(2);
    assert_eq!(scene.plugin()["file"], "serving");
}

#[test]
fn what_serves_can_be_kept_over_a_restart_in_the_place_of_a_bad_file() {
    let directory = Launch::new(BINARY).unwrap();
    let scene = start(directory.directory(), 1);
    scene.serves(1);
    let serving = scene.plugin()["digest"].as_str().unwrap().to_owned();
    replace(&scene.file(), b"nothing");
    until("it is rejected", || scene.plugin()["file"] == "rejected");
    let output = command(&scene, &["auth", &serving]);
    assert!(output.status.success(), "{output:?}");
    scene.still_serves(1);
    drop(scene);
    let scene = start_with(directory.directory(), b"nothing");
    assert_eq!((version_of(&scene.get()), scene.plugin()["file"].as_str()), (1, Some("rolled back")));
}

#[test]
fn what_is_not_kept_cannot_be_gone_back_to() {
    let directory = Launch::new(BINARY).unwrap();
    let scene = start(directory.directory(), 1);
    for (plugin, query, why) in [
        ("auth", "", "no earlier version of `auth` is kept"),
        ("auth", "?digest=sha256:0123", "no version of `auth` is kept whose digest begins with 0123"),
        ("other", "", "no plugin is named `other`"),
        ("..", "", "no plugin is named `..`"),
    ] {
        let response = roll_back(&scene, plugin, query);
        assert_eq!((response.status, json(&response)["detail"].as_str()), (404, Some(why)), "{}", response.text());
    }
    scene.still_serves(1);
    // As many as may be.
    for number in 2..6 {
        replace(&scene.file(), version(number));
        scene.serves(number);
    }
    // A version serves a moment before it is kept.
    until("the last three are kept", || {
        let plugin = scene.plugin();
        plugin["versions"].as_array().is_some_and(|versions| versions.len() == 3 && versions[0] == plugin["digest"])
    });
    // A version that somebody changed is not one.
    let earlier = scene.plugin()["versions"][1].as_str().unwrap().replace("sha256:", "");
    std::fs::write(directory.directory().join(format!("versions/auth/{earlier}.wasm")), version(9)).unwrap();
    let response = roll_back(&scene, "auth", &format!("?digest={earlier}"));
    assert_eq!(response.status, 422, "{}", response.text());
    assert!(json(&response)["detail"].as_str().unwrap().contains("was changed"), "{}", response.text());
    meanwhile(LOOKED, || scene.still_serves(5));
    assert_eq!(scene.plugin()["file"], "serving");
}

#[test]
fn going_back_twice_goes_two_versions_back_and_never_forward() {
    let directory = Launch::new(BINARY).unwrap();
    let scene = start(directory.directory(), 1);
    for number in 2..=3 {
        replace(&scene.file(), version(number));
        scene.serves(number);
        until("it is kept", || scene.plugin()["versions"].as_array().is_some_and(|versions| versions.len() == number as usize));
    }
    for number in [2, 1] {
        let response = roll_back(&scene, "auth", "");
        assert_eq!(response.status, 200, "{}", response.text());
        scene.still_serves(number);
    }
    let response = roll_back(&scene, "auth", "");
    assert_eq!((response.status, json(&response)["detail"].as_str()), (404, Some("no earlier version of `auth` is kept")));
    scene.still_serves(1);
}

#[test]
fn what_was_gone_back_from_is_not_gone_back_to() {
    let directory = Launch::new(BINARY).unwrap();
    let scene = start(directory.directory(), 1);
    let kept = |count: usize| until("it is kept", || scene.plugin()["versions"].as_array().is_some_and(|versions| versions.len() == count));
    replace(&scene.file(), version(2));
    scene.serves(2);
    kept(2);
    let second = scene.plugin()["digest"].as_str().unwrap().to_owned();
    assert_eq!(roll_back(&scene, "auth", "").status, 200);
    replace(&scene.file(), version(3));
    scene.serves(3);
    kept(3);
    // To what served before it, and not to what nobody wanted.
    assert_eq!(roll_back(&scene, "auth", "").status, 200);
    scene.still_serves(1);
    // By its digest all the same; and what is older than that is not left by it.
    assert_eq!(roll_back(&scene, "auth", &format!("?digest={second}")).status, 200);
    scene.still_serves(2);
    assert_eq!(roll_back(&scene, "auth", "").status, 200);
    scene.still_serves(1);
}

#[test]
fn a_signature_that_comes_later_is_kept_beside_its_version() {
    let directory = Launch::new(BINARY).unwrap();
    let scene = start(directory.directory(), 1);
    until("the version is kept", || scene.plugin()["versions"].as_array().is_some_and(|versions| versions.len() == 1));
    let digest = scene.plugin()["versions"][0].as_str().unwrap().replace("sha256:", "");
    let kept = directory.directory().join(format!("versions/auth/{digest}.wasm.sig"));
    assert!(!kept.exists());
    for arguments in [&["keygen", "release"][..], &["sign", "plugins.d/auth.wasm", "--key", "release.key"]] {
        let mut command = std::process::Command::new(BINARY);
        let output = command.arg("plugin").args(arguments).current_dir(scene.gateway.directory()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let signature = std::fs::read(scene.gateway.directory().join("plugins.d/auth.wasm.sig")).unwrap();
    until("it is kept", || std::fs::read(&kept).is_ok_and(|kept| kept == signature));
    assert_eq!(scene.reloads("swapped"), 0.0);
}

#[test]
fn where_signatures_are_required_what_was_gone_back_to_needs_one_as_well() {
    let directory = Launch::new(BINARY).unwrap();
    let scene = start(directory.directory(), 1);
    replace(&scene.file(), version(2));
    scene.serves(2);
    until("both are kept", || scene.plugin()["versions"].as_array().is_some_and(|versions| versions.len() == 2));
    assert_eq!(roll_back(&scene, "auth", "").status, 200);
    drop(scene);
    let (launch, upstream) = (Launch::new(BINARY).unwrap(), Upstream::plain("up").unwrap());
    std::fs::create_dir(launch.directory().join("plugins.d")).unwrap();
    std::fs::write(launch.directory().join("plugins.d/auth.wasm"), version(2)).unwrap();
    for arguments in [&["keygen", "release"][..], &["sign", "plugins.d/auth.wasm", "--key", "release.key"]] {
        let output = std::process::Command::new(BINARY).arg("plugin").args(arguments).current_dir(launch.directory()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
    let trust = "[trust]\nrequire_signature = true\nkeys = { release = \"release.pub\" }\n";
    let state = directory.directory();
    let text = format!("state_directory = {state:?}\n{}", Scene::config(&upstream, "mode = \"version\"", trust));
    // The file is signed, and it is not the file that would serve.
    let output = launch.run("run", &text).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("it is not signed: there is no"), "{said}");
    let folder = state.join("versions/auth");
    assert!(
        said.contains(&format!("to have the plugin's own file serve and not a version that is kept, delete {}", folder.display())),
        "{said}"
    );
    std::fs::remove_dir_all(folder).unwrap();
    let scene = Scene { gateway: launch.start(&text).unwrap(), upstream };
    scene.still_serves(2);
}

#[test]
fn a_state_directory_that_others_can_write_is_not_used() {
    let launch = Launch::new(BINARY).unwrap();
    let state = launch.directory().join("state");
    std::fs::create_dir(&state).unwrap();
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let upstream = Upstream::plain("up").unwrap();
    let output = launch.run("run", &format!("state_directory = {state:?}\n{}", crate::common::one_route(&upstream, ""))).unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && text.contains(": state_directory: ") && text.contains("can be written by others"), "{text}");
}

#[test]
fn the_list_says_what_serves_and_what_is_kept() {
    let directory = Launch::new(BINARY).unwrap();
    let scene = start(directory.directory(), 1);
    scene.serves(1);
    replace(&scene.file(), version(2));
    scene.serves(2);
    until("both are shown", || scene.plugin()["versions"].as_array().is_some_and(|versions| versions.len() == 2));
    until("calls are counted", || scene.plugin()["calls"].as_u64() > Some(0));
    let shown = scene.plugin();
    let admin = scene.gateway.admin().unwrap().to_string();
    let list = |more: &[&str]| {
        let output = std::process::Command::new(BINARY).args(["plugin", "list", "--admin", &admin]).args(more).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let listed: serde_json::Value = serde_json::from_str(&list(&["--json"])).unwrap();
    for key in ["name", "digest", "file", "hooks", "routes", "since", "failures", "versions"] {
        assert!(!listed[0][key].is_null() && listed[0][key] == shown[key], "{key}: {listed}");
    }
    assert_eq!((listed[0]["sdk"].as_str(), &listed[0]["rights"]), (Some(env!("CARGO_PKG_VERSION")), &shown["capabilities"]));
    assert!(listed[0]["calls"].as_u64() >= shown["calls"].as_u64(), "{listed}");
    let short = |digest: &serde_json::Value| digest.as_str().unwrap()["sha256:".len()..][..12].to_owned();
    let (first, second) = (short(&shown["versions"][1]), short(&shown["versions"][0]));
    let table = list(&[]);
    let line = table.lines().find(|line| line.starts_with("auth ")).unwrap();
    assert!(line.contains(&format!("{second}  serving")) && line.ends_with(&format!("{second},{first}")), "{table}");
    // A part of a digest as it is listed is enough to go back, which is listed too.
    assert!(command(&scene, &["auth", &first]).status.success());
    assert!(list(&[]).contains(&format!("{first}  rolled back")), "{}", list(&[]));
    // What is not taken is said below, with the reason.
    replace(&scene.file(), b"nothing");
    until("it is rejected", || scene.plugin()["file"] == "rejected");
    let table = list(&[]);
    let note = table.lines().last().unwrap();
    assert!(note.starts_with("auth: ") && note.contains("is not taken: not-a-component: it is not a WebAssembly component"), "{table}");
}

#[test]
fn a_gateway_that_does_not_run_cannot_be_asked() {
    let refusing = Refusing::new();
    let free = refusing.address();
    let output = std::process::Command::new(BINARY).args(["plugin", "list", "--admin", &free.to_string()]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&format!("no gateway answers at {free}")), "{output:?}");
}
