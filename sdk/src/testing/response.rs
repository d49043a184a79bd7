//! Responses of the double.

use std::cell::RefCell;

use super::capabilities::header_lines;
use super::handle::Handle;
use super::headers::Headers;
use super::rules;
use crate::bindings::imports::plugway::gateway::types::{ChangeError, ResponseOrigin};
use crate::header::{self, HeaderLine, HeaderName};
use crate::status::Status;

/// Builds a response: `testing::Response::new(200).header("content-type", "text/plain").build()`.
#[derive(Debug, Clone)]
pub struct Response {
    facts: ResponseFacts,
}

#[derive(Debug, Clone)]
pub(crate) struct ResponseFacts {
    status: u16,
    headers: Headers,
    origin: ResponseOrigin,
}

impl Response {
    /// A response of the upstream's endpoint 1.
    pub fn new(status: impl Into<Status>) -> Self {
        let origin = ResponseOrigin::Upstream(1);
        Self { facts: ResponseFacts { status: status.into().0, headers: Headers::default(), origin } }
    }

    /// Adds a header.
    #[must_use]
    pub fn header<'n>(mut self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Self {
        self.facts.headers.append(name.into().as_str().to_owned(), value.as_ref());
        self
    }

    /// Sets who made it.
    #[must_use]
    pub fn origin(mut self, origin: ResponseOrigin) -> Self {
        self.facts.origin = origin;
        self
    }

    /// The response as a hook gets it.
    pub fn build(self) -> crate::Response<'static> {
        crate::Response::new(Handle::new(FakeResponse { facts: RefCell::new(self.facts) }))
    }
}

/// What stands in for the gateway's response. Its methods have the shape of the generated ones.
#[derive(Debug)]
pub(crate) struct FakeResponse {
    facts: RefCell<ResponseFacts>,
}

type Changed = Result<(), ChangeError>;

impl FakeResponse {
    pub(crate) fn save(&self) -> ResponseFacts {
        self.facts.borrow().clone()
    }

    pub(crate) fn restore(&self, facts: ResponseFacts) {
        self.facts.replace(facts);
    }

    pub(crate) fn status(&self) -> u16 {
        self.facts.borrow().status
    }

    pub(crate) fn set_status(&self, status: u16) -> Changed {
        rules::response_changes()?;
        let mut facts = self.facts.borrow_mut();
        if !(200..600).contains(&status) {
            return Err(ChangeError::Invalid("the status is not one of 200 to 599".to_owned()));
        }
        if has_no_body(status) != has_no_body(facts.status) {
            return Err(ChangeError::Invalid("this status would change the message's framing".to_owned()));
        }
        facts.status = status;
        Ok(())
    }

    pub(crate) fn origin(&self) -> ResponseOrigin {
        self.facts.borrow().origin.clone()
    }

    pub(crate) fn header(&self, name: HeaderName<'_>) -> Option<Vec<u8>> {
        self.facts.borrow().headers.get(&name)
    }

    pub(crate) fn header_values(&self, name: HeaderName<'_>) -> Vec<Vec<u8>> {
        self.facts.borrow().headers.values(&name)
    }

    pub(crate) fn headers(&self) -> Vec<HeaderLine> {
        self.facts.borrow().headers.all()
    }

    pub(crate) fn set_header(&self, name: HeaderName<'_>, value: &[u8]) -> Changed {
        rules::response_changes()?;
        let name = rules::header_line(name.as_str(), value, header::is_reserved_in_response)?;
        self.facts.borrow_mut().headers.set(name, value);
        Ok(())
    }

    pub(crate) fn set_line(&self, line: u16) -> Changed {
        header_lines::line(line).and_then(|(name, value)| self.set_header(HeaderName::Text(&name), &value))
    }

    pub(crate) fn append_header(&self, name: HeaderName<'_>, value: &[u8]) -> Changed {
        rules::response_changes()?;
        let name = rules::header_line(name.as_str(), value, header::is_reserved_in_response)?;
        self.facts.borrow_mut().headers.append(name, value);
        Ok(())
    }

    pub(crate) fn remove_header(&self, name: HeaderName<'_>) -> Changed {
        rules::response_changes()?;
        let name = rules::header_name(name.as_str(), header::is_reserved_in_response)?;
        self.facts.borrow_mut().headers.remove(&name);
        Ok(())
    }
}

/// RFC 9110, sections 15.3.5, 15.3.6 and 15.4.5.
pub(crate) fn has_no_body(status: u16) -> bool {
    matches!(status, 204 | 205 | 304)
}
