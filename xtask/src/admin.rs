//! What is asked of a gateway's admin listener.

use std::time::Duration;

use plugway_harness::error::Context;
use plugway_harness::gateway::Gateway;
use plugway_harness::raw::Raw;
use plugway_harness::{Error, Result};
use serde_json::Value;

/// The body of a good answer. `patience`: a reload is answered when it is done.
///
/// # Errors
/// When there is none, or it says that something is wrong.
pub(crate) fn ask(gateway: &Gateway, method: &str, path: &str, patience: Duration) -> Result<String> {
    let mut raw = Raw::connect(gateway.admin()?)?;
    raw.patience(patience)?;
    raw.send(format!("{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n"))?;
    let answer = raw.response()?;
    if answer.status == 200 { Ok(answer.text()) } else { Err(Error::new(format!("{method} {path}: {}: {}", answer.status, answer.text()))) }
}

/// `/status`
///
/// # Errors
/// As [`ask`].
pub(crate) fn status(gateway: &Gateway, patience: Duration) -> Result<Value> {
    serde_json::from_str(&ask(gateway, "GET", "/status", patience)?).context("/status")
}
