//! Signature algorithms (RFC 7518, section 3.1; RFC 8037, section 3.1). `none` and the symmetric ones have no name here, so
//! neither a configuration nor a token can ask for them.

use serde::Deserialize;

/// One that the gateway can check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Algorithm {
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
    EdDSA,
}

/// Used where the configuration names none.
pub(crate) const DEFAULT: [Algorithm; 3] = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA];

const ALL: [Algorithm; 10] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::ES512,
    Algorithm::EdDSA,
];

impl Algorithm {
    /// Its name in `alg`; names are compared as they are, case and all.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::RS384 => "RS384",
            Self::RS512 => "RS512",
            Self::PS256 => "PS256",
            Self::PS384 => "PS384",
            Self::PS512 => "PS512",
            Self::ES256 => "ES256",
            Self::ES384 => "ES384",
            Self::ES512 => "ES512",
            Self::EdDSA => "EdDSA",
        }
    }

    /// The one of that name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// Whether keys of this `kty` and `crv` are for it.
    pub(crate) fn is_for(self, key_type: &str, curve: Option<&str>) -> bool {
        match self {
            Self::RS256 | Self::RS384 | Self::RS512 | Self::PS256 | Self::PS384 | Self::PS512 => key_type == "RSA",
            Self::ES256 => key_type == "EC" && curve == Some("P-256"),
            Self::ES384 => key_type == "EC" && curve == Some("P-384"),
            Self::ES512 => key_type == "EC" && curve == Some("P-521"),
            Self::EdDSA => key_type == "OKP" && curve == Some("Ed25519"),
        }
    }
}
