//! `api-key`: lets requests pass that carry a key of a known consumer. Only digests of keys are configured; a key itself is known
//! to its consumer alone. Keys that come and go while the gateway runs are in `kv`.
//!
//! Two hooks: the authorizer decides, and the request filter behind it takes the key away from every request that goes on,
//! whoever let it pass, so that no upstream ever sees one.

mod config;
mod consumers;
mod digest;
mod issued;
mod manage;
mod place;

use plugway_sdk::metrics::Counter;
use plugway_sdk::{
    AuthError, Authorizer, ChangeError, Decision, Error, Flow, HeaderName, Identity, LocalResponse, Plugin, Request, RequestFilter, Status,
    Value, clock, header,
};

use config::Config;
use consumers::{Consumers, Found, KEY_CLAIM};
use digest::Digest;
use manage::Manage;
use place::{Place, Read};

/// Vouches for the identities made here. `oauth2` takes no issuer of that name.
const ISSUER: &str = "urn:plugway:api-key";
/// The attribute that says where a key was that was found good.
const CHECKED: &str = "checked";

/// What one place asks of a request, checked.
#[derive(Debug)]
struct ApiKey {
    place: Place,
    consumers: Consumers,
    /// Whether keys in `kv` count too.
    kv: bool,
    manage: Option<Manage>,
    optional: bool,
    forward_key: bool,
    challenge: String,
    consumer_header: Option<HeaderName<'static>>,
    checks: Counter<1>,
}

/// Why a request does not pass.
#[derive(Debug, Clone, Copy)]
enum Denial {
    NoKey,
    SeveralKeys,
    UnknownKey,
}

impl Plugin for ApiKey {
    type Config = Config;

    fn configure(config: Config) -> Result<Self, Error> {
        Ok(config.check()?)
    }

    fn kept_from_clients(&self) -> Vec<HeaderName<'_>> {
        self.consumer_header.iter().cloned().collect()
    }
}

impl Authorizer for ApiKey {
    fn authorize(&self, request: &mut Request) -> Result<Decision, AuthError> {
        let key = match self.place.read(request) {
            Read::Nothing if self.optional => return Ok(Decision::Abstain),
            Read::Nothing => return Ok(self.deny(Denial::NoKey)),
            Read::Several => return Ok(self.deny(Denial::SeveralKeys)),
            Read::Key(key) => key,
        };
        let found = self.find(&key)?;
        self.checks.add(1.0, [if found.is_some() { "passed" } else { "refused" }]);
        let Some(found) = found else { return Ok(self.deny(Denial::UnknownKey)) };
        if self.forward_key {
            request.set_attribute(CHECKED, self.place.name()).map_err(|error| AuthError::Failed(error.to_string()))?;
        }
        Ok(Decision::Allow(identity(&found)?))
    }
}

impl RequestFilter for ApiKey {
    fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
        // An upstream that is to have the key believes that it was looked at, and another authorizer may have let the request pass.
        if !self.forward_key || request.own_attribute(CHECKED) != Some(Value::Text(self.place.name().to_owned())) {
            match self.place.remove(request) {
                // What arrives may be longer than what a plugin may set, and the key must not go on.
                Err(ChangeError::TooLarge) => return Ok(LocalResponse::problem(Status(414), "The request's target is too long.").into()),
                removed => removed?,
            }
        }
        if let Some(name) = &self.consumer_header {
            // What a client wrote there is never kept, whoever let the request pass.
            match request.optional_identity().filter(|caller| caller.issuer().as_deref() == Some(ISSUER)) {
                Some(caller) => request.set_header(name.clone(), caller.subject())?,
                None => request.remove_header(name.clone())?,
            }
        }
        // Here and not in the authorizer: who may is whoever has the scope, by whichever authorizer of the chain.
        let answer = self.manage.as_ref().map(|manage| manage.answer(request, &self.consumers)).transpose()?.flatten();
        Ok(answer.map_or(Flow::Next, Flow::from))
    }
}

impl ApiKey {
    /// What is configured first: it costs no call, and nothing in `kv` can stand in its stead.
    fn find(&self, key: &[u8]) -> Result<Option<Found<'_>>, AuthError> {
        let digest = Digest::of(key)?;
        match self.consumers.find(&digest) {
            None if self.kv => issued::find(&self.consumers, &digest, clock::now()),
            found => Ok(found),
        }
    }

    fn deny(&self, denial: Denial) -> Decision {
        let (status, title, detail) = match denial {
            Denial::NoKey => (Status::UNAUTHORIZED, "An API key is needed.", "This needs an API key."),
            Denial::SeveralKeys => {
                (Status::BAD_REQUEST, "The request's credentials cannot be read.", "The request has more than one API key.")
            }
            Denial::UnknownKey => (Status::UNAUTHORIZED, "The API key is not accepted.", "The API key is not known."),
        };
        Decision::respond(LocalResponse::problem(status, title).with_detail(detail).with_header(header::WWW_AUTHENTICATE, &self.challenge))
    }
}

/// Who it is. It fails where that is more than an identity may say, which `configure` finds out.
fn identity(found: &Found<'_>) -> Result<Identity, AuthError> {
    let mut identity = Identity::new(&found.consumer.name);
    identity.set_issuer(ISSUER);
    identity.set_scopes(&found.consumer.scopes.iter().map(String::as_str).collect::<Vec<_>>());
    // Which of the two it was, so that an operator sees when the old one is out of use.
    identity.set_claim(KEY_CLAIM, i64::try_from(found.number).unwrap_or_default()).map_err(|error| AuthError::Failed(error.to_string()))?;
    for (name, value) in &found.consumer.claims {
        identity.set_claim(name, value.as_str()).map_err(|error| AuthError::Failed(format!("the claim {name:?}: {error}")))?;
    }
    Ok(identity)
}

plugway_sdk::export!(ApiKey: Authorizer, RequestFilter);

#[cfg(test)]
mod tests;
