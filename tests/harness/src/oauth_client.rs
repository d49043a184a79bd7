//! npm's `oauth4webapi` as a client of the tests: it finds out of an API how to get a token for it, by the standards and nothing else. Its script is
//! `tests/oauth-client/client.mjs`.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::json;

use crate::error::{Error, Result};
use crate::gateway::Line;
use crate::node::{self, Script};

/// Installs it where it is missing, and gives its module.
///
/// # Errors
/// As [`node::install`].
pub fn install() -> Result<PathBuf> {
    node::install("oauth-client", "oauth4webapi/build/index.js")
}

/// A client with a name and a secret at an authorization server; it ends with its owner.
#[derive(Debug)]
pub struct OAuthClient {
    script: Script,
}

impl OAuthClient {
    /// Starts one that finds what is known as `origin` at an address of this machine.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub fn start(origin: &str, address: SocketAddr) -> Result<Self> {
        let (module, address) = (install()?, address.to_string());
        let environment = [("OAUTH_CLIENT", &*module.to_string_lossy()), ("ORIGIN", origin), ("ADDRESS", &address)];
        let script = Script::start("oauth-client", "client.mjs", &environment)?;
        script.wait(|line| line.value("client").is_some())?;
        Ok(Self { script })
    }

    /// Asks for a resource, with a token that it gets for it; `bound` to a key of its own (RFC 9449) or not. What came is in the fields `refused`, `servers`,
    /// `scopes`, `status`, `text` and `nonces` of the line.
    ///
    /// # Errors
    /// With what the client had to object.
    pub fn call(&self, url: &str, (id, secret): (&str, &str), bound: bool) -> Result<Line> {
        let line = self.script.order(json!({ "command": "call", "url": url, "id": id, "secret": secret, "bound": bound }))?;
        match line.field("error") {
            Some(error) => Err(Error::new(format!("the client objects: {error}"))),
            None => Ok(line),
        }
    }
}
