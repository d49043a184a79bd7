//! What becomes of a connection that cannot go on.

use std::error::Error;
use std::fmt;
use std::io;

/// Why a connection ended before what was on it had.
#[derive(Debug)]
pub enum Http1Error {
    /// Reading or writing failed.
    Io(io::Error),
    /// The other side closed before a response head was whole.
    Closed,
    /// What came is no response head, or one whose end cannot be trusted.
    Head(&'static str),
    /// The same, as the parser says it.
    Parse(httparse::Error),
    /// A body is not framed as its head says.
    Body(&'static str),
    /// A body ended before it was whole.
    Incomplete,
    /// The request's own body broke off.
    Request(Box<dyn Error + Send + Sync>),
}

impl Http1Error {
    /// Whether the other side does not speak HTTP/1.1, or not well enough.
    pub(in crate::upstream) fn is_malformed(&self) -> bool {
        matches!(self, Self::Head(_) | Self::Parse(_) | Self::Body(_))
    }
}

impl fmt::Display for Http1Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Closed => f.write_str("the connection was closed before a response head was whole"),
            Self::Head(why) | Self::Body(why) => f.write_str(why),
            Self::Parse(error) => write!(f, "no response head: {error}"),
            Self::Incomplete => f.write_str("the connection was closed within a response body"),
            Self::Request(error) => error.fmt(f),
        }
    }
}

impl Error for Http1Error {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // What it says itself is said above.
            Self::Io(error) => error.source(),
            _ => None,
        }
    }
}
