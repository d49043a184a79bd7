//! Whoever can write into the plugin folder, and has no key.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use super::{Scene, plugin};
use crate::common::{Ends, status, until};
use crate::guest::get;
use crate::reload::{replace, version, version_of};

/// A gateway that takes signed files alone and serves version 1; its upstream, and its folder.
fn start() -> (Gateway, Upstream) {
    let scene = Scene::new();
    replace(&scene.file(), version(1));
    scene.sign("release.key");
    let text = scene.required().replace("mode = \"mark\"", "mode = \"version\"");
    let Scene { upstream, launch } = scene;
    (launch.start(&text).unwrap(), upstream)
}

fn file(gateway: &Gateway) -> std::path::PathBuf {
    gateway.directory().join("plugins.d/filter.wasm")
}

fn signature(file: &Path) -> std::path::PathBuf {
    file.with_extension("wasm.sig")
}

fn sign(gateway: &Gateway) {
    assert_eq!(plugin(gateway.directory(), &["sign", "plugins.d/filter.wasm", "--key", "release.key"]).0, 0);
}

fn serves(gateway: &Gateway) -> u32 {
    version_of(&get(gateway.address("web").unwrap(), "/", &[]))
}

fn why(gateway: &Gateway) -> String {
    status(gateway)["plugins"][0]["rejected"]["why"].as_str().unwrap_or_default().to_owned()
}

/// Has everything looked at now, and whatever comes of it be done.
fn reload(gateway: &Gateway) -> u16 {
    let mut raw = Raw::connect(gateway.admin().unwrap()).unwrap();
    raw.patience(Duration::from_secs(60)).unwrap();
    raw.send(b"POST /reload HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n").unwrap();
    raw.response().unwrap().status
}

#[test]
fn a_signature_is_of_its_file_and_of_no_other() {
    let (gateway, _upstream) = start();
    let own = fs::read(signature(&file(&gateway))).unwrap();
    // The good signature of one file beside another.
    replace(&file(&gateway), version(2));
    until("it is rejected", || why(&gateway) == "altered");
    // The same with the digest of the other written into it.
    let digest = ring::digest::digest(&ring::digest::SHA256, &version(2));
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let text = String::from_utf8(own).unwrap();
    let forged: Vec<String> =
        text.lines().map(|line| if line.starts_with("sha256:") { format!("sha256:{hex}") } else { line.to_owned() }).collect();
    fs::write(signature(&file(&gateway)), forged.join("\n") + "\n").unwrap();
    until("it is rejected for what it is", || why(&gateway) == "forged");
    assert_eq!(serves(&gateway), 1);
}

#[test]
fn an_old_version_that_was_signed_is_taken_until_its_key_is_not() {
    let (gateway, _upstream) = start();
    let old = fs::read(signature(&file(&gateway))).unwrap();
    fs::remove_file(signature(&file(&gateway))).unwrap();
    replace(&file(&gateway), version(2));
    sign(&gateway);
    until("the new one serves", || serves(&gateway) == 2);
    // A signature says who, and not that nothing newer was signed: docs/operating-plugins.md says so, and what to do.
    fs::write(signature(&file(&gateway)), &old).unwrap();
    replace(&file(&gateway), version(1));
    until("the old one serves", || serves(&gateway) == 1);

    // Another key for what is signed from now on ends that.
    assert_eq!(plugin(gateway.directory(), &["keygen", "next"]).0, 0);
    fs::remove_file(signature(&file(&gateway))).unwrap();
    replace(&file(&gateway), version(3));
    assert_eq!(plugin(gateway.directory(), &["sign", "plugins.d/filter.wasm", "--key", "next.key"]).0, 0);
    let config = gateway.directory().join("plugway.toml");
    replace(&config, fs::read_to_string(&config).unwrap().replace("release.pub", "next.pub"));
    until("the newest one serves", || {
        reload(&gateway);
        serves(&gateway) == 3
    });
    fs::write(signature(&file(&gateway)), &old).unwrap();
    replace(&file(&gateway), version(1));
    until("the old one is rejected", || why(&gateway) == "unknown-key");
    assert_eq!(serves(&gateway), 3);
}

#[test]
fn a_key_whose_file_is_replaced_vouches_for_nothing_any_more() {
    let (gateway, _upstream) = start();
    assert_eq!(reload(&gateway), 200);
    assert_eq!(plugin(gateway.directory(), &["keygen", "another"]).0, 0);
    // Under the same name, where nothing else of the configuration changes.
    fs::copy(gateway.directory().join("another.pub"), gateway.directory().join("release.pub")).unwrap();
    assert_eq!(reload(&gateway), 422);
    let reason = status(&gateway)["configuration"]["rejected"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("plugins.filter.source") && reason.contains("signed by a key that is not trusted"), "{reason}");
    assert_eq!(serves(&gateway), 1, "what served before serves on");
    assert_eq!(plugin(gateway.directory(), &["sign", "plugins.d/filter.wasm", "--key", "another.key"]).0, 0);
    assert_eq!(reload(&gateway), 200);
    assert_eq!(serves(&gateway), 1);
}

#[test]
fn a_link_leads_where_it_likes_and_to_nothing_that_is_not_signed() {
    let (gateway, _upstream) = start();
    let outside = plugway_harness::temp::TempDir::new().unwrap();
    let (elsewhere, link) = (outside.path().join("other.wasm"), gateway.directory().join("plugins.d/link"));
    let flip = |target: &Path| {
        symlink(target, &link).unwrap();
        fs::rename(&link, file(&gateway)).unwrap();
    };
    fs::write(&elsewhere, version(2)).unwrap();
    flip(&elsewhere);
    until("it is rejected", || why(&gateway) == "altered");
    // What is no plugin file at all is not read, and not waited for.
    flip(Path::new("/dev/zero"));
    until("it cannot be read", || status(&gateway)["plugins"][0]["file"].as_str().is_some_and(|state| state.contains("cannot be read")));
    flip(Path::new("/proc/self/mem"));
    reload(&gateway);
    flip(&outside.path().join("nothing"));
    until("it is gone", || status(&gateway)["plugins"][0]["file"] == "file gone");
    assert_eq!(serves(&gateway), 1);
    // The signed bytes may stand anywhere.
    fs::write(&elsewhere, version(1)).unwrap();
    flip(&elsewhere);
    until("it is what serves", || status(&gateway)["plugins"][0]["file"] == "serving");
}

#[test]
fn what_was_verified_is_what_runs_however_fast_the_file_changes() {
    let (gateway, _upstream) = start();
    let (file, done) = (file(&gateway), AtomicBool::new(false));
    let place = version(1).windows(14).position(|window| window == b"version-000001").unwrap() as u64 + 13;
    std::thread::scope(|scope| {
        // Signed and unsigned bytes in turn under the one name, now as another file and now in the same one.
        let writer = scope.spawn(|| {
            let mut flips = 0_u32;
            while !done.load(Ordering::Relaxed) {
                if flips.is_multiple_of(2) {
                    replace(&file, version(2));
                    replace(&file, version(1));
                } else {
                    let open = File::options().write(true).open(&file).unwrap();
                    open.write_all_at(b"2", place).unwrap();
                    open.write_all_at(b"1", place).unwrap();
                }
                flips += 1;
            }
            flips
        });
        let ends = Ends(&done);
        let began = Instant::now();
        let mut results = std::collections::BTreeMap::<u16, u32>::new();
        // Both must be met, or nothing was shown.
        let is_enough = |results: &std::collections::BTreeMap<u16, u32>| results.contains_key(&200) && results.contains_key(&422);
        while began.elapsed() < Duration::from_secs(6) || !is_enough(&results) {
            *results.entry(reload(&gateway)).or_default() += 1;
            assert_eq!(serves(&gateway), 1, "{results:?}");
            assert!(began.elapsed() < Duration::from_secs(90), "{results:?}");
        }
        drop(ends);
        assert!(writer.join().unwrap() > 10);
    });
    reload(&gateway);
    until("the signed one is in place", || status(&gateway)["plugins"][0]["file"] == "serving");
    assert_eq!(serves(&gateway), 1);
}
