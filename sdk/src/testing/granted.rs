//! Grants of the double: everything, until a test takes something away.

use std::cell::RefCell;
use std::collections::BTreeSet;

thread_local! {
    static DENIED: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

/// Takes the grant of a capability from the plugin under test, by its name in the contract: `kv`, `rate-limit`, `secrets`, `keys`,
/// `http-client`. As in the gateway, of `secrets` and `keys` nothing is granted by name then, and to use another one ends the call:
/// it panics.
pub fn deny(capability: &'static str) {
    DENIED.with_borrow_mut(|denied| denied.insert(capability));
}

/// Stands where the gateway would trap.
#[track_caller]
pub(crate) fn used(capability: &'static str) {
    assert!(is_granted(capability), "used `{capability}`, which it was not granted");
}

fn is_granted(capability: &'static str) -> bool {
    DENIED.with_borrow(|denied| !denied.contains(capability))
}

pub(crate) fn kv() -> bool {
    is_granted("kv")
}

pub(crate) fn rate_limit() -> bool {
    is_granted("rate-limit")
}

pub(crate) fn secrets() -> bool {
    is_granted("secrets")
}

pub(crate) fn http_client() -> bool {
    is_granted("http-client")
}

pub(crate) fn keys() -> bool {
    is_granted("keys")
}
