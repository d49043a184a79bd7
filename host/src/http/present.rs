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

/// Whether a name has `_`. Names are short, and eight bytes at once are a third of the work; those at the end may be looked at twice.
fn has_underscore(name: &[u8]) -> bool {
    if let Some(last) = name.last_chunk::<8>() {
        let (words, _) = name.as_chunks::<8>();
        words.iter().any(|word| word_has_underscore(u64::from_le_bytes(*word))) || word_has_underscore(u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        word_has_underscore((u64::from(u32::from_le_bytes(*first)) << 32) | u64::from(u32::from_le_bytes(*last)))
    } else {
        name.contains(&b'_')
    }
}

/// Whether one of its bytes is `_`. That becomes zero, and to take one from every byte sets a high bit that was not set only where there is a zero.
fn word_has_underscore(word: u64) -> bool {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let zeroed = word ^ (ONES * 0x5f);
    zeroed.wrapping_sub(ONES) & !zeroed & (ONES << 7) != 0
}

impl Present {
    /// `Expect`.
    pub const EXPECT: Self = Self(1 << 1);
    /// `X-Real-IP`.
    pub const X_REAL_IP: Self = Self(1 << 4);
    /// `Connection`.
    pub const CONNECTION: Self = Self(1 << 5);
    /// `tracestate`.
    pub const TRACESTATE: Self = Self(1 << 7);
    /// `traceparent`.
    pub const TRACEPARENT: Self = Self(1 << 8);
    /// `Content-Length`.
    pub const CONTENT_LENGTH: Self = Self(1 << 9);
    /// `X-Forwarded-Port`.
    pub const X_FORWARDED_PORT: Self = Self(1 << 12);
    /// `Transfer-Encoding`.
    pub const TRANSFER_ENCODING: Self = Self(1 << 13);
    /// Any with `_` in its name, which upstreams that make variables of headers take for `-`; of requests alone.
    pub const UNDERSCORED: Self = Self(1 << 31);
    /// Those that belong to a connection and never travel on (RFC 9110, section 7.6.1).
    pub const OF_CONNECTION: Self = Self(0b1110_1100_0110_1101);

    /// Of a message.
    pub fn of(headers: &HeaderMap) -> Self {
        headers.keys().map(Self::name).fold(Self::default(), Self::and)
    }

    /// The same of a request, with [`UNDERSCORED`](Self::UNDERSCORED).
    pub fn of_request(headers: &HeaderMap) -> Self {
        headers.keys().map(Self::name_of_request).fold(Self::default(), Self::and)
    }

    /// Of one name; nothing where nobody asks for it.
    pub fn name(name: &HeaderName) -> Self {
        index(name).map_or(Self(0), |index| Self(1 << index))
    }

    fn name_of_request(name: &HeaderName) -> Self {
        match index(name) {
            Some(index) => Self(1 << index),
            None if has_underscore(name.as_str().as_bytes()) => Self::UNDERSCORED,
            None => Self(0),
        }
    }

    /// Both together.
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of those is there.
    pub fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    /// These without those.
    pub const fn without(self, those: Self) -> Self {
        Self(self.0 & !those.0)
    }

    /// The names of those that are in both.
    pub fn names(self, of: Self) -> impl Iterator<Item = &'static HeaderName> {
        let mut left = self.0 & of.0;
        std::iter::from_fn(move || {
            let name = NAMES.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(name)
        })
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
        assert_eq!(Present::TRANSFER_ENCODING, Present::name(&TRANSFER_ENCODING));
    }

    #[test]
    fn tells_what_is_there() {
        let mut headers = HeaderMap::new();
        headers.insert(EXPECT, "100-continue".parse().unwrap());
        headers.insert("x-tenant-id", "acme".parse().unwrap());
        assert!(!Present::of_request(&headers).has(Present::UNDERSCORED));
        headers.insert("x_user", "mallory".parse().unwrap());
        headers.insert(TE, "trailers".parse().unwrap());
        let present = Present::of_request(&headers);
        assert!(present.has(Present::UNDERSCORED) && present.has(Present::EXPECT) && !present.has(Present::TRACEPARENT));
        assert_eq!(present.names(Present::OF_CONNECTION).collect::<Vec<_>>(), [TE]);
        let response = Present::of(&headers);
        assert!(!response.has(Present::UNDERSCORED) && response.has(Present::EXPECT));
        assert_eq!(response.and(Present::UNDERSCORED), present);
    }

    #[test]
    fn an_underscore_is_seen_wherever_it_stands() {
        for length in 1..=40 {
            // Those beside it, and with a bit more or less, are none.
            for other in [b'a', b'-', b'^', b'`', b'~', b'!', 0x00, 0xdf, 0xff] {
                assert!(!has_underscore(&vec![other; length]), "{length} {other}");
                for at in 0..length {
                    let name: Vec<u8> = (0..length).map(|place| if place == at { b'_' } else { other }).collect();
                    assert!(has_underscore(&name), "{length} {other} {at}");
                }
            }
        }
        assert!(!has_underscore(b""));
    }
}
