//! `header-names`.

use wasmtime::Result;

use crate::plugin::bindings::plugway::gateway::header_names::{Host, NumberError};
use crate::plugin::guest::Guest;
use crate::plugin::names;

impl Host for Guest {
    fn number(&mut self, name: String) -> Result<std::result::Result<u16, NumberError>> {
        Ok(self.names.number(&name).map_err(|error| match error {
            names::NumberError::Invalid => NumberError::Invalid,
            names::NumberError::TooMany => NumberError::TooMany,
        }))
    }
}
