//! Secrets stay out of lines and spans: headers and query parameters that hold credentials, by name.

use std::borrow::Cow;

use http::HeaderName;
use http::header::{AUTHORIZATION, COOKIE, LOCATION, PROXY_AUTHORIZATION, REFERER, SET_COOKIE};
use percent_encoding::percent_decode_str;

use crate::config::model::Redact;

/// What stands where a secret was.
pub(super) const REDACTED: &str = "[redacted]";

/// Headers that hold credentials, besides the registered ones.
const HEADERS: [&str; 12] = [
    "api-key",
    "apikey",
    "x-access-token",
    "x-amz-security-token",
    "x-api-key",
    "x-api-token",
    "x-auth-key",
    "x-auth-token",
    "x-csrf-token",
    "x-goog-api-key",
    "x-vault-token",
    "x-xsrf-token",
];

/// Query parameters that hold credentials: OAuth 2.0's, those of signed URLs, and what APIs call their keys.
const PARAMETERS: [&str; 30] = [
    "access_token",
    "api-key",
    "api_key",
    "apikey",
    "assertion",
    "auth",
    "auth_token",
    "authorization",
    "client_assertion",
    "client_secret",
    "code",
    "code_verifier",
    "id_token",
    "jwt",
    "key",
    "passwd",
    "password",
    "refresh_token",
    "samlresponse",
    "secret",
    "session",
    "session_id",
    "sessionid",
    "sig",
    "signature",
    "token",
    "x-amz-credential",
    "x-amz-security-token",
    "x-amz-signature",
    "x-goog-signature",
];

/// Names whose values are secret.
#[derive(Debug, Clone, Default)]
pub struct Redaction {
    headers: Vec<HeaderName>,
    parameters: Vec<String>,
}

impl Redaction {
    /// What always is, and what a configuration adds.
    pub fn new(more: &Redact) -> Self {
        Self { headers: more.headers.clone(), parameters: more.parameters.clone() }
    }

    /// A query without its secrets.
    pub fn query<'q>(&self, query: &'q str) -> Cow<'q, str> {
        if !query.split('&').any(|pair| self.is_secret(pair)) {
            return Cow::Borrowed(query);
        }
        let mut out = String::with_capacity(query.len());
        for (index, pair) in query.split('&').enumerate() {
            if index > 0 {
                out.push('&');
            }
            match pair.split_once('=') {
                Some((name, _)) if self.is_secret(pair) => {
                    out.push_str(name);
                    out.push('=');
                    out.push_str(REDACTED);
                }
                _ => out.push_str(pair),
            }
        }
        Cow::Owned(out)
    }

    /// A header's value, unless it is secret. Addresses in it lose the secrets of their query and of their fragment.
    pub(super) fn header<'v>(&self, name: &HeaderName, value: &'v [u8]) -> Cow<'v, str> {
        if self.is_secret_header(name) {
            return Cow::Borrowed(REDACTED);
        }
        let value = String::from_utf8_lossy(value);
        if *name != REFERER && *name != LOCATION {
            return value;
        }
        // What is handed to a script in a page stands behind `#` (RFC 6749, section 4.2.2).
        let (address, fragment) = value.split_once('#').map_or((&*value, None), |(address, fragment)| (address, Some(fragment)));
        let (before, query) = address.split_once('?').map_or((address, None), |(before, query)| (before, Some(query)));
        let [query, fragment] = [query, fragment].map(|pairs| pairs.map(|pairs| self.query(pairs)));
        if [&query, &fragment].into_iter().flatten().all(|pairs| matches!(pairs, Cow::Borrowed(_))) {
            return value;
        }
        let [query, fragment] = [('?', query), ('#', fragment)].map(|(mark, pairs)| pairs.map(|pairs| format!("{mark}{pairs}")));
        Cow::Owned(format!("{before}{}{}", query.unwrap_or_default(), fragment.unwrap_or_default()))
    }

    fn is_secret_header(&self, name: &HeaderName) -> bool {
        [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE, SET_COOKIE].contains(name)
            || HEADERS.contains(&name.as_str())
            || self.headers.contains(name)
    }

    /// Whether a `name=value` holds a secret.
    fn is_secret(&self, pair: &str) -> bool {
        let Some((name, _)) = pair.split_once('=') else { return false };
        if name.contains('%') {
            // Nobody escapes these names but who wants to hide them.
            return self.is_secret_name(&percent_decode_str(name).decode_utf8_lossy());
        }
        self.is_secret_name(name)
    }

    fn is_secret_name(&self, name: &str) -> bool {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        PARAMETERS.iter().any(|known| is(known)) || self.parameters.iter().any(|known| is(known))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redaction() -> Redaction {
        Redaction::new(&Redact { headers: vec![HeaderName::from_static("x-session")], parameters: vec!["invite".to_owned()] })
    }

    #[test]
    fn a_query_loses_its_secrets_and_nothing_else() {
        for (query, shown) in [
            ("a=1&b=2", "a=1&b=2"),
            ("access_token=s3cret", "access_token=[redacted]"),
            ("a=1&Code=s3cret&b", "a=1&Code=[redacted]&b"),
            ("acc%65ss_token=s3cret&x=%", "acc%65ss_token=[redacted]&x=%"),
            ("invite=s3cret&key=s3cret=", "invite=[redacted]&key=[redacted]"),
            ("token", "token"),
            ("", ""),
        ] {
            assert_eq!(redaction().query(query), shown, "{query}");
        }
    }

    #[test]
    fn headers_that_hold_credentials_are_never_shown() {
        for name in ["authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key", "x-session"] {
            assert_eq!(redaction().header(&name.parse().unwrap(), b"s3cret"), REDACTED, "{name}");
        }
        assert_eq!(redaction().header(&HeaderName::from_static("accept"), b"a\xff"), "a\u{fffd}");
        assert_eq!(redaction().header(&REFERER, b"https://a/b?code=s3cret#c"), "https://a/b?code=[redacted]#c");
        assert_eq!(redaction().header(&LOCATION, b"/b?a=1&token=s3cret"), "/b?a=1&token=[redacted]");
        assert_eq!(redaction().header(&LOCATION, b"/b"), "/b");
        assert_eq!(redaction().header(&LOCATION, b"/cb#access_token=s3cret&state=1"), "/cb#access_token=[redacted]&state=1");
        assert_eq!(redaction().header(&LOCATION, b"/cb?a=1#id_token=s3cret"), "/cb?a=1#id_token=[redacted]");
        assert_eq!(redaction().header(&LOCATION, b"/cb?token=s3cret#top"), "/cb?token=[redacted]#top");
    }
}
