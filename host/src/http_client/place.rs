//! Where a URL leads, held against the grant.

use std::net::IpAddr;
use std::sync::Arc;

use http::Uri;
use url::Url;

use super::address;
use super::message::{HttpError, absolute};
use crate::config::model::{AllowedHost, HostPattern, HttpClientGrant};
use crate::upstream::{Endpoint, Upstream};

/// Where a request may go.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// To an endpoint of an upstream, as that is configured.
    Endpoint(Arc<Upstream>, Arc<Endpoint>),
    /// To a host, at one of its addresses that may be connected to.
    Host(Origin),
}

/// A scheme, a host and a port (RFC 6454, section 4).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) tls: bool,
    /// In lower case, an address without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

impl Origin {
    /// Of an absolute URL.
    pub(super) fn of(url: &Uri) -> Option<Self> {
        let tls = url.scheme_str()? == "https";
        let host = url.host()?.to_ascii_lowercase();
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_owned();
        let port = url.port_u16().unwrap_or(if tls { 443 } else { 80 });
        (!host.is_empty() && port != 0).then_some(Self { tls, host, port })
    }

    /// The address that its host is, where it is no name.
    pub(super) fn literal(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

/// Holds a URL against what was granted, as far as that is known without looking up a name: what that stands for is held against it
/// where it is connected to.
pub(super) fn find(grant: &HttpClientGrant, upstreams: &[Arc<Upstream>], url: &Uri) -> Result<Place, HttpError> {
    let origin = Origin::of(url).ok_or_else(|| HttpError::Invalid("the URL has no host, or no port that can be".to_owned()))?;
    let leads = |endpoint: &Endpoint| {
        endpoint.tls == origin.tls && endpoint.port == origin.port && endpoint.host.eq_ignore_ascii_case(&origin.host)
    };
    for upstream in upstreams {
        if let Some(endpoint) = upstream.endpoints.iter().find(|endpoint| leads(endpoint)) {
            return Ok(Place::Endpoint(Arc::clone(upstream), Arc::clone(endpoint)));
        }
    }
    let allows = |allowed: &AllowedHost| allowed.tls == origin.tls && allowed.port == origin.port && is(&allowed.host, &origin.host);
    if grant.hosts.iter().any(allows) {
        if let Some(literal) = origin.literal() {
            address::allowed(&origin.host, vec![literal], &grant.addresses)?;
        }
        return Ok(Place::Host(origin));
    }
    let scheme = if origin.tls { "https" } else { "http" };
    Err(HttpError::NotAllowed(format!("{scheme}://{} at port {}", origin.host, origin.port)))
}

fn is(pattern: &HostPattern, host: &str) -> bool {
    match pattern {
        HostPattern::Exact(exact) => exact.trim_start_matches('[').trim_end_matches(']') == host,
        // Everything below a domain, which no address is.
        HostPattern::Wildcard(domain) => {
            host.parse::<IpAddr>().is_err()
                && host.strip_suffix(domain.as_str()).is_some_and(|below| below.len() > 1 && below.ends_with('.'))
        }
    }
}

/// Where a redirect leads: a reference resolved against the URL that gave it (RFC 3986, section 5).
pub(super) fn redirected(from: &Uri, location: &str) -> Result<Uri, HttpError> {
    let wrong = || HttpError::Protocol("a redirect to what is no URL".to_owned());
    let to = Url::parse(&from.to_string()).and_then(|from| from.join(location)).map_err(|_| wrong())?;
    absolute(to.as_str()).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(hosts: &[(bool, HostPattern, u16)]) -> HttpClientGrant {
        let hosts = hosts.iter().map(|(tls, host, port)| AllowedHost { tls: *tls, host: host.clone(), port: *port }).collect();
        let nothing = std::time::Duration::ZERO;
        HttpClientGrant {
            hosts,
            upstreams: Vec::new(),
            addresses: vec!["fd00::/8".parse().unwrap()],
            timeout: nothing,
            max_body_bytes: 0,
            max_redirects: 0,
            max_in_flight: 0,
            max_cache_bytes: 0,
        }
    }

    #[test]
    fn only_what_was_granted() {
        let grant = grant(&[
            (true, HostPattern::Exact("id.example".into()), 443),
            (true, HostPattern::Wildcard("b.example".into()), 8443),
            (false, HostPattern::Exact("[fd00::1]".into()), 80),
        ]);
        let may = |url: &str| find(&grant, &[], &url.parse().unwrap()).is_ok();
        for good in
            ["https://id.example", "https://ID.example:443/a?b", "https://id.example./", "https://a.b.example:8443/", "http://[fd00::1]/"]
        {
            assert!(may(good), "{good}");
        }
        for bad in [
            "http://id.example",
            "https://id.example:8443",
            "https://b.example:8443",
            "https://xb.example:8443",
            "https://.b.example:8443",
            "https://a.b.example",
            "https://id.example.evil.example",
            "https://evil.example",
            "https://[fd00::1]",
        ] {
            assert!(!may(bad), "{bad}");
        }
    }

    #[test]
    fn a_host_that_is_a_special_address_needs_more_than_to_be_named() {
        let hosts = ["1.1.1.1", "127.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[fd00::1]", "localhost"];
        let grant = grant(&hosts.map(|host| (false, HostPattern::Exact(host.into()), 80)));
        let judged = |url: &str| find(&grant, &[], &url.parse().unwrap()).map(drop);
        // Where a name leads is known where it is connected to.
        for good in ["http://1.1.1.1/", "http://[fd00::1]/a", "http://localhost/"] {
            assert_eq!(judged(good), Ok(()), "{good}");
        }
        for bad in [
            "http://127.0.0.1/",
            "http://127.0.0.1./",
            "http://169.254.169.254/latest",
            "http://[::ffff:127.0.0.1]/",
            "http://[64:ff9b::7f00:1]/",
        ] {
            assert!(matches!(judged(bad), Err(HttpError::NotAllowed(why)) if why.contains("`addresses` of the grant")), "{bad}");
        }
    }

    #[test]
    fn redirects_lead_where_their_reference_says() {
        let from: Uri = "https://a.example:8443/b/c/d?q=1".parse().unwrap();
        let to = |location: &str| redirected(&from, location).map(|url| url.to_string()).unwrap();
        for (location, expected) in [
            ("https://x.example/y", "https://x.example/y"),
            ("//x.example/y", "https://x.example/y"),
            ("/y?z#f", "https://a.example:8443/y?z"),
            ("y", "https://a.example:8443/b/c/y"),
            ("../y", "https://a.example:8443/b/y"),
            ("../../../y", "https://a.example:8443/y"),
            ("./", "https://a.example:8443/b/c/"),
            ("?z", "https://a.example:8443/b/c/d?z"),
            ("", "https://a.example:8443/b/c/d?q=1"),
        ] {
            assert_eq!(to(location), expected, "{location}");
        }
        for bad in ["ftp://x.example", "javascript:alert(1)", "https://u:p@x.example", "https://"] {
            assert!(redirected(&from, bad).is_err(), "{bad}");
        }
    }
}
