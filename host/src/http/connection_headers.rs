//! Headers that belong to one connection and never travel on (RFC 9110, section 7.6.1).

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TE, TRAILER};

use super::present::Present;

/// What a message said about trailers before its connection headers were taken off. The gateway makes both headers anew
/// on the other side, because no trailers are sent that were not announced.
#[derive(Debug, Default, Clone)]
pub struct Trailers {
    /// `TE: trailers`: whoever sent this will read trailers.
    pub accepted: bool,
    /// The `Trailer` header: names announced.
    pub announced: Option<HeaderValue>,
}

/// Whether a header belongs to the connection.
pub fn is_connection_header(name: &HeaderName) -> bool {
    Present::OF_CONNECTION.has(Present::name(name))
}

/// Takes off every connection header, those named by `Connection` included, and says what they said of trailers. `present` is what
/// [`Present::of`] finds in them.
pub fn strip(headers: &mut HeaderMap, present: Present) -> Trailers {
    let mut trailers = Trailers::default();
    if !present.has(Present::OF_CONNECTION) {
        return trailers;
    }
    if present.has(Present::CONNECTION) {
        let named = named(headers);
        headers.remove(CONNECTION);
        for name in named {
            headers.remove(name);
        }
    }
    for name in present.names(Present::OF_CONNECTION.without(Present::CONNECTION)) {
        let Some(value) = headers.remove(name) else { continue };
        if *name == TE {
            trailers.accepted = accepts_trailers(value.as_bytes());
        } else if *name == TRAILER {
            trailers.announced = Some(value);
        }
    }
    trailers
}

/// Takes off what no trailers may have: what belongs to a connection, and what frames or routes a message (RFC 9110, sections 6.5.1 and 7.6.1). Over
/// HTTP/2 a response with such trailers could not be ended (RFC 9113, section 8.2.2).
pub fn strip_trailers(trailers: &mut HeaderMap) {
    let illegal = |name: &&HeaderName| is_connection_header(name) || **name == CONTENT_LENGTH || **name == HOST;
    let names: Vec<HeaderName> = trailers.keys().filter(illegal).cloned().collect();
    for name in names {
        trailers.remove(name);
    }
}

/// The members of a list (RFC 9110, section 5.6.1), as bytes: one that makes no sense leaves the others what they are.
pub fn members(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// What `Connection` names beside the headers that always belong to it.
fn named(headers: &HeaderMap) -> Vec<HeaderName> {
    let options = headers.get_all(CONNECTION).iter().flat_map(members);
    options
        .filter(|option| !option.eq_ignore_ascii_case(b"keep-alive") && !option.eq_ignore_ascii_case(b"close"))
        .filter_map(|option| HeaderName::from_bytes(option).ok())
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
        let present = Present::of(&headers);
        let trailers = strip(&mut headers, present);
        assert!(trailers.accepted);
        assert_eq!(trailers.announced.unwrap(), "x-sum");
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>().len(), 2);
        assert!(headers.contains_key("host") && headers.contains_key("x-stays"));
    }

    #[test]
    fn takes_off_what_connection_names_beside_what_is_no_name() {
        for connection in [&b"caf\xe9, X-Hop"[..], b"X-Hop,\xff", b"\xc3\xa9,\tx-hop\t, a b", b", X-Hop"] {
            let mut headers = HeaderMap::new();
            headers.insert(CONNECTION, HeaderValue::from_bytes(connection).unwrap());
            headers.insert("x-hop", "1".parse().unwrap());
            headers.insert("x-stays", "1".parse().unwrap());
            let present = Present::of(&headers);
            strip(&mut headers, present);
            assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-stays"], "{}", connection.escape_ascii());
        }
    }

    #[test]
    fn trailers_say_nothing_of_connections_or_framing() {
        let names = ["connection", "keep-alive", "transfer-encoding", "te", "upgrade", "content-length", "host", "grpc-status", "x-sum"];
        let mut trailers: HeaderMap =
            names.map(|name| (HeaderName::from_static(name), HeaderValue::from_static("0"))).into_iter().collect();
        strip_trailers(&mut trailers);
        let mut left: Vec<_> = trailers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        assert_eq!(left, ["grpc-status", "x-sum"]);
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
}
