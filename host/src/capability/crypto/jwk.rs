//! Reading a JSON Web Key (RFC 7517; RFC 7518, section 6; RFC 8037, section 2).

use serde::Deserialize;

use super::{CryptoError, Key, es512};

/// RSA moduli, bits: smaller ones are broken (RFC 7518, section 3.3), larger ones cost more than a request may.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Bytes of an RSA exponent.
const MOST_EXPONENT: usize = 8;

/// Members that matter here; keys carry others, and those are ignored (RFC 7517, section 4).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
    d: Option<serde::de::IgnoredAny>,
    k: Option<serde::de::IgnoredAny>,
}

pub(super) fn read(jwk: &str) -> Result<Key, CryptoError> {
    // serde_json's message may hold a piece of the input, and the input may be a private key.
    let jwk: Jwk = serde_json::from_str(jwk)
        .map_err(|error| invalid(format!("not a JSON Web Key (line {}, column {})", error.line(), error.column())))?;
    if jwk.d.is_some() || jwk.k.is_some() {
        return Err(invalid("this is a private or shared key; give the public one"));
    }
    match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => rsa(&jwk),
        ("EC", Some("P-256")) => Ok(Key::P256(point(&jwk, 32)?)),
        ("EC", Some("P-384")) => Ok(Key::P384(point(&jwk, 48)?)),
        ("EC", Some("P-521")) => es512::Key::read(point(&jwk, 66)?).map(Key::P521).ok_or_else(|| invalid("the point is not on the curve")),
        ("OKP", Some("Ed25519")) => Ok(Key::Ed25519(exactly(member("x", jwk.x.as_deref())?, "x", 32)?)),
        ("EC" | "OKP", Some(curve)) => {
            Err(invalid(format!("curve {} is not supported; P-256, P-384, P-521 and Ed25519 are", shown(curve))))
        }
        ("EC" | "OKP", None) => Err(invalid("`crv` is missing")),
        ("oct", _) => Err(invalid("a symmetric key is no public key")),
        (other, _) => Err(invalid(format!("key type {} is not supported; RSA, EC and OKP are", shown(other)))),
    }
}

fn rsa(jwk: &Jwk) -> Result<Key, CryptoError> {
    let strip = |bytes: Vec<u8>| bytes.iter().position(|byte| *byte != 0).map(|first| bytes.get(first..).unwrap_or_default().to_vec());
    let n = strip(member("n", jwk.n.as_deref())?).ok_or_else(|| invalid("`n` is zero"))?;
    let e = strip(member("e", jwk.e.as_deref())?).ok_or_else(|| invalid("`e` is zero"))?;
    let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err(invalid(format!("RSA keys of {bits} bits are not taken; {} to {} are", RSA_BITS.start(), RSA_BITS.end())));
    }
    // What is used of them is small; what ring checks with has 33 bits at most.
    if e.len() > MOST_EXPONENT {
        return Err(invalid(format!("an exponent of {} bytes is not taken; {MOST_EXPONENT} are", e.len())));
    }
    Ok(Key::Rsa { n, e })
}

fn point(jwk: &Jwk, length: usize) -> Result<Vec<u8>, CryptoError> {
    let x = exactly(member("x", jwk.x.as_deref())?, "x", length)?;
    let y = exactly(member("y", jwk.y.as_deref())?, "y", length)?;
    let mut point = Vec::with_capacity(1 + 2 * length);
    point.push(4);
    point.extend(x);
    point.extend(y);
    Ok(point)
}

fn member(name: &str, value: Option<&str>) -> Result<Vec<u8>, CryptoError> {
    let value = value.ok_or_else(|| invalid(format!("`{name}` is missing")))?;
    decode(value).ok_or_else(|| invalid(format!("`{name}` is not base64url without padding")))
}

fn exactly(bytes: Vec<u8>, name: &str, length: usize) -> Result<Vec<u8>, CryptoError> {
    if bytes.len() == length { Ok(bytes) } else { Err(invalid(format!("`{name}` has {} bytes where the curve has {length}", bytes.len()))) }
}

/// base64url without padding (RFC 7515, section 2).
pub(super) fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()
}

pub(super) fn encode(bytes: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
}

fn shown(text: &str) -> String {
    text.chars().filter(|char| char.is_ascii_graphic()).take(32).collect()
}

fn invalid(why: impl Into<String>) -> CryptoError {
    CryptoError::InvalidKey(why.into())
}
