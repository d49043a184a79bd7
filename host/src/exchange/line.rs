//! Header lines that hooks write often: what can be known of one is known before the first request.

use http::{HeaderName, HeaderValue};

use super::change::{is_reserved, is_reserved_in_response};

/// A header line, and who may not write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub(super) name: HeaderName,
    pub(super) value: HeaderValue,
    pub(super) is_reserved: bool,
    pub(super) is_reserved_in_response: bool,
}

impl Line {
    /// A line of that name and value.
    pub fn new(name: HeaderName, value: HeaderValue) -> Self {
        let (is_reserved, is_reserved_in_response) = (is_reserved(&name), is_reserved_in_response(&name));
        Self { name, value, is_reserved, is_reserved_in_response }
    }

    /// Bytes of name and value.
    pub fn size(&self) -> usize {
        self.name.as_str().len() + self.value.len()
    }
}
