//! As much of a URL as matters here (RFC 3986): an origin and a path. User information is refused.

use std::net::IpAddr;

use percent_encoding::percent_decode_str;

/// A URL of `http` or `https`, with scheme and host in lower case and without the port its scheme implies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url<'a> {
    pub(crate) is_https: bool,
    /// Host and, where it is not the scheme's own, port.
    pub(crate) authority: String,
    /// As written; `/` where there is none.
    pub(crate) path: &'a str,
    pub(crate) has_query: bool,
    pub(crate) has_fragment: bool,
}

impl<'a> Url<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) || text.contains('\\') {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at_checked(end)?;
        let (before, has_fragment) = rest.split_once('#').map_or((rest, false), |(before, _)| (before, true));
        let (path, has_query) = before.split_once('?').map_or((before, false), |(path, _)| (path, true));
        Some(Self {
            is_https,
            authority: canonical_authority(authority, is_https)?,
            path: if path.is_empty() { "/" } else { path },
            has_query,
            has_fragment,
        })
    }

    /// The scheme and the authority.
    pub(crate) fn origin(&self) -> String {
        format!("{}://{}", if self.is_https { "https" } else { "http" }, self.authority)
    }

    /// Whether it is a name or an address of this machine: nobody listens on the way there.
    pub(crate) fn is_loopback(&self) -> bool {
        let host = host_of(&self.authority);
        host == "localhost"
            || host == "[::1]"
            || host.strip_prefix("127.").is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
    }

    /// The address that its host is, where it is no name.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        host_of(&self.authority).trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Whether what goes there is read and changed by nobody on the way.
    pub(crate) fn is_safe(&self) -> bool {
        self.is_https || self.is_loopback()
    }
}

/// Whether two paths are one place: `%3A` is `:` there, as it is to the route.
pub(crate) fn is_same_path(one: &str, other: &str) -> bool {
    percent_decode_str(one).eq(percent_decode_str(other))
}

/// An authority in lower case and without the port its scheme implies.
pub(crate) fn canonical_authority(authority: &str, is_https: bool) -> Option<String> {
    let authority = authority.to_ascii_lowercase();
    let host = host_of(&authority);
    let port = authority.get(host.len()..)?;
    let is_own = |port: &str| port == if is_https { ":443" } else { ":80" };
    if host.is_empty() || authority.contains('@') || !(port.is_empty() || port == ":" || is_port(port)) {
        return None;
    }
    Some(if is_own(port) || port == ":" { host.to_owned() } else { authority })
}

fn is_port(text: &str) -> bool {
    text.strip_prefix(':').is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse::<u16>().is_ok())
}

fn host_of(authority: &str) -> &str {
    let end = match authority.strip_prefix('[') {
        Some(rest) => rest.find(']').map_or(authority.len(), |end| end + 2),
        None => authority.find(':').unwrap_or(authority.len()),
    };
    authority.get(..end).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_origins_and_paths() {
        for (text, origin, path) in [
            ("https://id.example.com", "https://id.example.com", "/"),
            ("HTTPS://ID.Example.com:443/a/b?c#d", "https://id.example.com", "/a/b"),
            ("http://127.0.0.1:80/", "http://127.0.0.1", "/"),
            ("http://[::1]:8080/x", "http://[::1]:8080", "/x"),
            ("https://a?b/c", "https://a", "/"),
        ] {
            let url = Url::parse(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!((url.origin().as_str(), url.path), (origin, path), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "id.example.com",
            "ftp://a",
            "https://",
            "https:///a",
            "https://a b",
            "https://u@a",
            "https://a:x",
            "https://a:99999",
            "https://a\\b",
            "https://é",
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
    }

    #[test]
    fn paths_are_compared_by_what_they_stand_for() {
        for (one, other, is_same) in [
            ("/a:b", "/a%3Ab", true),
            ("/a%3ab", "/a%3Ab", true),
            ("/~a", "/%7Ea", true),
            ("/100%25", "/100%25", true),
            ("/a:b", "/a%3A", false),
            ("/a", "/A", false),
            ("/a", "/a/", false),
        ] {
            assert_eq!((is_same_path(one, other), is_same_path(other, one)), (is_same, is_same), "{one} {other}");
        }
    }

    #[test]
    fn knows_addresses_from_names() {
        for (text, address) in [
            ("http://127.0.0.1:4000/a", Some("127.0.0.1")),
            ("https://[FD00::1]:8443", Some("fd00::1")),
            ("https://id.example.com", None),
            ("https://127.0.0.1.example.com", None),
        ] {
            assert_eq!(Url::parse(text).unwrap().address().map(|address| address.to_string()).as_deref(), address, "{text}");
        }
    }

    #[test]
    fn knows_this_machine() {
        for (text, is_loopback) in [
            ("http://localhost:1", true),
            ("http://127.0.0.1", true),
            ("http://127.8.8.8:9", true),
            ("http://[::1]:1", true),
            ("http://127.0.0.1.example.com", false),
            ("http://localhost.example.com", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(Url::parse(text).unwrap().is_loopback(), is_loopback, "{text}");
        }
    }
}
