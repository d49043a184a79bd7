//! `secrets`, linked only where granted.

use wasmtime::Result;

use crate::plugin::bindings::plugway::gateway::secrets::{Host, SecretError};
use crate::plugin::guest::Guest;

impl Host for Guest {
    fn get(&mut self, name: String) -> Result<std::result::Result<Vec<u8>, SecretError>> {
        Ok(self.secrets.get(&name).map(|secret| secret.bytes().to_vec()).ok_or(SecretError::NotGranted))
    }
}
