//! A request as it arrives: its head becomes an exchange, in the one form that is matched, authorized, hashed and
//! forwarded.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, FORWARDED, HOST, VIA};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use hyper::body::Incoming;

use super::client_address::{client_address, is_trusted};
use super::connection::{Connection, Known};
use super::ids::{Ids, TRACESTATE, X_REQUEST_ID};
use super::request_trailers;
use super::snapshot::Generation;
use crate::config::model::ClientAddressHeader;
use crate::exchange::{Claims, Exchange, RequestHead, Target};
use crate::fault::Fault;
use crate::http::connection_headers::{self, Trailers};
use crate::http::path;
use crate::http::present::Present;
use crate::trace::{Parent, TRACEPARENT, is_trace_state};

/// Headers past which a map has hardly room for more, which is past what `max_headers` may be: HTTP/2 fills it with 24,576 lines.
const CROWDED: usize = 16 << 10;
/// Headers added to every request, with room for a few more.
const ADDED: usize = 12;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// A request whose head was read.
pub(super) struct Arrival {
    /// What hooks will see.
    pub(super) exchange: Box<Exchange>,
    /// What follows.
    pub(super) body: Incoming,
    /// What it said of trailers.
    pub(super) trailers: Trailers,
    /// What follows from the authority it names; none where that is a fault.
    pub(super) known: Option<Rc<Known>>,
    /// Whether its `Host` says that authority as it is sent on, byte for byte. No hook may write that header.
    pub(super) has_host: bool,
    /// The trace it belongs to.
    pub(super) trace: u128,
    /// The span it was sent in.
    pub(super) caller: Option<Parent>,
    /// Protocol the client spoke.
    pub(super) version: Version,
    /// Why it cannot go on.
    pub(super) fault: Option<Fault>,
}

/// Reads a head. A request that cannot go on still becomes an exchange, so that it is answered, counted and logged like
/// every other.
pub(super) fn receive(generation: &Generation, connection: &Connection, request: Request<Incoming>, started: Instant) -> Arrival {
    let snapshot = &generation.snapshot;
    let (parts, body) = request.into_parts();
    let mut headers = parts.headers;
    let present = Present::of_request(&headers);
    let mut fault =
        ambiguous_length(&headers, present).or(refused_method(&parts.method)).or(too_many(&headers, snapshot.limits.max_headers));

    let target = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let authority = authority(target, &headers, parts.version).and_then(|raw| connection.authority(raw));
    let known = authority.map_err(|invalid| fault = fault.or(Some(invalid))).ok();
    let has_host = target.is_none() && parts.version < Version::HTTP_2 && known.as_ref().is_some_and(|known| known.is_as_received);

    let peer = connection.facts.peer.ip();
    let trusted = !snapshot.trusted_proxies.is_empty() && is_trusted(&snapshot.trusted_proxies, peer);
    fault = fault.or(without_tls(&parts.uri, connection, trusted)).or(refused_query(&parts.uri, parts.version));
    let (target, refused) = normalised(parts.uri.into_parts().path_and_query, &parts.method);
    fault = fault.or(refused);

    let client = if trusted {
        client_address(&snapshot.trusted_proxies, snapshot.client_address_header, peer, &headers)
    } else {
        peer.to_canonical()
    };
    let ids = Ids::of(&headers, present, trusted);
    if headers.len() > CROWDED {
        // `too_many` has refused it, and in a map that is full nothing could be set, not even in the place of what is there.
        headers.clear();
    }
    let trailers = connection_headers::strip(&mut headers, present);
    let trailers_may_come = request_trailers::may_come(&body, parts.version, present.has(Present::CONTENT_LENGTH));
    if present.has(Present::UNDERSCORED) && !snapshot.keep_underscores {
        drop_underscored(&mut headers);
    }
    if parts.version == Version::HTTP_2 {
        join_cookies(&mut headers);
    }
    // Room for what is added below, and for the few headers plugins add.
    headers.reserve(ADDED);
    if let Some(known) = &known {
        let by = trusted.then_some(snapshot.client_address_header);
        forwarding_headers(&mut headers, present, connection, known, by, parts.version);
    }
    headers.insert(X_REQUEST_ID, ids.request.clone());
    headers.insert(TRACEPARENT, ids.trace_parent.clone());
    // Of another trace, or one that cannot be sent on (W3C Trace Context, sections 3.3 and 4.3).
    if present.has(Present::TRACESTATE)
        && (ids.caller.is_none() || !headers.get_all(TRACESTATE).iter().all(|state| is_trace_state(state.as_bytes())))
    {
        headers.remove(TRACESTATE);
    }
    // hyper answers 100-continue itself in HTTP/1.1, when the body is first asked for. In HTTP/2 it cannot.
    if present.has(Present::EXPECT) {
        headers.remove(EXPECT);
    }

    let head = RequestHead {
        method: parts.method,
        tls: connection.facts.tls.is_some(),
        authority: known.as_ref().map_or_else(|| "".into(), |known| Arc::clone(&known.authority)),
        target,
        headers,
    };
    let mut exchange = Exchange::new(
        head,
        connection.facts.clone(),
        client,
        ids.request,
        ids.trace_parent,
        started,
        generation.no_route.clone(),
        Vec::new(),
    );
    if trailers_may_come {
        exchange.claimed = Claims::kept();
    }
    Arrival { exchange, body, trailers, known, has_host, trace: ids.trace, caller: ids.caller, version: parts.version, fault }
}

/// The target with its path in normal form, or why it has none.
fn normalised(received: Option<PathAndQuery>, method: &Method) -> (Target, Option<Fault>) {
    let raw = received.as_ref().map_or("/", PathAndQuery::path);
    let (path, fault) = match path::normalise(raw) {
        Ok(normal) if normal == raw => (None, None),
        Ok(normal) => (Some(normal.into_owned()), None),
        // `OPTIONS *` has no path; no route can take it.
        Err(_) if raw == "*" && method == Method::OPTIONS => (None, None),
        Err(refused) => (Some("/".to_owned()), Some(refused.fault())),
    };
    (Target::new(received, path), fault)
}

/// Bytes that a query does not have (RFC 3986, section 3.4): an upstream of HTTP/1.1 would refuse them, and plugins could not set them again. In
/// HTTP/1.1 the connection's scanner has refused them before. And one that no path stands before, which only an absolute target may have (RFC 9113,
/// section 8.3.1).
fn refused_query(target: &Uri, version: Version) -> Option<Fault> {
    let is_query = |query: &str| query.bytes().all(|byte| byte.is_ascii_graphic());
    let has_path = || target.path_and_query().is_none_or(|target| !target.as_str().starts_with('?'));
    let is_right = || target.query().is_none_or(is_query) && has_path();
    (version == Version::HTTP_2 && !is_right()).then_some(Fault::MalformedRequest)
}

/// HTTP/2 frames its messages without it, and its parser looks at the first alone, but the upstream may frame by another
/// (RFC 9113, section 8.1.1). In HTTP/1.1 the connection's scanner has refused it before.
fn ambiguous_length(headers: &HeaderMap, present: Present) -> Option<Fault> {
    if !present.has(Present::CONTENT_LENGTH) {
        return None;
    }
    headers.get_all(CONTENT_LENGTH).iter().nth(1).map(|_| Fault::AmbiguousFraming)
}

/// HTTP/2 bounds the bytes of a head, not its lines. In HTTP/1.1 the connection's scanner has refused it before.
fn too_many(headers: &HeaderMap, limit: usize) -> Option<Fault> {
    (headers.len() > limit).then_some(Fault::HeadTooLarge)
}

/// `X_User` is `X-User` to whoever makes variables of headers (RFC 3875, section 4.1.18): it would get past everything that strips or sets that one.
fn drop_underscored(headers: &mut HeaderMap) {
    let names: Vec<_> = headers.keys().filter(|name| name.as_str().contains('_')).cloned().collect();
    for name in names {
        headers.remove(name);
    }
}

/// One `Cookie`, as text has it and plugins expect it: HTTP/2 may split it into lines (RFC 9113, section 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    let mut crumbs = headers.get_all(COOKIE).iter();
    if let (Some(first), Some(second)) = (crumbs.next(), crumbs.next()) {
        let crumbs = [first, second].into_iter().chain(crumbs).map(HeaderValue::as_bytes);
        // Pieces of header values make a header value.
        if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.collect::<Vec<_>>().join(&b"; "[..])) {
            headers.insert(COOKIE, cookie);
        }
    }
}

/// CONNECT would make a tunnel, TRACE would show the client headers the gateway added (RFC 9110, sections 9.3.6 and
/// 9.3.8).
fn refused_method(method: &Method) -> Option<Fault> {
    (*method == Method::CONNECT || *method == Method::TRACE).then_some(Fault::MethodNotForwarded)
}

/// The authority a request names: that of its target where it has one, else `Host` (RFC 9112, section 3.2.2). In HTTP/2
/// both may be there and must say the same (RFC 9113, section 8.3.1).
fn authority<'a>(target: Option<&'a [u8]>, headers: &'a HeaderMap, version: Version) -> Result<&'a [u8], Fault> {
    let host = one_host(headers)?.map(HeaderValue::as_bytes);
    match (target, host) {
        (Some(target), Some(host)) if version == Version::HTTP_2 && !target.eq_ignore_ascii_case(host) => Err(Fault::InvalidAuthority),
        (Some(authority), _) | (None, Some(authority)) => Ok(authority),
        (None, None) => Err(Fault::InvalidAuthority),
    }
}

/// The one `Host`, if there is any. Most requests begin with it, which spares them a search; all of a name follow each other.
fn one_host(headers: &HeaderMap) -> Result<Option<&HeaderValue>, Fault> {
    let mut lines = headers.iter();
    let (first, second) = match lines.next() {
        Some((name, value)) if *name == HOST => (Some(value), lines.next().filter(|(name, _)| **name == HOST).map(|(_, value)| value)),
        _ => {
            let mut hosts = headers.get_all(HOST).iter();
            (hosts.next(), hosts.next())
        }
    };
    if second.is_some() { Err(Fault::InvalidAuthority) } else { Ok(first) }
}

/// A target that says `https` is for a connection with TLS (RFC 9110, section 7.4); a trusted proxy has ended TLS in front of this one.
fn without_tls(target: &Uri, connection: &Connection, trusted: bool) -> Option<Fault> {
    let in_the_clear = connection.facts.tls.is_none() && !trusted;
    (in_the_clear && target.scheme() == Some(&Scheme::HTTPS)).then_some(Fault::MisdirectedRequest)
}

/// Tells the upstream who is calling. What a stranger says of itself is replaced; what a trusted proxy says is kept and
/// added to.
fn forwarding_headers(
    headers: &mut HeaderMap,
    present: Present,
    connection: &Connection,
    known: &Known,
    trusted: Option<ClientAddressHeader>,
    version: Version,
) {
    let via = HeaderValue::from_static(if version == Version::HTTP_2 {
        "2.0 plugway"
    } else if version == Version::HTTP_10 {
        "1.0 plugway"
    } else {
        "1.1 plugway"
    });
    headers.append(VIA, via);
    let scheme = HeaderValue::from_static(if connection.facts.tls.is_some() { "https" } else { "http" });
    if let Some(by) = trusted {
        // Of the two the one that the proxies write has the way so far; the other one came from the client as it is, and an upstream may go by it.
        headers.remove(match by {
            ClientAddressHeader::XForwardedFor => FORWARDED,
            ClientAddressHeader::Forwarded => X_FORWARDED_FOR,
        });
        headers.append(X_FORWARDED_FOR, connection.peer.clone());
        headers.append(FORWARDED, known.forwarded.clone());
        headers.entry(X_FORWARDED_HOST).or_insert_with(|| known.host.clone());
        headers.entry(X_FORWARDED_PROTO).or_insert(scheme);
    } else {
        headers.insert(X_FORWARDED_FOR, connection.peer.clone());
        headers.insert(FORWARDED, known.forwarded.clone());
        headers.insert(X_FORWARDED_HOST, known.host.clone());
        headers.insert(X_FORWARDED_PROTO, scheme);
        if present.has(Present::X_FORWARDED_PORT) {
            headers.remove(X_FORWARDED_PORT);
        }
        if present.has(Present::X_REAL_IP) {
            headers.remove(X_REAL_IP);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_found_wherever_it_stands_and_is_one() {
        let host = |lines: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in lines {
                headers.append(*name, HeaderValue::from_static(value));
            }
            one_host(&headers).map(|host| host.map(|host| host.to_str().unwrap().to_owned()))
        };
        assert_eq!(host(&[("accept", "*/*")]), Ok(None));
        for one in [&[("host", "a")][..], &[("host", "a"), ("x", "1")], &[("x", "1"), ("host", "a")]] {
            assert_eq!(host(one), Ok(Some("a".to_owned())));
        }
        for two in
            [&[("host", "a"), ("host", "a")][..], &[("host", "a"), ("x", "1"), ("host", "b")], &[("x", "1"), ("host", "a"), ("host", "b")]]
        {
            assert_eq!(host(two), Err(Fault::InvalidAuthority));
        }
    }

    #[test]
    fn a_query_is_ascii_over_http2_as_it_is_over_http1_and_has_a_path() {
        for (target, fault) in [
            ("/x", None),
            ("/x?", None),
            ("/x?q=%C3%BC&a=b|~c", None),
            ("/x?q=\u{fc}", Some(Fault::MalformedRequest)),
            ("/x?\u{80}", Some(Fault::MalformedRequest)),
            ("http://a?x", Some(Fault::MalformedRequest)),
        ] {
            let target: Uri = target.parse().unwrap();
            assert_eq!(refused_query(&target, Version::HTTP_2), fault, "{target}");
            assert_eq!(refused_query(&target, Version::HTTP_11), None, "{target}");
        }
    }
}
