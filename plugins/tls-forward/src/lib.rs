//! `tls-forward`: how requests of one place travel to the endpoint picked for them. Scheme, TLS profile, server name,
//! protocol, timeouts, attempts, path, host and headers; all of them fixed in the configuration, none of them weaker than
//! the upstream's own.

mod config;
mod duration;
mod host;
mod lines;
mod rewrite;

use std::fmt::Display;
use std::time::Duration;

use plugway_sdk::{EndpointId, Error, ForwardError, Forwarder, HeaderName, Plan, PlanError, Plugin, Protocol, Request, RetryCondition};

use config::Config;
use rewrite::Rewrite;

/// What one place wants different from the upstream's own settings, checked.
struct TlsForward {
    tls_only: bool,
    tls_profile: Option<String>,
    server_name: Option<String>,
    protocol: Option<Protocol>,
    connect_timeout: Option<Duration>,
    response_timeout: Option<Duration>,
    max_attempts: Option<u32>,
    retry_on: Option<Vec<RetryCondition>>,
    path: Option<Rewrite>,
    host: Option<String>,
    set: Vec<(HeaderName<'static>, String)>,
    remove: Vec<HeaderName<'static>>,
}

impl Plugin for TlsForward {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(config.check()?)
    }
}

impl Forwarder for TlsForward {
    fn forward(&self, _: &Request, _: EndpointId, plan: &mut Plan) -> Result<(), ForwardError> {
        self.connection(plan)?;
        // After the profile, which says how an endpoint configured without TLS would be verified. Where nothing says it, the
        // endpoint is not for this request.
        if self.tls_only && plan.scheme() != "https" {
            plan.set_scheme("https").map_err(|_| ForwardError::Refused)?;
        }
        self.message(plan)?;
        // A new path follows from the one that was asked for; all else is the same for every request.
        if self.path.is_none() {
            plan.keep();
        }
        Ok(())
    }
}

/// In two halves as the plan has them: where to and how, then what is sent.
impl TlsForward {
    fn connection(&self, plan: &mut Plan) -> Result<(), ForwardError> {
        if let Some(name) = &self.tls_profile {
            plan.set_tls_profile(name).map_err(|error| refused("tls_profile", name, &error, "add it to the upstream's `tls_profiles`"))?;
        }
        if let Some(name) = &self.server_name {
            plan.set_server_name(name).map_err(|error| refused("server_name", name, &error, "add it to the upstream's `server_names`"))?;
        }
        if let Some(protocol) = self.protocol {
            plan.set_protocol(protocol).map_err(|error| refused("protocol", protocol_name(protocol), &error, "leave it out"))?;
        }
        if let Some(time) = self.connect_timeout {
            plan.set_connect_timeout(time).map_err(|error| refused("connect_timeout", milliseconds(time), &error, SHORTER))?;
        }
        if let Some(time) = self.response_timeout {
            plan.set_response_timeout(time).map_err(|error| refused("response_timeout", milliseconds(time), &error, SHORTER))?;
        }
        if let Some(attempts) = self.max_attempts {
            plan.set_max_attempts(attempts)
                .map_err(|error| refused("max_attempts", attempts, &error, "allow at most the upstream's own"))?;
        }
        if let Some(conditions) = &self.retry_on {
            let words = || conditions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            plan.set_retry_on(conditions)
                .map_err(|error| refused("retry_on", words(), &error, "name some of the upstream's `retry_on`"))?;
        }
        Ok(())
    }

    fn message(&self, plan: &mut Plan) -> Result<(), ForwardError> {
        if let Some(rewrite) = &self.path {
            let path = plan.path();
            if let Some(new) = rewrite.apply(&path) {
                // The client's doing: what is configured alone is never so long.
                if new.len() > Plan::LONGEST_PATH {
                    return Err(ForwardError::UriTooLong);
                }
                plan.set_path(&new).map_err(|error| refused("path", &new, &error, "write the new path in normal form"))?;
            }
        }
        if let Some(host) = &self.host {
            plan.set_host(host).map_err(|error| refused("host", host, &error, "write a name with an optional port"))?;
        }
        // Removing first, so that a name in both lists ends up set.
        for name in &self.remove {
            plan.remove_header(name.clone()).map_err(|error| header_refused("headers.remove", name, &error))?;
        }
        for (name, value) in &self.set {
            plan.set_header(name.clone(), value).map_err(|error| header_refused("headers.set", name, &error))?;
        }
        Ok(())
    }
}

const SHORTER: &str = "a plan can shorten the upstream's own timeout, never lengthen it";

/// For the log: which key, what it holds, why the gateway refused it, what to do.
fn refused(key: &str, value: impl Display, error: &PlanError, advice: &str) -> ForwardError {
    ForwardError::Failed(format!("`{key}` = {value}: {error}; {advice}"))
}

/// The name is enough: values of headers may be secrets.
fn header_refused(key: &str, name: &HeaderName, error: &plugway_sdk::ChangeError) -> ForwardError {
    ForwardError::Failed(format!("`{key}`: {}: {error}", name.as_str()))
}

fn protocol_name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Http1 => "http1",
        Protocol::Http2 => "http2",
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

plugway_sdk::export!(TlsForward: Forwarder);

#[cfg(test)]
mod tests;
