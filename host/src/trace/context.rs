//! W3C Trace Context (`traceparent`, `tracestate`) and W3C Baggage, as they come and as they leave.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

/// W3C Trace Context, section 3.2.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What a `traceparent` says (W3C Trace Context, section 3.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parent {
    /// The trace; not zero.
    pub trace: u128,
    /// The span this one is in; not zero.
    pub span: u64,
    /// Whether whoever made that span recorded it.
    pub sampled: bool,
}

/// Members of a `tracestate` at most (section 3.3.1.1).
const MAX_MEMBERS: usize = 32;
/// Bytes of a member's key, and of its value.
const MAX_PART: usize = 256;

impl Parent {
    /// Reads one; `None` if it is not valid. Later versions may append fields, version 00 may not.
    pub fn parse(value: &[u8]) -> Option<Self> {
        let (version, rest) = (value.get(..2)?, value.get(2..)?);
        let (trace, span, flags) = (rest.get(1..33)?, rest.get(34..50)?, rest.get(51..53)?);
        let dashes = [0, 33, 50].iter().all(|at| rest.get(*at) == Some(&b'-'));
        let tail = rest.get(53..)?;
        let fits = tail.is_empty() || (version != b"00" && tail.first() == Some(&b'-'));
        let version = number(version).filter(|version| *version != 0xff);
        let (trace, span) = (number(trace)?, u64::try_from(number(span)?).ok()?);
        let sampled = number(flags)? & 1 == 1;
        (version.is_some() && dashes && fits && trace != 0 && span != 0).then_some(Self { trace, span, sampled })
    }

    /// As it is sent on: version 00.
    pub fn header(self) -> HeaderValue {
        let flags = u8::from(self.sampled);
        let text = format!("00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span);
        // Digits and dashes are always legal.
        HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| HeaderValue::from_static("0"))
    }
}

/// Hexadecimal digits, lower case only.
fn number(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0_u128, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

/// Whether a `tracestate` may be sent on: members with legal keys and values, each key once, and not too many of them.
pub fn is_trace_state(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let mut keys: Vec<&str> = Vec::new();
    for member in text.split(',').map(|member| member.trim_matches([' ', '\t'])).filter(|member| !member.is_empty()) {
        // A head has room for ten thousand of them, and each is looked for among those before it.
        if keys.len() == MAX_MEMBERS {
            return false;
        }
        let Some((key, value)) = member.split_once('=') else { return false };
        let is_key = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-' | b'*' | b'/' | b'@');
        let first = key.bytes().next().is_some_and(|first| first.is_ascii_lowercase() || first.is_ascii_digit());
        let is_value = |byte: u8| matches!(byte, b' '..=b'~') && byte != b',' && byte != b'=';
        let fits = key.len() <= MAX_PART && (1..=MAX_PART).contains(&value.len());
        if !first || !key.bytes().all(is_key) || !value.bytes().all(is_value) || !fits || keys.contains(&key) {
            return false;
        }
        keys.push(key);
    }
    true
}

/// The value of a member of a `baggage` header, percent-decoded, without its properties (W3C Baggage, section 3.3).
pub fn baggage(header: &str, key: &str) -> Option<String> {
    let member = header.split(',').find_map(|member| {
        let (known, value) = member.split_once('=')?;
        (known.trim() == key).then_some(value)
    })?;
    let value = member.split(';').next().unwrap_or_default().trim();
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        // `from_str_radix` takes a sign for a part of the number.
        let digits = tail.get(..2).filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        match digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()) {
            Some(decoded) => {
                bytes.push(decoded);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_and_written() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = Parent::parse(text.as_bytes()).unwrap();
        assert_eq!(parent.trace, 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((parent.span, parent.sampled), (0x00f0_67aa_0ba9_02b7, true));
        assert_eq!(parent.header(), text);
        assert!(!Parent::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02").unwrap().sampled);
        assert!(Parent::parse(b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-comes").unwrap().sampled);
    }

    #[test]
    fn what_is_no_parent_is_none() {
        for bad in [
            "",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "00-4bf92f3577b34da6a3ce929d0e0e473-600f067aa0ba902b7-01",
            "00 4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Parent::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_trace_state_is_sent_on_only_if_it_is_one() {
        let many = (0..32).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        for good in ["rojo=00f067aa0ba902b7,congo=t61rcWkgMzE", "a=1, \tb=2,,", "tenant@vendor=x y", "0a_-*/=!", "", &many] {
            assert!(is_trace_state(good.as_bytes()), "{good}");
        }
        let too_many = format!("{many},more=v");
        let far_too_many = (0..10_000).map(|number| format!("k{number}=v")).collect::<Vec<_>>().join(",");
        let long = format!("{}=v", "k".repeat(257));
        for bad in ["a", "a=", "A=1", "a=1,a=2", "=1", "a=1=2", "a b=1", "-a=1", "a=\u{e9}", &too_many, &far_too_many, &long] {
            assert!(!is_trace_state(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn baggage_is_found_and_decoded() {
        let header = "userId=alice, serverNode = DF%2028;meta=1 ,isProduction=false,half=%4,raw=\u{e9}";
        assert_eq!(baggage(header, "userId").as_deref(), Some("alice"));
        assert_eq!(baggage(header, "serverNode").as_deref(), Some("DF 28"));
        assert_eq!(baggage(header, "half").as_deref(), Some("%4"));
        assert_eq!(baggage("sign=%+5%-5%2B", "sign").as_deref(), Some("%+5%-5+"));
        assert_eq!(baggage(header, "none"), None);
    }
}
