//! Which address is the client's: the connection's, unless it is a proxy the operator trusts; then the nearest address
//! in `X-Forwarded-For`, or where that is configured in `Forwarded` (RFC 7239), that is not a trusted proxy itself.
//!
//! Read from the right: everything left of the first untrusted address was written by whoever that is.

use std::net::IpAddr;

use http::header::FORWARDED;
use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

use crate::config::model::ClientAddressHeader;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Whether an address is one of the trusted proxies.
pub(super) fn is_trusted(trusted: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|network| network.contains(&address))
}

/// The client's address, by the header that the proxies write: another one came from the client as it is.
pub(super) fn client_address(trusted: &[IpNet], by: ClientAddressHeader, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_trusted(trusted, client) {
        return client;
    }
    let (name, read): (HeaderName, fn(&str) -> Option<IpAddr>) = match by {
        ClientAddressHeader::XForwardedFor => (X_FORWARDED_FOR, node),
        ClientAddressHeader::Forwarded => (FORWARDED, forwarded_for),
    };
    // By bytes: what is no text in one hop, which a client may have written, takes no other hop along.
    let hops = headers.get_all(name).iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops.map(|hop| std::str::from_utf8(hop).ok().and_then(read)) {
        // An obfuscated or broken hop ends what can be known; the last trusted proxy is all we have.
        let Some(hop) = hop else { break };
        client = hop.to_canonical();
        if !is_trusted(trusted, client) {
            break;
        }
    }
    client
}

/// The `for` parameter of one `Forwarded` element.
fn forwarded_for(element: &str) -> Option<IpAddr> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then(|| node(value.trim().trim_matches('"')))?
    })
}

/// A node: an address with or without port, IPv6 in brackets where a port may follow.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split_once(']')?.0.parse().ok().map(IpAddr::V6);
    }
    text.rsplit_once(':')?.0.parse().ok().map(IpAddr::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, headers: &[(&'static str, &str)]) -> String {
        client_by(ClientAddressHeader::XForwardedFor, peer, headers)
    }

    fn client_by(by: ClientAddressHeader, peer: &str, headers: &[(&'static str, &str)]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, http::HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        client_address(&trusted, by, peer.parse().unwrap(), &map).to_string()
    }

    #[test]
    fn a_stranger_cannot_name_another_client() {
        assert_eq!(client("192.0.2.9", &[("x-forwarded-for", "1.1.1.1")]), "192.0.2.9");
    }

    #[test]
    fn takes_the_nearest_address_that_is_no_trusted_proxy() {
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "6.6.6.6, 192.0.2.7, 10.0.0.2")]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.7:4711")]), "192.0.2.7");
        let by = ClientAddressHeader::Forwarded;
        assert_eq!(client_by(by, "10.0.0.1", &[("forwarded", "for=6.6.6.6;proto=http, For=\"[2001:db8::1]:443\"")]), "2001:db8::1");
    }

    #[test]
    fn a_header_that_no_proxy_writes_is_the_clients_own() {
        let both = [("forwarded", "for=6.6.6.6"), ("x-forwarded-for", "192.0.2.7")];
        assert_eq!(client("10.0.0.1", &both), "192.0.2.7");
        assert_eq!(client_by(ClientAddressHeader::Forwarded, "10.0.0.1", &both), "6.6.6.6");
        for (by, only) in [(ClientAddressHeader::XForwardedFor, both[0]), (ClientAddressHeader::Forwarded, both[1])] {
            assert_eq!(client_by(by, "10.0.0.1", &[only]), "10.0.0.1");
        }
    }

    #[test]
    fn what_is_no_text_takes_no_other_hop_along() {
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "\u{e9}, 192.0.2.7")]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "\u{e9}, 192.0.2.7")]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "\u{e9}")]), "10.0.0.1");
    }

    #[test]
    fn stops_at_what_it_cannot_read() {
        assert_eq!(client("10.0.0.1", &[("x-forwarded-for", "192.0.2.7, unknown, 10.0.0.2")]), "10.0.0.2");
        assert_eq!(client_by(ClientAddressHeader::Forwarded, "10.0.0.1", &[("forwarded", "for=_hidden")]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_self() {
        assert_eq!(client("::ffff:10.0.0.1", &[("x-forwarded-for", "192.0.2.7")]), "192.0.2.7");
    }
}
