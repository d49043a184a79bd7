//! Private and symmetric keys that a plugin uses and never has. The plugin needs `grants = { keys = ["NAME"] }`, and
//! `[secrets.NAME]` says which file or variable of the environment the key is.
//!
//! ```
//! use plugway_sdk::keys;
//!
//! # fn main() -> Result<(), plugway_sdk::Error> {
//! # plugway_sdk::testing::set_key("session", "0123456789abcdef0123456789abcdef");
//! let sealed = keys::seal("session", "cookie", b"ann")?;
//! assert_eq!(keys::open("session", "cookie", &sealed)?, b"ann");
//! assert!(keys::open("session", "state", &sealed).is_err());
//! # Ok(())
//! # }
//! ```

use crate::error::KeyError;
use crate::sys;

/// The algorithms a private key signs by, the usual one first. Ask in `configure`: a key that cannot be used refuses the
/// configuration then.
pub fn algorithms(key: &str) -> Result<Vec<String>, KeyError> {
    Ok(sys::keys::algorithms(key)?)
}

/// A signature by the algorithm's name in JWS (RFC 7518, section 3.1; RFC 8037), as it stands in one.
pub fn sign(key: &str, algorithm: &str, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    Ok(sys::keys::sign(key, algorithm, message)?)
}

/// Encrypts and authenticates at most 1 MiB: what a plugin gives away and wants back unread and unchanged. The context says
/// what it is for and has to be the same again to [`open`] it. 49 bytes are added.
pub fn seal(key: &str, context: &str, message: &[u8]) -> Result<Vec<u8>, KeyError> {
    Ok(sys::keys::seal(key, context, message)?)
}

/// What was sealed with the same key and context.
pub fn open(key: &str, context: &str, sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
    Ok(sys::keys::open(key, context, sealed)?)
}
