//! The commands an operator begins with, and what a log looks like where people read it and where programs do.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use plugway_harness::ca::Authority;
use plugway_harness::gateway::Launch;
use plugway_harness::guests::root;
use plugway_harness::process;
use plugway_harness::temp::TempDir;
use plugway_harness::terminal::Terminal;
use serde_json::Value;

use crate::common::{BINARY, HEAD, until};
use crate::issuer::Issuer;

/// What `examples/quickstart/README.md` says has to be put beside it.
const FILES: [&str; 4] = ["web.pem", "web.key", "internal-ca.pem", "jwks.json"];

fn plugway(folder: &TempDir, words: &[&str]) -> Output {
    Command::new(BINARY).args(words).current_dir(folder.path()).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn init_writes_a_file_that_check_takes_and_overwrites_none() {
    let folder = TempDir::new().unwrap();
    let certificates = folder.path().join("certs");
    std::fs::create_dir(&certificates).unwrap();
    let authority = Authority::new("test").unwrap();
    authority.server(&["api.example.com", "www.example.com", "*.www.example.com"]).unwrap().write(&certificates, "web").unwrap();
    authority.write(&certificates, "internal-ca").unwrap();
    std::fs::write(certificates.join("jwks.json"), Issuer::new().jwks()).unwrap();
    let (default, named) = (folder.path().join("plugway.toml"), folder.path().join("named.toml"));
    for (words, file) in [(&["init"][..], &default), (&["init", "named.toml"], &named)] {
        let name = file.file_name().unwrap().to_str().unwrap();
        let written = plugway(&folder, words);
        assert!(written.status.success(), "{}", text(&written.stderr));
        let next = format!("wrote {name}; edit it, put the files it names beside it, then run `plugway check --config {name}`\n");
        assert_eq!(text(&written.stdout), next);
        // The very command that it named, before and after those files are there.
        std::fs::rename(&certificates, folder.path().join("elsewhere")).unwrap();
        let unchecked = plugway(&folder, &["check", "--config", name]);
        assert_eq!(unchecked.status.code(), Some(1));
        for needed in FILES {
            assert!(text(&unchecked.stderr).contains(&format!("certs/{needed}")), "{needed}: {}", text(&unchecked.stderr));
        }
        assert!(text(&unchecked.stderr).ends_with("\n4 problems\n"), "{}", text(&unchecked.stderr));
        std::fs::rename(folder.path().join("elsewhere"), &certificates).unwrap();
        let checked = plugway(&folder, &["check", "--config", name]);
        assert!(checked.status.success(), "{}", text(&checked.stderr));
        assert!(
            text(&checked.stdout).ends_with(&format!("{name} is good: 2 routes, 5 plugins, 2 upstreams\n")),
            "{}",
            text(&checked.stdout)
        );
        assert_eq!(text(&checked.stderr), "");
        let kept = std::fs::read(file).unwrap();
        assert_eq!(text(&kept), std::fs::read_to_string(root().join("examples/quickstart/plugway.toml")).unwrap());

        std::fs::write(file, "mine").unwrap();
        let refused = plugway(&folder, words);
        assert_eq!(refused.status.code(), Some(1));
        assert_eq!((text(&refused.stdout), text(&refused.stderr)), (String::new(), format!("{name} exists; name another file\n")));
        assert_eq!(std::fs::read(file).unwrap(), b"mine", "{name} is as it was");
    }
    let nowhere = plugway(&folder, &["init", "no/such/folder.toml"]);
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(text(&nowhere.stderr).starts_with("no/such/folder.toml cannot be written: "), "{}", text(&nowhere.stderr));
}

/// Whether a value is as its schema says, in the words of JSON Schema that this one uses; says where it is not.
fn against(root: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(name) = schema["$ref"].as_str() {
        let found = root.pointer(name.strip_prefix('#').unwrap()).ok_or_else(|| format!("{at}: {name} leads nowhere"))?;
        against(root, found, value, at)?;
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let tried: Vec<_> = choices.iter().map(|choice| against(root, choice, value, at)).collect();
        if tried.iter().all(Result::is_err) {
            return Err(format!("{at}: none of {tried:?}"));
        }
    }
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => panic!("{at}: `{other}` is no type of JSON"),
    };
    let kinds = schema["type"].as_array().cloned().unwrap_or_else(|| schema.get("type").cloned().into_iter().collect());
    if !kinds.is_empty() && !kinds.iter().any(|kind| is(kind.as_str().unwrap())) {
        return Err(format!("{at}: {value} is none of {kinds:?}"));
    }
    let allowed = schema["enum"].as_array();
    if schema.get("const").is_some_and(|only| only != value) || allowed.is_some_and(|allowed| !allowed.contains(value)) {
        return Err(format!("{at}: {value} is not among {allowed:?}"));
    }
    for (key, value) in value.as_object().into_iter().flatten() {
        let at = format!("{at}.{key}");
        match (schema["properties"].get(key), schema.get("additionalProperties")) {
            (Some(schema), _) => against(root, schema, value, &at)?,
            (None, Some(Value::Bool(false))) => return Err(format!("{at} is no property")),
            (None, Some(schema @ Value::Object(_))) => against(root, schema, value, &at)?,
            (None, _) => {}
        }
    }
    if value.is_object() {
        let missing = schema["required"].as_array().into_iter().flatten().find(|key| value.get(key.as_str().unwrap()).is_none());
        missing.map_or(Ok(()), |key| Err(format!("{at}: {key} is required")))?;
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        against(root, &schema["items"], item, &format!("{at}[{index}]"))?;
    }
    Ok(())
}

#[test]
fn schema_is_a_json_schema_that_takes_the_quickstart_and_no_misspelt_key() {
    let printed = plugway(&TempDir::new().unwrap(), &["schema"]);
    assert!(printed.status.success());
    assert_eq!(text(&printed.stderr), "");
    let schema: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");

    let quickstart = std::fs::read_to_string(root().join("examples/quickstart/plugway.toml")).unwrap();
    // Keys that are left out stand there as comments.
    let mut tables: Value = toml::from_str(&quickstart).unwrap();
    against(&schema, &schema, &tables, "plugway.toml").unwrap();
    let hello = std::fs::read_to_string(root().join("examples/hello-plugin/plugway.toml")).unwrap();
    against(&schema, &schema, &toml::from_str(&hello).unwrap(), "hello-plugin").unwrap();
    let table = tables["listen"]["web"].as_object_mut().unwrap();
    let address = table.remove("address").unwrap();
    table.insert("adress".to_owned(), address);
    assert_eq!(against(&schema, &schema, &tables, "plugway.toml").unwrap_err(), "plugway.toml.listen.web.adress is no property");
}

/// What the log says on a terminal until it serves.
fn on_terminal(launch: &Launch, config: &str) -> String {
    launch.file("plugway.toml", config).unwrap();
    let running = Terminal::start(&format!("exec {BINARY} run --config plugway.toml"), launch.directory()).unwrap();
    // The line is whole once what follows it is there.
    let serves = |said: &str| said.split_once("Serving").is_some_and(|(_, rest)| rest.contains('\n'));
    until("it serves", || serves(&running.text()));
    running.text()
}

const ESCAPE: char = '\u{1b}';

fn assert_json(said: &str) {
    for line in said.lines() {
        let line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert!(line["timestamp"].is_string() && line["level"].is_string() && line["message"].is_string(), "{line}");
    }
    assert!(!said.contains(ESCAPE), "{said:?}");
}

fn assert_human(said: &str, colours: bool) {
    assert_eq!(said.contains(ESCAPE), colours, "{said:?}");
    // Colours aside, which are `ESC [ ... m`.
    let plain: String =
        said.split(ESCAPE).enumerate().map(|(at, part)| if at == 0 { part } else { part.split_once('m').unwrap().1 }).collect();
    let line = plain.lines().find(|line| line.contains("Listening")).unwrap_or_else(|| panic!("{plain}"));
    assert!(line.contains(" INFO ") && line.contains("listener=\"web\"") && !line.contains('{'), "{line}");
}

#[test]
fn a_log_is_for_people_on_a_terminal_and_json_otherwise_unless_it_is_said() {
    let formats = [None, Some("human"), Some("json")].map(|format| {
        let log = format.map(|format| format!("[log]\nformat = \"{format}\"\n")).unwrap_or_default();
        (format, format!("{HEAD}{log}"))
    });
    for (format, config) in &formats {
        let launch = Launch::new(BINARY).unwrap();
        let said = on_terminal(&launch, config);
        if *format == Some("json") {
            assert_json(&said)
        } else {
            assert_human(&said, true)
        }

        launch.file("plugway.toml", config).unwrap();
        let mut run = Command::new(BINARY);
        run.args(["run", "--config", "plugway.toml"]).current_dir(launch.directory()).env("XDG_STATE_HOME", launch.directory());
        let mut running = run.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(running.stderr.take().unwrap());
        until("it serves", || lines.read_line(&mut said).unwrap() == 0 || said.contains("Serving"));
        process::end(&mut running, Duration::from_secs(10));
        if *format == Some("human") {
            assert_human(&said, false)
        } else {
            assert_json(&said)
        }
        let mut printed = String::new();
        std::io::Read::read_to_string(&mut running.stdout.take().unwrap(), &mut printed).unwrap();
        assert_eq!(printed, "", "lines of the log go to standard error alone");
    }
}

#[test]
fn who_reads_no_complaint_is_answered_by_how_the_program_ends() {
    let folder = TempDir::new().unwrap();
    for (words, code) in [
        (&["check"][..], 1),
        (&["report", "--store", "none.db"], 1),
        (&["plugin", "inspect", "none.wasm"], 2),
        // Neither is a name, and each would be another request.
        (&["plugin", "promote", "--admin", "http://127.0.0.1:1/", "auth/rollback?"], 2),
        (&["plugin", "rollback", "--admin", "http://127.0.0.1:1/", "my auth"], 2),
    ] {
        let said = plugway(&folder, words);
        assert_eq!((said.status.code(), said.stderr.is_empty()), (Some(code), false), "{words:?}");
        let mut command = Command::new(BINARY);
        let mut unheard = command.args(words).current_dir(folder.path()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        drop(unheard.stderr.take());
        assert_eq!(unheard.wait().unwrap().code(), Some(code), "{words:?}");
    }
    let said = plugway(&folder, &["plugin", "promote", "auth/rollback?"]);
    assert!(text(&said.stderr).starts_with("no plugin is called \"auth/rollback?\""), "{}", text(&said.stderr));
}

#[test]
fn where_nothing_is_stored_a_report_says_so() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("plugway.toml"), format!("{HEAD}[store]\nenabled = false\nfile = \"none.db\"\n")).unwrap();
    for words in [&["report"][..], &["incidents"]] {
        let said = plugway(&folder, words);
        assert_eq!((said.status.code(), &*text(&said.stderr)), (Some(1), "nothing is stored: [store] enabled = false\n"), "{words:?}");
    }
}
