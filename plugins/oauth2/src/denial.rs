//! Why a request does not pass. The texts are constants: nothing of a token gets into an answer or a log.

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

    /// One sentence for the client's developer, fit for `error_description`: ASCII without `"` and `\`.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::NoCredentials => "This needs an access token.",
            Self::SeveralCredentials => "The request has more than one Authorization header.",
            Self::MalformedCredentials => "The Authorization header holds no token.",
            Self::TooLarge => "The token is too large.",
            Self::Malformed => "The token is malformed.",
            Self::Critical => "The token has critical extensions that are not supported.",
            Self::WrongType => "The token is not an access token.",
            Self::Algorithm => "The token is signed with an algorithm that is not accepted.",
            Self::UnknownKey => "The token is not signed with a known key.",
            Self::Signature => "The signature of the token does not match.",
            Self::Issuer => "The token is from another issuer.",
            Self::Audience => "The token is for another audience.",
            Self::Expired => "The token has expired.",
            Self::TooLongLived => "The token is good for longer than is accepted here.",
            Self::NotYetValid => "The token is not valid yet.",
            Self::Inactive => "The token is not active.",
            Self::Nonce => "The login is not the one that was begun.",
            Self::NoSubject => "The token names no subject.",
            Self::Bound => "The token is bound to a key and cannot be used as a bearer token here.",
            Self::Incomplete => "The token lacks a claim of RFC 9068.",
            Self::WrongCertificate => "The token is bound to another client certificate.",
            Self::NotBoundToCertificate => "The token has to be bound to a client certificate.",
            Self::NotBoundToKey => "The token has to be bound to a key.",
            Self::InsufficientScope => "The token lacks a scope that is needed here.",
            Self::RequirementNotMet => "The token does not allow this.",
            Self::ClaimNotPassedOn => "The token has a claim that cannot be passed on.",
            Self::NotExchanged => "The token cannot be exchanged for one that is needed here.",
            Self::NoProof => "The request has no DPoP proof.",
            Self::SeveralProofs => "The request has more than one DPoP proof.",
            Self::MalformedProof => "The DPoP proof is malformed.",
            Self::ProofAlgorithm => "The DPoP proof is signed with an algorithm that is not accepted.",
            Self::ProofKey => "The DPoP proof holds no public key that can be used.",
            Self::WrongProofKey => "The token is bound to another key than that of the DPoP proof.",
            Self::ProofSignature => "The signature of the DPoP proof does not match.",
            Self::ProofTarget => "The DPoP proof is for another method or URL.",
            Self::ProofTime => "The DPoP proof is too old or from the future.",
            Self::ProofToken => "The DPoP proof is for another token.",
            Self::ProofNonce => "The DPoP proof needs the nonce of this answer.",
            Self::ProofUsed => "The DPoP proof was used before.",
        }
    }
}
