//! `[tracing]` and `[otlp]`.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue};

use super::settings::count;
use super::{Compiler, endpoint, items};
use crate::config::defaults;
use crate::config::document::At;
use crate::config::model::{Endpoint, HostPolicy, Otlp, OtlpHeader, Protocol, RetryOn, Secret, SecretSource, Tracing, Upstream};
use crate::config::schema::{self, Callers, OtlpProtocol};

/// Headers that frame a message, or say what it is.
const RESERVED: [&str; 6] = ["host", "content-length", "content-type", "transfer-encoding", "te", "connection"];

impl Compiler<'_> {
    pub(super) fn tracing(&mut self, raw: schema::Tracing) -> Tracing {
        let at = At::default().key("tracing");
        Tracing {
            sample: self.share(&at.key("sample"), raw.sample, defaults::TRACING_SAMPLE),
            max_per_second: raw.max_per_second.unwrap_or(defaults::TRACING_MAX_PER_SECOND),
            follows_callers: !matches!(raw.callers, Some(Callers::Ignore)),
            baggage: items(raw.baggage.unwrap_or_default(), &at.key("baggage")).map(|(_, key)| key).collect(),
            slow: self.span(&at.key("slow"), raw.slow, defaults::TRACING_SLOW),
        }
    }

    pub(super) fn otlp(&mut self, raw: Option<schema::Otlp>, secrets: &[Secret]) -> Option<Otlp> {
        let raw = raw?;
        let at = At::default().key("otlp");
        let url = raw.endpoint.unwrap_or_default();
        // The schema says so where it is missing.
        let (endpoint, path) = if url.is_empty() { (None, String::new()) } else { self.receiver(&at.key("endpoint"), &url) };
        let grpc = matches!(raw.protocol, Some(OtlpProtocol::Grpc));
        if grpc && !path.is_empty() {
            let help = "leave it out, or write `protocol = \"http\"`";
            self.error(&at.key("endpoint"), format!("gRPC has no path of its own, but this URL has `{path}`"), help);
        }
        let receiver = Upstream {
            name: "otlp".to_owned(),
            endpoints: endpoint.into_iter().collect(),
            tls: self.tls_profile(&at.key("tls"), raw.tls.unwrap_or_default()),
            tls_profiles: BTreeMap::new(),
            server_names: Vec::new(),
            protocol: if grpc { Protocol::Http2 } else { Protocol::Http1 },
            host: HostPolicy::Endpoint,
            connect_timeout: defaults::UPSTREAM_CONNECT,
            response_timeout: self.span(&at.key("timeout"), raw.timeout, defaults::OTLP_TIMEOUT),
            stream_timeout: defaults::UPSTREAM_STREAM,
            idle_timeout: defaults::UPSTREAM_IDLE,
            max_idle_connections: 1,
            // Traces and metrics are sent side by side, and one may be on its way out.
            max_connections: 4,
            max_attempts: 1,
            retry_on: RetryOn::NOTHING,
        };
        Some(Otlp {
            receiver,
            path,
            grpc,
            traces: raw.traces.unwrap_or(true),
            metrics: raw.metrics.unwrap_or(true),
            metrics_interval: self.span(&at.key("metrics_interval"), raw.metrics_interval, defaults::OTLP_METRICS_INTERVAL),
            max_queued: count(raw.max_queued, defaults::OTLP_MAX_QUEUED),
            headers: self.otlp_headers(&at.key("headers"), raw.headers, secrets),
            resource: raw.resource,
        })
    }

    /// Where a URL leads, and its path without `/` at the end.
    fn receiver(&mut self, at: &At, url: &str) -> (Option<Endpoint>, String) {
        let begin = url.find("://").map_or(0, |at| at + 3);
        let slash = url.get(begin..).and_then(|rest| rest.find('/')).map_or(url.len(), |slash| begin + slash);
        let (server, path) = url.split_at(slash);
        let path = path.trim_end_matches('/');
        // What it cuts off is a fragment.
        let is_path = |path: &str| path.parse::<http::uri::PathAndQuery>().is_ok_and(|parsed| parsed.query().is_none() && parsed == *path);
        if !path.is_empty() && !is_path(path) {
            self.error(at, format!("`{path}` is no path"), "write a URL such as `https://otlp.example.com/otlp`");
        }
        match endpoint::parse(server) {
            Ok(url) => {
                let weight = defaults::ENDPOINT_WEIGHT;
                (Some(Endpoint { tls: url.tls, host: url.host, port: url.port, weight, labels: BTreeMap::new() }), path.to_owned())
            }
            Err((message, help)) => {
                self.error(at, message, help);
                (None, path.to_owned())
            }
        }
    }

    fn otlp_headers(&mut self, at: &At, raw: BTreeMap<String, schema::OtlpHeader>, secrets: &[Secret]) -> Vec<(HeaderName, OtlpHeader)> {
        let mut headers = Vec::with_capacity(raw.len());
        for (text, value) in raw {
            let at = at.key(&text);
            let name = match HeaderName::from_bytes(text.as_bytes()) {
                Ok(name) if headers.iter().any(|(known, _)| *known == name) => {
                    self.error(&at, format!("{text:?} is there twice, in upper and lower case"), "remove one");
                    continue;
                }
                Ok(name) if RESERVED.contains(&name.as_str()) => {
                    self.error(&at, format!("`{text}` is for the gateway to set"), "remove it");
                    continue;
                }
                Ok(name) => name,
                Err(_) => {
                    self.error(&at, format!("{text:?} cannot be the name of a header"), "write a name such as `authorization`");
                    continue;
                }
            };
            let value = match value {
                schema::OtlpHeader::Text(value) => {
                    if HeaderValue::from_str(&value).is_err() {
                        self.error(&at, "this cannot be the value of a header", "write visible characters alone");
                    }
                    OtlpHeader::Text(value)
                }
                schema::OtlpHeader::Secret(reference) => {
                    let name = reference.secret;
                    let source = self.secret_named(&at.key("secret"), &name, secrets);
                    OtlpHeader::Secret { name, source }
                }
            };
            headers.push((name, value));
        }
        headers
    }

    /// Where a secret is that something else than a plugin uses.
    fn secret_named(&mut self, at: &At, name: &str, secrets: &[Secret]) -> SecretSource {
        let unknown = SecretSource::Environment(String::new());
        let Some(&index) = self.declared.secrets.get(name) else {
            self.unknown(at, "secret", name);
            return unknown;
        };
        if let Some(used) = self.secrets_used.get_mut(index) {
            *used = true;
        }
        secrets.iter().find(|secret| secret.name == name).map_or(unknown, |secret| secret.source.clone())
    }
}
