//! `cargo xtask monitoring`: alert rules for Prometheus, what promtool tests them with, the runbook, and a dashboard for Grafana.

mod dashboard;
#[allow(dead_code, reason = "no rule needs all of them")]
#[path = "../../host/src/telemetry/names.rs"]
mod names;
mod rules;

use std::fmt::Write;
use std::path::PathBuf;

use plugway_harness::Result;
use plugway_harness::error::Context;
use serde_json::Value;

use self::rules::{Alert, World};
use crate::workspace::root;

const BEGIN: &str = "<!-- alerts: written by `cargo xtask monitoring` -->\n";
const END: &str = "<!-- end of alerts -->\n";
const NOTE: &str = "# Written by `cargo xtask monitoring`; what each alert means and what to look at: docs/monitoring.md\n";
/// Minutes into the world of a test at which is asked what fires.
const ASKED: u32 = 110;

/// `cargo xtask monitoring`
pub(crate) fn run() -> Result<()> {
    for (path, text) in files()? {
        std::fs::write(&path, text).context(path.display())?;
        println!("wrote {}", path.display());
    }
    Ok(())
}

/// Every file, as it is to be.
fn files() -> Result<Vec<(PathBuf, String)>> {
    let folder = root().join("examples").join("monitoring");
    let docs = root().join("docs").join("monitoring.md");
    let text = std::fs::read_to_string(&docs).context(docs.display())?;
    let (before, rest) = text.split_once(BEGIN).context(format!("{} has no line {BEGIN}", docs.display()))?;
    let (_, after) = rest.split_once(END).context(format!("{} has no line {END}", docs.display()))?;
    let docs_text = format!("{before}{BEGIN}{}{END}{after}", runbook());
    let dashboard = format!("{:#}\n", dashboard::dashboard());
    Ok(vec![
        (folder.join("dashboard.json"), dashboard),
        (folder.join("alerts.yml"), alert_rules()),
        (folder.join("alerts-test.yml"), rule_tests()),
        (docs, docs_text),
    ])
}

fn alert_rules() -> String {
    let mut out = format!("{NOTE}groups:\n  - name: plugway-slo\n    rules:\n");
    for rule in rules::recordings() {
        out += &format!("      - record: {}\n        expr: {}\n", rule.name, quoted(&rule.expr));
    }
    out += "  - name: plugway\n    rules:\n";
    for alert in rules::alerts() {
        let Alert { name, severity, expr, minutes, summary, .. } = &alert;
        out += &format!("      - alert: {name}\n        expr: {}\n        for: {minutes}m\n", quoted(expr));
        out += &format!("        labels:\n          severity: {}\n", severity.as_str());
        out += &format!("        annotations:\n          summary: {}\n          runbook: {}\n", quoted(summary), quoted(&place(name)));
    }
    out
}

/// Two worlds for each alert: it fires in one, and in the other it does not.
fn rule_tests() -> String {
    let mut out = format!("{NOTE}rule_files: [alerts.yml]\nevaluation_interval: 1m\ntests:\n");
    for alert in rules::alerts() {
        test(&mut out, &alert, &alert.firing, true);
        test(&mut out, &alert, &alert.quiet, false);
    }
    out
}

fn test(out: &mut String, alert: &Alert, world: &World, fires: bool) {
    let name = alert.name;
    *out += &format!("  - name: {name} {}\n    interval: 1m\n    input_series:\n", if fires { "fires" } else { "is silent" });
    for (series, values) in world {
        *out += &format!("      - {{series: {}, values: {}}}\n", quoted(series), quoted(values));
    }
    *out += &format!("    alert_rule_test:\n      - eval_time: {ASKED}m\n        alertname: {name}\n");
    if !fires {
        *out += "        exp_alerts: []\n";
        return;
    }
    let mut summary = alert.summary.to_owned();
    let mut labels = format!("severity: {}", alert.severity.as_str());
    for (label, value) in &alert.labels {
        summary = summary.replace(&format!("{{{{ $labels.{label} }}}}"), value);
        labels += &format!(", {label}: {}", quoted(value));
    }
    // It keeps the job where its expression does not sum.
    if alert.expr.contains("job=") {
        labels += ", job: plugway";
    }
    *out += &format!("        exp_alerts:\n          - exp_labels: {{{labels}}}\n");
    *out += &format!("            exp_annotations: {{summary: {}, runbook: {}}}\n", quoted(&summary), quoted(&place(name)));
}

/// The table in docs/monitoring.md.
fn runbook() -> String {
    let mut out = "\n| alert | severity | what it means | what to look at |\n|---|---|---|---|\n".to_owned();
    for Alert { name, severity, minutes, summary, runbook, .. } in rules::alerts() {
        let summary = summary.replace("{{ $labels.", "`").replace(" }}", "`");
        let minutes = if minutes == 0 { String::new() } else { format!(", for {minutes} minutes") };
        let anchor = name.to_lowercase();
        let _ = writeln!(out, "| <a id=\"{anchor}\"></a>`{name}` | {} | {summary}{minutes} | {runbook} |", severity.as_str());
    }
    out += "\n";
    out
}

/// Where an alert's line of the runbook stands.
fn place(alert: &str) -> String {
    format!("docs/monitoring.md#{}", alert.to_lowercase())
}

/// A YAML string, since YAML takes those of JSON.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use plugway_harness::peers::PROMTOOL;

    use super::*;

    #[test]
    fn what_is_committed_is_what_the_table_says() {
        for (path, text) in files().unwrap() {
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == text, "{} differs: run `cargo xtask monitoring`", path.display());
        }
    }

    #[test]
    fn promtool_takes_the_rules_and_sees_each_fire_and_be_silent() {
        let promtool = PROMTOOL.find().unwrap();
        for (verb, file) in [("check", "alerts.yml"), ("test", "alerts-test.yml")] {
            let mut command = Command::new(&promtool);
            let output = command.args([verb, "rules", file]).current_dir(root().join("examples/monitoring")).output().unwrap();
            let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
            assert!(output.status.success(), "promtool {verb} rules {file}:\n{said}");
            println!("{said}");
        }
    }
}
