//! `keys`, linked only where granted.

use wasmtime::Result;

use crate::capability::keys::KeyError as Refused;
use crate::plugin::bindings::plugway::gateway::keys::{Host, KeyError};
use crate::plugin::guest::Guest;

type Answer<T> = Result<std::result::Result<T, KeyError>>;

impl From<Refused> for KeyError {
    fn from(error: Refused) -> Self {
        match error {
            Refused::NotGranted => Self::NotGranted,
            Refused::InvalidKey(why) => Self::InvalidKey(why),
            Refused::Unsupported => Self::Unsupported,
            Refused::Mismatch => Self::Mismatch,
            Refused::TooLarge => Self::TooLarge,
        }
    }
}

impl Host for Guest {
    fn algorithms(&mut self, key: String) -> Answer<Vec<String>> {
        let algorithms = self.keys.algorithms(&key);
        Ok(algorithms.map(|names| names.iter().map(|name| (*name).to_owned()).collect()).map_err(Into::into))
    }

    fn sign(&mut self, key: String, algorithm: String, message: Vec<u8>) -> Answer<Vec<u8>> {
        Ok(self.keys.sign(&key, &algorithm, &message).map_err(Into::into))
    }

    fn seal(&mut self, key: String, context: String, message: Vec<u8>) -> Answer<Vec<u8>> {
        Ok(self.keys.seal(&key, &context, &message).map_err(Into::into))
    }

    fn open(&mut self, key: String, context: String, sealed: Vec<u8>) -> Answer<Vec<u8>> {
        Ok(self.keys.open(&key, &context, &sealed).map_err(Into::into))
    }
}
