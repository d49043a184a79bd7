//! A file that was not taken, and why.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde_json::{Value, json};

use super::unix;

/// A file that was not taken.
#[derive(Debug, Clone)]
pub(super) struct Rejection {
    /// The plugin; `None` for the configuration.
    pub(super) plugin: Option<String>,
    /// The file.
    pub(super) file: PathBuf,
    /// SHA-256 of what was in it, in hexadecimal.
    pub(super) digest: String,
    /// Why, in one word.
    pub(super) why: &'static str,
    /// Why.
    pub(super) reason: String,
    at: SystemTime,
}

impl Rejection {
    pub(super) fn new(plugin: Option<&str>, file: &Path, digest: &str, why: &'static str, reason: String) -> Self {
        let (plugin, file, digest) = (plugin.map(str::to_owned), file.to_owned(), digest.to_owned());
        Self { plugin, file, digest, why, reason, at: SystemTime::now() }
    }

    /// As status shows it.
    pub(super) fn shown(&self) -> Value {
        json!({
            "plugin": self.plugin,
            "file": self.file.display().to_string(),
            "digest": format!("sha256:{}", self.digest),
            "why": self.why,
            "reason": self.reason,
            "at": unix(self.at),
        })
    }
}
