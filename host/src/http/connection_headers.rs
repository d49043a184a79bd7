//! Headers that belong to one connection and never travel on (RFC 9110, section 7.6.1).

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};

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

/// Every connection header; [`index`] knows their places.
const NAMES: [HeaderName; 10] = [
    TE,
    TRAILER,
    UPGRADE,
    CONNECTION,
    KEEP_ALIVE,
    HTTP2_SETTINGS,
    PROXY_CONNECTION,
    TRANSFER_ENCODING,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

/// Where a connection header stands in [`NAMES`]. This runs for every header of every message, so the length decides first.
fn index(name: &HeaderName) -> Option<usize> {
    let candidates = match name.as_str().len() {
        2 => 0..1,
        7 => 1..3,
        10 => 3..5,
        14 => 5..6,
        16 => 6..7,
        17 => 7..8,
        18 => 8..9,
        19 => 9..10,
        _ => return None,
    };
    candidates.into_iter().find(|index| NAMES.get(*index) == Some(name))
}

/// Whether a header belongs to the connection.
pub fn is_connection_header(name: &HeaderName) -> bool {
    index(name).is_some()
}

/// Takes off every connection header, those named by `Connection` included, and says what they said of trailers.
pub fn strip(headers: &mut HeaderMap) -> Trailers {
    let mut trailers = Trailers::default();
    // One look at the names is cheaper than ten removals: most messages have none or one.
    let found = headers.keys().filter_map(index).fold(0_u16, |found, index| found | 1 << index);
    if found == 0 {
        return trailers;
    }
    for name in named(headers) {
        headers.remove(name);
    }
    for (index, name) in NAMES.iter().enumerate().filter(|(index, _)| found & 1 << index != 0) {
        let Some(value) = headers.remove(name) else { continue };
        match index {
            0 => trailers.accepted = accepts_trailers(value.as_bytes()),
            1 => trailers.announced = Some(value),
            _ => {}
        }
    }
    trailers
}

/// What `Connection` names beside the headers that always belong to it.
fn named(headers: &HeaderMap) -> Vec<HeaderName> {
    let options =
        headers.get_all(CONNECTION).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim);
    options
        .filter(|option| !option.eq_ignore_ascii_case("keep-alive") && !option.eq_ignore_ascii_case("close"))
        .filter_map(|option| option.parse().ok())
        // `Connection: host` must not take the message's own meaning away.
        .filter(|name| *name != HOST && *name != CONTENT_LENGTH && !is_connection_header(name))
        .collect()
}

fn accepts_trailers(te: &[u8]) -> bool {
    te.split(|byte| *byte == b',').any(|coding| {
        coding.trim_ascii().split(|byte| *byte == b';').next().is_some_and(|name| name.trim_ascii().eq_ignore_ascii_case(b"trailers"))
    })
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
        for name in [
            "connection",
            "keep-alive",
            "proxy-connection",
            "te",
            "trailer",
            "transfer-encoding",
            "upgrade",
            "http2-settings",
            "proxy-authenticate",
            "proxy-authorization",
        ] {
            assert!(is_connection_header(&HeaderName::from_static(name)), "{name}");
        }
        assert!(!is_connection_header(&HeaderName::from_static("cookie")));
    }

    #[test]
    fn knows_every_one_of_them() {
        for (expected, name) in NAMES.iter().enumerate() {
            assert_eq!(index(name), Some(expected), "{name}");
        }
    }
}
