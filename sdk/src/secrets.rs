//! What a plugin must know and nobody may read in a configuration. The plugin needs `grants = { secrets = ["NAME"] }`, and
//! `[secrets.NAME]` says which file or variable of the environment it is.
//!
//! ```
//! use plugway_sdk::secrets;
//!
//! # fn main() -> Result<(), plugway_sdk::Error> {
//! # plugway_sdk::testing::set_secret("api-key", "hunter2");
//! let key = secrets::get("api-key")?;
//! assert_eq!(key.text()?, "hunter2");
//! assert_eq!(format!("{key:?}"), "[secret]");
//! # Ok(())
//! # }
//! ```

use std::fmt;

use crate::error::SecretError;
use crate::sys;

/// A secret. It is not shown by `{:?}`, and has no `{}`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// The secret of that name, the same for as long as this instance lives.
pub fn get(name: &str) -> Result<Secret, SecretError> {
    Ok(Secret(sys::secrets::get(name)?))
}

impl Secret {
    /// What it is.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same as text. The error says nothing of it.
    pub fn text(&self) -> Result<&str, SecretError> {
        std::str::from_utf8(&self.0).map_err(|_| SecretError::NotText)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}
