//! Lets everyone pass as `guest`, unless told otherwise.

use plugway_sdk::{AuthError, Authorizer, Decision, Identity, Request, header};

use crate::mode::Mode;
use crate::{Guest, Hook, behaviour};

impl Authorizer for Guest {
    fn authorize(&self, request: &mut Request) -> Result<Decision, AuthError> {
        let mode = self.mode(Hook::Authorizer, request);
        self.misbehave(mode)?;
        match mode {
            Mode::Abstain => return Ok(Decision::Abstain),
            Mode::Unavailable => return Err(AuthError::Unavailable(Some(7))),
            _ => {}
        }
        if let Some(answer) = behaviour::answer(mode) {
            return Ok(Decision::Respond(answer));
        }
        self.change(mode, request)?;
        let mut identity = Identity::new("guest");
        identity.set_issuer("https://guest.example");
        identity.set_scopes(&["read", "write"]);
        let tenant = request.header_str(header::X_TENANT_ID).unwrap_or_default();
        identity.set_claim("tenant", tenant)?;
        Ok(Decision::Allow(identity))
    }
}
