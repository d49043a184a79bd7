//! Answers to requests that do not pass (RFC 6750, section 3; RFC 9449, section 7.1; RFC 9728, section 5.1).

use plugway_sdk::{HeaderName, LocalResponse, Status, header};

use crate::credentials::Scheme;
use crate::denial::{Code, Denial};

/// What every challenge of one place says.
#[derive(Debug)]
pub(crate) struct Challenge {
    /// `realm="…"`, ready to send.
    realm: String,
    /// The scopes that are needed, as `scope` has them.
    scopes: String,
    /// Whether a bearer token may do.
    bearer: bool,
    /// `algs="…"`, where a token with a proof may do.
    proofs: Option<String>,
    /// `, resource_metadata="…"`, or nothing.
    metadata: String,
}

impl Challenge {
    /// For a realm and for scopes that can stand in a quoted string.
    pub(crate) fn new(realm: &str, scopes: &[String]) -> Result<Self, &'static str> {
        if realm.is_empty() || !realm.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err("a realm is printable ASCII");
        }
        let escaped = realm.replace('\\', "\\\\").replace('"', "\\\"");
        let realm = format!("realm=\"{escaped}\"");
        Ok(Self { realm, scopes: scopes.join(" "), bearer: true, proofs: None, metadata: String::new() })
    }

    /// Asks for proofs signed by one of these algorithms, and for nothing else where they are required.
    #[must_use]
    pub(crate) fn with_proofs(self, algorithms: &[&str], required: bool) -> Self {
        Self { bearer: !required, proofs: Some(format!("algs=\"{}\"", algorithms.join(" "))), ..self }
    }

    /// Says where the resource's metadata is.
    #[must_use]
    pub(crate) fn with_metadata(self, url: &str) -> Self {
        Self { metadata: format!(", resource_metadata=\"{url}\""), ..self }
    }

    /// The answer to a request that was denied. Only the scheme it used is told of the error.
    pub(crate) fn answer(&self, denial: Denial, used: Option<Scheme>, nonce: Option<(HeaderName<'static>, String)>) -> LocalResponse {
        let (status, sentence) = match denial.code() {
            None => (Status::UNAUTHORIZED, "An access token is needed."),
            Some(code) => (status(code), code.sentence()),
        };
        let mut answer = LocalResponse::problem(status, sentence);
        let used = used.unwrap_or(if self.bearer { Scheme::Bearer } else { Scheme::Dpop });
        if self.bearer || used == Scheme::Bearer {
            let error = if used == Scheme::Bearer { self.error(denial) } else { String::new() };
            answer = answer.with_header(header::WWW_AUTHENTICATE, format!("Bearer {}{error}{}", self.realm, self.metadata));
        }
        if let Some(algorithms) = &self.proofs {
            let error = if used == Scheme::Dpop { self.error(denial) } else { String::new() };
            answer = answer.with_header(header::WWW_AUTHENTICATE, format!("DPoP {}{error}, {algorithms}{}", self.realm, self.metadata));
        }
        if let Some((name, nonce)) = nonce {
            answer = answer.with_header(name, nonce);
        }
        answer.into()
    }

    fn error(&self, denial: Denial) -> String {
        let Some(code) = denial.code() else { return String::new() };
        let scopes = if denial == Denial::InsufficientScope { format!(", scope=\"{}\"", self.scopes) } else { String::new() };
        format!(", error=\"{}\", error_description=\"{}\"{scopes}", code.name(), code.sentence())
    }
}

fn status(code: Code) -> Status {
    match code {
        Code::InvalidRequest => Status::BAD_REQUEST,
        Code::InvalidToken | Code::InvalidProof | Code::UseNonce => Status::UNAUTHORIZED,
        Code::InsufficientScope => Status::FORBIDDEN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(denial: Denial) -> String {
        let scopes = ["orders:read".to_owned(), "orders:write".to_owned()];
        let answer = Challenge::new("the \"orders\" \\ API", &scopes).unwrap().answer(denial, None, None);
        assert_eq!(answer.header_str(header::CONTENT_TYPE), Some("application/problem+json"));
        format!("{} {}", answer.status().0, answer.header_str(header::WWW_AUTHENTICATE).unwrap())
    }

    #[test]
    fn says_what_rfc_6750_says() {
        let realm = r#"Bearer realm="the \"orders\" \\ API""#;
        assert_eq!(header(Denial::NoCredentials), format!("401 {realm}"));
        assert_eq!(
            header(Denial::SeveralCredentials),
            format!(r#"400 {realm}, error="invalid_request", error_description="The request's credentials cannot be read.""#)
        );
        // Whichever check it was that failed.
        for denial in [Denial::Expired, Denial::Signature, Denial::UnknownKey, Denial::Audience, Denial::Bound, Denial::Inactive] {
            assert_eq!(
                header(denial),
                format!(r#"401 {realm}, error="invalid_token", error_description="The access token is not accepted.""#)
            );
        }
        assert_eq!(
            header(Denial::InsufficientScope),
            format!(
                r#"403 {realm}, error="insufficient_scope", error_description="The access token does not allow this.", scope="orders:read orders:write""#
            )
        );
    }

    #[test]
    fn only_the_scheme_that_was_used_is_told_what_was_wrong() {
        let lines = |required: bool, denial: Denial, used: Option<Scheme>| {
            let challenge = Challenge::new("r", &[]).unwrap().with_proofs(&["ES256", "EdDSA"], required).with_metadata("https://a/m");
            let answer = challenge.answer(denial, used, None);
            let lines = answer.headers().iter().filter(|line| line.name == "www-authenticate");
            lines.map(|line| String::from_utf8(line.value.clone()).unwrap()).collect::<Vec<_>>()
        };
        let (bearer, dpop) = (
            r#"Bearer realm="r", resource_metadata="https://a/m""#,
            r#"DPoP realm="r", algs="ES256 EdDSA", resource_metadata="https://a/m""#,
        );
        assert_eq!(lines(false, Denial::NoCredentials, None), [bearer, dpop]);
        assert_eq!(lines(true, Denial::NoCredentials, None), [dpop]);
        let told = lines(false, Denial::ProofUsed, Some(Scheme::Dpop));
        assert_eq!(told[0], bearer);
        assert!(
            told[1].starts_with(
                r#"DPoP realm="r", error="invalid_dpop_proof", error_description="The proof of possession is not accepted.", algs="#
            ),
            "{told:?}"
        );
        let told = lines(true, Denial::NotBoundToKey, Some(Scheme::Bearer));
        assert!(told[0].contains("invalid_token") && told[1] == dpop, "{told:?}");
    }

    #[test]
    fn refuses_a_realm_that_is_no_quoted_string() {
        for realm in ["", "a\r\nb", "é", "\0"] {
            assert!(Challenge::new(realm, &[]).is_err(), "{realm:?}");
        }
    }
}
