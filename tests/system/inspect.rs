//! `plugway plugin inspect`: what a file is and wants, without running it.

use std::fs;
use std::path::Path;
use std::process::Command;

use plugway_harness::temp::TempDir;
use plugway_harness::upstream::Upstream;

use crate::common::BINARY;
use crate::guest::{check, confidant, config, every_hook, filters, plugin as guest_plugin, route, shipped};

/// `plugway plugin …` in a folder: how it ended, what it printed, what it complained about.
pub(crate) fn plugin(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(BINARY);
    command.arg("plugin").args(arguments).current_dir(folder).env("XDG_CACHE_HOME", folder.join("cache"));
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

fn inspect(arguments: &[&str]) -> (i32, String, String) {
    let folder = TempDir::new().unwrap();
    let inspected = plugin(folder.path(), &[&["inspect"], arguments].concat());
    // Nothing was compiled, or it would have been kept.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    inspected
}

fn json(arguments: &[&str]) -> (i32, serde_json::Value) {
    let (code, shown, complained) = inspect(&[arguments, &["--json"]].concat());
    (code, serde_json::from_str(&shown).unwrap_or_else(|error| panic!("{error}: {shown}{complained}")))
}

#[test]
fn a_built_in_is_its_file_and_says_what_it_wants() {
    let file = shipped("oauth2");
    let (code, shown, _) = inspect(&["builtin:oauth2"]);
    assert_eq!(code, 0, "{shown}");
    for line in [
        "contract      0.1.0",
        "hooks         lifecycle, authorizer, request-filter",
        "capabilities  crypto, kv, secrets, keys, http-client",
        "identity      does not ask who is calling",
        "to load it    grants = { crypto = {} } in [plugins.NAME]",
        "as needed     grants = { kv = {}, secrets = [\"NAME\"], keys = [\"NAME\"], http-client = { hosts = [\"HOST\"] } }: it can do without",
        "signature     part of this program",
    ] {
        assert!(shown.lines().any(|shown| shown.trim_start() == line), "`{line}` is not in {shown}");
    }
    assert!(shown.contains(&format!("built with    plugway-sdk {}, ", env!("CARGO_PKG_VERSION"))), "{shown}");
    let (code, built_in) = json(&["builtin:oauth2"]);
    let (_, of_file) = json(&[file.to_str().unwrap()]);
    assert_eq!(code, 0);
    assert_eq!(built_in["size_bytes"], fs::metadata(&file).unwrap().len());
    for key in ["size_bytes", "digest", "hooks", "capabilities", "grants", "imports", "exports", "sdk", "tools", "contract", "wasi"] {
        assert_eq!(built_in[key], of_file[key], "{key}");
    }
    assert_eq!((&built_in["signature"]["state"], &of_file["signature"]["state"]), (&"built-in".into(), &"unjudged".into()));
    assert!(built_in["tools"]["processed-by"]["wit-component"].is_string(), "{}", built_in["tools"]);
    let imports = built_in["imports"].as_array().unwrap();
    assert!(imports.iter().any(|import| import["name"] == "plugway:gateway/crypto@0.1.0"), "{imports:?}");
}

#[test]
fn the_line_that_grants_what_it_wants_is_right_once_its_secrets_are_named() {
    let (_, shown, _) = inspect(&[confidant().to_str().unwrap()]);
    let line = shown.lines().find_map(|line| line.trim_start().strip_prefix("to load it    ")?.strip_suffix(" in [plugins.NAME]")).unwrap();
    let upstream = Upstream::plain("up").unwrap();
    let part = guest_plugin("confidant", confidant(), "", &line.replace("NAME", "key"));
    let secret = "[secrets.key]\nenv = \"PATH\"\n";
    let (output, text) = check(&config(&upstream, &[&part, secret, &route("public = true\nplugins = [\"confidant\"]")]));
    assert!(output.status.success(), "{line}: {text}");
}

#[test]
fn a_difference_in_rights_ends_with_1_and_is_said() {
    let (filters, every_hook) = (filters().to_str().unwrap(), every_hook().to_str().unwrap());
    let (code, shown, _) = inspect(&[every_hook, "--against", filters]);
    assert_eq!(code, 1, "{shown}");
    for line in ["hooks         now also has authorizer", "hooks         now also has router", "hooks         now also has observer"] {
        assert!(shown.contains(line), "`{line}` is not in {shown}");
    }
    assert!(!shown.contains("no longer") && !shown.contains("rights        the same"), "{shown}");
    let (code, difference) = json(&[filters, "--against", every_hook]);
    assert_eq!(code, 1);
    assert_eq!(difference["difference"]["same_rights"], false);
    assert_eq!(difference["difference"]["hooks"]["gained"], serde_json::json!([]));
    assert!(difference["difference"]["hooks"]["lost"].as_array().unwrap().contains(&"authorizer".into()), "{difference:#}");
    assert_eq!(difference["new"]["source"], filters);

    let (code, shown, _) = inspect(&["builtin:oauth2", "--against", "builtin:metrics"]);
    assert_eq!(code, 1, "{shown}");
    for line in
        ["capabilities  now also wants crypto", "hooks         no longer has batch-observer", "to load it    grants = { crypto = {} }"]
    {
        assert!(shown.contains(line), "`{line}` is not in {shown}");
    }
}

#[test]
fn another_build_with_the_same_rights_ends_with_0() {
    let oauth2 = shipped("oauth2");
    let (code, shown, _) = inspect(&["builtin:oauth2", "--against", oauth2.to_str().unwrap()]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("rights        the same") && shown.contains("digest        the same"), "{shown}");
    // Another digest and another size.
    let folder = TempDir::new().unwrap();
    let mut bytes = fs::read(&oauth2).unwrap();
    bytes.extend_from_slice(b"\x00\x06\x04note!");
    let longer = folder.write("longer.wasm", &bytes).unwrap();
    let (code, shown, _) = inspect(&[longer.to_str().unwrap(), "--against", "builtin:oauth2"]);
    assert_eq!(code, 0, "{shown}");
    assert!(shown.contains("rights        the same") && !shown.contains("digest        the same"), "{shown}");
    assert!(shown.contains(&format!("size          {} bytes before, now {}", bytes.len() - 8, bytes.len())), "{shown}");
}

#[test]
fn what_the_gateway_would_not_load_ends_with_1_and_what_is_no_plugin_with_2() {
    let folder = TempDir::new().unwrap();
    let bytes = fs::read(filters()).unwrap();
    let (from, to) = (b"@0.1.0", b"@0.9.0");
    let mut other = bytes.clone();
    for at in 0..bytes.len() - from.len() {
        if bytes[at..].starts_with(from) {
            other[at..at + to.len()].copy_from_slice(to);
        }
    }
    let file = folder.write("other.wasm", other).unwrap();
    let (code, shown, _) = inspect(&[file.to_str().unwrap()]);
    assert_eq!(code, 1, "{shown}");
    for text in
        ["contract      0.9.0", "this gateway would not load it: it was built for `plugway:gateway/", "help: rebuild it with a plugway-sdk"]
    {
        assert!(shown.contains(text), "`{text}` is not in {shown}");
    }
    let (code, shown) = json(&[file.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(shown["refused"][0]["message"].as_str().unwrap().contains("offers plugway:gateway 0.1.0"), "{shown:#}");

    let module = folder.write("module.wasm", b"\0asm\x01\0\0\0").unwrap();
    for (source, why) in [
        (module.to_str().unwrap(), "it is a core module"),
        ("no-such-file.wasm", "no-such-file.wasm cannot be read"),
        ("builtin:none", "there is no built-in plugin `none`"),
        (folder.write("half.wasm", &bytes[..bytes.len() / 2]).unwrap().to_str().unwrap(), "is no plugin"),
    ] {
        let (code, shown, complained) = inspect(&[source]);
        assert_eq!((code, shown.as_str()), (2, ""), "{complained}");
        assert!(complained.contains(why), "{complained}");
    }
}
