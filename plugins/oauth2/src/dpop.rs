//! DPoP (RFC 9449): a client proves with each request that it has the key its token is bound to. A stolen token is worth nothing, and a
//! stolen proof only for the same method and URL, once, for a minute.

mod config;
mod nonce;
mod proof;
mod replay;
mod target;

use plugway_sdk::crypto::{self, DigestAlgorithm, PublicKey};
use plugway_sdk::{AuthError, HeaderName, Request, clock, header};

use crate::Refusal;
use crate::algorithm::Algorithm;
use crate::binding::Thumbprint;
use crate::denial::Denial;
use nonce::{Age, Nonces};
use proof::Proof;

pub(crate) use config::DpopConfig;

/// What one place asks of proofs, checked.
#[derive(Debug)]
pub(crate) struct Dpop {
    /// Whether a token has to be bound to a key.
    pub(crate) required: bool,
    algorithms: Vec<Algorithm>,
    /// How old a proof may be, and how far the client's clock may be ahead; seconds.
    max_age: f64,
    leeway: f64,
    /// What clients know this gateway by, where it is not what they ask for.
    origin: Option<String>,
    nonces: Option<Nonces>,
    nonce_header: HeaderName<'static>,
}

impl Dpop {
    /// Names of the algorithms proofs may be signed by.
    pub(crate) fn algorithms(&self) -> impl Iterator<Item = &'static str> {
        self.algorithms.iter().map(|algorithm| algorithm.name())
    }

    /// Whether the request proves to have the key, in the order of RFC 9449, section 4.3, but for the signature, which is dearest and comes
    /// after what costs nothing; nothing of a proof is believed or kept before it.
    pub(crate) fn check(&self, request: &mut Request<'_>, token: &[u8], bound_to: &Thumbprint) -> Result<(), Refusal> {
        let value = request.only_header(header::DPOP).map_err(|_| Denial::SeveralProofs)?;
        let proof = Proof::read(value.as_deref().ok_or(Denial::NoProof)?)?;
        let algorithm = Algorithm::named(proof.algorithm()).filter(|algorithm| self.algorithms.contains(algorithm));
        let algorithm = algorithm.ok_or(Denial::ProofAlgorithm)?;
        let key = PublicKey::from_jwk(proof.key()).map_err(|_| Denial::ProofKey)?;
        if key.thumbprint() != bound_to {
            return Err(Denial::WrongProofKey.into());
        }
        if proof.method != request.method() || !target::is_same(&proof.target, request, self.origin.as_deref()) {
            return Err(Denial::ProofTarget.into());
        }
        let now = clock::now().as_secs_f64();
        if now > proof.issued + self.max_age + self.leeway || proof.issued > now + self.leeway {
            return Err(Denial::ProofTime.into());
        }
        let hash = crypto::digest(DigestAlgorithm::Sha256, token).map_err(failed)?;
        if proof.token_hash != hash {
            return Err(Denial::ProofToken.into());
        }
        key.verify(algorithm.name(), proof.signed(), proof.signature()).map_err(|_| Denial::ProofSignature)?;
        if let Some(nonces) = &self.nonces {
            let age = proof.nonce.as_deref().map_or(Age::Over, |nonce| nonces.age(nonce, now));
            match age {
                Age::Over => return Err(Denial::ProofNonce.into()),
                // In time for the next request, so that nobody is ever sent back for it.
                Age::Late => request.append_response_header(self.nonce_header.clone(), nonces.fresh(now)?)?,
                Age::Fresh => {}
            }
        }
        replay::first_use(bound_to, &proof.id, self.max_age + 2.0 * self.leeway)
    }

    /// A nonce for who has none, where one is asked for.
    pub(crate) fn nonce(&self) -> Option<(HeaderName<'static>, String)> {
        let nonce = self.nonces.as_ref()?.fresh(clock::now().as_secs_f64()).ok()?;
        Some((self.nonce_header.clone(), nonce))
    }
}

fn failed(error: impl std::fmt::Display) -> AuthError {
    AuthError::Failed(format!("`dpop`: {error}"))
}

#[cfg(test)]
mod tests;
