//! `[defaults]` and `[[routes]]`.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, Method};

use super::{Compiler, hosts, items, paths};
use crate::config::document::At;
use crate::config::model::{Config, HeaderMatch, Match, Plugin, Route, Upstream};
use crate::config::schema::{self, Header, List, PluginUse};

impl Compiler<'_> {
    pub(super) fn routes(&mut self, raw: List<schema::Route>, defaults: schema::Defaults, config: &Config) -> Vec<Route> {
        let plugins = &config.plugins;
        let section = At::default().key("routes");
        if !self.places.has(&section) {
            self.warn(
                &section,
                "there are no routes, so every request gets a 404",
                "write `[[routes]]` and under it `name` and `upstream`",
            );
        }
        let defaults_at = At::default().key("defaults").key("plugins");
        let mut first = Vec::new();
        for (at, raw) in items(defaults.plugins.unwrap_or_default(), &defaults_at) {
            first.extend(self.plugin_use(&at, raw, plugins));
        }
        let mut names: BTreeMap<String, At> = BTreeMap::new();
        let mut routes = Vec::with_capacity(raw.len());
        for (at, raw) in items(raw, &section) {
            let name = self.route_name(at.key("name"), raw.name, &mut names);
            let mut chain = first.clone();
            let listed = self.chain(&at.key("plugins"), raw.plugins.unwrap_or_default(), plugins);
            for used in &listed {
                if chain.iter().any(|earlier| earlier.plugin == used.plugin) {
                    let plugin = plugins.get(used.plugin).map_or("", |plugin| plugin.name.as_str());
                    let message = format!("plugin `{plugin}` stands more than once in the chain of route `{name}`, and runs as often");
                    self.warnings.push(config.problem(&used.key, message).with_suggestion("remove it here or from `[defaults] plugins`"));
                }
                chain.push(used.clone());
            }
            let mut one = |key: &str, raw: Option<PluginUse>| raw.and_then(|raw| self.plugin_use(&at.key(key), raw, plugins));
            let router = one("router", raw.router);
            let forwarder = one("forwarder", raw.forwarder);
            let upstream = self.upstream_index(&at.key("upstream"), raw.upstream.as_deref(), &config.upstreams);
            let retry_on = self.narrowed(&at, raw.max_attempts, raw.retry_on, config.upstreams.get(upstream));
            let max_body_bytes = self.size_or_unlimited(&at.key("max_body_bytes"), raw.max_body_bytes);
            let route = Route {
                api: self.label(&at.key("api"), raw.api),
                version: self.label(&at.key("version"), raw.version),
                matches: self.matches(&at.key("match"), raw.matches.unwrap_or_default()),
                public: raw.public.unwrap_or(false),
                chain,
                router,
                forwarder,
                upstream,
                max_attempts: raw.max_attempts,
                retry_on,
                // `None` would be that of `[limits]`.
                max_body_bytes: max_body_bytes.map(|most| most.unwrap_or(u64::MAX)),
                slo: raw.slo.and_then(|raw| self.slo(&at.key("slo"), raw)),
                key: at.to_string(),
                name,
            };
            routes.push(route);
        }
        routes
    }

    fn chain(&mut self, at: &At, raw: List<PluginUse>, plugins: &[Plugin]) -> Vec<crate::config::model::PluginUse> {
        items(raw, at).filter_map(|(at, raw)| self.plugin_use(&at, raw, plugins)).collect()
    }

    /// Text that stands in logs and metrics.
    fn label(&mut self, at: &At, label: Option<String>) -> Option<String> {
        let text = label.as_deref()?;
        if text.is_empty() || text.chars().count() > 64 || text.chars().any(char::is_control) {
            self.error(at, format!("{text:?} cannot stand in logs and metrics"), "write 1 to 64 characters, or leave it out");
        }
        label
    }

    /// Where that upstream is; out of bounds if it is missing, not declared, or wrong as a whole.
    fn upstream_index(&mut self, at: &At, name: Option<&str>, upstreams: &[Upstream]) -> usize {
        let Some(name) = name else { return usize::MAX };
        match self.declared.upstreams.get(name) {
            Some(&index) => {
                if let Some(used) = self.upstreams_used.get_mut(index) {
                    *used = true;
                }
                upstreams.binary_search_by(|upstream| upstream.name.as_str().cmp(name)).unwrap_or(usize::MAX)
            }
            None => {
                self.unknown(at, "upstream", name);
                usize::MAX
            }
        }
    }

    /// A route's name, unique among those that were `taken` before.
    fn route_name(&mut self, at: At, name: Option<String>, taken: &mut BTreeMap<String, At>) -> String {
        let Some(name) = name else { return String::new() };
        self.name(&at, "a route", &name);
        match taken.get(&name) {
            Some(other) => {
                let line = self.position(other).line;
                self.error(
                    &at,
                    format!("the route in line {line} is called `{name}` too"),
                    "give each route a name of its own: logs and metrics tell them apart by it",
                );
            }
            None => {
                taken.insert(name.clone(), at);
            }
        }
        name
    }

    fn matches(&mut self, at: &At, raw: schema::Match) -> Match {
        let mut matches = Match::default();
        for (at, text) in self.one_or_many(at, ["host", "hosts"], raw.host, raw.hosts) {
            match hosts::parse(&text) {
                Ok(host) if matches.hosts.contains(&host) => self.error(&at, format!("{text:?} is listed twice"), "remove one"),
                Ok(host) => matches.hosts.push(host),
                Err((message, help)) => self.error(&at, message, help),
            }
        }
        for (at, text) in self.one_or_many(at, ["path", "paths"], raw.path, raw.paths) {
            match paths::parse(&text) {
                Ok(path) if matches.paths.contains(&path) => self.error(&at, format!("{text:?} is listed twice"), "remove one"),
                Ok(path) => matches.paths.push(path),
                Err((message, help)) => self.error(&at, message, help),
            }
        }
        for (at, text) in items(raw.methods.unwrap_or_default(), &at.key("methods")) {
            match self.method(&at, &text) {
                Some(method) if matches.methods.contains(&method) => self.error(&at, format!("{text:?} is listed twice"), "remove one"),
                method => matches.methods.extend(method),
            }
        }
        for (name, header) in raw.headers {
            let at = at.key("headers").key(&name);
            match self.header(&at, &name, header) {
                Some(header) if matches.headers.iter().any(|known| known.name == header.name) => {
                    self.error(&at, format!("{name:?} is there twice, in upper and lower case"), "remove one");
                }
                header => matches.headers.extend(header),
            }
        }
        matches
    }

    fn one_or_many(&mut self, at: &At, [one, many]: [&str; 2], single: Option<String>, list: Option<List<String>>) -> Vec<(At, String)> {
        if self.places.has(&at.key(one)) && self.places.has(&at.key(many)) {
            self.error(&at.key(one), format!("`{one}` and `{many}` are both there"), format!("put it into `{many}`"));
        }
        let single = single.map(|text| (at.key(one), text));
        single.into_iter().chain(items(list.unwrap_or_default(), &at.key(many))).collect()
    }

    fn method(&mut self, at: &At, text: &str) -> Option<Method> {
        let upper = text.to_ascii_uppercase();
        match Method::from_bytes(text.as_bytes()) {
            Ok(method) if method == Method::CONNECT || method == Method::TRACE => {
                self.error(at, format!("requests with `{method}` are refused, so no route can take them"), "remove it");
                None
            }
            Ok(method) if text == upper => Some(method),
            // Methods are case-sensitive (RFC 9110, section 9.1): `get` would never match.
            Ok(_) => {
                self.error(at, format!("`{text}` is not the method `{upper}`: methods are case-sensitive"), format!("write `{upper}`"));
                None
            }
            Err(_) => {
                self.error(at, format!("{text:?} is no method"), "write one such as `GET`; leave `methods` out for every method");
                None
            }
        }
    }

    fn header(&mut self, at: &At, name: &str, header: Header) -> Option<HeaderMatch> {
        let parsed = HeaderName::from_bytes(name.as_bytes());
        match &parsed {
            Ok(parsed) => self.must_arrive(at, parsed),
            Err(_) => self.error(at, format!("{name:?} is no header name"), "names have letters, digits and `-`, such as `x-version`"),
        }
        let value = match header {
            Header::Present(true) => None,
            Header::Present(false) => {
                self.error(
                    at,
                    "a route cannot ask that a header is absent",
                    "write `true` or a value here, and a less specific route for requests without it",
                );
                None
            }
            Header::Value(value) => {
                // What surrounds a value is no part of it (RFC 9110, section 5.5), so it would never match.
                if HeaderValue::from_str(&value).is_err() || value.trim() != value || !value.is_ascii() {
                    self.error(
                        at,
                        format!("{value:?} is no header value that can arrive"),
                        "write visible ASCII, without blanks at either end; `true` takes every value",
                    );
                }
                Some(value)
            }
        };
        Some(HeaderMatch { name: parsed.ok()?, value })
    }
}
