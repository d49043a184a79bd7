//! npm's `oidc-provider`, certified by the OpenID Foundation, as the authorization server of the tests: real tokens, issued by
//! somebody else's code. Its script and its settings are `tests/oidc-provider/server.mjs`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::ca::{Authority, Issued};
use crate::error::{Context, Result};
use crate::node::{self, Script};

/// Installs it where it is missing, and gives its module.
///
/// # Errors
/// As [`node::install`].
pub fn install() -> Result<PathBuf> {
    node::install("oidc-provider", "oidc-provider/lib/index.js")
}

/// A running provider; it ends with its owner.
#[derive(Debug)]
pub struct Provider {
    script: Script,
    issuer: String,
    alias: Option<String>,
    address: SocketAddr,
}

impl Provider {
    /// Starts one on a free port of 127.0.0.1, over plain HTTP. `settings` may have `clients` (RFC 7591), `ttl`, the life of
    /// tokens in seconds, `alg`, by which they are signed, and `slash`, for an issuer that ends in one.
    ///
    /// # Errors
    /// When it is not installed, or does not start.
    pub fn start(settings: &Value) -> Result<Self> {
        Self::launch(settings, &[])
    }

    /// Likewise over TLS; certificates of clients are asked for, and those of this authority are good. With `aliases` in `settings` nobody is asked
    /// for one there, and whoever has none of this authority's gets no answer at a second address, which the metadata has (RFC 8705, section 5).
    ///
    /// # Errors
    /// As [`Provider::start`].
    pub fn over_tls(settings: &Value, identity: &Issued, clients: &Authority) -> Result<Self> {
        let (certificate, key) = identity.pems();
        Self::launch(settings, &[("OIDC_CERTIFICATE", certificate), ("OIDC_KEY", key), ("OIDC_CLIENT_CA", clients.pem())])
    }

    fn launch(settings: &Value, environment: &[(&str, &str)]) -> Result<Self> {
        let (module, settings) = (install()?, settings.to_string());
        let module = module.to_string_lossy();
        let own = [("OIDC_PROVIDER", &*module), ("OIDC_SETTINGS", settings.as_str())];
        let script = Script::start("oidc-provider", "server.mjs", &[environment, &own].concat())?;
        let listening = script.wait(|line| line.field("listening").is_some())?;
        let issuer = listening.field("listening").unwrap_or_default().to_owned();
        let alias = listening.field("alias").map(str::to_owned);
        let port =
            issuer.trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).context("the provider's port")?;
        Ok(Self { script, issuer, alias, address: ([127, 0, 0, 1], port).into() })
    }

    /// The `iss` of its tokens, and where it is.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The same without a path, as an endpoint of an upstream is written.
    pub fn origin(&self) -> &str {
        self.issuer.trim_end_matches('/')
    }

    /// Where it demands certificates of clients, if that is an address of its own.
    pub fn alias(&self) -> Option<&str> {
        self.alias.as_deref()
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Signs with a new key from now on, and publishes the old one beside it.
    ///
    /// # Errors
    /// When it has ended.
    pub fn rotate(&self) -> Result<()> {
        self.order(json!({ "command": "rotate" }))
    }

    /// As [`rotate`](Self::rotate), and takes the keys back that there were.
    ///
    /// # Errors
    /// When it has ended.
    pub fn withdraw(&self) -> Result<()> {
        self.order(json!({ "command": "withdraw" }))
    }

    /// From now on requests whose path begins with this are answered `well`, with `rubbish`, with 500 (`broken`), with 404 (`absent`), or late
    /// (`delayed`, by so long).
    ///
    /// # Errors
    /// When it has ended.
    pub fn behave(&self, path: &str, how: &str, delay: Duration) -> Result<()> {
        self.order(json!({ "command": "behave", "path": path, "as": how, "ms": u64::try_from(delay.as_millis()).unwrap_or(u64::MAX) }))
    }

    fn order(&self, order: Value) -> Result<()> {
        self.script.order(order).map(drop)
    }

    /// Lines with these fields. What it has said until now is read before: it says things in order.
    fn count(&self, fields: &[(&str, &str)]) -> usize {
        drop(self.order(json!({ "command": "settle" })));
        self.script.log().lines().iter().filter(|line| fields.iter().all(|(name, text)| line.field(name) == Some(*text))).count()
    }

    /// How often it has answered requests like `GET /jwks`, wherever they came in.
    pub fn answered(&self, request: &str) -> usize {
        self.count(&[("request", request)])
    }

    /// How often it has done so where it demands certificates of clients.
    pub fn answered_at_alias(&self, request: &str) -> usize {
        self.alias().map_or(0, |alias| self.count(&[("request", request), ("at", alias)]))
    }

    /// How often one has reached it, answered or not.
    pub fn received(&self, request: &str) -> usize {
        self.count(&[("received", request)])
    }

    /// How often an event of the provider's own has happened, such as `client_credentials.issued`.
    pub fn events(&self, event: &str) -> usize {
        self.count(&[("event", event)])
    }

    /// How often it has refused something for this reason, which it does not tell whom it refuses.
    pub fn refusals(&self, detail: &str) -> usize {
        self.count(&[("detail", detail)])
    }

    /// Everything it said, for messages of tests.
    pub fn said(&self) -> String {
        self.script.log().text()
    }

    /// Kills it, as a machine that goes down would.
    pub fn kill(&mut self) {
        self.script.kill();
    }
}
