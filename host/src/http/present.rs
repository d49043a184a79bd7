//! Which of the headers that the gateway itself asks for a message has. One look at every name is cheaper than a dozen
//! searches, each with a hash of its own, of which nearly all find nothing.

use http::HeaderMap;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

/// A set of header names.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Present(u32);

/// Every name that is asked for, by length; [`index`] knows their places.
static NAMES: [HeaderName; 16] = [
    TE,
    EXPECT,
    TRAILER,
    UPGRADE,
    HeaderName::from_static("x-real-ip"),
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("traceparent"),
    CONTENT_LENGTH,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("x-forwarded-port"),
    TRANSFER_ENCODING,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
];

/// Where a name stands in [`NAMES`]. This runs for every header of every message, so the length decides first.
fn index(name: &HeaderName) -> Option<usize> {
    let candidates = match name.as_str().len() {
        2 => 0..1,
        6 => 1..2,
        7 => 2..4,
        9 => 4..5,
        10 => 5..8,
        11 => 8..9,
        14 => 9..11,
        16 => 11..13,
        17 => 13..14,
        18 => 14..15,
        19 => 15..16,
        _ => return None,
    };
    candidates.into_iter().find(|index| NAMES.get(*index) == Some(name))
}

impl Present {
    /// `Expect`.
    pub const EXPECT: Self = Self(1 << 1);
    /// `X-Real-IP`.
    pub const X_REAL_IP: Self = Self(1 << 4);
    /// `tracestate`.
    pub const TRACESTATE: Self = Self(1 << 7);
    /// `traceparent`.
    pub const TRACEPARENT: Self = Self(1 << 8);
    /// `Content-Length`.
    pub const CONTENT_LENGTH: Self = Self(1 << 9);
    /// `X-Forwarded-Port`.
    pub const X_FORWARDED_PORT: Self = Self(1 << 12);
    /// Any with `_` in its name, which upstreams that make variables of headers take for `-`.
    pub const UNDERSCORED: Self = Self(1 << 31);
    /// Those that belong to a connection and never travel on (RFC 9110, section 7.6.1).
    pub const OF_CONNECTION: Self = Self(0b1110_1100_0110_1101);

    /// Of a message.
    pub fn of(headers: &HeaderMap) -> Self {
        headers.keys().map(Self::name).fold(Self::default(), |all, name| Self(all.0 | name.0))
    }

    /// Of one name; nothing where nobody asks for it.
    pub fn name(name: &HeaderName) -> Self {
        match index(name) {
            Some(index) => Self(1 << index),
            None if name.as_str().as_bytes().contains(&b'_') => Self::UNDERSCORED,
            None => Self(0),
        }
    }

    /// Whether any of those is there.
    pub fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    /// The names of those that are in both.
    pub fn names(self, of: Self) -> impl Iterator<Item = &'static HeaderName> {
        NAMES.iter().enumerate().filter(move |(index, _)| self.0 & of.0 & 1 << index != 0).map(|(_, name)| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_every_one_of_them() {
        for (expected, name) in NAMES.iter().enumerate() {
            assert_eq!(index(name), Some(expected), "{name}");
        }
        assert_eq!(index(&HeaderName::from_static("x-real-ip2")), None);
        let named = [
            (Present::EXPECT, "expect"),
            (Present::X_REAL_IP, "x-real-ip"),
            (Present::TRACESTATE, "tracestate"),
            (Present::TRACEPARENT, "traceparent"),
            (Present::CONTENT_LENGTH, "content-length"),
            (Present::X_FORWARDED_PORT, "x-forwarded-port"),
        ];
        for (present, name) in named {
            assert_eq!(present, Present::name(&HeaderName::from_static(name)), "{name}");
            assert!(!Present::OF_CONNECTION.has(present), "{name}");
        }
    }

    #[test]
    fn tells_what_is_there() {
        let mut headers = HeaderMap::new();
        headers.insert(EXPECT, "100-continue".parse().unwrap());
        headers.insert("x-tenant-id", "acme".parse().unwrap());
        assert!(!Present::of(&headers).has(Present::UNDERSCORED));
        headers.insert("x_user", "mallory".parse().unwrap());
        headers.insert(TE, "trailers".parse().unwrap());
        let present = Present::of(&headers);
        assert!(present.has(Present::UNDERSCORED) && present.has(Present::EXPECT) && !present.has(Present::TRACEPARENT));
        assert_eq!(present.names(Present::OF_CONNECTION).collect::<Vec<_>>(), [TE]);
    }
}
