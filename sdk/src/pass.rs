//! What an authorizer gives again and again.

use std::fmt;
use std::rc::Rc;

use crate::error::ChangeError;
use crate::header::HeaderName;
use crate::identity::Identity;
use crate::sys;

/// What requests get that an authorizer lets pass for the same reason, such as one token: an identity, and changes of their headers. Made once, and given
/// as often as it holds, by [`Decision::AllowBy`](crate::Decision::AllowBy); that costs no call of the gateway, however much it changes.
///
/// ```
/// use plugway_sdk::{Decision, Identity, Pass, header};
///
/// let pass = Pass::of(Identity::new("ann"), &[header::AUTHORIZATION], &[("x-user".into(), b"ann")])?;
/// let decision = Decision::AllowBy(pass.clone());
/// # Ok::<(), plugway_sdk::ChangeError>(())
/// ```
#[derive(Clone)]
pub struct Pass(Rc<Held>);

struct Held {
    /// Held, so that the number stays its own.
    _raw: sys::types::Pass,
    number: u32,
}

impl Pass {
    /// One for an identity, with request headers that are removed when it is given, and then others that are set.
    ///
    /// # Errors
    /// `Forbidden` for a header that only the gateway sets, `Invalid` for what is no header, and `TooLarge` where what is set is past `max_headers` or
    /// `max_header_bytes`, more than 256 are removed, or headers of all passes come to more than 2 MiB.
    pub fn of(identity: Identity, remove: &[HeaderName<'_>], set: &[(HeaderName<'_>, &[u8])]) -> Result<Self, ChangeError> {
        let raw = sys::types::Pass::of(identity.into_raw(), remove, set)?;
        let number = raw.number();
        Ok(Self(Rc::new(Held { _raw: raw, number })))
    }

    pub(crate) fn number(&self) -> u32 {
        self.0.number
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").finish_non_exhaustive()
    }
}
