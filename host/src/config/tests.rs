mod golden;
mod mutation;
mod quickstart;
mod summary;

use std::path::Path;

use super::*;

/// What is printed about a text that is wrong.
fn problems_of(text: &str) -> String {
    parse(text, Path::new("plugway.toml")).unwrap_err().to_string()
}

/// A configuration that is right, with something behind it.
fn with(text: &str) -> String {
    format!(
        "[listen.web]\naddress = \"127.0.0.1:0\"\n[upstreams.a]\nendpoints = [\"http://127.0.0.1:1\"]\n[[routes]]\nname = \"a\"\nupstream = \"a\"\n{text}"
    )
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem() {
    let error = load(Path::new("no-such-folder/plugway.toml")).unwrap_err().to_string();
    assert!(error.starts_with("no-such-folder/plugway.toml:1:1: this file cannot be read: "), "{error}");
    assert!(error.ends_with("1 problem\n"), "{error}");
}

#[test]
fn positions_count_characters() {
    let text = with("[plugins.a]\nsource = \"x\"\nconfig = { \"äöü\" = 1 }, x\n");
    let printed = problems_of(&text);
    assert!(printed.starts_with("plugway.toml:10:23: "), "{printed}");
    let printed = problems_of(&with("match = { headers = { \"ä\" = \"b\", \"öü\" = 1 } }"));
    assert!(printed.contains("plugway.toml:8:41: routes[0].match.headers.\"öü\": "), "{printed}");
}

#[test]
fn a_wrong_entry_hides_no_other_problem_and_causes_none() {
    let text = "
        workers = 0
        [listen.web]
        adress = '0.0.0.0:1'
        [plugins.auth]
        source = 5
        [plugins.hash]
        source = 'builtin:hash'
        [upstreams.a]
        endpoints = [7, 'https://127.0.0.1/x']
        [[routes]]
        name = 'a'
        plugins = ['auth', 3, 'nobody']
        upstream = 'a'
        [[routes]]
        name = 'a'
        upstream = 'b'
        speed = 'high'
        [timeouts]
        head = '5'
    ";
    let printed = problems_of(text);
    let keys: Vec<_> = printed.lines().filter_map(|line| line.strip_prefix("plugway.toml:")?.split(": ").nth(1)).collect();
    let expected = [
        "workers",
        "listen.web.adress",
        "plugins.auth.source",
        "plugins.hash.source",
        "upstreams.a.endpoints[0]",
        "upstreams.a.endpoints[1]",
        "routes[0].plugins[1]",
        "routes[0].plugins[2]",
        "routes[1].name",
        "routes[1].upstream",
        "routes[1].speed",
        "timeouts.head",
    ];
    let mut sorted = (keys.clone(), expected.to_vec());
    sorted.0.sort_unstable();
    sorted.1.sort_unstable();
    assert_eq!(sorted.0, sorted.1.as_slice(), "{printed}");
}

#[test]
fn a_place_replaces_keys_of_its_plugin() {
    let text = with(
        "plugins = ['p', { plugin = 'p', config = { b = { d = 3 } }, on_failure = 'reject' }]\n[plugins.p]\nsource = 'p.wasm'\non_failure = 'skip'\nconfig = { a = 1, b = { c = 2 } }\n",
    );
    let config = parse(&text, Path::new("/etc/plugway/plugway.toml")).unwrap().config;
    let chain = &config.routes[0].chain;
    assert_eq!(serde_json::to_string(&chain[0].config).unwrap(), r#"{"a":1,"b":{"c":2}}"#);
    assert_eq!(serde_json::to_string(&chain[1].config).unwrap(), r#"{"a":1,"b":{"d":3}}"#);
    assert_eq!((chain[0].on_failure, chain[1].on_failure), (model::FailurePolicy::Skip, model::FailurePolicy::Reject));
    assert_eq!(config.plugins[0].source, model::Source::File("/etc/plugway/plugins.d/p.wasm".into()));
}

#[test]
fn files_in_plugin_tables_are_read_and_bounded() {
    let folder = std::env::temp_dir().join(format!("plugway-config-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("keys.json"), "{\"keys\":[]}").unwrap();
    std::fs::write(folder.join("large"), vec![b'a'; (1 << 20) + 1]).unwrap();
    std::fs::write(folder.join("binary"), [0xFF, 0xFE]).unwrap();
    let text = |file: &str| {
        with(&format!(
            "[plugins.p]\nsource = 'p.wasm'\nconfig = {{ list = [{{ file = '{file}' }}], other = {{ file = 'x', more = 1 }} }}\n"
        ))
    };
    let parsed = |file: &str| parse(&text(file), &folder.join("plugway.toml"));

    let config = parsed("keys.json").unwrap().config;
    assert_eq!(config.plugins[0].config["list"][0], "{\"keys\":[]}");
    assert_eq!(config.plugins[0].config["other"]["file"], "x");
    for (file, why) in [("large", "larger than 1 MiB"), ("binary", "no UTF-8"), ("none", "No such file"), (".", "it is no file")] {
        let printed = parsed(file).unwrap_err().to_string();
        assert!(printed.contains(why) && printed.contains("plugins.p.config.list[0].file: "), "{printed}");
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn warnings_do_not_stop_a_configuration() {
    let loaded =
        parse(&with("[admin]\naddress = '0.0.0.0:9901'\n[plugins.idle]\nsource = 'builtin:metrics'\n"), Path::new("plugway.toml")).unwrap();
    let keys: Vec<_> = loaded.warnings.iter().map(|warning| warning.key.as_str()).collect();
    assert_eq!(keys, ["admin.address", "plugins.idle"]);
}

#[test]
fn a_promise_over_more_days_than_are_kept_is_a_warning() {
    let kept = |days: u32, more: &str| {
        let slo = "slo = { availability = '99.9%', window = '60d' }";
        let text = with(&format!("{slo}\n[store]\n{more}\n[store.keep]\nhours = '20d'\ndays = '{days}d'\n"));
        let loaded = parse(&text, Path::new("plugway.toml")).unwrap();
        loaded.warnings.iter().map(|warning| format!("{}: {}", warning.key, warning.message)).collect::<Vec<_>>()
    };
    let warned = kept(59, "");
    assert!(warned.len() == 1 && warned[0].starts_with("store.keep.days: what is promised of route `a` is over 60 days"), "{warned:?}");
    assert_eq!(kept(60, ""), [""; 0]);
    assert_eq!(kept(59, "enabled = false"), [""; 0]);
}

#[test]
fn deep_nesting_is_a_problem() {
    for text in [format!("a = {}", "[".repeat(100_000)), format!("a = {}", "{a=".repeat(100_000)), format!("[{}a]\n", "a.".repeat(50_000))]
    {
        assert!(parse(&text, Path::new("plugway.toml")).is_err());
    }
}

#[test]
fn no_number_is_only_found_too_large_when_it_is_read() {
    fn each(schema: &Value, name: &str) {
        if schema["format"] == "uint32" {
            assert!(schema["maximum"].as_u64().is_some_and(|most| most <= u32::MAX.into()), "{name}: {schema}");
        }
        match schema {
            Value::Object(members) => members.iter().for_each(|(name, schema)| each(schema, name)),
            Value::Array(items) => items.iter().for_each(|schema| each(schema, name)),
            _ => {}
        }
    }
    each(&serde_json::from_str(&json_schema()).unwrap(), "");
    let printed = problems_of(&with("[tracing]\nmax_per_second = 5000000000\n"));
    assert!(printed.starts_with("plugway.toml:9:18: tracing.max_per_second: "), "{printed}");
}

#[test]
fn a_header_is_asked_for_once() {
    let printed = problems_of(&with("match = { headers = { X-A = \"1\", x-a = \"2\" } }"));
    assert!(printed.contains("\"x-a\" is there twice, in upper and lower case"), "{printed}");
}

#[test]
fn the_schema_is_one_that_editors_read() {
    let schema: Value = serde_json::from_str(&json_schema()).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["workers"]["type"], "integer");
    assert!(!json_schema().contains("\"null\""), "TOML has no null");
    // What the structure check does not know how to read, it would wave through.
    let known = [
        "$defs",
        "$ref",
        "$schema",
        "additionalProperties",
        "anyOf",
        "default",
        "description",
        "enum",
        "examples",
        "format",
        "items",
        "maximum",
        "minItems",
        "minimum",
        "properties",
        "required",
        "title",
        "type",
    ];
    fn visit(schema: &Value, known: &[&str]) {
        for (key, value) in schema.as_object().into_iter().flatten() {
            assert!(known.contains(&key.as_str()), "{key} is not read by the structure check");
            match key.as_str() {
                "properties" | "$defs" => value.as_object().unwrap().values().for_each(|schema| visit(schema, known)),
                "anyOf" => value.as_array().unwrap().iter().for_each(|schema| visit(schema, known)),
                "items" | "additionalProperties" => visit(value, known),
                _ => {}
            }
        }
    }
    visit(&schema, &known);
}
