//! `application/x-www-form-urlencoded`, as requests to an authorization server are written (RFC 6749, appendix B).

use form_urlencoded::{Serializer, byte_serialize};

/// Pairs, as they are sent.
#[derive(Default)]
pub(crate) struct Form(String);

impl Form {
    /// Adds a pair.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        Serializer::new(&mut self.0).append_pair(name, value);
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// One value.
pub(crate) fn encoded(value: &str) -> String {
    byte_serialize(value.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_pairs_that_cannot_be_taken_for_others() {
        let mut form = Form::default();
        form.add("token", "a+b/c=&x=1%\n ü");
        form.add("token_type_hint", "access_token");
        assert_eq!(form.as_str(), "token=a%2Bb%2Fc%3D%26x%3D1%25%0A+%C3%BC&token_type_hint=access_token");
    }
}
