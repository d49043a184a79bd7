//! Headers that belong to one connection and never travel on (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// What a message said about trailers before its connection headers were taken off. The gateway makes both headers anew
/// on the other side, because hyper sends no trailers that were not announced.
#[derive(Debug, Default, Clone)]
pub struct Trailers {
    /// `TE: trailers`: whoever sent this will read trailers.
    pub accepted: bool,
    /// The `Trailer` header: names announced.
    pub announced: Option<http::HeaderValue>,
}

/// Whether a header belongs to the connection.
pub fn is_connection_header(name: &HeaderName) -> bool {
    // Compared by length first: this runs for every header a plugin sets.
    match name.as_str().len() {
        2 => *name == TE,
        7 => *name == TRAILER || *name == UPGRADE,
        10 => *name == CONNECTION || *name == KEEP_ALIVE,
        14 => *name == HTTP2_SETTINGS,
        16 => *name == PROXY_CONNECTION,
        17 => *name == TRANSFER_ENCODING,
        18 => *name == PROXY_AUTHENTICATE,
        19 => *name == PROXY_AUTHORIZATION,
        _ => false,
    }
}

/// Takes off every connection header, those named by `Connection` included, and says what they said of trailers.
pub fn strip(headers: &mut HeaderMap) -> Trailers {
    let mut trailers = Trailers::default();
    // Nearly every message on a kept connection has none; one look at the names is cheaper than ten removals.
    if !headers.keys().any(is_connection_header) {
        return trailers;
    }
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // `Connection: host` must not take the message's own meaning away.
        .filter(|name| *name != http::header::HOST && *name != http::header::CONTENT_LENGTH && *name != CONNECTION)
        .filter(|name| !is_connection_header(name))
        .collect();
    for name in named {
        headers.remove(name);
    }
    if let Some(te) = headers.remove(TE) {
        trailers.accepted = te.as_bytes().split(|byte| *byte == b',').any(|coding| {
            coding.trim_ascii().split(|byte| *byte == b';').next().is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"trailers"))
        });
    }
    trailers.announced = headers.remove(TRAILER);
    for name in [CONNECTION, KEEP_ALIVE, PROXY_CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TRANSFER_ENCODING, UPGRADE, HTTP2_SETTINGS] {
        headers.remove(name);
    }
    trailers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_off_what_connection_names_but_not_the_host() {
        let mut headers = HeaderMap::new();
        headers.insert(CONNECTION, "close, X-Hop, host".parse().unwrap());
        headers.insert("x-hop", "1".parse().unwrap());
        headers.insert("host", "a".parse().unwrap());
        headers.insert("keep-alive", "5".parse().unwrap());
        headers.insert(TE, "gzip, Trailers;q=0.5".parse().unwrap());
        headers.insert(TRAILER, "x-sum".parse().unwrap());
        headers.insert("x-stays", "1".parse().unwrap());
        let trailers = strip(&mut headers);
        assert!(trailers.accepted);
        assert_eq!(trailers.announced.unwrap(), "x-sum");
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>().len(), 2);
        assert!(headers.contains_key("host") && headers.contains_key("x-stays"));
    }

    #[test]
    fn every_stripped_header_is_a_connection_header() {
        for name in ["connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "proxy-authenticate", "proxy-authorization"] {
            assert!(is_connection_header(&HeaderName::from_static(name)), "{name}");
        }
        assert!(!is_connection_header(&HeaderName::from_static("cookie")));
    }
}
