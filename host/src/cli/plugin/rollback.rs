//! `plugway plugin rollback`: has a running gateway go back to a version of a plugin that served before.

use clap::Args;
use http::Method;
use serde_json::Value;

use crate::cli::print;
use crate::cli::running::Running;

/// Go back to a version.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rollback {
    /// The plugin, as `[plugins.NAME]` names it.
    name: String,
    /// The version, or the beginning of its digest; default: the one that served before. That of the plugin's file ends a rollback.
    digest: Option<String>,
    #[command(flatten)]
    running: Running,
}

impl Rollback {
    pub(super) fn run(&self) -> Result<bool, String> {
        let digest = self.digest.as_deref().map(|digest| digest.trim_start_matches("sha256:"));
        if digest.is_some_and(|digest| digest.is_empty() || !digest.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            return Err("a digest is hexadecimal, such as `/status` and the log show it".to_owned());
        }
        let path = format!("/plugins/{}/rollback", self.name);
        let path = digest.map_or_else(|| path.clone(), |digest| format!("{path}?digest={}", digest.to_ascii_lowercase()));
        let (status, body) = self.running.ask(Method::POST, &path)?;
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
        if !status.is_success() {
            eprintln!("{}: {}", text("title"), text("detail").trim_end());
            return Ok(false);
        }
        let changes = body.get("changes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let changes: Vec<_> = changes.collect();
        let what = if changes.is_empty() { "it serves already".to_owned() } else { changes.join("\n") };
        print(&format!("{what}\n"))?;
        Ok(true)
    }
}
