//! Header names.

use std::sync::{Mutex, PoisonError};

pub use crate::bindings::imports::plugway::gateway::types::{HeaderLine, HeaderName};
use crate::error::ChangeError;
use crate::sys;

macro_rules! known_headers {
    ($($constant:ident = $number:literal, $name:literal;)*) => {
        $(
            #[doc = concat!("`", $name, "`")]
            pub const $constant: HeaderName<'static> = HeaderName::Known($number);
        )*

        /// The text of every well-known name, by number.
        const NAMES: &[&str] = &[$($name,)*];
    };
}

// The lines of `wit/known-headers.txt`: a test compares them.
known_headers! {
    ACCEPT = 0, "accept";
    ACCEPT_ENCODING = 1, "accept-encoding";
    ACCEPT_LANGUAGE = 2, "accept-language";
    AGE = 3, "age";
    ALLOW = 4, "allow";
    AUTHORIZATION = 5, "authorization";
    CACHE_CONTROL = 6, "cache-control";
    CONTENT_ENCODING = 7, "content-encoding";
    CONTENT_LANGUAGE = 8, "content-language";
    CONTENT_LENGTH = 9, "content-length";
    CONTENT_LOCATION = 10, "content-location";
    CONTENT_RANGE = 11, "content-range";
    CONTENT_SECURITY_POLICY = 12, "content-security-policy";
    CONTENT_TYPE = 13, "content-type";
    COOKIE = 14, "cookie";
    DATE = 15, "date";
    DPOP = 16, "dpop";
    ETAG = 17, "etag";
    EXPIRES = 18, "expires";
    FORWARDED = 19, "forwarded";
    HOST = 20, "host";
    IF_MATCH = 21, "if-match";
    IF_MODIFIED_SINCE = 22, "if-modified-since";
    IF_NONE_MATCH = 23, "if-none-match";
    IF_RANGE = 24, "if-range";
    IF_UNMODIFIED_SINCE = 25, "if-unmodified-since";
    LAST_MODIFIED = 26, "last-modified";
    LINK = 27, "link";
    LOCATION = 28, "location";
    ORIGIN = 29, "origin";
    RANGE = 30, "range";
    REFERER = 31, "referer";
    RETRY_AFTER = 32, "retry-after";
    SERVER = 33, "server";
    SET_COOKIE = 34, "set-cookie";
    STRICT_TRANSPORT_SECURITY = 35, "strict-transport-security";
    TRACEPARENT = 36, "traceparent";
    TRACESTATE = 37, "tracestate";
    USER_AGENT = 38, "user-agent";
    VARY = 39, "vary";
    VIA = 40, "via";
    WWW_AUTHENTICATE = 41, "www-authenticate";
    X_API_KEY = 42, "x-api-key";
    X_CONTENT_TYPE_OPTIONS = 43, "x-content-type-options";
    X_CORRELATION_ID = 44, "x-correlation-id";
    X_FORWARDED_FOR = 45, "x-forwarded-for";
    X_FORWARDED_HOST = 46, "x-forwarded-host";
    X_FORWARDED_PROTO = 47, "x-forwarded-proto";
    X_FRAME_OPTIONS = 48, "x-frame-options";
    X_REAL_IP = 49, "x-real-ip";
    X_REQUEST_ID = 50, "x-request-id";
    X_TENANT_ID = 51, "x-tenant-id";
}

/// The number of a well-known name, in any case.
#[cfg(not(target_family = "wasm"))]
pub(crate) fn known(name: &str) -> Option<u16> {
    NAMES.iter().position(|known| known.eq_ignore_ascii_case(name)).and_then(|number| u16::try_from(number).ok())
}

impl<'a> From<&'a str> for HeaderName<'a> {
    fn from(name: &'a str) -> Self {
        Self::Text(name)
    }
}

impl<'a> From<&'a String> for HeaderName<'a> {
    fn from(name: &'a String) -> Self {
        Self::Text(name)
    }
}

impl<'a> HeaderName<'a> {
    /// The name as text; empty for a number that neither this version of the SDK nor [`numbered`](Self::numbered) knows.
    pub fn as_str(&self) -> &'a str {
        match self {
            Self::Known(number) => NAMES.get(usize::from(*number)).copied().or_else(|| own::text(*number)).unwrap_or_default(),
            Self::Text(text) => text,
        }
    }
}

impl HeaderName<'static> {
    /// The name as a number, which costs no copy each time it is used: for the few names of a configuration, asked for in
    /// `configure`. Past the 256 numbers an instance can have it stays text. Its text is kept for as long as the plugin
    /// lives, so never ask for a name that comes with a request.
    ///
    /// ```
    /// use plugway_sdk::header::{self, HeaderName};
    ///
    /// assert_eq!(HeaderName::numbered("X-Plugin")?.as_str(), "X-Plugin");
    /// assert_eq!(HeaderName::numbered("X-Tenant-Id")?, header::X_TENANT_ID);
    /// assert!(HeaderName::numbered("no name").is_err());
    /// # Ok::<(), plugway_sdk::ChangeError>(())
    /// ```
    ///
    /// # Errors
    /// When it is no header name.
    pub fn numbered(name: &str) -> Result<Self, ChangeError> {
        match sys::header_names::number(name) {
            Ok(number) => {
                if usize::from(number) >= NAMES.len() {
                    own::keep(number, name);
                }
                Ok(Self::Known(number))
            }
            Err(sys::header_names::NumberError::TooMany) => Ok(Self::Text(String::leak(name.to_owned()))),
            Err(sys::header_names::NumberError::Invalid) => Err(ChangeError::Invalid(format!("`{name}` is not a header name"))),
        }
    }
}

/// A header line that is the same in every request, such as one that a configuration says: made in `configure`, and written by
/// [`Request::set_line`](crate::Request::set_line) and [`Response::set_line`](crate::Response::set_line), or with a filter's answer by
/// [`Request::next_with`](crate::Request::next_with) and [`Response::next_with`](crate::Response::next_with). Its name and value are checked once and cross
/// to the gateway once.
///
/// ```
/// use plugway_sdk::header::NumberedLine;
/// # use plugway_sdk::testing;
///
/// let line = NumberedLine::new("X-Plugin", "on")?;
/// # let mut request = testing::Request::get("/").build();
/// request.set_line(&line)?;
/// # assert_eq!(request.header_str("x-plugin").as_deref(), Some("on"));
/// assert!(NumberedLine::new("x plugin", "on").is_err());
/// # Ok::<(), plugway_sdk::ChangeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberedLine {
    /// `None` past what an instance may have: it is written by name and value then.
    number: Option<LineNumber>,
    name: String,
    value: Vec<u8>,
}

impl NumberedLine {
    /// A line of that name and value. Past the 256 lines or 64 KiB that an instance can have it goes without a number, and is written as
    /// by `set_header`. A line is kept for as long as the instance lives, so never make one of what comes with a request.
    ///
    /// # Errors
    /// When the name is none, or the value holds a control character.
    pub fn new<'n>(name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Result<Self, ChangeError> {
        let (name, value) = (name.into(), value.as_ref());
        let text = name.as_str().to_owned();
        let number = match sys::header_lines::number(name, value) {
            Ok(number) => Some(LineNumber(number)),
            Err(sys::header_lines::NumberError::TooMany) => None,
            Err(sys::header_lines::NumberError::InvalidName) => {
                return Err(ChangeError::Invalid(format!("`{text}` is not a header name")));
            }
            Err(sys::header_lines::NumberError::InvalidValue) => {
                return Err(ChangeError::Invalid(format!("the value of `{text}` holds a control character")));
            }
        };
        Ok(Self { number, name: text, value: value.to_vec() })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its value.
    pub fn value(&self) -> &[u8] {
        &self.value
    }

    #[inline]
    pub(crate) fn number(&self) -> Option<LineNumber> {
        self.number
    }
}

/// A header is there more than once that a message has once at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated;

impl std::fmt::Display for Repeated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a header that may be there once is there more than once")
    }
}

impl std::error::Error for Repeated {}

/// By which the gateway knows a [`NumberedLine`] of this plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineNumber(pub(crate) u16);

/// Texts of the numbers this plugin asked for.
mod own {
    use super::{Mutex, PoisonError};

    // A component has one thread; natively tests share what they asked for.
    static TEXTS: Mutex<Vec<(u16, &'static str)>> = Mutex::new(Vec::new());

    pub(super) fn text(number: u16) -> Option<&'static str> {
        let texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        texts.iter().find(|(known, _)| *known == number).map(|(_, text)| *text)
    }

    pub(super) fn keep(number: u16, text: &str) {
        let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
        if !texts.iter().any(|(known, _)| *known == number) {
            texts.push((number, String::leak(text.to_owned())));
        }
    }
}

/// Whether no plugin may set this request header, in any case: it frames the message, belongs to the connection, or is how
/// the gateway tells the upstream who is calling. Setting one is [`ChangeError::Forbidden`](crate::ChangeError); this is for
/// saying so when a configuration is read.
pub fn is_reserved(name: &str) -> bool {
    const OWN: &[&str] = &[
        "host",
        "via",
        "forwarded",
        "expect",
        "traceparent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-real-ip",
        "x-request-id",
    ];
    OWN.iter().any(|own| own.eq_ignore_ascii_case(name)) || is_reserved_in_response(name)
}

/// Whether no plugin may set this response header, in any case.
pub fn is_reserved_in_response(name: &str) -> bool {
    const FRAMING: &[&str] = &[
        "content-length",
        "te",
        "trailer",
        "upgrade",
        "connection",
        "keep-alive",
        "http2-settings",
        "proxy-connection",
        "transfer-encoding",
        "proxy-authenticate",
        "proxy-authorization",
    ];
    FRAMING.iter().any(|framing| framing.eq_ignore_ascii_case(name))
}

/// The token in the value of an `Authorization` header (RFC 6750, section 2.1), if the scheme is `Bearer`.
pub(crate) fn bearer_token(value: &[u8]) -> Option<&str> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let token = rest.strip_prefix(b" ")?.trim_ascii();
    let body = token.iter().rposition(|byte| *byte != b'=')?;
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    let is_token = scheme.eq_ignore_ascii_case(b"bearer") && token.get(..=body)?.iter().all(legal);
    is_token.then(|| std::str::from_utf8(token).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_bearer_token_and_nothing_else() {
        assert_eq!(bearer_token(b"Bearer abc.def-1_~+/=="), Some("abc.def-1_~+/=="));
        assert_eq!(bearer_token(b"bEARER  a"), Some("a"));
        for other in
            [&b"Basic YTpi"[..], b"Bearer", b"Bearer ", b"Bearer a b", b"Bearer a=b", b"Bearer ==", b"BearerX a", b"Bearer \xff", b""]
        {
            assert_eq!(bearer_token(other), None);
        }
    }

    #[test]
    fn constants_are_the_lines_of_the_contract() {
        let lines: Vec<&str> = include_str!("../../wit/known-headers.txt").lines().collect();
        assert_eq!(NAMES, lines);
        assert_eq!(ACCEPT.as_str(), "accept");
        assert_eq!(X_TENANT_ID.as_str(), "x-tenant-id");
        for (number, line) in lines.iter().enumerate() {
            assert_eq!(HeaderName::numbered(line), Ok(HeaderName::Known(number as u16)));
        }
    }

    #[test]
    fn a_line_is_checked_when_it_is_made_and_the_same_again_has_its_number() {
        let line = NumberedLine::new(X_TENANT_ID, "acme").unwrap();
        assert_eq!((line.name(), line.value()), ("x-tenant-id", &b"acme"[..]));
        assert_eq!(NumberedLine::new("X-Tenant-Id", "acme").unwrap().number(), line.number());
        assert_ne!(NumberedLine::new(X_TENANT_ID, "other").unwrap().number(), line.number());
        for (name, value) in [("x tenant", "acme"), ("x-tenant-id", "a\r\nb"), ("", "acme")] {
            assert!(matches!(NumberedLine::new(name, value), Err(ChangeError::Invalid(_))), "{name}: {value}");
        }
    }

    #[test]
    fn other_names_get_numbers_of_their_own() {
        assert_eq!(HeaderName::numbered("X-Tenant-ID"), Ok(X_TENANT_ID));
        let [one, other] = ["x-one", "x-other"].map(|name| HeaderName::numbered(name).unwrap());
        assert_ne!(one, other);
        assert_eq!((one.as_str(), other.as_str()), ("x-one", "x-other"));
        assert_eq!(HeaderName::numbered("X-One"), Ok(one));
        assert!(HeaderName::numbered("x one").is_err());
    }
}
