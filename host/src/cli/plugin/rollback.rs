//! `plugway plugin rollback`: has a running gateway go back to a version of a plugin that served before. `plugway plugin promote`: has
//! it go on to the one that is tried.

use clap::Args;
use plugway::config::is_name;

use crate::cli::running::Running;

/// Go on to the version that is tried.
#[derive(Debug, Args)]
pub(in crate::cli) struct Promote {
    /// The plugin, as `[plugins.NAME]` names it.
    name: String,
    #[command(flatten)]
    running: Running,
}

impl Promote {
    pub(super) fn run(&self) -> Result<bool, String> {
        self.running.order(&format!("/plugins/{}/promote", named(&self.name)?))
    }
}

/// Go back to a version.
#[derive(Debug, Args)]
pub(in crate::cli) struct Rollback {
    /// The plugin, as `[plugins.NAME]` names it.
    name: String,
    /// The version, or the beginning of its digest; default: the one that serves beside a canary, which ends the canary; and without one the
    /// one before it. That of the plugin's file ends a rollback.
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
        let path = format!("/plugins/{}/rollback", named(&self.name)?);
        let path = digest.map_or_else(|| path.clone(), |digest| format!("{path}?digest={}", digest.to_ascii_lowercase()));
        self.running.order(&path)
    }
}

/// A name as configurations have them. What is none would be another page of the gateway's, or another order.
fn named(name: &str) -> Result<&str, String> {
    if is_name(name) { Ok(name) } else { Err(format!("no plugin is called {name:?}: names have `a` to `z`, `0` to `9`, `-` and `_`")) }
}
