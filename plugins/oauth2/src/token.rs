//! A JSON Web Token as it arrives: a JWS in compact form (RFC 7515, section 7.1), read strictly and not believed yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::denial::Denial;
use crate::json;

/// The parts of a token. Only its form is known to be right; `claims` says nothing until `signature` was checked.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) header: Header,
    /// What was signed: header and payload as they arrived.
    pub(crate) signed: &'a [u8],
    pub(crate) signature: Vec<u8>,
    payload: &'a str,
}

/// What is read of the JOSE header. Keys it may carry (`jku`, `x5c`, `x5u`) are never looked at: a token cannot bring its own key (RFC 8725,
/// section 3.10). A DPoP proof brings its own as `jwk`, which only `dpop::proof` takes.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) algorithm: String,
    pub(crate) key_id: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) key: Option<Value>,
}

impl<'a> Token<'a> {
    /// Reads everything but the payload.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Denial> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Denial::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(Denial::Malformed)?;
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(Denial::Malformed);
        }
        // A fourth part leaves its dot in the payload, which is no base64url and fails here rather than after the signature.
        if payload.contains('.') {
            return Err(Denial::Malformed);
        }
        Ok(Self { header: Header::parse(&decode(header)?)?, signed: signed.as_bytes(), signature: decode(signature)?, payload })
    }

    /// The claims. To be called once the signature is known to be good: nothing else of a forged token is worth reading.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Denial> {
        json::read_object(&decode(self.payload)?).ok_or(Denial::Malformed)
    }
}

impl Header {
    fn parse(text: &[u8]) -> Result<Self, Denial> {
        let mut members = json::read_object(text).ok_or(Denial::Malformed)?;
        // No extension is understood here, so none may be critical (RFC 7515, section 4.1.11); an empty list is not legal.
        if members.contains_key("crit") {
            return Err(Denial::Critical);
        }
        Ok(Self {
            algorithm: text_member(&mut members, "alg")?.ok_or(Denial::Malformed)?,
            key_id: text_member(&mut members, "kid")?,
            kind: text_member(&mut members, "typ")?,
            key: members.remove("jwk"),
        })
    }
}

/// A member that is text or absent; of any other type the token is malformed.
fn text_member(members: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Denial> {
    match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Denial::Malformed),
    }
}

/// Base64url without padding, line breaks or stray bits (RFC 7515, section 2): one text for one value.
fn decode(text: &str) -> Result<Vec<u8>, Denial> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Denial::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    // {"alg":"RS256","kid":"1"} . {} . one byte
    const HEADER: &str = "eyJhbGciOiJSUzI1NiIsImtpZCI6IjEifQ";

    #[test]
    fn reads_three_parts() {
        let text = format!("{HEADER}.e30.AA");
        let token = Token::parse(&text).unwrap();
        assert_eq!(
            (token.header.algorithm.as_str(), token.header.key_id.as_deref(), token.header.kind.as_deref()),
            ("RS256", Some("1"), None)
        );
        assert_eq!((token.signed, token.signature.as_slice()), (format!("{HEADER}.e30").as_bytes(), &[0][..]));
        assert_eq!(token.claims(), Ok(Map::new()));
    }

    #[test]
    fn refuses_every_other_shape() {
        for text in [
            "",
            ".",
            "..",
            "...",
            "a",
            "a.b",
            "a.b.c",
            &format!("{HEADER}.e30"),
            &format!("{HEADER}.e30."),
            &format!("{HEADER}..AA"),
            ".e30.AA",
            &format!("{HEADER}.e30.AA.AA"),
            &format!("{HEADER}.e30.AA.AA.AA"),
            &format!(".{HEADER}.e30.AA"),
            &format!("{HEADER}.e30.AA."),
            &format!("{HEADER}=.e30.AA"),
            &format!("{HEADER}.e30.AA=="),
            &format!("{HEADER}.e30.A"),
            &format!("{HEADER}.e30.AB"),
            &format!("{HEADER}.e30.A+"),
            &format!("{HEADER}.e30.A/"),
            &format!("{HEADER}.e30.\u{e9}"),
            &format!(" {HEADER}.e30.AA"),
        ] {
            assert_eq!(Token::parse(text).err(), Some(Denial::Malformed), "{text}");
        }
    }

    #[test]
    fn refuses_a_payload_only_when_it_is_read() {
        for payload in ["e30=", "e3", "W10", "AAAA", "bnVsbA"] {
            let text = format!("{HEADER}.{payload}.AA");
            assert_eq!(Token::parse(&text).unwrap().claims(), Err(Denial::Malformed), "{payload}");
        }
    }

    #[test]
    fn takes_a_large_token_in_its_stride() {
        let text = format!("{HEADER}.{}.AA", "A".repeat(1 << 20));
        assert_eq!(Token::parse(&text).unwrap().claims(), Err(Denial::Malformed));
        assert_eq!(Token::parse(&".".repeat(1 << 20)).err(), Some(Denial::Malformed));
    }
}
