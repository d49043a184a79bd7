//! `header-lines`.

use http::HeaderValue;
use wasmtime::Result;

use super::header_name;
use crate::plugin::bindings::plugway::gateway::header_lines::{HeaderName, Host, NumberError};
use crate::plugin::guest::Guest;

impl Host for Guest {
    fn number(&mut self, name: HeaderName, value: Vec<u8>) -> Result<std::result::Result<u16, NumberError>> {
        let Some(name) = header_name(&self.names, &name) else { return Ok(Err(NumberError::InvalidName)) };
        let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(value)) else { return Ok(Err(NumberError::InvalidValue)) };
        Ok(self.lines.number(name, value).ok_or(NumberError::TooMany))
    }
}
