//! Answers to requests that do not pass (RFC 6750, section 3).

use plugway_sdk::{LocalResponse, Status, header};

use crate::denial::{Code, Denial};

/// What every challenge of one place says.
#[derive(Debug)]
pub(crate) struct Challenge {
    /// `realm="…"`, ready to send.
    realm: String,
    /// The scopes that are needed, as `scope` has them.
    scopes: String,
}

impl Challenge {
    /// For a realm and for scopes that can stand in a quoted string.
    pub(crate) fn new(realm: &str, scopes: &[String]) -> Result<Self, &'static str> {
        if realm.is_empty() || !realm.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err("a realm is printable ASCII");
        }
        let escaped = realm.replace('\\', "\\\\").replace('"', "\\\"");
        Ok(Self { realm: format!("realm=\"{escaped}\""), scopes: scopes.join(" ") })
    }

    /// The answer to a request that was denied.
    pub(crate) fn answer(&self, denial: Denial) -> LocalResponse {
        let (status, title) = match denial.code() {
            Some(Code::InvalidRequest) => (Status::BAD_REQUEST, "The request's credentials cannot be read."),
            None => (Status::UNAUTHORIZED, "An access token is needed."),
            Some(Code::InvalidToken) => (Status::UNAUTHORIZED, "The access token is not accepted."),
            Some(Code::InsufficientScope) => (Status::FORBIDDEN, "The access token does not allow this."),
        };
        LocalResponse::problem(status, title)
            .with_detail(denial.description())
            .with_header(header::WWW_AUTHENTICATE, self.header(denial))
            .into()
    }

    fn header(&self, denial: Denial) -> String {
        let (realm, scopes, description) = (&self.realm, &self.scopes, denial.description());
        let error = match denial.code() {
            None => return format!("Bearer {realm}"),
            Some(Code::InvalidRequest) => "invalid_request",
            Some(Code::InvalidToken) => "invalid_token",
            Some(Code::InsufficientScope) => {
                return format!("Bearer {realm}, error=\"insufficient_scope\", error_description=\"{description}\", scope=\"{scopes}\"");
            }
        };
        format!("Bearer {realm}, error=\"{error}\", error_description=\"{description}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(denial: Denial) -> String {
        let scopes = ["orders:read".to_owned(), "orders:write".to_owned()];
        let answer = Challenge::new("the \"orders\" \\ API", &scopes).unwrap().answer(denial);
        assert_eq!(answer.header_str(header::CONTENT_TYPE), Some("application/problem+json"));
        format!("{} {}", answer.status().0, answer.header_str(header::WWW_AUTHENTICATE).unwrap())
    }

    #[test]
    fn says_what_rfc_6750_says() {
        let realm = r#"Bearer realm="the \"orders\" \\ API""#;
        assert_eq!(header(Denial::NoCredentials), format!("401 {realm}"));
        assert_eq!(
            header(Denial::SeveralCredentials),
            format!(r#"400 {realm}, error="invalid_request", error_description="The request has more than one Authorization header.""#)
        );
        assert_eq!(header(Denial::Expired), format!(r#"401 {realm}, error="invalid_token", error_description="The token has expired.""#));
        assert_eq!(
            header(Denial::InsufficientScope),
            format!(
                r#"403 {realm}, error="insufficient_scope", error_description="The token lacks a scope that is needed here.", scope="orders:read orders:write""#
            )
        );
    }

    #[test]
    fn refuses_a_realm_that_is_no_quoted_string() {
        for realm in ["", "a\r\nb", "é", "\0"] {
            assert!(Challenge::new(realm, &[]).is_err(), "{realm:?}");
        }
    }
}
