//! A running gateway, asked by its admin listener.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use http::{Method, StatusCode};
use serde_json::Value;

use crate::cli::{admin, block_on, complain, print};
use plugway::config;

/// Which gateway.
#[derive(Debug, Args)]
pub(super) struct Running {
    /// The configuration the gateway runs with, which says where its admin listener is.
    #[arg(long, value_name = "FILE", default_value = "plugway.toml")]
    config: PathBuf,
    /// The admin listener, instead of the one in the configuration.
    #[arg(long, value_name = "ADDRESS")]
    admin: Option<String>,
}

impl Running {
    /// What it answers.
    pub(super) fn ask(&self, method: Method, path: &str) -> Result<(StatusCode, Value), String> {
        let address = self.admin()?;
        let (status, text) = block_on(admin::ask(address, method, path))?;
        let body = serde_json::from_str(&text).map_err(|_| format!("what answers at {address} with {status} is no plugway"))?;
        Ok((status, body))
    }

    /// Has it do something with a plugin, and prints what is different then. Whether it did.
    pub(super) fn order(&self, path: &str) -> Result<bool, String> {
        let (status, body) = self.ask(Method::POST, path)?;
        let text = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
        if !status.is_success() {
            complain(&format!("{}: {}", text("title"), text("detail")));
            return Ok(false);
        }
        let changes = body.get("changes").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        let changes: Vec<_> = changes.collect();
        let what = if changes.is_empty() { "it serves already".to_owned() } else { changes.join("\n") };
        print(&format!("{what}\n"))?;
        Ok(true)
    }

    fn admin(&self) -> Result<SocketAddr, String> {
        if let Some(address) = &self.admin {
            return admin::address(address);
        }
        let loaded = config::load(&self.config).map_err(|rejected| rejected.to_string())?;
        loaded.config.admin.ok_or_else(|| format!("{} has no admin listener, which takes the order", self.config.display()))
    }
}
