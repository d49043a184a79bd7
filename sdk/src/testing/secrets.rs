//! Secrets of the double. Each test's thread has its own.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::bindings::imports::plugway::gateway::secrets::SecretError;

thread_local! {
    static SECRETS: RefCell<BTreeMap<String, Vec<u8>>> = const { RefCell::new(BTreeMap::new()) };
}

/// Grants the plugin under test a secret.
pub fn set_secret(name: &str, value: impl AsRef<[u8]>) {
    SECRETS.with_borrow_mut(|secrets| secrets.insert(name.to_owned(), value.as_ref().to_vec()));
}

pub(crate) fn get(name: &str) -> Result<Vec<u8>, SecretError> {
    let granted = || SECRETS.with_borrow(|secrets| secrets.get(name).cloned());
    super::granted::secrets().then(granted).flatten().ok_or(SecretError::NotGranted)
}
