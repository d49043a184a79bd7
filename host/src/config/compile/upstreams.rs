//! `[upstreams.NAME]`.

use std::collections::{BTreeMap, HashSet};

use super::settings::count;
use super::{Compiler, endpoint, items};
use crate::config::defaults;
use crate::config::document::At;
use crate::config::model::{Endpoint, HostPolicy, Protocol, Route, TlsProfile, Upstream};
use crate::config::schema::{self, HostWord, List};

impl Compiler<'_> {
    pub(super) fn upstreams(&mut self, raw: BTreeMap<String, schema::Upstream>) -> Vec<Upstream> {
        let section = At::default().key("upstreams");
        raw.into_iter().map(|(name, raw)| self.upstream(section.key(&name), name, raw)).collect()
    }

    fn upstream(&mut self, at: At, name: String, raw: schema::Upstream) -> Upstream {
        self.name(&at, "an upstream", &name);
        let endpoints = self.endpoints(&at.key("endpoints"), raw.endpoints.unwrap_or_default());
        let tls = self.tls_profile(&at.key("tls"), raw.tls.unwrap_or_default());
        let mut tls_profiles = BTreeMap::new();
        for (profile, raw) in raw.tls_profiles {
            let at = at.key("tls_profiles").key(&profile);
            self.name(&at, "a TLS profile", &profile);
            let made = self.tls_profile(&at, raw);
            tls_profiles.insert(profile, made);
        }
        let mut server_names = Vec::new();
        for (at, name) in items(raw.server_names.unwrap_or_default(), &at.key("server_names")) {
            self.server_name(&at, &name);
            server_names.push(name);
        }
        let host = self.host_policy(&at.key("host"), raw.host);
        let timeouts_at = at.key("timeouts");
        let timeouts = raw.timeouts.unwrap_or_default();
        Upstream {
            name,
            endpoints,
            tls,
            tls_profiles,
            server_names,
            protocol: match raw.protocol {
                None | Some(schema::Protocol::Http1) => Protocol::Http1,
                Some(schema::Protocol::Http2) => Protocol::Http2,
            },
            host,
            connect_timeout: self.span(&timeouts_at.key("connect"), timeouts.connect, defaults::UPSTREAM_CONNECT),
            response_timeout: self.span(&timeouts_at.key("response"), timeouts.response, defaults::UPSTREAM_RESPONSE),
            stream_timeout: self.span(&timeouts_at.key("stream"), timeouts.stream, defaults::UPSTREAM_STREAM),
            idle_timeout: self.span(&timeouts_at.key("idle"), timeouts.idle, defaults::UPSTREAM_IDLE),
            max_idle_connections: count(raw.max_idle_connections, defaults::UPSTREAM_MAX_IDLE_CONNECTIONS),
            max_connections: count(raw.max_connections, defaults::UPSTREAM_MAX_CONNECTIONS),
            max_attempts: raw.max_attempts.unwrap_or(defaults::UPSTREAM_MAX_ATTEMPTS),
            retry_on: raw.retry_on.map_or(defaults::UPSTREAM_RETRY_ON, |words| self.retry_on(&at.key("retry_on"), words)),
        }
    }

    fn endpoints(&mut self, at: &At, raw: List<schema::Endpoint>) -> Vec<Endpoint> {
        let mut endpoints = Vec::with_capacity(raw.len());
        let mut listed = HashSet::with_capacity(raw.len());
        for (at, raw) in items(raw, at) {
            let (at, url, weight, labels) = match raw {
                schema::Endpoint::Url(url) => (at, url, None, BTreeMap::new()),
                schema::Endpoint::Table(table) => (at.key("url"), table.url, table.weight, table.labels),
            };
            let url = match endpoint::parse(&url) {
                Ok(url) => url,
                Err((message, help)) => {
                    self.error(&at, message, help);
                    continue;
                }
            };
            let endpoint =
                Endpoint { tls: url.tls, host: url.host, port: url.port, weight: weight.unwrap_or(defaults::ENDPOINT_WEIGHT), labels };
            let url = endpoint.url();
            if listed.contains(&url) {
                self.error(
                    &at,
                    format!("{url} is listed twice"),
                    format!("list it once, with the weight of both: {{ url = \"{url}\", weight = 2 }}"),
                );
            }
            listed.insert(url);
            endpoints.push(endpoint);
        }
        endpoints
    }

    /// TLS settings of an upstream that is spoken to in plain text. A forwarder may ask for TLS all the same.
    pub(super) fn warn_of_tls_without_use(&mut self, upstreams: &[Upstream], routes: &[Route]) {
        for (index, upstream) in upstreams.iter().enumerate() {
            let forwarder = routes.iter().any(|route| route.upstream == index && route.forwarder.is_some());
            if forwarder || upstream.endpoints.iter().any(|endpoint| endpoint.tls) {
                continue;
            }
            let at = At::default().key("upstreams").key(&upstream.name);
            for key in ["tls", "tls_profiles", "server_names"].map(|key| at.key(key)) {
                if self.places.has(&key) {
                    let help = "write `https` in the endpoints' URLs, name a forwarder that asks for TLS, or remove it";
                    self.warn(&key, "this has no effect: no endpoint is spoken to over TLS", help);
                }
            }
        }
    }

    pub(super) fn tls_profile(&mut self, at: &At, raw: schema::TlsProfile) -> TlsProfile {
        if let Some(name) = &raw.server_name {
            self.server_name(&at.key("server_name"), name);
        }
        TlsProfile {
            ca: raw.ca.map(|ca| self.path(&at.key("ca"), &ca)),
            server_name: raw.server_name,
            client_certificate: raw.client_certificate.map(|files| self.certificate_files(&at.key("client_certificate"), &files)),
        }
    }

    fn host_policy(&mut self, at: &At, raw: Option<schema::Host>) -> HostPolicy {
        match raw {
            None | Some(schema::Host::Word(HostWord::Client)) => HostPolicy::Client,
            Some(schema::Host::Word(HostWord::Endpoint)) => HostPolicy::Endpoint,
            Some(schema::Host::Fixed(raw)) => {
                // An authority is what a URL has behind its scheme.
                if endpoint::parse(&format!("http://{}", raw.fixed)).is_err() {
                    self.error(
                        &at.key("fixed"),
                        format!("{:?} is no host", raw.fixed),
                        "write a host, and its port where it has one, such as `orders.internal` or `orders.internal:8080`",
                    );
                }
                HostPolicy::Fixed(raw.fixed)
            }
        }
    }
}
