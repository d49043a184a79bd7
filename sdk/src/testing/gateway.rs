//! The double in the shape of the generated imports: what `sys` is natively.

pub(crate) use super::capabilities::{clock, endpoints, header_lines, header_names, log, random};
pub(crate) use super::{batch, crypto, granted, http_client, keys, kv, metrics, rate_limit, secrets, trace};

pub(crate) mod types {
    pub(crate) use super::super::identity::FakeIdentity as Identity;
    pub(crate) use super::super::pass::FakePass as Pass;
}

pub(crate) type RequestHandle<'a> = super::handle::Handle<'a, super::FakeRequest>;
pub(crate) type ResponseHandle<'a> = super::handle::Handle<'a, super::FakeResponse>;
pub(crate) type AttemptHandle<'a> = super::handle::Handle<'a, super::attempt::FakeAttempt>;
pub(crate) type PlanHandle<'a> = super::handle::Handle<'a, super::FakePlan>;

/// Asks the thing a test built.
macro_rules! ask {
    ($this:expr, $interface:ident::$function:ident($($argument:expr),*)) => {
        $this.raw.$function($($argument),*)
    };
}
pub(crate) use ask;
