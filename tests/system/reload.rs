//! What happens when files change under a gateway that serves: plugins, and the configuration itself.

mod bad_files;
mod beside_others;
mod canary;
mod compared;
mod generations;
mod hostile;
mod kept;
mod retired;
mod under_load;
mod versions;
mod writers;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::Upstream;
use serde_json::Value;

use crate::common::{BINARY, LOGGED, json, metric, status, until_within};
use crate::guest::{config, filters, get, route, seen};

/// As long as files must be left alone before they are looked at (`plugway::config::defaults::SETTLE`), and time to spare.
const LOOKED: Duration = Duration::from_secs(2);

/// As [`crate::common::until`], for what may have to compile first: that steps back for whatever else runs, and half a second of it took 22 s
/// beside eight busy programs.
fn until(what: &str, holds: impl FnMut() -> bool) {
    until_within(Duration::from_secs(180), what, holds);
}

/// A gateway with one plugin, `auth.wasm` in `plugins.d`, that says in each answer which version of it served.
struct Scene {
    gateway: Gateway,
    upstream: Upstream,
}

impl Scene {
    /// Version 1 serves; `more` goes at the end of the file.
    fn new(more: &str) -> Self {
        Self::with("mode = \"version\"", more)
    }

    /// The plugin is configured by this.
    fn with(settings: &str, more: &str) -> Self {
        let (launch, upstream) = (Launch::new(BINARY).unwrap(), Upstream::plain("up").unwrap());
        let plugins = launch.directory().join("plugins.d");
        std::fs::create_dir(&plugins).unwrap();
        std::fs::write(plugins.join("auth.wasm"), version(1)).unwrap();
        let gateway = launch.start(&Self::config(&upstream, settings, more)).unwrap();
        let scene = Self { gateway, upstream };
        scene.serves(1);
        scene
    }

    /// Its plugin is the route's authorizer, too.
    fn authorized() -> Self {
        let (launch, upstream) = (Launch::new(BINARY).unwrap(), Upstream::plain("up").unwrap());
        let plugins = launch.directory().join("plugins.d");
        std::fs::create_dir(&plugins).unwrap();
        std::fs::copy(crate::guest::every_hook(), plugins.join("auth.wasm")).unwrap();
        let plugin = "[plugins.auth]\nsource = \"auth.wasm\"\n";
        let gateway = launch.start(&config(&upstream, &[plugin, &route("plugins = [\"auth\"]")])).unwrap();
        Self { gateway, upstream }
    }

    fn config(upstream: &Upstream, settings: &str, more: &str) -> String {
        let plugin = format!("[plugins.auth]\nsource = \"auth.wasm\"\nconfig = {{ {settings} }}\n");
        config(upstream, &[&plugin, &route("public = true\nplugins = [\"auth\"]"), more])
    }

    fn file(&self) -> PathBuf {
        self.gateway.directory().join("plugins.d/auth.wasm")
    }

    fn config_file(&self) -> PathBuf {
        self.gateway.directory().join("plugway.toml")
    }

    fn get(&self) -> RawResponse {
        get(self.gateway.address("web").unwrap(), "/", &[])
    }

    /// Waits until that version answers.
    fn serves(&self, number: u32) {
        until(&format!("version {number} serves"), || version_of(&self.get()) == number);
    }

    /// That version answers still, after whatever there was to look at was looked at.
    fn still_serves(&self, number: u32) {
        assert_eq!(version_of(&self.get()), number);
    }

    /// How many reloads ended so.
    fn reloads(&self, result: &str) -> f64 {
        metric(&self.gateway, "plugway_reloads_total", &[&format!("result=\"{result}\"")])
    }

    /// Waits until that many swaps are counted, which is a moment after the last of them serves; none was rejected.
    fn has_swapped(&self, times: f64) {
        until("the swap is counted", || self.reloads("swapped") >= times);
        assert_eq!((self.reloads("swapped"), self.reloads("rejected")), (times, 0.0));
    }

    /// The plugin in `/status`.
    fn plugin(&self) -> Value {
        status(&self.gateway)["plugins"][0].clone()
    }
}

/// The guest, as that version of itself.
pub(crate) fn version(number: u32) -> Vec<u8> {
    let mut bytes = std::fs::read(filters()).unwrap();
    let place = bytes.windows(14).position(|window| window == b"version-000000").unwrap();
    bytes[place..place + 14].copy_from_slice(format!("version-{number:06}").as_bytes());
    bytes
}

/// The one version that had a part in an answer: on the way in and on the way out the same.
pub(crate) fn version_of(response: &RawResponse) -> u32 {
    let (on_the_way_in, on_the_way_out) = (seen(response, "x-version").unwrap(), response.header("x-version").unwrap());
    assert_eq!(on_the_way_in.as_bytes(), on_the_way_out, "two versions had a part in one answer");
    on_the_way_in.strip_prefix("version-").unwrap().parse().unwrap()
}

/// Puts a file in the place of another one, as `mv` does: whoever opens it finds the one or the other.
pub(crate) fn replace(file: &Path, content: impl AsRef<[u8]>) {
    let beside = file.with_extension("new");
    std::fs::write(&beside, content).unwrap();
    std::fs::rename(&beside, file).unwrap();
}

/// Does this for as long as something is to be shown not to happen.
fn meanwhile(how_long: Duration, mut action: impl FnMut()) {
    let began = Instant::now();
    while began.elapsed() < how_long {
        action();
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// `POST /reload`
fn post_reload(gateway: &Gateway, headers: &str) -> RawResponse {
    let mut raw = Raw::connect(gateway.admin().unwrap()).unwrap();
    raw.patience(Duration::from_secs(60)).unwrap();
    raw.send(format!("POST /reload HTTP/1.1\r\nhost: admin\r\n{headers}connection: close\r\n\r\n").as_bytes()).unwrap();
    raw.response().unwrap()
}

#[test]
fn a_replaced_file_serves_and_everything_says_so() {
    let scene = Scene::new("");
    let before = scene.plugin();
    replace(&scene.file(), version(2));
    scene.serves(2);
    until("it is counted", || scene.reloads("swapped") == 1.0);
    let plugin = scene.plugin();
    assert_ne!(plugin["digest"], before["digest"]);
    assert_eq!((plugin["file"].as_str(), &plugin["file_digest"]), (Some("serving"), &plugin["digest"]));
    assert!(plugin["since"].as_u64() >= before["since"].as_u64(), "{plugin}");
    let shown = status(&scene.gateway);
    assert_eq!(shown["last_reload"]["cause"], "files");
    assert_eq!(shown["last_reload"]["outcome"]["result"], "swapped");
    assert!(shown["last_reload"]["took_ms"].as_u64() > Some(0), "{shown:#}");
    let line = scene.gateway.log().wait(LOGGED, |line| line.message() == "Reloaded").unwrap();
    assert!(line.field("changes").unwrap().starts_with("plugin auth: sha256:"), "{line:?}");
    // What was said to be new is not said again.
    meanwhile(LOOKED, || scene.still_serves(2));
    assert_eq!(scene.reloads("swapped"), 1.0);
}

#[test]
fn a_file_that_no_configuration_names_is_listed_and_not_loaded() {
    let scene = Scene::new("");
    replace(&scene.file().with_file_name("other.wasm"), version(9));
    until("it is listed", || status(&scene.gateway)["unnamed_files"] == serde_json::json!(["other.wasm"]));
    assert_eq!(status(&scene.gateway)["plugins"].as_array().unwrap().len(), 1);
    assert_eq!(scene.reloads("swapped"), 0.0);
    std::fs::remove_file(scene.file().with_file_name("other.wasm")).unwrap();
    until("it is not", || status(&scene.gateway)["unnamed_files"] == serde_json::json!([]));
}

#[test]
fn a_plugin_that_no_route_uses_is_no_reason_to_swap() {
    let idle = "[plugins.idle]\nsource = \"builtin:hash-router\"\nconfig = { key = \"path\" }\n[plugins.other]\nsource = \"other.wasm\"\n";
    let (launch, upstream) = (Launch::new(BINARY).unwrap(), Upstream::plain("up").unwrap());
    let plugins = launch.directory().join("plugins.d");
    std::fs::create_dir(&plugins).unwrap();
    for (name, number) in [("auth", 1), ("other", 7)] {
        std::fs::write(plugins.join(name).with_extension("wasm"), version(number)).unwrap();
    }
    let gateway = launch.start(&Scene::config(&upstream, "mode = \"version\"", idle)).unwrap();
    let scene = Scene { gateway, upstream };
    replace(&scene.file().with_file_name("other.wasm"), version(8));
    meanwhile(LOOKED, || scene.still_serves(1));
    assert_eq!(json(&post_reload(&scene.gateway, ""))["result"], "unchanged");
    assert_eq!(status(&scene.gateway)["generation"], 1);
}

#[test]
fn a_changed_configuration_serves_however_it_is_told() {
    let scene = Scene::new("");
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    let answers = |status: u16| move |scene: &Scene| scene.get().status == status;
    // By itself: the route takes another path.
    replace(&scene.config_file(), text.replace("path = \"/*\"", "path = \"/elsewhere\""));
    until("the file is found to have changed", || answers(404)(&scene));
    // By SIGHUP.
    replace(&scene.config_file(), &text);
    scene.gateway.signal(rustix::process::Signal::HUP).unwrap();
    until("SIGHUP is heard", || answers(200)(&scene));
    // By the admin listener, which says what came of it.
    replace(&scene.config_file(), text.replace("path = \"/*\"", "path = \"/elsewhere\""));
    let response = post_reload(&scene.gateway, "");
    assert_eq!(response.status, 200, "{}", response.text());
    assert!(matches!(json(&response)["result"].as_str(), Some("swapped" | "unchanged")), "{}", response.text());
    assert!(answers(404)(&scene));
    // A web page has no business there, and looking is no reloading.
    assert_eq!(post_reload(&scene.gateway, "origin: https://example.com\r\n").status, 403);
    let mut raw = Raw::connect(scene.gateway.admin().unwrap()).unwrap();
    raw.send(b"GET /reload HTTP/1.1\r\nhost: admin\r\n\r\n").unwrap();
    assert_eq!(raw.response().unwrap().status, 405);
}

#[test]
fn what_cannot_change_while_it_runs_is_refused_by_name() {
    let scene = Scene::new("");
    let text = std::fs::read_to_string(scene.config_file()).unwrap();
    replace(&scene.config_file(), text.replace("workers = 1", "workers = 2"));
    let response = post_reload(&scene.gateway, "");
    assert_eq!(response.status, 422);
    let detail = json(&response)["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("plugway.toml:2:11: workers: this cannot change while the gateway runs"), "{detail}");
    assert!(detail.contains("help: restart to change it, or take it back"), "{detail}");
    scene.still_serves(1);
    assert_eq!(status(&scene.gateway)["configuration"]["state"], "rejected");
    replace(&scene.config_file(), &text);
    until("it is taken back", || status(&scene.gateway)["configuration"]["state"] == "serving");
}
