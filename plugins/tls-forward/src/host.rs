//! Names of servers: what may be sent as `Host`, and as the server name of TLS.

use std::net::{Ipv4Addr, Ipv6Addr};

/// A name to verify a certificate against: a DNS name (RFC 1123, section 2.1) or an IP address without brackets.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    if name.parse::<Ipv6Addr>().is_ok() || is_ipv4_or_dns_name(name) { Ok(()) } else { Err("neither a DNS name nor an IP address") }
}

/// `host` with an optional `:port` (RFC 9110, section 7.2). User information has no place in `Host`.
pub(crate) fn check_authority(authority: &str) -> Result<(), &'static str> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']').ok_or("a bracket is open")?;
            if address.parse::<Ipv6Addr>().is_err() {
                return Err("no IPv6 address in the brackets");
            }
            (None, port.strip_prefix(':').or(if port.is_empty() { Some("1") } else { None }))
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (Some(host), Some(port)),
            None => (Some(authority), Some("1")),
        },
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0);
    if !port.is_some_and(is_port) {
        return Err("no port from 1 to 65535 after the colon; an IPv6 address needs brackets");
    }
    if host.is_none_or(is_ipv4_or_dns_name) { Ok(()) } else { Err("not a host name") }
}

/// Labels of 1 to 63 letters, digits, `-` and `_`, in all at most 253; a name of digits and dots must be an IPv4 address,
/// because everyone else would read one in it.
fn is_ipv4_or_dns_name(name: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label =
        |label: &str| (1..=63).contains(&label.len()) && label.bytes().all(legal) && !label.starts_with('-') && !label.ends_with('-');
    let is_numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if is_numeric { name.parse::<Ipv4Addr>().is_ok() } else { name.len() <= 253 && name.split('.').all(is_label) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_and_addresses() {
        for name in ["orders.internal", "a", "xn--bcher-kva.example", "_svc.a-b.example", "192.0.2.1", "2001:db8::1"] {
            assert_eq!(check_name(name), Ok(()), "{name}");
        }
        for authority in ["orders.internal", "orders.internal:8443", "192.0.2.1:1", "[2001:db8::1]", "[::1]:65535"] {
            assert_eq!(check_authority(authority), Ok(()), "{authority}");
        }
    }

    #[test]
    fn refuses_what_is_neither() {
        let long_label = "a".repeat(64);
        let long_name = vec!["a"; 128].join(".");
        for name in [
            "",
            ".",
            "a..b",
            "a.",
            ".a",
            "-a",
            "a-",
            "a b",
            "bücher",
            "a/b",
            "a:1",
            "[::1]",
            "1.2.3",
            "256.1.1.1",
            "a.7",
            &long_label,
            &long_name,
        ] {
            assert!(check_name(name).is_err(), "{name}");
        }
        for authority in
            ["", ":80", "a:", "a:0", "a:65536", "a:+1", "a:b", "user@a", "::1", "[::1", "[::1]x", "[::1]:", "[a]", "[]", "a:1:2", "a/"]
        {
            assert!(check_authority(authority).is_err(), "{authority}");
        }
    }
}
