//! What authorizers give by a pass.

use crate::testing::{self, json};
use crate::{AuthError, Authorizer, ChangeError, Decision, Error, HeaderName, Identity, Pass, Plugin, Request, header};

/// Lets everybody pass by one pass, which is kept or goes at once.
struct Gives {
    kept: Option<Pass>,
}

impl Plugin for Gives {
    type Config = bool;

    fn configure(keeps: bool) -> Result<Self, Error> {
        let pass = || Pass::of(Identity::new("ann"), &[header::AUTHORIZATION], &[("x-user".into(), b"ann")]);
        Ok(Self { kept: if keeps { Some(pass()?) } else { None } })
    }
}

impl Authorizer for Gives {
    fn authorize(&self, request: &mut Request) -> Result<Decision, AuthError> {
        if let Some(kept) = &self.kept {
            return Ok(Decision::AllowBy(kept.clone()));
        }
        let count = if request.header("x-fill").is_some() { 64 } else { 0 };
        (0..count).try_for_each(|number| request.set_header(&*format!("x-{number}"), "on"))?;
        Ok(Decision::AllowBy(Pass::of(Identity::new("bob"), &[], &[("x-user".into(), b"bob")])?))
    }
}

#[test]
fn what_an_authorizer_gives_by_a_pass_is_in_the_request() {
    for (keeps, user) in [(true, "ann"), (false, "bob")] {
        let plugin = testing::configure::<Gives>(json!(keeps)).unwrap();
        for _ in 0..2 {
            let mut request = testing::Request::get("/").header("authorization", "Bearer t").header("x-user", "client's").build();
            assert!(matches!(plugin.authorize(&mut request).unwrap(), Decision::Allow(identity) if identity.subject() == user));
            assert_eq!((request.identity().unwrap().subject(), request.header_str("x-user").unwrap()), (user.to_owned(), user.to_owned()));
            assert_eq!(request.header_str("authorization").is_some(), !keeps);
        }
    }
    let plugin = testing::configure::<Gives>(json!(false)).unwrap();
    let mut request = testing::Request::get("/").header("x-fill", "on").build();
    let allowed = plugin.authorize(&mut request);
    assert!(matches!(allowed, Ok(Decision::Allow(_))), "what a pass sets has room of its own: {allowed:?}");
    assert_eq!((request.header("x-0"), request.header_str("x-user")), (Some(b"on".to_vec()), Some("bob".to_owned())));
    for (remove, set) in [("via", "x-user"), ("x-user", "via"), ("no name", "x-user")] {
        let (remove, set) = (HeaderName::from(remove), HeaderName::from(set));
        assert!(Pass::of(Identity::new("ann"), &[remove], &[(set, b"on")]).is_err());
    }
    let many: Vec<_> = (0..65).map(|number| format!("x-{number}")).collect();
    let many: Vec<_> = many.iter().map(|name| (HeaderName::from(name), &b"on"[..])).collect();
    assert_eq!(Pass::of(Identity::new("ann"), &[], &many).err(), Some(ChangeError::TooLarge));
    let names: Vec<_> = many.iter().map(|(name, _)| name.clone()).collect();
    assert!(Pass::of(Identity::new("ann"), &names, &[]).is_ok(), "what is removed is no budget's");
}
