//! A proof is good once (RFC 9449, section 11.1), on whichever worker and connection: `kv` is the same for all of them.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use plugway_sdk::crypto::{self, DigestAlgorithm};
use plugway_sdk::{AuthError, KvError, kv, log};

use crate::Refusal;
use crate::binding::Thumbprint;
use crate::denial::Denial;

/// When to come again, seconds, where there is no room: notes end all the time.
const RETRY_AFTER: u32 = 5;

/// Notes the use of a proof for as long as it could be used again. Of two uses at the same moment one is the first: the note is
/// made where there is none, in one step. It is pinned: were it to go for want of room, the proof would be good once more.
pub(super) fn first_use(key: &Thumbprint, id: &str, seconds: f64) -> Result<(), Refusal> {
    // Its holder chose the `jti`, of whatever length; another holder's is another one.
    let digest = crypto::digest(DigestAlgorithm::Sha256, &[key, id.as_bytes()].concat()).map_err(super::failed)?;
    let name = format!("dpop:{}", URL_SAFE_NO_PAD.encode(digest));
    match kv::pin(&name, b"1", Duration::from_secs_f64(seconds)) {
        Ok(()) => Ok(()),
        Err(KvError::Mismatch) => Err(Denial::ProofUsed.into()),
        Err(KvError::Unavailable) => Err(AuthError::Unavailable(None).into()),
        Err(KvError::Full) => {
            log::warn!(
                "`dpop`: no room in `kv` to note the use of a proof, so it is not taken: raise `max_entries` and `max_bytes` of the grant"
            );
            Err(AuthError::Unavailable(Some(RETRY_AFTER)).into())
        }
        Err(error) => Err(super::failed(error).into()),
    }
}
