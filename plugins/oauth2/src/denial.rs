//! Why a request does not pass: for the operator by name, in the log. The client is told the error code of it and a sentence that is the same
//! for all with that code: which check failed is what somebody who tries tokens wants to know.

/// What is wrong with the credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// There are none of this kind.
    NoCredentials,
    /// `Authorization` was sent more than once.
    SeveralCredentials,
    /// `Bearer` without a token behind it.
    MalformedCredentials,
    /// More bytes than configured.
    TooLarge,
    /// Not a JWS in compact form with JSON in it, or with members of the wrong type.
    Malformed,
    /// Has a `crit` header.
    Critical,
    /// Its `typ` is that of another kind of token.
    WrongType,
    /// The algorithm is not accepted.
    Algorithm,
    /// No key, or more than one key, fits it.
    UnknownKey,
    /// The signature does not match.
    Signature,
    /// From another issuer.
    Issuer,
    /// For another audience.
    Audience,
    /// Its time is over.
    Expired,
    /// Good for longer than is accepted.
    TooLongLived,
    /// Its time has not come.
    NotYetValid,
    /// The server that issued it says that it is not active: it never was one, has ended, or was revoked.
    Inactive,
    /// Made for another login.
    Nonce,
    /// Names nobody.
    NoSubject,
    /// Without a claim that RFC 9068 requires.
    Incomplete,
    /// Bound to a key of its holder in a way that is not checked here, or sent as if it were not.
    Bound,
    /// Bound to a certificate that the connection does not have.
    WrongCertificate,
    /// Not bound to a certificate, where it has to be.
    NotBoundToCertificate,
    /// Not bound to a key, where it has to be.
    NotBoundToKey,
    /// Good, but not for this.
    InsufficientScope,
    /// A claim is not what this needs.
    RequirementNotMet,
    /// A claim that the upstream or other plugins are to be told cannot be: it has control characters or spaces at its ends, or is too long.
    ClaimNotPassedOn,
    /// The authorization server makes no token for the upstream of it.
    NotExchanged,
    /// Without a DPoP proof.
    NoProof,
    /// With more than one.
    SeveralProofs,
    /// With something that is none.
    MalformedProof,
    /// Signed by an algorithm that is not accepted.
    ProofAlgorithm,
    /// Its key is missing, private or of no use.
    ProofKey,
    /// The token is bound to another key.
    WrongProofKey,
    /// Its signature does not match.
    ProofSignature,
    /// For another method or URL.
    ProofTarget,
    /// Too old, or from the future.
    ProofTime,
    /// For another token.
    ProofToken,
    /// Without a nonce that is good now.
    ProofNonce,
    /// Used before.
    ProofUsed,
}

/// The error codes of RFC 6750, section 3.1, and RFC 9449, sections 7 and 9.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidRequest,
    InvalidToken,
    InsufficientScope,
    InvalidProof,
    UseNonce,
}

impl Denial {
    /// Its error code; none where the client sent no credentials (RFC 6750, section 3.1, last paragraph).
    pub(crate) fn code(self) -> Option<Code> {
        match self {
            Self::NoCredentials => None,
            Self::SeveralCredentials | Self::MalformedCredentials => Some(Code::InvalidRequest),
            Self::InsufficientScope | Self::RequirementNotMet | Self::ClaimNotPassedOn | Self::NotExchanged => {
                Some(Code::InsufficientScope)
            }
            Self::ProofNonce => Some(Code::UseNonce),
            Self::NoProof
            | Self::SeveralProofs
            | Self::MalformedProof
            | Self::ProofAlgorithm
            | Self::ProofKey
            | Self::WrongProofKey
            | Self::ProofSignature
            | Self::ProofTarget
            | Self::ProofTime
            | Self::ProofToken
            | Self::ProofUsed => Some(Code::InvalidProof),
            _ => Some(Code::InvalidToken),
        }
    }

    /// Its name in the log: that of the case, with dashes. `WrongType` is `wrong-type`.
    pub(crate) fn why(self) -> String {
        dashed(&format!("{self:?}"))
    }
}

impl Code {
    /// As it is written in `error`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidProof => "invalid_dpop_proof",
            Self::UseNonce => "use_dpop_nonce",
        }
    }

    /// All that a client is told beside it; fit for `error_description`: ASCII without `"` and `\`.
    pub(crate) fn sentence(self) -> &'static str {
        match self {
            Self::InvalidRequest => "The request's credentials cannot be read.",
            Self::InvalidToken => "The access token is not accepted.",
            Self::InsufficientScope => "The access token does not allow this.",
            Self::InvalidProof => "The proof of possession is not accepted.",
            Self::UseNonce => "The proof of possession needs the nonce of this answer.",
        }
    }
}

fn dashed(name: &str) -> String {
    let mut dashed = String::with_capacity(name.len() + 4);
    for char in name.chars() {
        if char.is_ascii_uppercase() && !dashed.is_empty() {
            dashed.push('-');
        }
        dashed.push(char.to_ascii_lowercase());
    }
    dashed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_in_the_log_is_documented() {
        let documented = include_str!("../../../docs/oauth2.md");
        let (_, rest) = include_str!("denial.rs").split_once("enum Denial {").unwrap();
        let (list, _) = rest.split_once("\n}").unwrap();
        let cases = list
            .lines()
            .filter_map(|line| line.trim().strip_suffix(','))
            .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphabetic()));
        let whys: Vec<String> = cases.filter(|name| *name != "NoCredentials").map(dashed).collect();
        assert!(whys.len() > 35, "{whys:?}");
        let missing: Vec<_> = whys.iter().filter(|why| !documented.contains(&format!("`{why}`"))).collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
