//! The credentials of a request (RFC 6750, section 2.1). Tokens in a form body or in the query (sections 2.2 and 2.3) are not
//! read: they end up in logs, and RFC 9700, section 4.3.2, tells everyone to stop sending them.

use plugway_sdk::header::Repeated;

/// What the `Authorization` headers of a request hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Credentials<'a> {
    /// No `Authorization`, or one of another scheme.
    NoToken,
    /// More than one `Authorization` header: who reads which is anyone's guess.
    Several,
    /// The scheme is one of tokens, and nothing follows.
    Malformed,
    /// What follows the scheme; nothing is known of it.
    Token(Scheme, &'a [u8]),
}

/// How a token is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Whoever has it may use it (RFC 6750).
    Bearer,
    /// Beside a proof (RFC 9449, section 7.1).
    Dpop,
}

/// Reads the value of `Authorization`.
pub(crate) fn read<V: AsRef<[u8]>>(value: &Result<Option<V>, Repeated>) -> Credentials<'_> {
    let value = match value {
        Ok(None) => return Credentials::NoToken,
        Ok(Some(value)) => value.as_ref().trim_ascii(),
        Err(Repeated) => return Credentials::Several,
    };
    let of = |name: &[u8]| value.split_at_checked(name.len()).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(name));
    let (scheme, rest) = if let Some((_, rest)) = of(b"bearer") {
        (Scheme::Bearer, rest)
    } else if let Some((_, rest)) = of(b"dpop") {
        (Scheme::Dpop, rest)
    } else {
        return Credentials::NoToken;
    };
    match rest.strip_prefix(b" ").map(<[u8]>::trim_ascii_start) {
        Some(token) if !token.is_empty() => Credentials::Token(scheme, token),
        // The beginning of another scheme's name.
        None if rest.first().copied().is_some_and(is_token_byte) => Credentials::NoToken,
        _ => Credentials::Malformed,
    }
}

/// A token by its syntax, `b64token`: 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
pub(crate) fn b64token(bytes: &[u8]) -> Option<&str> {
    let legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
    let body = bytes.iter().take_while(|byte| legal(byte)).count();
    let is_token = body > 0 && bytes.get(body..)?.iter().all(|byte| *byte == b'=');
    is_token.then(|| std::str::from_utf8(bytes).ok()).flatten()
}

/// RFC 9110, section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_bearer_token_of_any_case() {
        for value in ["Bearer a.b-c_~+/==", "bearer a.b-c_~+/==", "BEARER   a.b-c_~+/==", "Bearer a.b-c_~+/== "] {
            assert_eq!(read(&Ok(Some(value))), Credentials::Token(Scheme::Bearer, b"a.b-c_~+/=="), "{value}");
        }
    }

    #[test]
    fn leaves_other_schemes_to_others() {
        assert_eq!(read::<&str>(&Ok(None)), Credentials::NoToken);
        for value in ["", "Basic YTpi", "BearerX a", "Bearer-2 a", "=", "\u{e9}"] {
            assert_eq!(read(&Ok(Some(value))), Credentials::NoToken, "{value}");
        }
    }

    #[test]
    fn reads_a_token_that_comes_with_a_proof() {
        assert_eq!(read(&Ok(Some("DPoP a.b"))), Credentials::Token(Scheme::Dpop, b"a.b"));
        assert_eq!(read(&Ok(Some("dpop  a.b"))), Credentials::Token(Scheme::Dpop, b"a.b"));
        assert_eq!(read(&Ok(Some("DPoP"))), Credentials::Malformed);
        assert_eq!(read(&Ok(Some("DPoPe a"))), Credentials::NoToken);
    }

    #[test]
    fn tells_a_broken_bearer_from_none() {
        for value in [
            &b"Bearer"[..],
            b"Bearer ",
            b"Bearer a b",
            b"Bearer a, Bearer b",
            b"Bearer\ta",
            b"Bearer=a",
            b"Bearer ==",
            b"Bearer a=b",
            b"Bearer \xff",
            b"Bearer \"a\"",
        ] {
            let value = Ok(Some(value));
            let token = match read(&value) {
                Credentials::Malformed => None,
                Credentials::Token(Scheme::Bearer, token) => b64token(token),
                other => panic!("{value:?}: {other:?}"),
            };
            assert_eq!(token, None, "{value:?}");
        }
        assert_eq!(b64token(b"a.b-c_~+/=="), Some("a.b-c_~+/=="));
    }

    #[test]
    fn takes_no_pick_of_several() {
        assert_eq!(read::<&str>(&Err(Repeated)), Credentials::Several);
    }
}
