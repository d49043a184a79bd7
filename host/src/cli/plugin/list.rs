//! `plugway plugin list`: which versions serve, how they do, and which are kept.

use std::time::{Duration, SystemTime};

use clap::Args;
use http::Method;
use serde_json::{Value, json};

use crate::cli::print;
use crate::cli::running::Running;
use plugway::config::plain;

/// What to list.
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    #[command(flatten)]
    running: Running,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(&self) -> Result<bool, String> {
        let (status, answer) = self.running.ask(Method::GET, "/status")?;
        let Some(plugins) = at(&answer, "plugins").as_array().filter(|_| status.is_success()) else {
            return Err(format!("the gateway answered {status} and not which plugins it has"));
        };
        if self.json {
            let listed: Vec<_> = plugins.iter().map(listed).collect();
            let text = serde_json::to_string_pretty(&listed).map_err(|error| error.to_string())?;
            print(&format!("{text}\n"))?;
        } else {
            print(&(table(plugins) + &notes(plugins)))?;
        }
        Ok(true)
    }
}

/// What is listed of a plugin, from what status shows of it.
fn listed(plugin: &Value) -> Value {
    json!({
        "name": at(plugin, "name"),
        "digest": at(plugin, "digest"),
        "sdk": at(plugin, "sdk"),
        "source": at(plugin, "source"),
        "file": at(plugin, "file"),
        "hooks": at(plugin, "hooks"),
        "rights": at(plugin, "capabilities"),
        "routes": at(plugin, "routes"),
        "since": at(plugin, "since"),
        "calls": at(plugin, "calls"),
        "failures": at(plugin, "failures"),
        "versions": at(plugin, "versions"),
        "rejected": at(plugin, "rejected"),
        "breakers": at(plugin, "breakers"),
        "canary": at(plugin, "canary"),
        "last_canary": at(plugin, "last_canary"),
    })
}

const HEADINGS: [&str; 11] = ["NAME", "DIGEST", "FILE", "SDK", "HOOKS", "RIGHTS", "ROUTES", "SINCE", "CALLS", "FAILURES", "VERSIONS"];

fn table(plugins: &[Value]) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    for plugin in plugins {
        let canary = at(plugin, "canary");
        if canary.is_object() {
            rows.push(row(&beside(plugin)));
            rows.push(row(&tried(plugin, canary)));
        } else {
            rows.push(row(plugin));
        }
    }
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
            line.push_str(&format!("{cell:<width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// What is not as it should be, a line for each.
fn notes(plugins: &[Value]) -> String {
    let mut notes = String::new();
    for plugin in plugins {
        let (name, rejected) = (text(at(plugin, "name")), at(plugin, "rejected"));
        if rejected.is_object() {
            let [file, why, reason] = ["file", "why", "reason"].map(|key| text(at(rejected, key)));
            let (digest, reason) = (short(at(rejected, "digest")), reason.lines().next().unwrap_or_default());
            // Plugin and file stand before it.
            let reason = reason.strip_prefix(&format!("plugin `{name}` ({file}) was not loaded: ")).unwrap_or(reason);
            notes.push_str(&format!("{name}: {file} ({digest}) is not taken: {why}: {reason}\n"));
        }
        for breaker in at(plugin, "breakers").as_array().into_iter().flatten() {
            if let open @ 1.. = at(breaker, "open").as_u64().unwrap_or_default() {
                let (hook, opened) = (text(at(breaker, "hook")), text(at(breaker, "opened")));
                notes.push_str(&format!("{name}: {hook} is left alone: {open} open breakers, opened {opened} times\n"));
            }
        }
    }
    notes
}

/// The version that serves while the file's is tried, which has a line of its own.
fn beside(plugin: &Value) -> Value {
    let mut beside = plugin.clone();
    if let Some(file) = beside.get_mut("file").filter(|file| *file == "canary") {
        *file = "serving".into();
    }
    beside
}

/// A canary, as its plugin is shown: in the place of the file stands whom it serves.
fn tried(plugin: &Value, canary: &Value) -> Value {
    let mut tried = canary.clone();
    if let Some(tried) = tried.as_object_mut() {
        let share = text(at(canary, "share"));
        let whom = if share == "shadow" { share } else { format!("canary {share}") };
        tried.insert("file".to_owned(), whom.into());
        tried.insert("routes".to_owned(), at(plugin, "routes").clone());
    }
    tried
}

fn row(plugin: &Value) -> [String; HEADINGS.len()] {
    let list = |value: &Value| value.as_array().map(|all| all.iter().map(text).collect::<Vec<_>>().join(",")).unwrap_or_default();
    let kept = at(plugin, "versions").as_array().map(|kept| kept.iter().map(short).collect::<Vec<_>>().join(","));
    let cells = [
        text(at(plugin, "name")),
        short(at(plugin, "digest")),
        text(at(plugin, "file")),
        text(at(plugin, "sdk")),
        list(at(plugin, "hooks")),
        list(at(plugin, "capabilities")),
        list(at(plugin, "routes")),
        age(at(plugin, "since")),
        text(at(plugin, "calls")),
        text(at(plugin, "failures")),
        kept.unwrap_or_default(),
    ];
    cells.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell })
}

/// As a terminal may have it: some of it are plugins' own words.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => plain(text).to_string(),
        other => other.to_string(),
    }
}

/// As much of a digest as a rollback needs.
fn short(digest: &Value) -> String {
    let digest = text(digest);
    digest.strip_prefix("sha256:").unwrap_or(&digest).chars().take(12).collect()
}

/// How long ago a moment was, in its largest unit.
fn age(since: &Value) -> String {
    let Some(since) = since.as_u64() else { return String::new() };
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    match now.saturating_sub(since) {
        seconds @ 0..120 => format!("{seconds}s ago"),
        seconds @ 120..7_200 => format!("{}m ago", seconds / 60),
        seconds @ 7_200..172_800 => format!("{}h ago", seconds / 3_600),
        seconds => format!("{}d ago", seconds / 86_400),
    }
}

/// A member; null where there is none.
fn at<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}
