//! Requests of plugins' own to other servers.

mod message;

pub use message::{AnswerSource, HttpError, IncomingResponse, OutgoingRequest};
