//! What follows a filter.

use crate::answer::LocalResponse;
use crate::header::LineNumber;

/// What follows a filter.
#[derive(Debug, Clone, PartialEq)]
pub enum Flow {
    /// Go on with the chain.
    Next,
    /// Go on with the chain, with a header set; made by [`Request::next_with`](crate::Request::next_with) and
    /// [`Response::next_with`](crate::Response::next_with). Where the gateway may not set it, the hook has failed.
    NextWith(LineNumber),
    /// Stop here and answer the client with this. From `on_response`: this takes the response's place, and the remaining response
    /// filters see it.
    Respond(LocalResponse),
}

impl<T: Into<LocalResponse>> From<T> for Flow {
    fn from(answer: T) -> Self {
        Self::Respond(answer.into())
    }
}

impl Flow {
    /// Stop here and answer the client with this.
    pub fn respond(answer: impl Into<LocalResponse>) -> Self {
        Self::Respond(answer.into())
    }
}
