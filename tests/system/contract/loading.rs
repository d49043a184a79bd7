//! Which files become plugins, and what an operator reads when one does not.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use plugway_harness::gateway::Launch;
use plugway_harness::temp::TempDir;
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, status};
use crate::guest::{check, config, every_hook, filters, get, plugin, refused, report, route, shipped};

fn refused_file(bytes: &[u8]) -> String {
    let upstream = Upstream::plain("up").unwrap();
    let directory = TempDir::new().unwrap();
    let file = directory.write("filter.wasm", bytes).unwrap();
    let text = refused(&config(&upstream, &[&plugin("broken", &file, "", ""), &route("public = true\nplugins = [\"broken\"]")]));
    assert!(text.contains("plugin `broken`") && text.contains("filter.wasm"), "{text}");
    assert!(text.contains("plugins.broken.source"), "{text}");
    text
}

/// A component with every occurrence of a text replaced by one of the same length, so that no length in it changes.
fn patched(from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(filters()).unwrap();
    let found: Vec<usize> =
        bytes.windows(from.len()).enumerate().filter(|(_, window)| *window == from.as_bytes()).map(|(at, _)| at).collect();
    assert!(!found.is_empty(), "the component does not name {from}");
    for at in found {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    bytes
}

#[test]
fn what_is_no_component_is_refused_with_the_way_to_make_one() {
    let text = refused_file(b"#!/bin/sh\necho hello\n");
    assert!(text.contains("it is not a WebAssembly component") && text.contains("does not begin as WebAssembly does"), "{text}");
    // The shortest core module there is.
    let text = refused_file(b"\0asm\x01\0\0\0");
    assert!(text.contains("it is a core module") && text.contains("--target wasm32-wasip2"), "{text}");
    // A component that breaks off.
    let bytes = fs::read(filters()).unwrap();
    let text = refused_file(&bytes[..bytes.len() / 2]);
    assert!(text.contains("it is not a WebAssembly component"), "{text}");
    assert!(refused_file(b"").contains("it is not a WebAssembly component"));
}

#[test]
fn a_missing_file_is_named() {
    let upstream = Upstream::plain("up").unwrap();
    let text =
        refused(&config(&upstream, &[&plugin("gone", Path::new("gone.wasm"), "", ""), &route("public = true\nplugins = [\"gone\"]")]));
    assert!(text.contains("gone.wasm cannot be read"), "{text}");
}

#[test]
fn what_is_wrong_with_files_and_with_the_text_is_said_at_once() {
    let text = refused(
        r#"
[listen.web]
address = "127.0.0.1:0"
tls = { certificate = "no-web.pem", key = "no-web.key" }
[plugins.gone]
source = "gone.wasm"
[plugins.auth]
source = "builtin:oauth2"
grants = { crypto = {} }
config = { issuer = "https://id.example.com", audience = "a", jwks = { file = "no-jwks.json" } }
[upstreams.up]
endpoints = ["https://127.0.0.1:9"]
tls = { ca = "no-ca.pem" }
[[routes]]
name = "all"
matsch = { path = "/*" }
public = true
plugins = ["gone", "auth"]
upstream = "up"
"#,
    );
    for wrong in ["no-web.pem", "no-web.key", "gone.wasm cannot be read", "no-jwks.json", "no-ca.pem", "matsch"] {
        assert!(text.contains(wrong), "{wrong} is missing: {text}");
    }
    // What is known to be wrong is not said again in other words.
    assert!(text.trim_end().ends_with("6 problems"), "{text}");
}

/// One mistake of every kind, in every table, beside one of another kind: each is found in the first run, with its place.
#[test]
fn whatever_is_wrong_is_said_at_once() {
    let text = refused(
        r#"
wokers = 2
[listen.web]
address = "nowhere"
[listen.web.tls]
certificates = [{ certificate = "no-1.pem", key = "no-1.key" }, { certificate = "no-2.pem", key = "no-2.key" }]
client_auth = { mode = "required", ca = "no-clients.pem" }
[plugins.auth]
source = "builtin:oauth2"
grants = { crypto = {} }
config = { issuer = "https://id.example.com", audience = "a", jwks = { keys = [] } }
[plugins.half]
budget = { cpu = "ten" }
[plugins.router]
source = "builtin:hash-router"
on_failure = "maybe"
[plugins.forward]
source = "builtin:tls-forward"
budget = { memory = "none" }
config = { no-such-key = 1 }
[plugins.gone]
source = "gone.wasm"
[plugins.observe]
source = "builtin:metrics"
config = { no-such-label = 1 }
[upstreams.up]
endpoints = ["https://127.0.0.1:9", "https://127.0.0.1:10/path"]
tls = { ca = "no-ca.pem", client_certificate = { certificate = "no-client.pem", key = "no-client.key" } }
tls_profiles = { other = { ca = "no-other.pem" } }
[upstreams.none]
timeouts = { connect = "soon" }
[defaults]
plugins = ["observe"]
[[routes]]
name = "a"
match = { path = "/a*" }
plugins = [{ plugin = "auth", config = { scopes = 5 } }, "nobody", "gone"]
router = { plugin = "router", config = { key = "path", placement = "no-such-placement" } }
upstream = "up"
[[routes]]
match = { path = "/b" }
plugins = [{ plugin = "auth", on_failure = "skip" }]
router = { plugin = "router", config = { key = "no-such-key" } }
upstream = "nowhere"
[[routes]]
name = "c"
match = { path = "/b" }
upstream = "up"
[[routes]]
name = "d"
match = { path = "/d" }
public = true
plugins = ["router"]
router = "auth"
forwarder = "forward"
"#,
    );
    let keys: Vec<_> = text.lines().filter(|line| line.contains("plugway.toml:")).collect();
    let expected = [
        "2:1: wokers",
        "4:11: listen.web.address",
        "6:33: listen.web.tls.certificates[0].certificate",
        "6:51: listen.web.tls.certificates[0].key",
        "6:81: listen.web.tls.certificates[1].certificate",
        "6:99: listen.web.tls.certificates[1].key",
        "7:41: listen.web.tls.client_auth.ca",
        "11:10: plugins.auth.config",
        "12:1: plugins.half.source",
        "13:18: plugins.half.budget.cpu",
        "16:14: plugins.router.on_failure",
        "19:21: plugins.forward.budget.memory",
        "22:10: plugins.gone.source",
        "25:10: plugins.observe.config",
        "27:37: upstreams.up.endpoints[1]",
        "28:14: upstreams.up.tls.ca",
        "28:64: upstreams.up.tls.client_certificate.certificate",
        "28:87: upstreams.up.tls.client_certificate.key",
        "29:33: upstreams.up.tls_profiles.other.ca",
        "30:1: upstreams.none.endpoints",
        "31:24: upstreams.none.timeouts.connect",
        "36:18: routes[0].match.path",
        "37:40: routes[0].plugins[0].config",
        "37:58: routes[0].plugins[1]",
        "38:40: routes[0].router.config",
        "40:1: routes[1].name",
        "42:44: routes[1].plugins[0].on_failure",
        "43:40: routes[1].router.config",
        "44:12: routes[1].upstream",
        "45:1: routes[2].public",
        "47:9: routes[2].match",
        "49:1: routes[3].upstream",
        "53:12: routes[3].plugins[0]",
        "54:10: routes[3].router",
    ];
    for expected in expected {
        assert!(keys.iter().any(|key| key.contains(&format!("plugway.toml:{expected}: "))), "{expected} is missing: {text}");
    }
    // And what is known to be wrong is not said again in other words.
    assert!(text.trim_end().ends_with(&format!("{} problems", expected.len())), "{text}");
    let advised = text.matches("    help: ").count();
    assert!(advised >= 20, "{advised} of them come with advice: {text}");
}

#[test]
fn what_plugins_do_not_take_is_said_beside_what_is_wrong_elsewhere() {
    let text = refused(
        r#"
[listen.web]
address = "nowhere"
[plugins.auth]
source = "builtin:oauth2"
grants = { crypto = {} }
config = { issuer = "https://id.example.com", audience = "a", jwks = { keys = [] } }
[upstreams.up]
endpoints = ["http://127.0.0.1:9"]
[[routes]]
name = "all"
plugins = ["auth"]
upstream = "up"
"#,
    );
    for wrong in ["listen.web.address", "plugin `auth` does not take its configuration", "2 problems"] {
        assert!(text.contains(wrong), "{wrong} is missing: {text}");
    }
}

#[test]
fn another_version_of_the_contract_names_what_is_wanted_and_offered() {
    let text = refused_file(&patched("@0.1.0", "@0.9.0"));
    assert!(text.contains("it was built for `plugway:gateway/") && text.contains("@0.9.0`"), "{text}");
    assert!(text.contains("this gateway offers plugway:gateway 0.1.0"), "{text}");
    assert!(text.contains("rebuild it with a plugway-sdk of version 0.1.0"), "{text}");
}

#[test]
fn an_import_that_no_plugin_gets_is_named() {
    let text = refused_file(&patched("plugway:gateway/log@0.1.0", "plugway:gateway/gol@0.1.0"));
    assert!(text.contains("it imports `plugway:gateway/gol@0.1.0`, which no plugin gets"), "{text}");
    let text = refused_file(&patched("plugway:gateway/log@0.1.0", "someone:elsewhe/log@0.1.0"));
    assert!(text.contains("it imports `someone:elsewhe/log@0.1.0`, which no plugin gets"), "{text}");
}

#[test]
fn who_learns_of_attempts_has_to_make_them() {
    // A component that exports one empty instance under that name.
    let name = "plugway:gateway/outcome-observer@0.1.0";
    let mut bytes = b"\0asm\x0d\0\x01\0\x05\x03\x01\x01\0\x0b".to_vec();
    bytes.extend([name.len() as u8 + 6, 1, 0, name.len() as u8]);
    bytes.extend_from_slice(name.as_bytes());
    bytes.extend([5, 0, 0]);
    let text = refused_file(&bytes);
    assert!(text.contains("it exports `outcome-observer` without `router`"), "{text}");
    assert!(text.contains("export `router` as well"), "{text}");
}

#[test]
fn a_capability_is_denied_unless_granted_to_built_ins_and_files_alike() {
    let upstream = Upstream::plain("up").unwrap();
    for source in [PathBuf::from("builtin:oauth2"), shipped("oauth2")] {
        let text = refused(&config(&upstream, &[&plugin("auth", &source, "", ""), &route("plugins = [\"auth\"]")]));
        assert!(text.contains("plugin `auth`") && text.contains("it imports the capability `crypto`, which was not granted"), "{text}");
        assert!(text.contains("write `grants = { crypto = {} }` in [plugins.auth]"), "{text}");
        // With the line it goes on, as far as its configuration.
        let granted = plugin("auth", &source, "", "grants = { crypto = {} }");
        let text = refused(&config(&upstream, &[&granted, &route("plugins = [\"auth\"]")]));
        assert!(text.contains("plugin `auth` does not take its configuration") && !text.contains("granted"), "{text}");
    }
}

struct Cached {
    upstream: Upstream,
    directory: TempDir,
    config: String,
}

impl Cached {
    fn new() -> Self {
        let (upstream, directory) = (Upstream::plain("up").unwrap(), TempDir::new().unwrap());
        Self { config: String::new(), upstream, directory }.with(filters())
    }

    /// The same folder, for another component.
    fn with(self, component: &Path) -> Self {
        let parts = [plugin("filter", component, "mode = \"mark\"", ""), route("public = true\nplugins = [\"filter\"]")];
        let rest = self::config(&self.upstream, &[&parts[0], &parts[1]]);
        let config = format!("cache_directory = {:?}\n{rest}\n[log]\nlevel = \"debug\"\n", self.directory.path().join("cache"));
        Self { config, ..self }
    }

    /// Starts a gateway, proves that the plugin works, and says whether the plugin came from the cache, with the log.
    fn run(&self) -> (Option<bool>, String) {
        let gateway = Launch::new(BINARY).unwrap().start(&self.config).unwrap();
        let response = get(gateway.address("web").unwrap(), "/", &[]);
        assert_eq!(report(&response)["target"], "/");
        assert_eq!(response.header("x-plugin"), Some(&b"on"[..]));
        assert_eq!(status(&gateway)["plugins"][0]["name"], "filter");
        let loaded = gateway.log().lines().into_iter().find(|line| line.message() == "A component was loaded");
        let cached = loaded.and_then(|line| line.value("cached").and_then(serde_json::Value::as_bool));
        (cached, gateway.log().text())
    }

    fn entry(&self) -> PathBuf {
        let entries = fs::read_dir(self.directory.path().join("cache")).unwrap().map(|entry| entry.unwrap().path());
        entries.into_iter().find(|path| path.extension().is_some_and(|extension| extension == "cwasm")).unwrap()
    }
}

#[test]
fn a_compiled_file_is_used_again_only_as_it_was_written() {
    let cached = Cached::new();
    assert_eq!(cached.run().0, Some(false), "the first start compiles");
    assert_eq!(cached.run().0, Some(true), "the second does not");

    let entry = cached.entry();
    let good = fs::read(&entry).unwrap();
    assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600);
    let last = good.len() - 1;
    let mut flipped = good.clone();
    flipped[last / 2] ^= 1;
    // Changed code, a changed tag, half a file, nothing at all, and code without a tag.
    let mut tag = good.clone();
    tag[0] ^= 1;
    for broken in [flipped, tag, good[..last / 2].to_vec(), Vec::new(), good[32..].to_vec()] {
        fs::write(&entry, &broken).unwrap();
        let (from_cache, log) = cached.run();
        assert_eq!(from_cache, Some(false), "{log}");
        assert_eq!(fs::read(&entry).unwrap().len(), good.len(), "it was written anew");
        assert_eq!(cached.run().0, Some(true));
    }

    assert!(cached.upstream.requests() > 0);
}

#[test]
fn one_plugins_code_does_not_run_in_anothers_place() {
    let cached = Cached::new();
    assert_eq!(cached.run().0, Some(false));
    let filters = cached.entry();
    let code = fs::read(&filters).unwrap();
    fs::remove_file(&filters).unwrap();
    // The other component's entry, replaced by code that carries a good tag, but for another name.
    let other = cached.with(every_hook());
    assert_eq!(other.run().0, Some(false));
    assert_ne!(other.entry(), filters);
    fs::write(other.entry(), &code).unwrap();
    let (from_cache, log) = other.run();
    assert_eq!(from_cache, Some(false), "an entry under another name was taken: {log}");
    assert!(log.contains("was changed from outside"), "{log}");
    assert_eq!(other.run().0, Some(true));
}

#[test]
fn a_cache_others_can_write_to_is_not_used() {
    let cached = Cached::new();
    assert_eq!(cached.run().0, Some(false));
    assert_eq!(cached.run().0, Some(true));
    let entry = cached.entry();
    fs::set_permissions(&entry, fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(cached.run().0, Some(false), "an entry others can write to was taken");

    let folder = cached.directory.path().join("cache");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let (from_cache, log) = cached.run();
    assert_eq!(from_cache, Some(false));
    assert!(log.contains("the cache folder cannot be used") && log.contains("can be written by others"), "{log}");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(cached.run().0, Some(true), "and it serves again once that is mended");
}

#[test]
fn a_plugins_words_cannot_look_like_the_gateways_or_move_a_terminal() {
    let upstream = Upstream::plain("up").unwrap();
    let mode = "mode = \"x\\nforged.toml is good\\u001b]0;title\\u0007\\r\"";
    let text = refused(&config(&upstream, &[&plugin("rude", filters(), mode, ""), &route("public = true\nplugins = [\"rude\"]")]));
    assert!(text.contains("plugin `rude` does not take its configuration") && text.contains("is no mode of this guest"), "{text}");
    assert!(text.chars().all(|char| char == '\n' || !char.is_control()), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("forged")), "{text}");
}

#[test]
fn more_instances_than_there_is_room_for_are_warned_of_and_too_few_refused() {
    let upstream = Upstream::plain("up").unwrap();
    let parts = |instances: u32, room: u32, workers: u32| {
        let budget = format!("budget = {{ cpu = \"20ms\", instances = {instances} }}");
        let part = plugin("wide", filters(), "", &budget);
        let limits = format!("[limits]\nmax_plugin_instances = {room}\n");
        let text = config(&upstream, &[&part, &limits, &route("public = true\nplugins = [\"wide\"]")]);
        text.replace("workers = 1", &format!("workers = {workers}"))
    };
    let (output, text) = check(&parts(64, 64, 1));
    assert!(output.status.success() && !text.contains("max_plugin_instances"), "{text}");
    for (of, succeeds, says) in [
        (parts(65, 64, 1), true, "plugins may ask for 65 instances (`workers` is 1), the most of them `wide`"),
        (parts(1, 4, 4), true, "a reload makes instances of plugins beside those that serve, 8 in all, and there is room for 4"),
        (parts(1, 3, 4), false, "there is room for 3 instances of plugins, and 4 are needed (`workers` is 4)"),
    ] {
        let (output, text) = check(&of);
        assert_eq!(output.status.success(), succeeds, "{text}");
        assert!(text.contains(&format!("limits.max_plugin_instances: {says}")), "{text}");
    }
}
