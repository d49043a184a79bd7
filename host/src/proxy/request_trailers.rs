//! What a client may say behind its body. Upstreams may put trailers among the headers (RFC 9110, section 6.5.1): a name that means something in
//! a head, to the gateway or to a plugin of this route, would then be worth what the client wrote last.

use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE, COOKIE, HeaderName, IF_MATCH, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, MAX_FORWARDS, PRAGMA, RANGE,
};
use http::{HeaderMap, Version};
use hyper::body::Body;

use crate::exchange::{Claims, is_reserved};

/// What of RFC 9110, section 6.5.1, no plugin is kept from setting in a head: who asks, on which condition, for which part, and how the content
/// is written.
static OF_HEADS: [HeaderName; 16] = [
    AUTHORIZATION,
    CACHE_CONTROL,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    CONTENT_TYPE,
    COOKIE,
    IF_MATCH,
    IF_MODIFIED_SINCE,
    IF_NONE_MATCH,
    IF_RANGE,
    IF_UNMODIFIED_SINCE,
    MAX_FORWARDS,
    PRAGMA,
    RANGE,
    HeaderName::from_static("dpop"),
    HeaderName::from_static("tracestate"),
];

/// Whether trailers may come. Only then hooks' headers are kept in mind: a body of known length has none in HTTP/1.1.
pub(super) fn may_come(body: &impl Body, version: Version, has_length: bool) -> bool {
    !body.is_end_stream() && (version == Version::HTTP_2 || !has_length)
}

/// Which names trailers of one request may not have, beside those that none may have.
#[derive(Debug)]
pub(super) struct Barred {
    claimed: Claims,
    keep_underscores: bool,
}

impl Barred {
    pub(super) fn new(claimed: Claims, keep_underscores: bool) -> Self {
        Self { claimed, keep_underscores }
    }

    /// These too.
    pub(super) fn add<'n>(&mut self, names: impl Iterator<Item = &'n HeaderName>) {
        names.for_each(|name| self.claimed.add(name));
    }

    /// What may go on; none where nothing is left.
    pub(super) fn pass(&self, trailers: HeaderMap) -> Option<HeaderMap> {
        let underscored = |name: &HeaderName| !self.keep_underscores && name.as_str().contains('_');
        let barred = |name: &HeaderName| OF_HEADS.contains(name) || is_reserved(name) || underscored(name) || self.claimed.has(name);
        let mut left = trailers;
        let names: Vec<HeaderName> = left.keys().filter(|name| barred(name)).cloned().collect();
        for name in names {
            left.remove(name);
        }
        (!left.is_empty()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(barred: &Barred, names: &[&'static str]) -> Vec<String> {
        let trailers = names.iter().map(|name| (HeaderName::from_static(name), http::HeaderValue::from_static("1"))).collect();
        let mut left: Vec<_> = barred.pass(trailers).unwrap_or_default().keys().map(|name| name.as_str().to_owned()).collect();
        left.sort_unstable();
        left
    }

    #[test]
    fn what_belongs_in_a_head_goes_no_further() {
        let mut barred = Barred::new(Claims::kept(), false);
        barred.add([HeaderName::from_static("x-user"), HeaderName::from_static("x-gateway")].iter());
        let names = [
            "x-user",
            "x-gateway",
            "x_user",
            "authorization",
            "cookie",
            "host",
            "content-length",
            "transfer-encoding",
            "trailer",
            "te",
            "connection",
            "forwarded",
            "via",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
            "x-forwarded-port",
            "x-real-ip",
            "x-request-id",
            "traceparent",
            "tracestate",
            "dpop",
            "content-type",
            "if-match",
            "range",
            "expect",
        ];
        assert_eq!(passed(&barred, &names), Vec::<String>::new());
        assert!(barred.pass(HeaderMap::new()).is_none());
        assert_eq!(passed(&barred, &["x-sum", "x-users", "grpc-status", "x-user"]), ["grpc-status", "x-sum", "x-users"]);
        assert_eq!(passed(&Barred::new(Claims::kept(), true), &["x_user", "x-user"]), ["x-user", "x_user"]);
        assert_eq!(passed(&Barred::new(Claims::default(), true), &["x-sum"]), Vec::<String>::new());
    }
}
