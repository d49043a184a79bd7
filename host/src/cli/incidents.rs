//! `plugway incidents`

use std::path::Path;
use std::time::SystemTime;

use clap::Args;
use serde_json::Value;

use plugway::config::plain;
use plugway::incidents::{Asked, list};
use plugway::report::{Request, time};
use plugway::store;

use super::source::{Monitored, Source};
use super::{admin, block_on, print};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Those that lasted at some moment since then, in minutes, hours or days: 90m, 24h, 7d.
    #[arg(long, default_value = "7d", value_parser = Request::since)]
    since: i64,
    /// Those that last alone, whenever they began.
    #[arg(long, conflicts_with = "since")]
    open: bool,
    /// table: for people; json: for programs.
    #[arg(long, default_value = "table", value_parser = ["table", "json"])]
    format: String,
    #[command(flatten)]
    from: Monitored,
}

pub(super) fn run(options: &Options) -> Result<(), String> {
    let asked = Asked { since: options.since, open: options.open };
    let now = store::seconds(SystemTime::now());
    let (incidents, seen) = match options.from.source()? {
        Source::Gateway(address) => {
            let text = block_on(admin::get(address, &format!("/incidents?{}", asked.query())))?;
            let incidents: Vec<Value> = serde_json::from_str(&text).map_err(|error| format!("{address} is no plugway: {error}"))?;
            (incidents, now)
        }
        Source::Store(file) => (list(&file, &asked, now).map_err(|error| error.to_string())?, seen(&file, now)?),
    };
    match &*options.format {
        "json" => print(&format!("{:#}\n", Value::from(incidents))),
        _ => print(&(table(&incidents, asked.open) + &note(&incidents, Some(seen).filter(|seen| *seen < now)))),
    }
}

/// When a gateway that writes this store was last heard of: now, where one does.
fn seen(file: &Path, now: i64) -> Result<i64, String> {
    let reader = store::Reader::open(file).map_err(|error| error.to_string())?;
    reader.ends(now).map_err(|error| format!("the monitoring store cannot be read: {error}"))
}

/// What lasts in a store that nobody writes any more lasted when somebody did.
fn note(incidents: &[Value], ended: Option<i64>) -> String {
    let lasts = |incident: &Value| incident.get("ended").is_some_and(Value::is_null);
    let ended = ended.filter(|_| incidents.iter().any(lasts));
    ended.map(|ended| format!("no gateway has written since {}: what lasts did so then\n", time::moment(ended))).unwrap_or_default()
}

/// One line for each, and below it the likely cause.
fn table(incidents: &[Value], open: bool) -> String {
    if incidents.is_empty() {
        return format!("no incident {}\n", if open { "is open" } else { "in this time" });
    }
    let mut out = format!("{:<20}  {:<20}  {:<8}  {:<16}  WHAT\n", "SINCE", "UNTIL", "SEVERITY", "KIND");
    for incident in incidents {
        // Consumers choose what they are called, and a store may come from anywhere.
        let text = |key: &str| plain(incident.get(key).and_then(Value::as_str).unwrap_or_default()).to_string();
        let moment = |key: &str| incident.get(key).and_then(Value::as_i64).map(time::moment);
        let (since, until) = (moment("started").unwrap_or_default(), moment("ended").unwrap_or_else(|| "lasts".to_owned()));
        let line = format!("{since:<20}  {until:<20}  {:<8}  {:<16}  {}\n", text("severity"), text("kind"), text("title"));
        out.push_str(&line);
        if !text("cause").is_empty() {
            out.push_str(&format!("{:<74}likely cause: {}\n", "", text("cause")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_lasts_in_a_store_that_nobody_writes_is_said_to_have_lasted_then() {
        let (over, lasts) = (json!({ "started": 60, "ended": 120 }), json!({ "started": 60, "ended": null }));
        let said = "no gateway has written since 2026-11-26 04:05 UTC: what lasts did so then\n";
        assert_eq!(note(&[over.clone(), lasts.clone()], Some(1_795_665_906)), said);
        assert_eq!((note(&[over], Some(1_795_665_906)), note(&[lasts], None)), (String::new(), String::new()));
    }
}
