//! A forwarder that writes its plan as it is configured, `calls = [["set-host", "orders.internal"], ["set-retry-on", "connect", "503"]]`, one call after
//! another, and tells what each came to: in the header `x-planned` of what is sent, and in the log.

use std::time::Duration;

use plugway_sdk::{EndpointId, Error, ForwardError, Forwarder, Plan, PlanError, Plugin, Protocol, Request, RetryCondition, log};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default)]
    calls: Vec<Vec<String>>,
}

struct Planner(Vec<Vec<String>>);

impl Plugin for Planner {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(Self(config.calls))
    }
}

impl Forwarder for Planner {
    fn forward(&self, _: &Request, _: EndpointId, plan: &mut Plan) -> Result<(), ForwardError> {
        let mut told = Vec::with_capacity(self.0.len());
        for call in &self.0 {
            let words: Vec<&str> = call.iter().map(String::as_str).collect();
            let made = make(plan, &words)?;
            told.push(format!("{}={}", words.first().unwrap_or(&"nothing"), outcome(&made)));
        }
        let told = told.join(" ");
        log::info!("planned: {told}");
        Ok(plan.set_header("x-planned", told)?)
    }
}

/// One call, and what the gateway said to it.
fn make(plan: &mut Plan, words: &[&str]) -> Result<Result<(), PlanError>, Error> {
    Ok(match words {
        ["set-scheme", scheme] => plan.set_scheme(scheme),
        ["set-tls-profile", name] => plan.set_tls_profile(name),
        ["set-server-name", name] => plan.set_server_name(name),
        ["set-protocol", "http1"] => plan.set_protocol(Protocol::Http1),
        ["set-protocol", "http2"] => plan.set_protocol(Protocol::Http2),
        ["set-connect-timeout", milliseconds] => plan.set_connect_timeout(Duration::from_millis(milliseconds.parse()?)),
        ["set-response-timeout", milliseconds] => plan.set_response_timeout(Duration::from_millis(milliseconds.parse()?)),
        ["set-max-attempts", attempts] => plan.set_max_attempts(attempts.parse()?),
        ["set-retry-on", conditions @ ..] => {
            plan.set_retry_on(&conditions.iter().map(|word| word.parse()).collect::<Result<Vec<RetryCondition>, String>>()?)
        }
        ["set-path", path] => plan.set_path(path),
        ["set-host", host] => plan.set_host(host),
        _ => return Err(format!("{words:?} is none of the calls this guest knows").into()),
    })
}

fn outcome(made: &Result<(), PlanError>) -> &'static str {
    match made {
        Ok(()) => "ok",
        Err(PlanError::Weaker) => "weaker",
        Err(PlanError::NotAllowed) => "not-allowed",
        Err(PlanError::Invalid(_)) => "invalid",
    }
}

plugway_sdk::export!(Planner: Forwarder);
