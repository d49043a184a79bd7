//! The final response, before it is sent.

use std::fmt;

pub use crate::bindings::imports::plugway::gateway::types::ResponseOrigin;
use crate::error::ChangeError;
use crate::flow::Flow;
use crate::header::{HeaderLine, HeaderName, LineNumber, NumberedLine};
use crate::status::Status;
use crate::sys::{self, ask};

/// The final response, the gateway's own answers included. Changes are transactional as on a request.
pub struct Response<'a> {
    raw: sys::ResponseHandle<'a>,
}

impl<'a> Response<'a> {
    pub(crate) fn new(raw: sys::ResponseHandle<'a>) -> Self {
        Self { raw }
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn fake(&self) -> &crate::testing::FakeResponse {
        &self.raw
    }
}

impl fmt::Debug for Response<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").finish_non_exhaustive()
    }
}

impl Response<'_> {
    /// The status code.
    pub fn status(&self) -> Status {
        Status(ask!(self, response::status()))
    }

    /// Sets the status, 200 to 599. `Invalid` where it would change the message's framing (204, 304).
    pub fn set_status(&mut self, status: impl Into<Status>) -> Result<(), ChangeError> {
        Ok(ask!(self, response::set_status(status.into().0))?)
    }

    /// Who made it: an upstream's endpoint, the gateway with its fault code, or a plugin by configured name.
    pub fn origin(&self) -> ResponseOrigin {
        ask!(self, response::origin())
    }

    /// The first value of a header.
    #[inline]
    pub fn header<'n>(&self, name: impl Into<HeaderName<'n>>) -> Option<Vec<u8>> {
        ask!(self, response::header(name.into()))
    }

    /// The first value of a header as text; one that is not UTF-8 counts as absent.
    #[inline]
    pub fn header_str<'n>(&self, name: impl Into<HeaderName<'n>>) -> Option<String> {
        self.header(name).and_then(|value| String::from_utf8(value).ok())
    }

    /// Every value of a header, in order.
    pub fn header_values<'n>(&self, name: impl Into<HeaderName<'n>>) -> Vec<Vec<u8>> {
        ask!(self, response::header_values(name.into()))
    }

    /// Every header in one call, names in lower case.
    pub fn headers(&self) -> Vec<HeaderLine> {
        ask!(self, response::headers())
    }

    /// Sets a header, replacing every value it had.
    #[inline]
    pub fn set_header<'n>(&mut self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Result<(), ChangeError> {
        Ok(ask!(self, response::set_header(name.into(), value.as_ref()))?)
    }

    /// Sets a header by a line that was made in `configure`: what [`set_header`](Self::set_header) does with its name and value, which
    /// are not checked or copied again.
    #[inline]
    pub fn set_line(&mut self, line: &NumberedLine) -> Result<(), ChangeError> {
        match line.number() {
            Some(number) => self.set_numbered(number),
            None => self.set_header(line.name(), line.value()),
        }
    }

    /// What a hook says that does no more than [`set_line`](Self::set_line) of this line and goes on then: the gateway sets it with the answer, which
    /// saves the call. Nothing may come between, and where the gateway may not set it the hook fails, as it does by `set_line(…)?`.
    ///
    /// # Errors
    /// Of a line without a number, which is set at once: those of `set_line`.
    #[inline]
    pub fn next_with(&mut self, line: &NumberedLine) -> Result<Flow, ChangeError> {
        match line.number() {
            Some(number) => Ok(Flow::NextWith(number)),
            None => self.set_header(line.name(), line.value()).map(|()| Flow::Next),
        }
    }

    #[inline]
    pub(crate) fn set_numbered(&mut self, LineNumber(number): LineNumber) -> Result<(), ChangeError> {
        Ok(ask!(self, response::set_line(number))?)
    }

    /// Adds a value to a header, keeping those it had.
    pub fn append_header<'n>(&mut self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Result<(), ChangeError> {
        Ok(ask!(self, response::append_header(name.into(), value.as_ref()))?)
    }

    /// Removes a header; nothing happens when it is absent.
    pub fn remove_header<'n>(&mut self, name: impl Into<HeaderName<'n>>) -> Result<(), ChangeError> {
        Ok(ask!(self, response::remove_header(name.into()))?)
    }
}
