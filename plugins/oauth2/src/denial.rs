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
    /// Its time has not come.
    NotYetValid,
    /// Names nobody.
    NoSubject,
    /// Bound to a key of its holder, which is not checked here.
    Bound,
    /// Good, but not for this.
    InsufficientScope,
}

/// The error codes of RFC 6750, section 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    InvalidRequest,
    InvalidToken,
    InsufficientScope,
}

impl Denial {
    /// Its error code; none where the client sent no credentials (RFC 6750, section 3.1, last paragraph).
    pub(crate) fn code(self) -> Option<Code> {
        match self {
            Self::NoCredentials => None,
            Self::SeveralCredentials | Self::MalformedCredentials => Some(Code::InvalidRequest),
            Self::InsufficientScope => Some(Code::InsufficientScope),
            _ => Some(Code::InvalidToken),
        }
    }

    /// One sentence for the client's developer, fit for `error_description`: ASCII without `"` and `\`.
    pub(crate) fn description(self) -> &'static str {
        match self {
            Self::NoCredentials => "This needs an access token.",
            Self::SeveralCredentials => "The request has more than one Authorization header.",
            Self::MalformedCredentials => "The Authorization header holds no bearer token.",
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
            Self::NotYetValid => "The token is not valid yet.",
            Self::NoSubject => "The token names no subject.",
            Self::Bound => "The token is bound to a key and cannot be used as a bearer token here.",
            Self::InsufficientScope => "The token lacks a scope that is needed here.",
        }
    }
}
