//! The key set (RFC 7517). What a key may be used for is settled when the configuration is read: a token picks one of these
//! keys by `kid`, never what is done with it.

use plugway_sdk::JwsError;
use plugway_sdk::crypto::PublicKey;
use serde_json::{Map, Value};

use crate::algorithm::Algorithm;
use crate::denial::Denial;
use crate::json;
use crate::token::Token;

/// Keys that can be used, each with the algorithms it is for.
#[derive(Debug)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    id: Option<String>,
    algorithms: Vec<Algorithm>,
    public: PublicKey,
}

/// Members that only private and symmetric keys have (RFC 7518, sections 6.2.2 and 6.3.2; RFC 8037, section 2).
const PRIVATE_MEMBERS: [&str; 2] = ["d", "p"];

impl KeySet {
    /// Reads a JWK Set: an object, or a text that holds one. Keys that cannot be used are left out (RFC 7517, section 5); if
    /// none is left the error says why of each. A private key is an error of its own, since it should not be here at all.
    pub(crate) fn read(set: &Value, accepted: &[Algorithm]) -> Result<Self, String> {
        let set = match set {
            Value::String(text) => return Self::parse(text.as_bytes(), accepted),
            other => other,
        };
        Self::of(set, accepted)
    }

    /// Reads the text of one.
    pub(crate) fn parse(text: &[u8], accepted: &[Algorithm]) -> Result<Self, String> {
        let set = json::read(text).map_err(|error| format!("not JSON: {error}"))?;
        Self::of(&set, accepted)
    }

    fn of(set: &Value, accepted: &[Algorithm]) -> Result<Self, String> {
        let Some(members) = set.get("keys").and_then(Value::as_array) else {
            return Err("not a JWK Set: an object with a list `keys` (RFC 7517, section 5)".to_owned());
        };
        let mut keys: Vec<Key> = Vec::new();
        let mut unusable = Vec::new();
        for (place, jwk) in members.iter().enumerate() {
            let name = described(place, jwk);
            if PRIVATE_MEMBERS.iter().any(|member| jwk.get(member).is_some()) {
                return Err(format!("{name} holds a private key: give only public keys to the gateway, and replace this one"));
            }
            match Key::read(jwk, accepted) {
                Ok(key) => match keys.iter().find(|known| known.is_mistakable_for(&key)) {
                    Some(_) => {
                        return Err(format!("{name}: an earlier key has the same `kid` and algorithm; each needs a `kid` of its own"));
                    }
                    None => keys.push(key),
                },
                Err(why) => unusable.push(format!("{name}: {why}")),
            }
        }
        match (keys.is_empty(), unusable.is_empty()) {
            (false, _) => Ok(Self { keys }),
            (true, true) => Err("the key set is empty".to_owned()),
            (true, false) => Err(format!("no key can be used: {}", unusable.join("; "))),
        }
    }

    /// Checks a signature with the key the token names and the algorithm that key is for. A token without `kid` is checked
    /// where exactly one key fits, so no token costs more than one check. Gives the payload.
    pub(crate) fn verify(&self, algorithm: Algorithm, token: &Token<'_>) -> Result<Vec<u8>, Denial> {
        let key_id = token.header.key_id.as_deref();
        let mut fitting =
            self.keys.iter().filter(|key| (key_id.is_none() || key.id.as_deref() == key_id) && key.algorithms.contains(&algorithm));
        let (Some(key), None) = (fitting.next(), fitting.next()) else { return Err(Denial::UnknownKey) };
        key.public.verify_jws(algorithm.name(), token.text).map_err(|error| match error {
            JwsError::Malformed => Denial::Malformed,
            _ => Denial::Signature,
        })
    }
}

impl Key {
    fn read(jwk: &Value, accepted: &[Algorithm]) -> Result<Self, String> {
        let members = jwk.as_object().ok_or("not an object")?;
        let key_type = text(members, "kty")?.ok_or("no `kty`")?;
        if key_type == "oct" {
            return Err("a symmetric key: whoever can check with it can also sign".to_owned());
        }
        if let Some(purpose) = text(members, "use")?
            && purpose != "sig"
        {
            return Err(format!("its `use` is {purpose:?}, not \"sig\""));
        }
        if let Some(operations) = members.get("key_ops")
            && !operations.as_array().is_some_and(|operations| operations.iter().any(|operation| operation == "verify"))
        {
            return Err("its `key_ops` do not have \"verify\"".to_owned());
        }
        let algorithms = algorithms(key_type, members, accepted)?;
        let public = PublicKey::from_jwk(&jwk.to_string()).map_err(|error| error.to_string())?;
        Ok(Self { id: text(members, "kid")?.map(str::to_owned), algorithms, public })
    }

    /// Whether a token could mean both.
    fn is_mistakable_for(&self, other: &Self) -> bool {
        self.id.is_some() && self.id == other.id && self.algorithms.iter().any(|algorithm| other.algorithms.contains(algorithm))
    }
}

/// What a key is for: its `alg` where it has one, else every accepted algorithm of its type.
fn algorithms(key_type: &str, members: &Map<String, Value>, accepted: &[Algorithm]) -> Result<Vec<Algorithm>, String> {
    let curve = text(members, "crv")?;
    let pinned = text(members, "alg")?;
    let fits = |algorithm: &Algorithm| algorithm.is_for(key_type, curve) && pinned.is_none_or(|name| name == algorithm.name());
    let found: Vec<_> = accepted.iter().copied().filter(fits).collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let accepted = accepted.iter().map(|algorithm| algorithm.name()).collect::<Vec<_>>().join(", ");
    let pinned = pinned.map(|name| format!(" with alg {name:?}")).unwrap_or_default();
    let curve = curve.map(|curve| format!(" {curve}")).unwrap_or_default();
    Err(format!("a key of type {key_type}{curve}{pinned} is for none of the accepted algorithms ({accepted})"))
}

fn text<'a>(members: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, String> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("its `{name}` is not text")),
    }
}

fn described(place: usize, jwk: &Value) -> String {
    match jwk.get("kid").and_then(Value::as_str) {
        Some(id) => format!("key {} (kid {id:?})", place + 1),
        None => format!("key {}", place + 1),
    }
}

#[cfg(test)]
mod tests;
