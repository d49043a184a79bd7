//! A filter that takes only a URL which its grant lets be asked, and asks nobody: `x-ask: http://127.0.0.1:1/` is answered with whether that one may be.
//! So it imports one function of `http-client`, and not the one that waits.

use plugway_sdk::{Error, Flow, LocalResponse, Plugin, Request, RequestFilter, http_client};
use serde::Deserialize;

struct Looking;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    url: String,
}

impl Plugin for Looking {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        http_client::may_ask(&config.url).map_err(|error| format!("`url` = {:?}: {error}", config.url))?;
        Ok(Self)
    }
}

impl RequestFilter for Looking {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let Some(url) = request.header_str("x-ask") else { return Ok(Flow::Next) };
        Ok(Flow::respond(LocalResponse::text(200, format!("{:?}", http_client::may_ask(&url)))))
    }
}

plugway_sdk::export!(Looking: RequestFilter);
