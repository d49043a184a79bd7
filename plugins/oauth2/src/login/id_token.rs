//! The ID token that comes with a login (OpenID Connect Core 1.0, section 3.1.3.7): it says that this login, of this browser, is answered by this
//! issuer for this client. Who it is about is read from the access token, as everywhere.

use std::time::Duration;

use plugway_sdk::crypto;

use crate::Refusal;
use crate::algorithm::Algorithm;
use crate::claims;
use crate::denial::Denial;
use crate::issuer::Issuer;
use crate::json;
use crate::token::Token;

/// `client` and `nonce` are what it has to say.
pub(super) fn check(text: &str, issuer: &Issuer, (client, nonce): (&str, &str), leeway: Duration, now: Duration) -> Result<(), Refusal> {
    let token = Token::parse(text)?;
    if token.header.kind.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("jwt")) {
        return Err(Denial::WrongType.into());
    }
    let algorithm = Algorithm::named(&token.header.algorithm).filter(|algorithm| issuer.algorithms.contains(algorithm));
    let (payload, _) = issuer.keys.verify(algorithm.ok_or(Denial::Algorithm)?, &token)?;
    let claims = json::members(&payload).ok_or(Denial::Malformed)?;
    if claims::text(&claims, "iss")? != Some(&issuer.name) {
        return Err(Denial::Issuer.into());
    }
    let audiences = claims::list(&claims, "aud")?;
    let is_ours = audiences.contains(&client) && claims::text(&claims, "azp")?.map_or(audiences.len() == 1, |party| party == client);
    if !is_ours {
        return Err(Denial::Audience.into());
    }
    claims::lifetime(&claims)?.judge(leeway, now)?;
    let said = claims::text(&claims, "nonce")?.unwrap_or_default();
    // One that was made for another login does not log anybody in here.
    if crypto::equal(said.as_bytes(), nonce.as_bytes()) { Ok(()) } else { Err(Denial::Nonce.into()) }
}
