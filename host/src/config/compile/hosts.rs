//! Host patterns.

use std::net::{IpAddr, Ipv6Addr};

use super::endpoint::Wrong;
use super::values::is_host_name;
use crate::config::model::HostPattern;

/// `api.example.com`, `*.example.com`, `10.0.0.1` or `[fd00::1]`; upper case is as good as lower.
pub(super) fn parse(text: &str) -> Result<HostPattern, Wrong> {
    let lower = text.to_ascii_lowercase();
    let wrong = |message: &str, help: String| Err((format!("{text:?} {message}"), help));
    if let Some((_, rest)) = lower.split_once("://") {
        let host = rest.split(['/', ':']).next().unwrap_or(rest);
        return wrong("is a URL, and here stands a host", format!("write `{host}`"));
    }
    if lower == "*" {
        return wrong("is no host", "leave `host` out to take every host".to_owned());
    }
    if let Some((address, port)) = lower.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        return match (address.parse::<Ipv6Addr>(), port) {
            // Requests spell an address in many ways, but this one in the way of RFC 5952.
            (Ok(address), "") => Ok(HostPattern::Exact(format!("[{address}]"))),
            (Ok(address), _) => wrong("has a port; hosts are matched without", format!("write `[{address}]`")),
            (Err(_), _) => wrong("is no IPv6 address", "write one in brackets, such as `[fd00::1]`".to_owned()),
        };
    }
    if lower.parse::<Ipv6Addr>().is_ok() {
        return wrong("is an IPv6 address without brackets", format!("write `[{lower}]`"));
    }
    if let Some((host, port)) = lower.rsplit_once(':')
        && port.bytes().all(|byte| byte.is_ascii_digit())
    {
        return wrong("has a port; hosts are matched without", format!("write `{host}`"));
    }
    if !text.is_ascii() {
        return wrong("is not ASCII, as hosts in requests are", "write its `xn--` form".to_owned());
    }
    // A request's trailing dot is cut off before it is matched.
    let name = lower.strip_suffix('.').unwrap_or(&lower);
    match name.strip_prefix("*.") {
        Some(suffix) if suffix.parse::<IpAddr>().is_ok() => {
            wrong("is no host", "a wildcard stands before a domain, such as `*.example.com`".to_owned())
        }
        Some(suffix) if is_host_name(suffix) => Ok(HostPattern::Wildcard(suffix.to_owned())),
        None if is_host_name(name) => Ok(HostPattern::Exact(name.to_owned())),
        _ if name.contains('*') => wrong(
            "has a `*` that is not its first label",
            "write `*.` and a domain, such as `*.example.com`, for everything below it".to_owned(),
        ),
        _ => wrong("is no host", "write a host such as `api.example.com`, or `*.example.com` for everything below it".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{HostPattern, parse};

    #[test]
    fn patterns() {
        let exact = |host: &str| Ok(HostPattern::Exact(host.to_owned()));
        assert_eq!(parse("API.Example.com"), exact("api.example.com"));
        assert_eq!(parse("api.example.com."), exact("api.example.com"));
        assert_eq!(parse("10.0.0.1"), exact("10.0.0.1"));
        assert_eq!(parse("[FD00:0:0::1]"), exact("[fd00::1]"));
        assert_eq!(parse("*.Example.com"), Ok(HostPattern::Wildcard("example.com".to_owned())));
        for text in [
            "",
            "*",
            "*.",
            ".",
            "a..b",
            "*example.com",
            "a.*.b",
            "*.*.b",
            "a:80",
            "https://a",
            "[::1]:80",
            "::1",
            "[a]",
            "a b",
            "a/b",
            "münchen.de",
            "*.10.0.0.1",
            "-a.b",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
