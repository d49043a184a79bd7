//! Where something of an authorization server is: where it was written, or where the server itself says.

use std::rc::Rc;
use std::time::Duration;

use super::{Endpoint, Server};
use crate::document::Trouble;
use crate::granted_hosts;
use crate::url::Url;

/// One endpoint.
#[derive(Debug)]
pub(crate) enum Location {
    Url(String),
    /// Where the issuer's server says.
    Server(Rc<Server>),
}

impl Location {
    /// The one of `url = "…"`, or else of the issuer's server; the grant lets it be asked. What is sent there is said where that would go in the clear.
    pub(crate) fn of(issuer: &str, url: Option<String>, sent: &str) -> Result<Self, String> {
        match url {
            None => {
                let server = Server::of(issuer).map_err(|why| format!("{why}; write `url`"))?;
                granted_hosts::may_ask("issuer", issuer)?;
                Ok(Self::Server(server))
            }
            Some(url) if Url::parse(&url).is_some_and(|url| url.is_safe()) => {
                granted_hosts::may_ask("url", &url)?;
                Ok(Self::Url(url))
            }
            Some(url) => Err(format!("`url` = {url:?}: {sent} go there over https; http is for this machine alone")),
        }
    }

    /// What was written; nothing where the server says it, whose name is the issuer's.
    pub(crate) fn written(&self) -> &str {
        match self {
            Self::Url(url) => url,
            Self::Server(_) => "",
        }
    }

    /// The URL that is asked; `with_certificate`: by a client that shows one.
    pub(crate) fn url(&self, endpoint: Endpoint, with_certificate: bool, now: Duration) -> Result<String, Trouble> {
        match self {
            Self::Url(url) => Ok(url.clone()),
            Self::Server(server) => server.endpoint(endpoint, with_certificate, now),
        }
    }
}
