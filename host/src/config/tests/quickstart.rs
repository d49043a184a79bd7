//! `examples/quickstart/plugway.toml` shows every key, and what it says about defaults is so.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::super::structure::visit;
use super::super::{INIT, Loaded, document, editor, parse};
use super::summary::plain;

/// Whether a line shows a key or a table that is left out: `# key = value` or `# [table]`.
fn shown(line: &str) -> Option<&str> {
    let line = line.strip_prefix("# ")?;
    let key = line.split(" = ").next().filter(|_| line.contains(" = "));
    let is_key = key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
    (is_key || (line.starts_with('[') && line.ends_with(']'))).then_some(line)
}

fn uncommented() -> String {
    INIT.lines().map(|line| format!("{}\n", shown(line).unwrap_or(line))).collect()
}

/// The quickstart names a key set; any text will do here.
fn parse_beside_keys(text: &str) -> Loaded {
    // Tests run side by side, each in a folder of its own.
    static FOLDERS: AtomicUsize = AtomicUsize::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("plugway-quickstart-{}-{number}", std::process::id()));
    std::fs::create_dir_all(folder.join("certs")).unwrap();
    std::fs::write(folder.join("certs/jwks.json"), "{}").unwrap();
    let parsed = parse(text, &folder.join("plugway.toml"));
    std::fs::remove_dir_all(&folder).unwrap();
    parsed.unwrap_or_else(|problems| panic!("{problems}"))
}

#[test]
fn it_is_good_as_it_stands() {
    let loaded = parse_beside_keys(INIT);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    assert_eq!(loaded.config.routes.len(), 2);
}

#[test]
fn it_is_good_with_every_line_in_use() {
    let text = uncommented();
    assert!(text.lines().count() == INIT.lines().count() && text != INIT);
    let loaded = parse_beside_keys(&text);
    assert_eq!(loaded.config.listeners.len(), 2);
    assert_eq!(loaded.config.upstreams.len(), 3);
}

#[test]
fn every_key_of_the_schema_is_in_it() {
    let tree = document::read(&uncommented()).unwrap().tree;
    let schema = editor::schema();
    let mut missing = BTreeSet::new();
    visit(schema, schema, "", &mut |pattern, key| {
        let mut steps: Vec<_> = pattern.split('.').filter(|step| !step.is_empty()).chain([key]).collect();
        // A plugin is named in one way everywhere; routes show it.
        if let ["defaults", "plugins", _] = steps.as_slice() {
            steps[0] = "routes";
        }
        if !has(&Value::Object(tree.clone()), &steps) {
            missing.insert(steps.join("."));
        }
    });
    assert!(missing.is_empty(), "not in the quickstart: {missing:?}");
}

/// Whether some value of the tree is at these steps; `NAME` is any key, and lists are looked through.
fn has(value: &Value, steps: &[&str]) -> bool {
    match (value, steps) {
        (_, []) => true,
        (Value::Array(items), _) => items.iter().any(|item| has(item, steps)),
        (Value::Object(map), ["NAME", rest @ ..]) => map.values().any(|value| has(value, rest)),
        (Value::Object(map), [key, rest @ ..]) => map.get(*key).is_some_and(|value| has(value, rest)),
        _ => false,
    }
}

#[test]
fn what_it_says_about_defaults_is_so() {
    let (shown, plain) = (parse_beside_keys(&uncommented()).config, plain());
    assert_eq!(shown.limits, plain.limits);
    assert_eq!(shown.timeouts, plain.timeouts);
    assert_eq!(shown.log, plain.log);
    let store = |config: &crate::config::model::Config| (config.store.enabled, config.store.max_size, config.store.keep.clone());
    assert_eq!(store(&shown), store(&plain));
    let redact = crate::config::model::Redact::default();
    assert_eq!(crate::config::model::AccessLog { redact, file: None, ..shown.access_log }, plain.access_log);
    assert_eq!(crate::config::model::Tracing { baggage: Vec::new(), ..shown.tracing }, plain.tracing);
    let (otlp, defaults) = (shown.otlp.unwrap(), super::super::defaults::OTLP_METRICS_INTERVAL);
    assert_eq!((otlp.grpc, otlp.traces, otlp.metrics, otlp.metrics_interval), (false, true, true, defaults));
    assert_eq!(otlp.receiver.response_timeout, super::super::defaults::OTLP_TIMEOUT);
    assert_eq!(otlp.max_queued, super::super::defaults::OTLP_MAX_QUEUED);
    assert!(plain.otlp.is_none());
    assert_eq!(shown.admin, plain.admin);
    assert_eq!(shown.keep_versions, plain.keep_versions);
    let auth = shown.plugins.iter().find(|plugin| plugin.name == "auth").unwrap();
    let of = |plugin: &crate::config::model::Plugin| (plugin.budget.clone(), plugin.on_failure, plugin.isolation, plugin.require_signature);
    assert_eq!(of(auth), of(&plain.plugins[0]));
    assert_eq!(shown.trust.require_signature, plain.trust.require_signature);
    let (orders, default) = (&shown.upstreams[0], &plain.upstreams[0]);
    assert_eq!(orders.name, "orders");
    assert_eq!((orders.protocol, &orders.host), (default.protocol, &default.host));
    assert_eq!(
        (orders.connect_timeout, orders.response_timeout, orders.stream_timeout, orders.idle_timeout),
        (default.connect_timeout, default.response_timeout, default.stream_timeout, default.idle_timeout)
    );
    assert_eq!(
        (orders.max_connections, orders.max_idle_connections, orders.max_attempts),
        (default.max_connections, default.max_idle_connections, default.max_attempts)
    );
    assert_eq!(orders.retry_on, default.retry_on);
    assert_eq!(shown.listeners[1].tls.as_ref().map(|tls| tls.http2), Some(super::super::defaults::LISTENER_HTTP2));
}

#[test]
fn its_default_folder_is_the_default() {
    assert!(INIT.contains(&format!("# plugin_directory = \"{}\"", super::super::defaults::PLUGIN_DIRECTORY)));
    assert!(Path::new(super::super::defaults::PLUGIN_DIRECTORY).is_relative());
}
