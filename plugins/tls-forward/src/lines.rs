//! Header lines of the configuration.

use plugway_sdk::{HeaderName, header};

/// A header name (RFC 9110, section 5.1) that plugins may touch, as a number: it is used for every request.
pub(crate) fn check_name(name: &str) -> Result<HeaderName<'static>, &'static str> {
    let name = name.to_ascii_lowercase();
    if name == "host" {
        return Err("use the key `host`");
    }
    if header::is_reserved(&name) {
        return Err("the gateway sets this header itself and lets no plugin change it");
    }
    HeaderName::numbered(&name).map_err(|_| "not a header name")
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
    fn keeps_names_in_lower_case() {
        assert_eq!(check_name("Authorization").unwrap(), header::AUTHORIZATION);
        assert_eq!(check_name("X-A").unwrap().as_str(), "x-a");
    }

    #[test]
    fn refuses_names_that_are_none_or_the_gateways_own() {
        for name in ["", "a b", "a:", "ä", "a\r", "Host", "Content-Length", "X-Forwarded-For", "TE"] {
            assert!(check_name(name).is_err(), "{name}");
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
