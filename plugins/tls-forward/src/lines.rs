//! Header lines of the configuration.

use plugway_sdk::{HeaderName, header};

/// A checked header name. Well-known ones are kept by number, which is what makes them cheap to send across.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Name {
    Known(u16),
    Text(String),
}

impl Name {
    /// A token (RFC 9110, section 5.6.2) that plugins may touch.
    pub(crate) fn check(name: &str) -> Result<Self, &'static str> {
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(legal) {
            return Err("not a header name");
        }
        let name = name.to_ascii_lowercase();
        if name == "host" {
            return Err("use the key `host`");
        }
        if header::is_reserved(&name) {
            return Err("the gateway sets this header itself and lets no plugin change it");
        }
        Ok(match HeaderName::known_or_text(&name) {
            HeaderName::Known(number) => Self::Known(number),
            HeaderName::Text(_) => Self::Text(name),
        })
    }

    pub(crate) fn as_header(&self) -> HeaderName<'_> {
        match self {
            Self::Known(number) => HeaderName::Known(*number),
            Self::Text(text) => HeaderName::Text(text),
        }
    }
}

/// A field value (RFC 9110, section 5.5), with nothing at its ends that a recipient would strip.
pub(crate) fn check_value(value: &str) -> Result<(), &'static str> {
    if value.bytes().any(|byte| (byte < 0x20 && byte != b'\t') || byte == 0x7f) {
        return Err("the value holds a control character");
    }
    if value.trim_matches([' ', '\t']).len() != value.len() {
        return Err("the value begins or ends with a space");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_well_known_names_by_number() {
        assert_eq!(Name::check("Authorization").unwrap().as_header(), header::AUTHORIZATION);
        assert_eq!(Name::check("X-A").unwrap(), Name::Text("x-a".to_owned()));
    }

    #[test]
    fn refuses_names_that_are_none_or_the_gateways_own() {
        for name in ["", "a b", "a:", "ä", "a\r", "Host", "Content-Length", "X-Forwarded-For", "TE"] {
            assert!(Name::check(name).is_err(), "{name}");
        }
    }

    #[test]
    fn refuses_values_that_would_break_a_line() {
        for value in ["a\r\nx: y", "\0", " a", "a\t", "\u{7f}"] {
            assert!(check_value(value).is_err(), "{value:?}");
        }
        for value in ["", "a b", "a\tb", "grün"] {
            assert_eq!(check_value(value), Ok(()), "{value:?}");
        }
    }
}
