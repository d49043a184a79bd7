//! `plugway why`: what happened to a request.

use clap::Args;
use http::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use plugway::config::in_line;
use plugway::report::{format, time as moment};

use super::print;
use super::running::Running;

/// Which request.
#[derive(Debug, Args)]
pub(super) struct Why {
    /// Its `x-request-id`, or its trace id; without one, what is remembered is listed.
    id: Option<String>,
    #[command(flatten)]
    running: Running,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Why {
    pub(super) fn run(&self) -> Result<(), String> {
        let path = self
            .id
            .as_deref()
            .map_or_else(|| "/requests".to_owned(), |id| format!("/requests/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)));
        let (status, answer) = self.running.ask(Method::GET, &path)?;
        if status == StatusCode::NOT_FOUND && answer.get("detail").is_some() {
            return Err(format!("{}. {}", text(at(&answer, "title")), text(at(&answer, "detail"))));
        }
        let Some(stories) = answer.as_array().filter(|_| status.is_success()) else {
            return Err(format!("the gateway answered {status} and not what it remembers"));
        };
        if self.json {
            let text = serde_json::to_string_pretty(stories).map_err(|error| error.to_string())?;
            return print(&format!("{text}\n"));
        }
        match &self.id {
            Some(_) => print(&stories.iter().map(told).collect::<Vec<_>>().join("\n")),
            None => print(&list(stories)),
        }
    }
}

/// One request: its head, and a line for each step.
fn told(story: &Value) -> String {
    let or_none = |value: &Value| Some(text(value)).filter(|text| !text.is_empty());
    let mut out = format!("{} {}{}\n", text(at(story, "method")), text(at(story, "host")), text(at(story, "path")));
    let mut line = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            out.push_str(&format!("  {name:<9} {value}\n"));
        }
    };
    line("ended", Some(ended(story)));
    line("request", or_none(at(story, "id")));
    line("trace", or_none(at(story, "trace_id")));
    line("client", or_none(at(story, "client")));
    line("consumer", or_none(at(story, "consumer")));
    line("route", Some(or_none(at(story, "route")).unwrap_or_else(|| "none".to_owned())));
    let fault = or_none(at(story, "fault")).map(|fault| format!(", {fault} ({}'s fault)", text(at(story, "blame")))).unwrap_or_default();
    line("answer", Some(format!("{} after {}{fault}", text(at(story, "status")), time(at(story, "duration_us")))));
    out.push('\n');
    let mut rows = vec![["AFTER", "TOOK", "WHO", "VERSION", "WHAT", "RESULT"].map(str::to_owned)];
    let steps = at(story, "steps").as_array().map(Vec::as_slice).unwrap_or_default();
    for step in steps {
        rows.push(row(step));
        rows.extend(notes(step));
    }
    if steps.is_empty() {
        out.push_str("  no plugin and no upstream was asked\n");
    } else {
        out.push_str(&table(&rows));
    }
    if steps.iter().any(|step| step.get("attempt").is_none() && step.get("took_us").is_none()) {
        out.push_str("\n  It was not sampled, and nothing was wrong on its worker before, so only attempts have times.\n");
    }
    out
}

fn row(step: &Value) -> [String; 6] {
    let details = [at(step, "status"), at(step, "fault")].map(text);
    let result = std::iter::once(text(at(step, "result"))).chain(details).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    let (who, version, what) = match step.get("attempt") {
        Some(number) => (text(at(step, "upstream")), String::new(), format!("attempt {} {}", text(number), text(at(step, "endpoint")))),
        None => (text(at(step, "plugin")), text(at(step, "version")), text(at(step, "hook"))),
    };
    [time(at(step, "after_us")), time(at(step, "took_us")), who, version, what, result].map(filled)
}

/// What a plugin noted, below its step.
fn notes(step: &Value) -> Vec<[String; 6]> {
    let pairs = |value: &Value| {
        let pairs = value.as_object().into_iter().flatten();
        pairs.map(|(name, value)| format!("{}={}", shown(name), text(value))).collect::<Vec<_>>().join(" ")
    };
    let line = |after: String, what: String| [after, String::new(), String::new(), String::new(), what, String::new()];
    let attributes =
        Some(pairs(at(step, "attributes"))).filter(|pairs| !pairs.is_empty()).map(|pairs| line(String::new(), format!("  {pairs}")));
    let events = at(step, "events").as_array().into_iter().flatten();
    let events = events.map(|event| {
        let said = format!("  {} {}", text(at(event, "name")), pairs(at(event, "attributes")));
        line(time(at(event, "after_us")), said.trim_end().to_owned())
    });
    attributes.into_iter().chain(events).collect()
}

fn list(stories: &[Value]) -> String {
    let mut rows = vec![["ENDED", "REQUEST", "METHOD", "PATH", "STATUS", "FAULT", "BLAME", "ROUTE", "TOOK", "SAMPLED"].map(str::to_owned)];
    for story in stories {
        let fields = ["id", "method", "path", "status", "fault", "blame", "route"].map(|field| filled(text(at(story, field))));
        let [id, method, path, status, fault, blame, route] = fields;
        let sampled = if at(story, "sampled").as_bool().unwrap_or_default() { "yes" } else { "no" };
        rows.push([ended(story), id, method, path, status, fault, blame, route, time(at(story, "duration_us")), sampled.to_owned()]);
    }
    table(&rows)
}

fn table<const COLUMNS: usize>(rows: &[[String; COLUMNS]]) -> String {
    let mut out = String::new();
    for row in rows {
        let mut line = String::from("  ");
        for (column, cell) in row.iter().enumerate() {
            let width = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0);
            line.push_str(&format!("{cell:<width$}  "));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

fn filled(cell: String) -> String {
    if cell.is_empty() { "-".to_owned() } else { cell }
}

/// Microseconds as people read them.
fn time(micros: &Value) -> String {
    micros.as_f64().map(format::latency).unwrap_or_default()
}

/// When a request was over.
fn ended(story: &Value) -> String {
    let number = |key: &str| at(story, key).as_i64().unwrap_or_default();
    moment::second((number("received_ms") + number("duration_us") / 1_000) / 1_000)
}

/// Text without what a terminal would obey: some of it comes from clients.
fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => shown(text),
        other => shown(&other.to_string()),
    }
}

/// As a terminal may have it.
fn shown(text: &str) -> String {
    text.chars().map(|char| in_line(char, char::REPLACEMENT_CHARACTER)).collect()
}

/// A member; null where there is none.
fn at<'a>(value: &'a Value, key: &str) -> &'a Value {
    value.get(key).unwrap_or(&Value::Null)
}
