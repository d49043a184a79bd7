//! A filter that knows secrets, and lets them slip wherever it is told to: `x-do: tell api-key`.

use plugway_sdk::metrics::Counter;
use plugway_sdk::{Error, Flow, LocalResponse, Plugin, Request, RequestFilter, log, secrets};
use serde::Deserialize;

struct Confidant {
    told: Counter<1>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Refuses the configuration with this secret in the reason.
    refuse_with: Option<String>,
}

impl Plugin for Confidant {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        if let Some(name) = config.refuse_with {
            return Err(format!("the key {:?} is not good enough", secrets::get(&name)?.text()?).into());
        }
        Ok(Self { told: Counter::declare("told_total", "Secrets this guest let slip.", "1", ["what"])? })
    }
}

impl RequestFilter for Confidant {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        let told = request.header_str("x-do").unwrap_or_default();
        let Some((what, name)) = told.split_once(' ') else { return Ok(Flow::Next) };
        let secret = match secrets::get(name) {
            Ok(secret) => secret,
            Err(error) => return Ok(Flow::respond(LocalResponse::text(200, format!("{error:?}")))),
        };
        let text = secret.text()?;
        match what {
            "show" => return Ok(Flow::respond(LocalResponse::text(200, text))),
            "log" => log::info!("the key is {text}, shown as {secret:?}"),
            "print" => println!("the key is {text}"),
            // Where a line of 4,096 bytes ends in the middle of it.
            "print-long" => println!("{} {text}", "x".repeat(4_080)),
            "count" => self.told.add(1.0, [text]),
            "fail" => return Err(format!("the key {text} is not good enough").into()),
            "panic" => assert!(text.is_empty(), "the key {text} is not good enough"),
            _ => {}
        }
        Ok(Flow::Next)
    }
}

plugway_sdk::export!(Confidant: RequestFilter);
