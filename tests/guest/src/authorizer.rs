//! Lets everyone pass as `guest`, unless told otherwise.

use plugway_sdk::{AuthError, Authorizer, Decision, HeaderName, Identity, Pass, Request, Value, header};

use crate::mode::Mode;
use crate::{Guest, Hook, behaviour};

impl Authorizer for Guest {
    fn authorize(&self, request: &mut Request) -> Result<Decision, AuthError> {
        let mode = self.mode(Hook::Authorizer, request);
        self.misbehave(mode)?;
        match mode {
            Mode::Abstain => return Ok(Decision::Abstain),
            Mode::Unavailable => return Err(AuthError::Unavailable(Some(7))),
            Mode::ByPass | Mode::ByPassAfterMany | Mode::ByPassForbidden => return by_pass(mode, request),
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
        let (first, last) = (Value::from("first"), identity.claim("tenant").unwrap_or(Value::Boolean(false)));
        let issuer = identity.issuer();
        let whole = Identity::of("guest", issuer.as_deref(), &["read", "write"], &[("tenant", &first), ("tenant", &last)])?;
        if (whole.subject(), whole.issuer(), whole.scopes(), whole.claim("tenant"))
            != (identity.subject(), issuer, identity.scopes(), Some(last))
        {
            return Err(AuthError::Failed("an identity made by one call is not the same".to_owned()));
        }
        if let Mode::IdentityBytes(bytes) = mode {
            let scope = "s".repeat(bytes);
            match Identity::of("guest", None, &[&scope], &[]) {
                Ok(within) => identity = within,
                // One that is given away all the same is a failure.
                Err(_) => identity.set_scopes(&[&scope]),
            }
        }
        Ok(Decision::Allow(identity))
    }
}

fn by_pass(mode: Mode, request: &mut Request) -> Result<Decision, AuthError> {
    if mode == Mode::ByPassAfterMany {
        for number in 0..64 {
            request.set_header(&*format!("x-{number}"), "on")?;
        }
    }
    let name = if mode == Mode::ByPassForbidden { "x-request-id" } else { "x-by" };
    let pass = Pass::of(Identity::new("passed"), &[header::X_TENANT_ID], &[(HeaderName::from(name), b"pass")])?;
    Ok(Decision::AllowBy(pass))
}
