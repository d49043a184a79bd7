//! A filter that asks other servers as each request says, in turn: `x-ask: GET http://127.0.0.1:1/ stale=60`, and answers with what
//! became of it: status, source and length of the body, or the error. `x-ask: may http://127.0.0.1:1/` asks nobody, and is answered with
//! whether that may be asked. `x-ask: spin 30` burns CPU time, `loop` never returns, `trap` does not either. It loads without the grant, and
//! traps when it asks all the same.

use std::time::Duration;

use plugway_sdk::http_client::{AnswerSource, IncomingResponse, OutgoingRequest};
use plugway_sdk::{Error, Flow, LocalResponse, NoConfig, Plugin, Request, RequestFilter, clock, granted, http_client};

struct Asking {
    /// What asking came to where it cannot be waited, and whether it might be asked.
    at_first: String,
}

impl Plugin for Asking {
    type Config = NoConfig;

    fn configure(_: NoConfig) -> Result<Self, Error> {
        if !granted::http_client() {
            return Ok(Self { at_first: "not granted".to_owned() });
        }
        let at_first = OutgoingRequest::get("http://127.0.0.1:9/").send().map_or_else(|error| format!("{error:?}"), |_| "answered".into());
        Ok(Self { at_first: format!("{at_first}, {}", may("http://127.0.0.1:9/")) })
    }
}

impl RequestFilter for Asking {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let Some(told) = request.header_str("x-ask") else { return Ok(Flow::Next) };
        // Kept only if the hook returns.
        request.set_header("x-changed", "yes")?;
        let words: Vec<&str> = told.split(' ').collect();
        let answer = match words.as_slice() {
            ["configured"] => self.at_first.clone(),
            ["spin", milliseconds] => {
                spin(Duration::from_millis(milliseconds.parse()?));
                "spun".to_owned()
            }
            ["trap"] => std::process::abort(),
            ["loop"] => loop {
                std::hint::black_box(());
            },
            ["may", url] => may(url),
            ["twice", url] => format!("{}, {}", ask("GET", url, &[])?, ask("GET", url, &[])?),
            [method, url, settings @ ..] => ask(method, url, settings)?,
            _ => return Ok(Flow::Next),
        };
        Ok(Flow::respond(LocalResponse::text(200, answer)))
    }
}

fn may(url: &str) -> String {
    http_client::may_ask(url).map_or_else(|error| format!("{error:?}"), |()| "may".to_owned())
}

fn ask(method: &str, url: &str, settings: &[&str]) -> Result<String, Error> {
    let mut asked = OutgoingRequest::new(method, url);
    for setting in settings {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        asked = match name {
            "timeout" => asked.with_timeout(Duration::from_millis(value.parse()?)),
            "max-body" => asked.with_max_body_bytes(value.parse()?),
            "redirects" => asked.with_max_redirects(value.parse()?),
            "stale" => asked.with_stale_if_error(Duration::from_secs(value.parse()?)),
            "fresh" => asked.with_default_freshness(Duration::from_secs(value.parse()?)),
            "max-age" => asked.with_max_age(Duration::from_secs(value.parse()?)),
            "shared" => asked.with_shared(value.parse()?),
            "body" => asked.with_body(value),
            name => asked.with_header(name, value),
        };
    }
    Ok(match asked.send() {
        Ok(answer) if settings.contains(&"accept=body") => String::from_utf8_lossy(&answer.body()).into_owned(),
        Ok(answer) => format!("{} {} {}", answer.status().0, source(&answer), answer.body().len()),
        Err(error) => format!("{error:?}"),
    })
}

fn source(answer: &IncomingResponse) -> &'static str {
    match answer.source() {
        AnswerSource::Server => "Server",
        AnswerSource::Cache => "Cache",
        AnswerSource::Validated => "Validated",
        AnswerSource::Stale => "Stale",
    }
}

fn spin(time: Duration) {
    let end = clock::monotonic() + time;
    while clock::monotonic() < end {
        std::hint::black_box((0..1_000_u64).fold(0, u64::wrapping_add));
    }
}

plugway_sdk::export!(Asking: RequestFilter);
