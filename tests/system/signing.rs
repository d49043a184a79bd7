//! Plugin files that are signed, and those that are not.

mod attacks;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::temp::TempDir;
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, metric, status, until};
use crate::guest::{check_in, config, every_hook, filters, get, report, route};
use crate::inspect::plugin;
use crate::reload::{replace, version, version_of};

/// A folder with a key pair `release`, and the guest's filters as a plugin file.
struct Scene {
    upstream: Upstream,
    launch: Launch,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { upstream: Upstream::plain("up").unwrap(), launch: Launch::new(BINARY).unwrap() };
        fs::create_dir(scene.path("plugins.d")).unwrap();
        fs::copy(filters(), scene.file()).unwrap();
        scene.keygen("release");
        scene
    }

    fn path(&self, name: &str) -> PathBuf {
        self.launch.directory().join(name)
    }

    fn file(&self) -> PathBuf {
        self.path("plugins.d/filter.wasm")
    }

    fn plugin(&self, arguments: &[&str]) -> (i32, String, String) {
        plugin(self.launch.directory(), arguments)
    }

    fn keygen(&self, name: &str) {
        assert_eq!(self.plugin(&["keygen", name]).0, 0);
    }

    fn sign(&self, key: &str) {
        let (code, _, complained) = self.plugin(&["sign", "plugins.d/filter.wasm", "--key", key]);
        assert_eq!((code, complained.as_str()), (0, ""));
    }

    /// A configuration that trusts `release`.
    fn config(&self, trust: &str, of_plugin: &str) -> String {
        let part = format!("[plugins.filter]\nsource = \"filter.wasm\"\nconfig = {{ mode = \"mark\" }}\n{of_plugin}\n");
        let keys = "[trust.keys]\nrelease = \"release.pub\"\n";
        // A cache of its own, beside the configuration.
        let cache = format!("cache_directory = {:?}\n", self.path("cache"));
        format!("{cache}{}\n[trust]\n{trust}\n{keys}", config(&self.upstream, &[&part, &route("public = true\nplugins = [\"filter\"]")]))
    }

    fn required(&self) -> String {
        self.config("require_signature = true", "")
    }

    /// What `check` says when it refuses.
    fn refused(&self, config: &str) -> String {
        let (output, text) = check_in(&self.launch, config);
        assert_eq!(output.status.code(), Some(1), "{text}");
        text
    }

    /// That `check` takes it; what it says.
    fn taken(&self, config: &str) -> String {
        let (output, text) = check_in(&self.launch, config);
        assert_eq!(output.status.code(), Some(0), "{text}");
        text
    }

    fn verify(&self, arguments: &[&str]) -> (i32, String) {
        let (code, shown, complained) = self.plugin(&[&["verify", "plugins.d/filter.wasm"], arguments].concat());
        (code, shown + &complained)
    }

    /// Another component in the place of the one that was signed.
    fn alter(&self) {
        fs::copy(every_hook(), self.file()).unwrap();
    }
}

fn serves(gateway: &Gateway) {
    let response = get(gateway.address("web").unwrap(), "/", &[]);
    report(&response);
    assert_eq!(response.header("x-plugin"), Some(&b"on"[..]));
}

#[test]
fn a_key_pair_is_written_once_and_the_private_half_is_ones_own() {
    let folder = TempDir::new().unwrap();
    let (code, shown, _) = plugin(folder.path(), &["keygen", "release"]);
    assert_eq!(code, 0);
    assert!(shown.contains("[trust.keys]\nrelease = \"release.pub\""), "{shown}");
    let (private, public) = (folder.path().join("release.key"), folder.path().join("release.pub"));
    assert_eq!(fs::metadata(&private).unwrap().mode() & 0o777, 0o600);
    let (secret, open) = (fs::read_to_string(&private).unwrap(), fs::read_to_string(&public).unwrap());
    assert!(secret.starts_with("-----BEGIN PRIVATE KEY-----\n") && open.starts_with("-----BEGIN PUBLIC KEY-----\n"));
    assert!(!shown.contains(secret.lines().nth(1).unwrap()));
    // Neither half is overwritten, and no half is left where the other cannot be.
    assert_eq!(plugin(folder.path(), &["keygen", "release"]).0, 2);
    fs::remove_file(&private).unwrap();
    let (code, _, complained) = plugin(folder.path(), &["keygen", "release"]);
    assert!(code == 2 && complained.contains("release.pub exists"), "{complained}");
    assert!(!private.exists());
    assert_eq!(fs::read_to_string(&public).unwrap(), open);
}

#[test]
fn what_is_signed_is_verified_and_nothing_else() {
    let scene = Scene::new();
    let (code, said) = scene.verify(&["--key", "release.pub"]);
    assert!(code == 1 && said.contains("it is not signed: there is no plugins.d/filter.wasm.sig"), "{said}");
    scene.sign("release.key");
    let (code, said) = scene.verify(&["--key", "release.pub"]);
    assert!(code == 0 && said.contains("is signed by `release`"), "{said}");
    let signed = fs::read_to_string(scene.path("plugins.d/filter.wasm.sig")).unwrap();
    assert!(signed.starts_with("plugway plugin signature v1\nsha256:") && signed.lines().count() == 3, "{signed}");

    // A second key signs beside the first one, and each may be trusted.
    scene.keygen("next");
    assert_eq!(scene.verify(&["--key", "next.pub"]).0, 1);
    scene.sign("next.key");
    assert_eq!((scene.verify(&["--key", "next.pub"]).0, scene.verify(&["--key", "release.pub"]).0), (0, 0));
    let (_, shown, _) = scene.plugin(&["inspect", "plugins.d/filter.wasm"]);
    assert_eq!(shown.matches(" signed it").count(), 2, "{shown}");

    // Signatures of other bytes go when these are signed.
    scene.alter();
    let (code, said) = scene.verify(&["--key", "release.pub"]);
    assert!(code == 1 && said.contains("it is not what was signed"), "{said}");
    scene.sign("next.key");
    assert_eq!((scene.verify(&["--key", "next.pub"]).0, scene.verify(&["--key", "release.pub"]).0), (0, 1));

    // What cannot be told is neither yes nor no.
    assert_eq!(scene.verify(&[]).0, 2);
    assert_eq!(scene.verify(&["--key", "release.key"]).0, 2);
    scene.launch.file("notes.txt", "no component").unwrap();
    let (code, _, complained) = scene.plugin(&["sign", "notes.txt", "--key", "release.key"]);
    assert!(code == 2 && complained.contains("was not signed: it is not a WebAssembly component"), "{complained}");
    let (code, _, complained) = scene.plugin(&["sign", "plugins.d/filter.wasm", "--key", "release.pub"]);
    assert!(code == 2 && complained.contains("holds no private key"), "{complained}");
}

#[test]
fn only_signed_files_load_where_that_is_required() {
    let scene = Scene::new();
    let text = scene.required();
    let refused = scene.refused(&text);
    assert!(
        refused.contains("plugins.filter.source: plugin `filter`") && refused.contains("was not loaded: it is not signed: there is no"),
        "{refused}"
    );
    assert!(refused.contains("help: get its signature file"), "{refused}");

    scene.keygen("stranger");
    scene.sign("stranger.key");
    let refused = scene.refused(&text);
    assert!(refused.contains("it is signed by a key that is not trusted: ed25519:") && refused.contains("in [trust.keys]"), "{refused}");

    scene.sign("release.key");
    scene.taken(&text);
    fs::write(scene.path("plugway.toml"), &text).unwrap();
    assert_eq!(scene.verify(&["--config", "plugway.toml"]).0, 0);
    assert!(scene.plugin(&["inspect", "plugins.d/filter.wasm", "--config", "plugway.toml"]).1.contains("signature     by `release`"));

    // Changed after it was signed: `check`, `run` and `inspect` say the same.
    scene.alter();
    let (code, shown, _) = scene.plugin(&["inspect", "plugins.d/filter.wasm", "--config", "plugway.toml"]);
    assert!(code == 1 && shown.contains("this gateway would not load it: it is not what was signed"), "{shown}");
    let refused = scene.refused(&text);
    assert!(refused.contains("was not loaded: it is not what was signed: ") && refused.contains("help: do not use it"), "{refused}");
    let started = scene.launch.start(&text).unwrap_err().to_string();
    assert!(started.contains("was not loaded: it is not what was signed: "), "{started}");
}

#[test]
fn a_plugin_may_be_excused_and_a_built_in_needs_nobody() {
    let scene = Scene::new();
    scene.taken(&scene.config("require_signature = true", "require_signature = false"));
    let refused = scene.refused(&scene.config("", "require_signature = true"));
    assert!(refused.contains("it is not signed"), "{refused}");
    let part = "[plugins.filter]\nsource = \"builtin:tls-forward\"\n";
    let built_in = config(&scene.upstream, &[part, &route("public = true\nforwarder = \"filter\"")]);
    let said = scene.taken(&format!("{built_in}[trust]\nrequire_signature = true\n"));
    assert!(said.contains("warning: ") && said.contains("no key is trusted, so no plugin file can be loaded"), "{said}");
}

#[test]
fn who_signed_is_shown_and_a_signature_that_does_not_fit_is_a_warning() {
    let scene = Scene::new();
    let text = scene.config("", "");
    scene.sign("release.key");
    let said = scene.taken(&text);
    assert!(!said.contains("does not count"), "{said}");
    scene.alter();
    let said = scene.taken(&text);
    assert!(said.contains("warning: ") && said.contains("has one that does not count: it is not what was signed"), "{said}");
    fs::copy(filters(), scene.file()).unwrap();
    let gateway = scene.launch.start(&text).unwrap();
    serves(&gateway);
    assert_eq!(status(&gateway)["plugins"][0]["signed_by"], "release");
}

#[test]
fn a_swap_needs_a_signature_too_and_it_may_come_after_the_file() {
    let scene = Scene::new();
    replace(&scene.file(), version(1));
    scene.sign("release.key");
    let text = scene.required().replace("mode = \"mark\"", "mode = \"version\"");
    let Scene { upstream, launch } = scene;
    let gateway = launch.start(&text).unwrap();
    let (file, folder) = (gateway.directory().join("plugins.d/filter.wasm"), gateway.directory().to_owned());
    let serves = || version_of(&get(gateway.address("web").unwrap(), "/", &[]));
    let shown = || status(&gateway)["plugins"][0].clone();
    assert_eq!((serves(), shown()["signed_by"].as_str()), (1, Some("release")));

    replace(&file, version(2));
    until("it is rejected", || shown()["rejected"]["why"] == "altered");
    assert_eq!((serves(), shown()["signed_by"].as_str()), (1, Some("release")));
    // What else changes is not kept back by it, though the signature of what serves is gone.
    let more = format!("{text}\n[limits]\nmax_headers = 90\n");
    replace(&folder.join("plugway.toml"), &more);
    until("the configuration is reloaded", || metric(&gateway, "plugway_reloads_total", &["result=\"swapped\""]) >= 1.0);
    assert_eq!(serves(), 1);
    assert_eq!(plugin(&folder, &["sign", "plugins.d/filter.wasm", "--key", "release.key"]).0, 0);
    until("it serves", || serves() == 2);
    until("the rejection is forgotten", || shown()["rejected"] == serde_json::Value::Null);

    // A key that is trusted no more takes nothing from a route, and is said.
    assert_eq!(plugin(&folder, &["keygen", "other"]).0, 0);
    replace(&folder.join("plugway.toml"), more.replace("release.pub", "other.pub"));
    until("it is rejected", || status(&gateway)["configuration"]["state"] == "rejected");
    assert_eq!(serves(), 2);
    drop(upstream);
}

#[test]
fn a_compiled_form_does_not_stand_in_for_a_signature() {
    let scene = Scene::new();
    let text = scene.required();
    scene.sign("release.key");
    scene.taken(&text);
    let entries = || {
        fs::read_dir(scene.path("cache"))
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|e| e == "cwasm"))
            .count()
    };
    assert_eq!(entries(), 1, "it was compiled, and kept");
    // It is in the cache all the same, and nobody vouches for it any more.
    let signature = fs::read(scene.path("plugins.d/filter.wasm.sig")).unwrap();
    fs::remove_file(scene.path("plugins.d/filter.wasm.sig")).unwrap();
    assert!(scene.refused(&text).contains("it is not signed"));
    // What is not signed is not compiled either.
    scene.alter();
    assert!(scene.refused(&text).contains("it is not signed"));
    assert_eq!(entries(), 1);
    fs::copy(filters(), scene.file()).unwrap();
    fs::write(scene.path("plugins.d/filter.wasm.sig"), signature).unwrap();
    scene.taken(&text);
}

#[test]
fn a_folder_that_everybody_can_write_to_is_warned_of_unless_files_must_be_signed() {
    let scene = Scene::new();
    let open = |mode: u32| fs::set_permissions(scene.path("plugins.d"), fs::Permissions::from_mode(mode)).unwrap();
    let warned = |said: &str| said.contains("plugin_directory: everybody on this machine can write to") && said.contains("plugin `filter`");
    open(0o775);
    assert!(!warned(&scene.taken(&scene.config("", ""))));
    open(0o777);
    let said = scene.taken(&scene.config("", ""));
    assert!(warned(&said) && said.contains("`chmod o-w`"), "{said}");
    scene.sign("release.key");
    assert!(!warned(&scene.taken(&scene.required())));
}

#[test]
fn a_key_that_cannot_be_used_is_a_problem_of_its_own() {
    let scene = Scene::new();
    scene.sign("release.key");
    let text = scene.required();
    for (content, why) in [
        (None, "release.pub cannot be read: "),
        (Some(fs::read(scene.path("release.key")).unwrap()), "release.pub holds no public key"),
        (Some(b"-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ==\n-----END PUBLIC KEY-----\n".to_vec()), "that is no Ed25519 key"),
    ] {
        match content {
            Some(content) => fs::write(scene.path("release.pub"), content).unwrap(),
            None => fs::remove_file(scene.path("release.pub")).unwrap(),
        }
        let refused = scene.refused(&text);
        assert!(refused.contains("trust.keys.release: ") && refused.contains(why), "{refused}");
        // And nothing is said of the file that it signed.
        assert!(refused.trim_end().ends_with("1 problem"), "{refused}");
    }
}
