//! A proof as it arrives: a JWT with its key inside (RFC 9449, section 4.2), read strictly and not believed yet.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::denial::Denial;
use crate::json::{self, Json, Members};
use crate::token::Token;

/// Longest proof, bytes: an RSA key and its signature take less.
const LONGEST: usize = 8 * 1024;
/// Longest `jti`, `htu` and `nonce`, bytes.
const LONGEST_CLAIM: usize = 2 * 1024;
/// Members that only private and symmetric keys have.
const PRIVATE_MEMBERS: [&str; 3] = ["d", "p", "k"];

/// The parts of a proof.
#[derive(Debug)]
pub(super) struct Proof<'a> {
    token: Token<'a>,
    signed: &'a [u8],
    signature: Vec<u8>,
    key: String,
    /// `jti`
    pub(super) id: String,
    /// `htm`
    pub(super) method: String,
    /// `htu`
    pub(super) target: String,
    /// `iat`
    pub(super) issued: f64,
    /// `ath`
    pub(super) token_hash: Vec<u8>,
    pub(super) nonce: Option<String>,
}

impl<'a> Proof<'a> {
    pub(super) fn read(value: &'a [u8]) -> Result<Self, Denial> {
        let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= LONGEST).ok_or(Denial::MalformedProof)?;
        let token = Token::parse(text).map_err(|_| Denial::MalformedProof)?;
        if !token.header.kind.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("dpop+jwt")) {
            return Err(Denial::MalformedProof);
        }
        let key = match &token.header.key {
            Some(Value::Object(members)) if !PRIVATE_MEMBERS.iter().any(|member| members.contains_key(*member)) => &token.header.key,
            _ => return Err(Denial::ProofKey),
        };
        let key = key.as_ref().map(Value::to_string).unwrap_or_default();
        let payload = token.payload().map_err(|_| Denial::MalformedProof)?;
        let claims = json::members(&payload).ok_or(Denial::MalformedProof)?;
        let hash = text_claim(&claims, "ath")?.ok_or(Denial::ProofToken)?;
        let required = |name| text_claim(&claims, name)?.filter(|text| !text.is_empty()).ok_or(Denial::MalformedProof);
        let (signed, signature) = token.signed().map_err(|_| Denial::MalformedProof)?;
        Ok(Self {
            signed,
            signature,
            key,
            id: required("jti")?,
            method: required("htm")?,
            target: required("htu")?,
            issued: issued(&claims).ok_or(Denial::MalformedProof)?,
            token_hash: URL_SAFE_NO_PAD.decode(hash).map_err(|_| Denial::ProofToken)?,
            nonce: text_claim(&claims, "nonce")?,
            token,
        })
    }

    pub(super) fn algorithm(&self) -> &str {
        &self.token.header.algorithm
    }

    /// The key as JSON.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn signed(&self) -> &[u8] {
        self.signed
    }

    pub(super) fn signature(&self) -> &[u8] {
        &self.signature
    }
}

fn issued(claims: &Members<'_>) -> Option<f64> {
    match claims.get("iat") {
        Some(Json::Number(number)) => number.as_f64().filter(|time| time.is_finite()),
        _ => None,
    }
}

fn text_claim(claims: &Members<'_>, name: &str) -> Result<Option<String>, Denial> {
    match claims.get(name) {
        None => Ok(None),
        Some(Json::Text(text)) if text.len() <= LONGEST_CLAIM => Ok(Some(text.clone().into_owned())),
        Some(_) => Err(Denial::MalformedProof),
    }
}
