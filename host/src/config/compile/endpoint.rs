//! URLs of endpoints.

use std::net::Ipv6Addr;

use super::values::is_host_name;

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) tls: bool,
    pub(super) host: String,
    pub(super) port: u16,
}

/// What is wrong with a URL, and what to do about it.
pub(super) type Wrong = (String, String);

/// `http://HOST`, `https://HOST:PORT`: a scheme and where to connect, nothing else. Ports are the scheme's own by default.
pub(super) fn parse(text: &str) -> Result<Url, Wrong> {
    let Some((scheme, rest)) = text.split_once("://") else {
        let help =
            if text.is_empty() || text.contains(['/', ' ']) { "https://10.0.0.1:9443".to_owned() } else { format!("https://{text}") };
        return Err((format!("{text:?} is no URL"), format!("write scheme, host and port, such as `{help}`")));
    };
    let tls = match scheme.to_ascii_lowercase().as_str() {
        "http" => false,
        "https" => true,
        _ => {
            let help = if matches!(scheme, "h2" | "h2c" | "grpc" | "grpcs") {
                "write `https` or `http`, and `protocol = \"http2\"` in the upstream"
            } else {
                "write `https` or `http`"
            };
            return Err((format!("`{scheme}` is no scheme of an endpoint"), help.to_owned()));
        }
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, tail) = rest.split_at(end);
    if !tail.is_empty() {
        let what = if tail.starts_with('/') { "path" } else { "query or fragment" };
        return Err((
            format!("an endpoint has no {what}, but this one has `{tail}`"),
            format!("write `{scheme}://{authority}`; a forwarder can rewrite paths"),
        ));
    }
    if let Some((_, host)) = authority.rsplit_once('@') {
        return Err((
            "an endpoint has no user or password".to_owned(),
            format!("write `{scheme}://{host}`; a plugin can set an `authorization` header"),
        ));
    }
    let (host, port) = match authority.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
        Some((address, port)) => {
            if address.parse::<Ipv6Addr>().is_err() {
                return Err((
                    format!("`{address}` is no IPv6 address"),
                    "write one in brackets, such as `https://[fd00::1]:9443`".to_owned(),
                ));
            }
            (address, port.strip_prefix(':').or_else(|| port.is_empty().then_some("")))
        }
        None if authority.parse::<Ipv6Addr>().is_ok() => {
            return Err(("an IPv6 address stands in brackets".to_owned(), format!("write `{scheme}://[{authority}]`")));
        }
        None => {
            let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
            if !is_host_name(host.strip_suffix('.').unwrap_or(host)) {
                return Err((
                    format!("{host:?} is no host"),
                    format!("write a host name or an IP address, such as `{scheme}://10.0.0.1:9443`"),
                ));
            }
            (host, Some(port))
        }
    };
    let port = match port {
        Some("") if !authority.ends_with(':') => Some(if tls { 443 } else { 80 }),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => port.parse().ok().filter(|port| *port != 0),
        _ => None,
    };
    let Some(port) = port else {
        return Err((
            format!("`{authority}` has no port of 1 to 65535"),
            format!("write one, such as `{scheme}://{}:9443`; without any it is the scheme's own", host_in_url(host)),
        ));
    };
    Ok(Url { tls, host: host.to_ascii_lowercase(), port })
}

fn host_in_url(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Url, parse};

    #[test]
    fn urls() {
        let good = [
            ("http://a", false, "a", 80),
            ("https://A.Example", true, "a.example", 443),
            ("HTTPS://10.0.0.1:9443", true, "10.0.0.1", 9443),
            ("http://[fd00::1]:81", false, "fd00::1", 81),
            ("http://[fd00::1]", false, "fd00::1", 80),
            ("http://my_service:80", false, "my_service", 80),
        ];
        for (text, tls, host, port) in good {
            assert_eq!(parse(text), Ok(Url { tls, host: host.to_owned(), port }), "{text}");
        }
        for text in [
            "",
            "a",
            "a:80",
            "ftp://a",
            "http://",
            "http://a/",
            "http://a/b",
            "http://a?b",
            "http://a#b",
            "http://u@a",
            "http://u:p@a",
            "http://a:",
            "http://a:0",
            "http://a:65536",
            "http://a:+1",
            "http://a:b",
            "http://[::1",
            "http://[a]",
            "http://::1",
            "http://a b",
            "http://[::1]x",
            "http://a:1:2",
            "http://-a",
            "http://[::1]:",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
