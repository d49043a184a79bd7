//! The access log: one line per request, on target `access`.

use std::net::IpAddr;
use std::time::Duration;

use crate::fault::Fault;

/// What one request came to.
#[derive(Debug)]
pub struct AccessLine<'a> {
    /// `x-request-id`
    pub request_id: &'a str,
    /// After the trust rules.
    pub client: Option<IpAddr>,
    /// As received.
    pub method: &'a str,
    /// As received.
    pub host: &'a str,
    /// As received, without the query: that is where people put secrets.
    pub path: &'a str,
    /// What the client got; 499 where it left before.
    pub status: u16,
    /// From head to last byte.
    pub duration: Duration,
    /// The route that took it.
    pub route: Option<&'a str>,
    /// The endpoint that answered.
    pub endpoint: Option<&'a str>,
    /// Attempts made.
    pub attempts: u32,
    /// Body bytes received.
    pub request_bytes: u64,
    /// Body bytes sent.
    pub response_bytes: u64,
    /// What went wrong.
    pub fault: Option<Fault>,
    /// `http/1.0`, `http/1.1`, `h2`
    pub protocol: &'a str,
    /// Who asked, as the authorizer says.
    pub consumer: Option<&'a str>,
}

/// Writes a line.
pub fn write_access_line(line: &AccessLine<'_>) {
    tracing::info!(
        target: "access",
        method = line.method,
        host = line.host,
        path = line.path,
        status = line.status,
        duration_us = u64::try_from(line.duration.as_micros()).unwrap_or(u64::MAX),
        route = line.route,
        endpoint = line.endpoint,
        attempts = line.attempts,
        client = line.client.map(tracing::field::display),
        consumer = line.consumer,
        request_bytes = line.request_bytes,
        response_bytes = line.response_bytes,
        fault = line.fault.map(Fault::code),
        blame = line.fault.map(|fault| fault.blame().as_str()),
        protocol = line.protocol,
        request_id = line.request_id,
        "request"
    );
}
