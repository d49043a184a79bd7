//! `[plugins.NAME.grants] http-client`: where a plugin's own requests may go.

use super::endpoint::Wrong;
use super::settings::count;
use super::{Compiler, hosts, items};
use crate::config::defaults;
use crate::config::document::At;
use crate::config::model::{AllowedHost, HttpClientGrant};
use crate::config::schema::{self, List};

impl Compiler<'_> {
    pub(super) fn http_client_grant(&mut self, at: &At, raw: schema::HttpClientGrant) -> HttpClientGrant {
        let (hosts, upstreams) = (raw.hosts.unwrap_or_default(), raw.upstreams.unwrap_or_default());
        if hosts.is_empty() && upstreams.is_empty() {
            let help = "name hosts or upstreams, such as `http-client = { hosts = [\"id.example.com\"] }`";
            self.error(at, "with neither `hosts` nor `upstreams` no request may go anywhere", help);
        }
        HttpClientGrant {
            hosts: self.allowed_hosts(&at.key("hosts"), hosts),
            upstreams: self.granted_upstreams(&at.key("upstreams"), upstreams),
            addresses: self.granted_addresses(&at.key("addresses"), raw.addresses.unwrap_or_default()),
            timeout: self.span(&at.key("timeout"), raw.timeout, defaults::HTTP_CLIENT_TIMEOUT),
            max_body_bytes: self.size(
                &at.key("max_body_bytes"),
                raw.max_body_bytes,
                defaults::HTTP_CLIENT_MAX_BODY_BYTES,
                1 << 10..=64 << 20,
            ),
            max_redirects: raw.max_redirects.unwrap_or(defaults::HTTP_CLIENT_MAX_REDIRECTS),
            max_in_flight: count(raw.max_in_flight, defaults::HTTP_CLIENT_MAX_IN_FLIGHT),
            max_cache_bytes: self.size(&at.key("max_cache_bytes"), raw.max_cache_bytes, defaults::HTTP_CLIENT_MAX_CACHE_BYTES, 1..=4 << 30),
        }
    }

    fn allowed_hosts(&mut self, at: &At, raw: List<String>) -> Vec<AllowedHost> {
        let mut allowed = Vec::with_capacity(raw.len());
        for (at, text) in items(raw, at) {
            match parse(&text) {
                Ok(host) => allowed.push(host),
                Err((message, help)) => self.error(&at, message, help),
            }
        }
        allowed
    }

    fn granted_addresses(&mut self, at: &At, raw: List<String>) -> Vec<ipnet::IpNet> {
        let networks = self.networks(at, raw);
        for (at, _) in networks.iter().filter(|(_, network)| network.prefix_len() == 0) {
            let message = "every address is allowed, those of this machine and of the cloud's metadata too";
            self.warn(at, message, "name the networks its hosts are in");
        }
        networks.into_iter().map(|(_, network)| network).collect()
    }

    fn granted_upstreams(&mut self, at: &At, raw: List<String>) -> Vec<String> {
        let mut granted = Vec::with_capacity(raw.len());
        for (at, name) in items(raw, at) {
            let Some(&index) = self.declared.upstreams.get(&name) else {
                self.unknown(&at, "upstream", &name);
                continue;
            };
            if let Some(used) = self.upstreams_used.get_mut(index) {
                *used = true;
            }
            granted.push(name);
        }
        granted
    }
}

/// `id.example.com`, `*.example.com:8443`, `http://10.0.0.1`
fn parse(text: &str) -> Result<AllowedHost, Wrong> {
    let (tls, rest) = match text.split_once("://") {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (true, rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (false, rest),
        Some((scheme, _)) => {
            return Err((
                format!("`{scheme}` is no scheme requests are made by"),
                "write the host alone, or `http://` before it".to_owned(),
            ));
        }
        None => (true, text),
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let alone = authority.rsplit('@').next().unwrap_or_default();
    if alone != rest {
        return Err((format!("{text:?} is more than a host"), format!("write `{alone}`; every path of it is allowed")));
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let port = match port {
        None => Some(if tls { 443 } else { 80 }),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok().filter(|port| *port != 0),
        Some(_) => None,
    };
    let Some(port) = port else {
        return Err((
            format!("{text:?} has no port of 1 to 65535"),
            format!("write one, such as `{host}:8443`; without any it is the scheme's own"),
        ));
    };
    if host == "*" {
        return Err(("\"*\" would allow every host there is".to_owned(), "name the hosts, or `*.` and a domain".to_owned()));
    }
    Ok(AllowedHost { tls, host: hosts::parse(host)?, port })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::model::HostPattern;

    #[test]
    fn hosts() {
        let exact = |host: &str| HostPattern::Exact(host.to_owned());
        let good = [
            ("id.example.com", true, exact("id.example.com"), 443),
            ("ID.example.com:8443", true, exact("id.example.com"), 8443),
            ("https://id.example.com", true, exact("id.example.com"), 443),
            ("http://id.example.com", false, exact("id.example.com"), 80),
            ("http://127.0.0.1:8080", false, exact("127.0.0.1"), 8080),
            ("[FD00::1]", true, exact("[fd00::1]"), 443),
            ("[fd00::1]:9443", true, exact("[fd00::1]"), 9443),
            ("*.example.com", true, HostPattern::Wildcard("example.com".to_owned()), 443),
        ];
        for (text, tls, host, port) in good {
            assert_eq!(parse(text), Ok(AllowedHost { tls, host, port }), "{text}");
        }
        for text in ["", "*", "*:443", "a/b", "a?b", "u@a", "ftp://a", "a:", "a:0", "a:65536", "a:b", "fd00::1", "[a]", "a b", "http://"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
