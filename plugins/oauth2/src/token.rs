//! A JSON Web Token as it arrives: a JWS in compact form (RFC 7515, section 7.1), read strictly and not believed yet.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::bytes;
use crate::denial::Denial;
use crate::json;

/// Headers that are kept as they were read: an issuer writes few different ones.
const MOST_HEADERS: usize = 8;
/// Longest of them, bytes.
const LONGEST_HEADER: usize = 1_024;

thread_local! {
    static HEADERS: RefCell<VecDeque<(Box<str>, Rc<Header>)>> = const { RefCell::new(VecDeque::new()) };
}

/// The parts of a token. Of these only the header was read; nothing counts until the signature was checked.
#[derive(Debug)]
pub(crate) struct Token<'a> {
    pub(crate) header: Rc<Header>,
    /// Whether the header is kept already.
    is_known: bool,
    /// All of it.
    pub(crate) text: &'a str,
    header_text: &'a str,
    /// What follows the header and its dot.
    rest: &'a str,
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
    /// Reads the header. The gateway takes the rest apart where it checks the signature, natively.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Denial> {
        let (header_text, rest) = text.split_once('.').ok_or(Denial::Malformed)?;
        let (header, is_known) = match Header::kept(header_text) {
            Some(known) => (known, true),
            None => (Rc::new(Header::parse(&decode(header_text)?)?), false),
        };
        Ok(Self { header, is_known, text, header_text, rest })
    }

    /// Header and payload as they arrived, which are what was signed, and the signature: for who checks it apart from the rest.
    pub(crate) fn signed(&self) -> Result<(&'a [u8], Vec<u8>), Denial> {
        let (_, signature) = self.payload_and_signature()?;
        let (signed, _) = self.text.rsplit_once('.').ok_or(Denial::Malformed)?;
        Ok((signed.as_bytes(), decode(signature)?))
    }

    /// The JSON of the claims. Who checks the signature is given it: this is for those who have to look before, and believe nothing of it.
    pub(crate) fn payload(&self) -> Result<Vec<u8>, Denial> {
        decode(self.payload_and_signature()?.0)
    }

    /// Of a fourth part the dot is in the payload, which then is no base64url.
    fn payload_and_signature(&self) -> Result<(&'a str, &'a str), Denial> {
        self.rest.rsplit_once('.').filter(|(payload, signature)| !payload.is_empty() && !signature.is_empty()).ok_or(Denial::Malformed)
    }

    /// Whether payload and signature are base64url: what is not is no JWS, whatever its first part says.
    pub(crate) fn is_well_formed(&self) -> bool {
        self.payload().is_ok() && self.signed().is_ok()
    }

    /// Keeps the header as it was read, for the next token with the same one. To be called for tokens that passed: nobody else's drive
    /// out these.
    pub(crate) fn keep_header(&self) {
        if self.is_known || self.header_text.len() > LONGEST_HEADER || Header::kept(self.header_text).is_some() {
            return;
        }
        HEADERS.with_borrow_mut(|headers| {
            if headers.len() == MOST_HEADERS {
                headers.pop_front();
            }
            headers.push_back((self.header_text.into(), Rc::clone(&self.header)));
        });
    }
}

impl Header {
    fn kept(text: &str) -> Option<Rc<Self>> {
        let is_same = |known: &str| bytes::is_same(known.as_bytes(), text.as_bytes());
        HEADERS.with_borrow(|headers| headers.iter().find(|(known, _)| is_same(known)).map(|(_, header)| Rc::clone(header)))
    }

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
        assert_eq!(token.text, text);
        assert_eq!(token.signed(), Ok((format!("{HEADER}.e30").as_bytes(), vec![0])));
        assert_eq!(token.payload().as_deref(), Ok(&b"{}"[..]));
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
            &format!(" {HEADER}.e30.AA"),
        ] {
            let token = Token::parse(text);
            assert!(!token.as_ref().is_ok_and(Token::is_well_formed), "{text}");
            assert_eq!(token.and_then(|token| Ok((token.payload()?, token.signed()?.1))), Err(Denial::Malformed), "{text}");
        }
    }

    #[test]
    fn refuses_payload_and_signature_only_when_they_are_read() {
        for payload in ["e30=", "e3"] {
            let text = format!("{HEADER}.{payload}.AA");
            assert_eq!(Token::parse(&text).unwrap().payload(), Err(Denial::Malformed), "{payload}");
        }
        for signature in ["AA==", "A", "AB", "A+", "A/", "\u{e9}"] {
            let text = format!("{HEADER}.e30.{signature}");
            assert_eq!(Token::parse(&text).unwrap().signed(), Err(Denial::Malformed), "{signature}");
        }
    }

    #[test]
    fn takes_a_large_token_in_its_stride() {
        let text = format!("{HEADER}.{}.AA", "A".repeat(1 << 20));
        assert_eq!(Token::parse(&text).unwrap().payload().map(|payload| payload.len()), Ok(3 << 18));
        assert_eq!(Token::parse(&".".repeat(1 << 20)).err(), Some(Denial::Malformed));
    }

    #[test]
    fn keeps_a_few_headers_of_tokens_that_passed() {
        let kept = || HEADERS.with_borrow(VecDeque::len);
        let text = format!("{HEADER}.e30.AA");
        let first = Token::parse(&text).unwrap();
        assert!(!Rc::ptr_eq(&first.header, &Token::parse(&text).unwrap().header));
        for _ in 0..2 {
            first.keep_header();
            assert!(kept() == 1 && Rc::ptr_eq(&first.header, &Token::parse(&text).unwrap().header));
        }
        let long = format!("{{\"alg\":\"RS256\",\"kid\":\"{}\"}}", "k".repeat(LONGEST_HEADER));
        for header in (0..20).map(|number| format!("{{\"alg\":\"RS256\",\"kid\":\"{number}\"}}")).chain([long]) {
            let text = format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header));
            Token::parse(&text).unwrap().keep_header();
        }
        assert_eq!(kept(), MOST_HEADERS);
        assert_eq!(Token::parse(&text).unwrap().header.key_id.as_deref(), Some("1"));
    }
}
