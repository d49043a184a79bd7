//! `application/x-www-form-urlencoded`, as requests to an authorization server are written (RFC 6749, appendix B).

/// Pairs, as they are sent.
#[derive(Default)]
pub(crate) struct Form(String);

impl Form {
    /// Adds a pair.
    pub(crate) fn add(&mut self, name: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        self.0.push_str(name);
        self.0.push('=');
        self.0.push_str(&encoded(value));
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// One value.
pub(crate) fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'*' | b'-' | b'.' | b'_' => text.push(byte.into()),
            b' ' => text.push('+'),
            byte => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
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
