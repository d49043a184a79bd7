//! Where requests of the double may go: anywhere, until a test says where.

use std::cell::RefCell;
use std::net::IpAddr;

use crate::bindings::imports::plugway::gateway::http_client::HttpError;

/// The gateway's limit on a URL, bytes.
const MAX_URL: usize = 8 << 10;

/// Where a request may go, or goes.
#[derive(Debug)]
struct Place {
    tls: bool,
    /// In lower case, an address without brackets; of a grant it may begin with `*.`.
    host: String,
    port: u16,
}

thread_local! {
    static GRANTED: RefCell<Option<Vec<Place>>> = const { RefCell::new(None) };
}

/// Lets requests go there and nowhere else, as `hosts` of the grant `http-client` does: `id.example.com`, `*.example.com:8443`,
/// `http://127.0.0.1:8080`. Until then they may go anywhere. What addresses they are is not looked at.
///
/// # Panics
/// Where one of them is no host.
#[track_caller]
pub fn grant_hosts(hosts: &[&str]) {
    let places: Vec<_> = hosts.iter().filter_map(|host| Place::written(host)).collect();
    assert_eq!(places.len(), hosts.len(), "one of {hosts:?} is no host");
    GRANTED.set(Some(places));
}

/// Holds a URL against what was granted, by the gateway's rules.
pub(super) fn judge(url: &str) -> Result<(), HttpError> {
    let place = Place::of(url).map_err(HttpError::Invalid)?;
    let is_granted =
        GRANTED.with_borrow(|granted| granted.as_ref().is_none_or(|granted| granted.iter().any(|allowed| allowed.has(&place))));
    if is_granted {
        return Ok(());
    }
    let scheme = if place.tls { "https" } else { "http" };
    Err(HttpError::NotAllowed(format!("{scheme}://{} at port {}", place.host, place.port)))
}

impl Place {
    /// One of a grant: without a scheme it is over TLS.
    fn written(text: &str) -> Option<Self> {
        match text.split_once("://") {
            Some((scheme, authority)) => Self::at(scheme, authority),
            None => Self::at("https", text),
        }
    }

    /// That of a URL.
    fn of(url: &str) -> Result<Self, String> {
        if url.len() > MAX_URL {
            return Err(format!("the URL has more than {MAX_URL} bytes"));
        }
        let is_absolute = |scheme: &str| scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("http");
        let absolute = url.split_once("://").filter(|(scheme, _)| is_absolute(scheme));
        let (scheme, rest) = absolute.ok_or_else(|| format!("{url:.200?} is no absolute URL with `https` or `http`"))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if authority.contains('@') {
            return Err("the URL has a user in it, or no host".to_owned());
        }
        Self::at(scheme, authority).ok_or_else(|| "the URL has no host, or no port that can be".to_owned())
    }

    fn at(scheme: &str, authority: &str) -> Option<Self> {
        let tls = scheme.eq_ignore_ascii_case("https");
        let (host, port) = match authority.rsplit_once(':') {
            // The colons of an address are in brackets.
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok().filter(|port| *port != 0)?),
            _ => (authority, if tls { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.').to_ascii_lowercase();
        let is_host = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#@\\".contains(&byte));
        is_host.then_some(Self { tls, host, port })
    }

    fn has(&self, place: &Self) -> bool {
        let has_host = match self.host.strip_prefix("*.") {
            None => self.host == place.host,
            // Everything below a domain, which no address is.
            Some(domain) => {
                let below = place.host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.'));
                below.is_some_and(|below| !below.is_empty()) && place.host.parse::<IpAddr>().is_err()
            }
        };
        has_host && (self.tls, self.port) == (place.tls, place.port)
    }
}
