//! Tokens that are bound to their holder (RFC 7800, section 3.1): to a client certificate (RFC 8705), to a key the client proves to have
//! (RFC 9449), or to both. What a token is bound to is found out once; whether the request has it is asked each time.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::Request;

use crate::denial::Denial;
use crate::json::{Json, Members};

/// SHA-256 of a certificate, or of a key.
pub(crate) type Thumbprint = [u8; 32];

/// What a token is bound to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Binding {
    /// `x5t#S256`: of the certificate's DER form.
    pub(crate) certificate: Option<Thumbprint>,
    /// `jkt`: of the key as a JWK (RFC 7638).
    pub(crate) key: Option<Thumbprint>,
}

impl Binding {
    /// Reads `cnf`. A token that is bound in a way not known here must not pass as if it were free.
    pub(crate) fn read(claims: &Members<'_>) -> Result<Self, Denial> {
        let Some(confirmation) = claims.get("cnf") else { return Ok(Self::default()) };
        let Json::Object(members) = confirmation else { return Err(Denial::Bound) };
        if members.is_empty() {
            return Err(Denial::Bound);
        }
        let mut binding = Self::default();
        for (name, value) in members.iter() {
            let thumbprint = match value {
                Json::Text(text) => URL_SAFE_NO_PAD.decode(text.as_ref()).ok().and_then(|bytes| bytes.try_into().ok()),
                _ => None,
            };
            match name {
                "x5t#S256" => binding.certificate = Some(thumbprint.ok_or(Denial::Bound)?),
                "jkt" => binding.key = Some(thumbprint.ok_or(Denial::Bound)?),
                _ => return Err(Denial::Bound),
            }
        }
        Ok(binding)
    }

    /// Whether the connection has the certificate that the token is bound to; `required`: whether a token has to be bound to one.
    pub(crate) fn check_certificate(&self, request: &Request<'_>, required: bool) -> Result<(), Denial> {
        match self.certificate {
            None if required => Err(Denial::NotBoundToCertificate),
            None => Ok(()),
            Some(bound) => match request.client_certificate_sha256() {
                Some(sent) if sent == bound => Ok(()),
                _ => Err(Denial::WrongCertificate),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn read(cnf: Value) -> Result<Binding, Denial> {
        Binding::read(&Members::from(&Map::from_iter([("cnf".to_owned(), cnf)])))
    }

    #[test]
    fn reads_what_it_knows_and_refuses_the_rest() {
        let thumbprint = URL_SAFE_NO_PAD.encode([7; 32]);
        assert_eq!(Binding::read(&Members::default()), Ok(Binding::default()));
        assert_eq!(read(json!({ "jkt": thumbprint })), Ok(Binding { key: Some([7; 32]), certificate: None }));
        assert_eq!(
            read(json!({ "jkt": thumbprint, "x5t#S256": thumbprint })),
            Ok(Binding { key: Some([7; 32]), certificate: Some([7; 32]) })
        );
        for unknown in [
            json!(null),
            json!({}),
            json!("jkt"),
            json!({ "jkt": 1 }),
            json!({ "jkt": "AA" }),
            json!({ "x5t#S256": "" }),
            json!({ "kid": "1" }),
            json!({ "jwk": {} }),
            json!({ "jkt": thumbprint, "kid": "1" }),
        ] {
            assert_eq!(read(unknown.clone()), Err(Denial::Bound), "{unknown}");
        }
    }
}
