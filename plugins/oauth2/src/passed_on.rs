//! What later plugins and the upstream learn of a token: claims of the identity, and claims as request headers.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use plugway_sdk::{AuthError, ChangeError, HeaderName, Identity, Pass, Request, Value, header, log};

use crate::Refusal;
use crate::credentials::{self, Credentials};
use crate::denial::Denial;
use crate::json::{Json, Members};

/// The attribute that says which of these headers were set here.
const SET: &str = "claims_as_headers";

/// The claim of identities made here which says that they are of the request's token: whichever plugin of this kind made them, what it left in
/// `authorization` may go on.
pub(crate) const CHECKED: &str = "token_checked";

/// The claims that go to the upstream as headers.
#[derive(Debug)]
pub(crate) struct ClaimHeaders {
    list: Vec<ClaimHeader>,
    /// Stands for their names, to compare them at once: a number crosses to the gateway and back for less than a text. It is the same in all
    /// instances of one component, and its hash is of what the operator wrote.
    mark: i64,
}

/// One of them.
#[derive(Debug)]
struct ClaimHeader {
    name: HeaderName<'static>,
    claim: String,
}

impl ClaimHeaders {
    /// Checks the names as written, each with its claim. The gateway has the last word on them.
    pub(crate) fn new(written: BTreeMap<String, String>) -> Result<Self, String> {
        let mut list: Vec<ClaimHeader> = Vec::with_capacity(written.len());
        for (name, claim) in written {
            let header = ClaimHeader::new(&name, claim).map_err(|why| format!("{name:?}: {why}"))?;
            if list.iter().any(|earlier| earlier.name() == header.name()) {
                return Err(format!("{:?} is there twice, in upper and lower case", header.name()));
            }
            list.push(header);
        }
        let mut hasher = DefaultHasher::new();
        list.iter().for_each(|header| header.name().hash(&mut hasher));
        Ok(Self { list, mark: hasher.finish().cast_signed() })
    }

    /// Takes away what a client may have sent under these names, so that an upstream can believe them. Done for every request
    /// that can go on, whether there was a token or not.
    pub(crate) fn clear(&self, request: &mut Request<'_>) -> Result<(), AuthError> {
        self.list.iter().try_for_each(|header| remove(request, header)).map_err(AuthError::Failed)
    }

    /// The same, unless [`set`](Self::set) was there before.
    pub(crate) fn clear_unless_set(&self, request: &mut Request<'_>) -> Result<(), String> {
        if self.list.is_empty() || request.own_attribute(SET) == Some(Value::Integer(self.mark)) {
            return Ok(());
        }
        self.list.iter().try_for_each(|header| remove(request, header))
    }

    /// Their names.
    pub(crate) fn names(&self) -> Vec<HeaderName<'_>> {
        self.list.iter().map(|header| header.name.clone()).collect()
    }

    /// What the headers will say: nothing where a claim is absent or no single value.
    pub(crate) fn values(&self, claims: &Members<'_>) -> Result<Vec<Option<String>>, Denial> {
        let value = |header: &ClaimHeader| {
            let text = match claims.get(&header.claim) {
                Some(Json::Text(text)) => text.clone().into_owned(),
                Some(value @ (Json::Number(_) | Json::Bool(_))) => value.to_string(),
                _ => return Ok(None),
            };
            // Recipients strip spaces at the ends, and " root" must not become "root" on the way.
            let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_plain && (text.trim().len() != text.len() || text.chars().any(char::is_control)) {
                return Err(not_passed_on("`claims_as_headers`", header.name(), "the claim cannot be sent as a header"));
            }
            Ok(Some(text))
        };
        self.list.iter().map(value).collect()
    }

    /// Sets the headers, in the stead of what a client may have sent, and takes away those that say nothing.
    pub(crate) fn set(&self, request: &mut Request<'_>, values: &[Option<String>]) -> Result<(), Refusal> {
        for (header, value) in self.list.iter().zip(values) {
            match value {
                None => remove(request, header).map_err(AuthError::Failed)?,
                Some(text) => {
                    request.set_header(header.name.clone(), text).map_err(|error| match error {
                        // What whoever is named in the token may have chosen.
                        ChangeError::Invalid(_) | ChangeError::TooLarge => {
                            not_passed_on("`claims_as_headers`", header.name(), error).into()
                        }
                        error => Refusal::from(failed("`claims_as_headers`", header.name(), error)),
                    })?;
                }
            }
        }
        Ok(self.mark(request)?)
    }

    /// Says for [`clear_unless_set`](Self::clear_unless_set) that they are set, or will be when the call ends.
    pub(crate) fn mark(&self, request: &mut Request<'_>) -> Result<(), AuthError> {
        if !self.list.is_empty() {
            request.set_attribute(SET, self.mark).map_err(|error| failed("`claims_as_headers`", SET, error))?;
        }
        Ok(())
    }

    /// What sets them, and takes away those that say nothing and `token`.
    pub(crate) fn pass(&self, identity: Identity, token: &[HeaderName<'_>], values: &[Option<String>]) -> Result<Pass, Denial> {
        let named = || self.list.iter().zip(values);
        let silent = named().filter(|(_, value)| value.is_none()).map(|(header, _)| header.name.clone());
        let remove: Vec<_> = token.iter().cloned().chain(silent).collect();
        let set = named().filter_map(|(header, value)| Some((header.name.clone(), value.as_deref()?.as_bytes())));
        // What whoever is named in the token may have chosen.
        Pass::of(identity, &remove, &set.collect::<Vec<_>>()).map_err(|error| {
            not_passed_on("`claims_as_headers`", &self.list.iter().map(ClaimHeader::name).collect::<Vec<_>>().join(" "), error)
        })
    }
}

impl ClaimHeader {
    fn new(name: &str, claim: String) -> Result<Self, &'static str> {
        if claim.is_empty() {
            return Err("no claim is named");
        }
        if header::is_reserved(name) || ["authorization", "cookie"].iter().any(|own| name.eq_ignore_ascii_case(own)) {
            return Err("a header that means something else to the gateway or the upstream; choose one of your own, such as `x-user`");
        }
        if name.contains('_') {
            return Err("to many upstreams `_` and `-` are the same, and clients may send the other one; write it with `-`");
        }
        let name = HeaderName::numbered(&name.to_ascii_lowercase()).map_err(|_| "not a header name")?;
        Ok(Self { name, claim })
    }

    fn name(&self) -> &str {
        self.name.as_str()
    }
}

fn remove(request: &mut Request<'_>, header: &ClaimHeader) -> Result<(), String> {
    request.remove_header(header.name.clone()).map_err(|error| described("`claims_as_headers`", header.name(), error))
}

/// The wanted claims for the identity: single values as they are, lists and objects as JSON text.
pub(crate) fn values<'a>(wanted: &'a [String], claims: &Members<'_>) -> Vec<(&'a str, Value)> {
    let mut values = Vec::with_capacity(wanted.len() + 1);
    for name in wanted {
        let value = match claims.get(name) {
            None | Some(Json::Null) => continue,
            Some(Json::Text(text)) => Value::Text(text.clone().into_owned()),
            Some(Json::Bool(boolean)) => Value::Boolean(*boolean),
            Some(Json::Number(number)) => match number.as_i64() {
                Some(integer) => Value::Integer(integer),
                None => Value::Number(number.as_f64().unwrap_or(f64::NAN)),
            },
            Some(other) => Value::Text(other.to_string()),
        };
        values.push((name.as_str(), value));
    }
    values
}

/// The headers of a token, without which the upstream has nothing that it could be made to replay.
pub(crate) fn of_token(with_proof: bool) -> &'static [HeaderName<'static>] {
    const TOKEN: [HeaderName<'static>; 2] = [header::AUTHORIZATION, header::DPOP];
    let (alone, _) = TOKEN.split_at(1);
    if with_proof { &TOKEN } else { alone }
}

/// Takes the token away from the upstream.
pub(crate) fn drop_token(request: &mut Request<'_>, with_proof: bool) -> Result<(), ChangeError> {
    of_token(with_proof).iter().try_for_each(|name| request.remove_header(name.clone()))
}

/// Whether the request has what looks like an access token, or several of them.
fn is_token(request: &Request<'_>) -> bool {
    !matches!(credentials::read(&request.only_header(header::AUTHORIZATION)), Credentials::NoToken)
}

/// Takes a token away that came with a request which passed by something else, such as a key: nobody has looked at it. Where nobody has let the
/// request pass yet, somebody may still look.
pub(crate) fn drop_unchecked_token(request: &mut Request<'_>) -> Result<(), ChangeError> {
    if !is_token(request) {
        return Ok(());
    }
    match request.optional_identity() {
        Some(identity) if identity.claim(CHECKED) != Some(Value::Boolean(true)) => drop_token(request, true),
        _ => Ok(()),
    }
}

/// For what is wrong with a token, and not with the gateway: whoever chose the claim gets an answer, and the operator a line among those of
/// other refusals, which are bounded.
pub(crate) fn not_passed_on(key: &str, name: &str, why: impl std::fmt::Display) -> Denial {
    log::info!("{}", described(key, name, why));
    Denial::ClaimNotPassedOn
}

/// Names only, never values: the text goes to the log.
fn failed(key: &str, name: &str, why: impl std::fmt::Display) -> AuthError {
    AuthError::Failed(described(key, name, why))
}

fn described(key: &str, name: &str, why: impl std::fmt::Display) -> String {
    format!("{key}: {name}: {why}")
}
