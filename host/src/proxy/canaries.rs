//! Which versions a client meets while canaries run: chosen once for a request, after its route, and the same for every request
//! of one client.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;
use http::header::COOKIE;

use super::snapshot::RoutePlan;
use crate::config::model::{CanaryBy, Share};
use crate::exchange::Exchange;

/// A route with canaries.
#[derive(Debug)]
pub struct Canaries {
    /// What a client is.
    pub by: Arc<CanaryBy>,
    /// Below which number a client meets which plan; ascending.
    pub levels: Vec<(u32, Arc<RoutePlan>)>,
}

impl RoutePlan {
    /// The route as this request's client meets it.
    pub(super) fn for_client(self: &Arc<Self>, exchange: &Exchange) -> &Arc<Self> {
        match &self.canaries {
            None => self,
            Some(canaries) => canaries.pick(exchange).unwrap_or(self),
        }
    }
}

impl Canaries {
    #[cold]
    fn pick(&self, exchange: &Exchange) -> Option<&Arc<RoutePlan>> {
        let number = number(&self.by, &exchange.request.headers, exchange.client);
        self.levels.iter().find(|(bound, _)| number < *bound).map(|(_, plan)| plan)
    }
}

/// A client's number, of as many as there are parts in a whole. Every gateway gives a client the same one.
fn number(by: &CanaryBy, headers: &HeaderMap, client: IpAddr) -> u32 {
    let named = by.header.as_ref().and_then(|name| headers.get(name)).map(|value| value.as_bytes()).filter(|value| !value.is_empty());
    let named = named.or_else(|| by.cookie.as_ref().and_then(|name| cookie(headers, name)));
    let hash = match (named, client) {
        (Some(value), _) => hash(value),
        (None, IpAddr::V4(address)) => hash(&address.octets()),
        // Who has a network of 64 bits has all of its addresses, and changes them.
        (None, IpAddr::V6(address)) => hash(address.octets().first_chunk::<8>().map_or(&[][..], |network| network)),
    };
    u32::try_from(hash % u64::from(Share::ALL.0)).unwrap_or_default()
}

/// The value of a cookie (RFC 6265, section 4.2.1).
fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h [u8]> {
    let pairs = headers.get_all(COOKIE).into_iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).find_map(|pair| pair.strip_prefix(name.as_bytes())?.strip_prefix(b"=")).filter(|value| !value.is_empty())
}

/// FNV-1a, with the last steps of SplitMix64 behind it: addresses that differ in few bits are to be far apart. What a client can
/// gain by choosing its number is a version of a plugin that the operator serves anyway.
fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let mixed = (fnv ^ (fnv >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn of(by: &CanaryBy, headers: &[(&'static str, &'static str)], client: &str) -> u32 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        number(by, &map, client.parse().unwrap())
    }

    #[test]
    fn a_share_of_the_clients_is_that_share() {
        let by = CanaryBy::default();
        let clients = 20_000_u32;
        for (share, part) in [(10_000, 0.01), (50_000, 0.05), (500_000, 0.5)] {
            let v4 =
                (0..clients).filter(|client| number(&by, &HeaderMap::new(), IpAddr::V4((0x0a00_0000 | client).into())) < share).count();
            let v6 = (0..clients).filter(|client| {
                let address = Ipv6Addr::from((0x2001_0db8_u128 << 96) | (u128::from(*client) << 64));
                number(&by, &HeaderMap::new(), IpAddr::V6(address)) < share
            });
            let (expected, v6) = (f64::from(clients) * part, v6.count());
            // Five standard deviations.
            let near = 5.0 * (expected * (1.0 - part)).sqrt();
            assert!((v4 as f64 - expected).abs() < near && (v6 as f64 - expected).abs() < near, "{share}: {v4} and {v6} of {clients}");
        }
    }

    #[test]
    fn a_client_is_what_the_configuration_says() {
        let by_address = CanaryBy::default();
        assert_eq!(of(&by_address, &[("x-user", "a")], "10.0.0.1"), of(&by_address, &[("x-user", "b")], "10.0.0.1"));
        assert_eq!(of(&by_address, &[], "2001:db8::1"), of(&by_address, &[], "2001:db8::ffff:1"), "one network");
        assert_ne!(of(&by_address, &[], "2001:db8::1"), of(&by_address, &[], "2001:db8:0:1::1"));

        let by = CanaryBy { header: Some("x-user".parse().unwrap()), cookie: Some("session".to_owned()) };
        let first = of(&by, &[("x-user", "a")], "10.0.0.1");
        assert_eq!(first, of(&by, &[("x-user", "a"), ("cookie", "session=z")], "10.0.0.2"));
        assert_ne!(first, of(&by, &[("x-user", "b")], "10.0.0.1"));
        let second = of(&by, &[("cookie", "session=z")], "10.0.0.1");
        assert_eq!(second, of(&by, &[("x-user", ""), ("cookie", "xsession=y; session=z"), ("cookie", "a=b")], "10.0.0.2"));
        assert_ne!(second, of(&by, &[("cookie", "session=y")], "10.0.0.1"));
        for nothing in [&[][..], &[("cookie", "session=")], &[("cookie", "sessions=z")]] {
            assert_eq!(of(&by, nothing, "10.0.0.1"), of(&by_address, &[], "10.0.0.1"));
        }
    }
}
