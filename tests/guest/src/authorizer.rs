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
        let mut guest = Identity::new("guest");
        guest.set_issuer("https://guest.example");
        guest.set_scopes(&["read", "write"]);
        let mut identity = guest.clone();
        let tenant = request.header_str(header::X_TENANT_ID).unwrap_or_default();
        identity.set_claim("tenant", tenant)?;
        guest.set_scopes(&[]);
        if identity.scopes() != ["read", "write"] || guest.claim("tenant").is_some() || guest.issuer() != identity.issuer() {
            return Err(AuthError::Failed("a copied identity is not one of its own".to_owned()));
        }
        if let Mode::IdentityBytes(bytes) = mode {
            identity.set_scopes(&["s".repeat(bytes).as_str()]);
        }
        Ok(Decision::Allow(identity))
    }
}
