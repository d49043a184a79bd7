//! Servers that a configuration says are to be asked. One that the grant has not is told to the operator now: later it would be a 503 for everybody
//! who comes. Those that only the metadata of a server names are found out then.

use plugway_sdk::{HttpError, http_client};

use crate::url::Url;

/// Whether the server at a URL, which `key` of the configuration has, may be asked; where the capability was granted at all.
pub(crate) fn may_ask(key: &str, url: &str) -> Result<(), String> {
    match http_client::may_ask(url) {
        Ok(()) => Ok(()),
        Err(HttpError::NotAllowed(what)) => {
            let why = format!("`{key}` = {url:?}: it is asked, and the plugin's grant `http-client` does not allow that ({what})");
            Err(format!("{why}: {}", Url::parse(url).map_or_else(|| "add its host to `hosts` there".to_owned(), |url| help(&url))))
        }
        Err(error) => Err(format!("`{key}` = {url:?}: {error}")),
    }
}

fn help(url: &Url<'_>) -> String {
    // As `hosts` has it: what is over TLS is the host alone.
    let host = if url.is_https { url.authority.clone() } else { url.origin() };
    let addresses = match url.address() {
        Some(address) => format!(", with `addresses = [\"{address}\"]` beside it where that is private or of this machine"),
        None => String::new(),
    };
    format!(
        "add `grants.http-client.hosts = [{host:?}]`{addresses}, or the upstream whose endpoint it is, `grants.http-client.upstreams = [\"NAME\"]`"
    )
}
