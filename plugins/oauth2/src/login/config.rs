//! `login` as written, and its check.

use std::time::Duration;

use plugway_sdk::granted;
use serde::Deserialize;

use super::Login;
use super::begun::Logins;
use super::session::Cookie;
use super::sessions::{Place, Sessions};
use crate::client::ClientConfig;
use crate::config::span;
use crate::server::Server;
use crate::url::{Url, is_same_path};
use crate::{granted_hosts, granted_keys};

/// A working day.
const DEFAULT_LIFETIME: Duration = Duration::from_secs(8 * 60 * 60);
const MOST_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// `login = { … }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginConfig {
    redirect: String,
    key: String,
    scopes: Option<Vec<String>>,
    resource: Option<String>,
    cookie: Option<String>,
    lifetime: Option<String>,
    logout: Option<String>,
    after_logout: Option<String>,
    #[serde(default)]
    sessions: Place,
}

impl LoginConfig {
    /// Checks every key; the issuer and the client are those of the place. The error is for the operator.
    pub(crate) fn check(self, issuer: &str, client: Option<ClientConfig>) -> Result<Login, String> {
        let client = client.ok_or("`client` is missing: write `client = { id = \"gateway\", secret = \"NAME\" }` beside it")?;
        let client = client.check().map_err(|why| format!("`client`: {why}"))?;
        let callback = self.callback()?;
        self.check_grants()?;
        let logout = self.logout.map(|path| local("logout", path)).transpose()?;
        if logout.as_ref().is_some_and(|logout| is_same_path(logout, &callback)) {
            return Err("`logout` is where logins come back to: write another path".to_owned());
        }
        let scopes = self.scopes.unwrap_or_else(|| vec!["openid".to_owned()]);
        if !scopes.iter().any(|scope| scope == "openid") {
            return Err("`scopes` has no \"openid\", without which the server does not say whose login it is".to_owned());
        }
        let cookie = self.cookie.unwrap_or_else(|| "plugway".to_owned());
        if cookie.is_empty() || !cookie.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)) {
            return Err(format!("`cookie` = {cookie:?}: write letters, digits, `-`, `_` and `.`"));
        }
        let server = Server::of(issuer)?;
        granted_hosts::may_ask("issuer", issuer)?;
        let is_secure = self.redirect.starts_with("https://");
        // Another client's sessions under the same key are none of this one's.
        let of = format!("{issuer} {}", client.id);
        Ok(Login {
            server,
            issuer: issuer.to_owned(),
            sessions: Sessions::new(Cookie::new(&cookie, &self.key, "session", &of, is_secure), self.sessions),
            begun: Logins::new(Cookie::new(&format!("{cookie}-login"), &self.key, "login", &of, is_secure)),
            client,
            redirect: self.redirect,
            callback,
            logout,
            after_logout: local("after_logout", self.after_logout.unwrap_or_else(|| "/".to_owned()))?,
            scope: scopes.join(" "),
            resource: self.resource,
            lifetime: self.lifetime.as_deref().map_or(Ok(DEFAULT_LIFETIME), |text| span("lifetime", text, MOST_LIFETIME))?,
        })
    }

    /// The path of `redirect`. A code goes there, so it is one URL and nothing that others match too (RFC 9700, section 2.1).
    fn callback(&self) -> Result<String, String> {
        if self.redirect.contains('*') {
            return Err(format!(
                "`redirect` = {:?}: a wildcard would let codes go to whoever asks for them; write the one URL",
                self.redirect
            ));
        }
        let url = Url::parse(&self.redirect).filter(|url| url.is_safe() && !url.has_query && !url.has_fragment && url.path != "/");
        let url = url.ok_or_else(|| {
            format!(
                "`redirect` = {:?}: write an https URL with a path of its own, such as \"https://app.example.com/callback\"",
                self.redirect
            )
        })?;
        Ok(url.path.to_owned())
    }

    fn check_grants(&self) -> Result<(), String> {
        // So that a key that cannot be used is found out now.
        granted_keys::seals("key", &self.key)?;
        if !granted::http_client() {
            return Err(
                "the plugin may not ask: add `http-client = { hosts = [\"HOST\"] }` with the server's host to its grants".to_owned()
            );
        }
        if !granted::kv() {
            return Err("workers share renewed tokens through `kv`: add `kv = {}` to the plugin's grants".to_owned());
        }
        Ok(())
    }
}

/// A path on this gateway, and nothing that a browser takes for another host.
fn local(key: &str, path: String) -> Result<String, String> {
    let is_path = path.starts_with('/') && !path.starts_with("//") && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path { Ok(path) } else { Err(format!("`{key}` = {path:?}: write a path of this gateway, such as \"/goodbye\"")) }
}
