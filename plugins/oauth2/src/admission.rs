//! What a request gets that passes: an identity, headers for the upstream, and no token where the upstream has no use for it.

use plugway_sdk::{Decision, Identity, Request, Value};

use crate::claims::Verified;
use crate::denial::Denial;
use crate::pass::{Given, Pass, bytes_of};
use crate::upstream_token::Grant;
use crate::{OAuth2, Refusal, passed_on};

impl OAuth2 {
    /// What a token is worth that passed.
    pub(crate) fn pass(&self, verified: &Verified<'_>) -> Result<Pass, Denial> {
        let headers = self.headers.values(verified.claims)?;
        let kept = passed_on::values(&self.claims, verified.claims);
        let (client, checked) = (verified.client.map(Value::from), Value::Boolean(true));
        // Under one name, whichever of the two claims it came from.
        let client = client.as_ref().map(|client| ("client_id", client));
        let mut claims: Vec<(&str, &Value)> = Vec::with_capacity(kept.len() + 2);
        claims.extend(kept.iter().map(|(name, value)| (*name, value)).chain(client));
        claims.push((passed_on::CHECKED, &checked));
        let identity = Identity::of(verified.subject, Some(verified.issuer), &verified.scopes, &claims);
        let identity = identity.map_err(|error| passed_on::not_passed_on("`claims`", &self.claims.join(" "), error))?;
        let given = if self.is_written_after() {
            Given::AtOnce(identity, headers)
        } else {
            let token = if self.forward_token { &[][..] } else { passed_on::of_token(self.dpop.is_some()) };
            Given::AtEnd(self.headers.pass(identity, token, &headers)?, bytes_of(&headers))
        };
        Ok(Pass {
            lifetime: verified.lifetime,
            counts_until: verified.counts_until,
            checked_with: verified.checked_with.clone(),
            binding: verified.binding,
            given,
        })
    }

    /// Whether the call goes on to write into the request when a token has passed.
    fn is_written_after(&self) -> bool {
        self.login.is_some() || self.upstream_token.as_ref().is_some_and(|token| token.grant == Grant::TokenExchange)
    }

    /// Lets a request pass with a token.
    pub(crate) fn admit(&self, request: &mut Request, pass: &Pass) -> Result<Decision, Refusal> {
        let (identity, headers) = match &pass.given {
            Given::AtEnd(pass, _) => {
                self.headers.mark(request)?;
                return Ok(Decision::AllowBy(pass.clone()));
            }
            Given::AtOnce(identity, headers) => (identity, headers),
        };
        self.headers.set(request, headers)?;
        if !self.forward_token {
            passed_on::drop_token(request, self.dpop.is_some())?;
        }
        let answer = self.take_cookies(request)?;
        Ok(answer.map_or_else(|| Decision::Allow(identity.clone()), Decision::respond))
    }
}
