//! Addresses that are not somewhere on the internet: of this machine, of the network it stands in, of a cloud's metadata. A name that
//! a plugin may ask can be made to point at any of them by whoever owns the name.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::message::HttpError;

/// The IANA's special-purpose registry (RFC 6890) and multicast, with what each is.
const V4: [(Ipv4Net, &str); 16] = [
    (v4(0, 0, 0, 0, 8), "of this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "of a carrier's network"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved"),
    (v4(192, 0, 2, 0, 24), "for documentation"),
    (v4(192, 88, 99, 0, 24), "of 6to4 relays"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "for benchmarks"),
    (v4(198, 51, 100, 0, 24), "for documentation"),
    (v4(203, 0, 113, 0, 24), "for documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
];

/// The same of version 6, of what is set apart in it.
const V6: [(Ipv6Net, &str); 13] = [
    (v6([0, 0, 0, 0], 96), "of this machine"),
    (v6([0x64, 0xff9b, 1, 0], 48), "of a local translator"),
    (v6([0x100, 0, 0, 0], 64), "discarded"),
    (v6([0x2001, 0, 0, 0], 32), "of a tunnel"),
    (v6([0x2001, 0x2, 0, 0], 48), "for benchmarks"),
    (v6([0x2001, 0x10, 0, 0], 27), "no address to connect to"),
    (v6([0x2001, 0xdb8, 0, 0], 32), "for documentation"),
    (v6([0x3fff, 0, 0, 0], 20), "for documentation"),
    (v6([0x5f00, 0, 0, 0], 16), "no address to connect to"),
    (v6([0xfc00, 0, 0, 0], 7), "private"),
    (v6([0xfe80, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0], 10), "private"),
    (v6([0xff00, 0, 0, 0], 8), "multicast"),
];

/// What there is on the internet (RFC 4291, section 2.4; IANA).
const GLOBAL: Ipv6Net = v6([0x2000, 0, 0, 0], 3);
/// Addresses of version 6 that stand for one of version 4: by NAT64 (RFC 6052, section 2.1).
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0], 96);
/// By 6to4 (RFC 3056, section 2).
const SIX_TO_FOUR: Ipv6Net = v6([0x2002, 0, 0, 0], 16);

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(head: [u16; 4], prefix: u8) -> Ipv6Net {
    let [a, b, c, d] = head;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0), prefix)
}

/// Those of a host's addresses that may be connected to.
pub(super) fn allowed(host: &str, found: Vec<IpAddr>, granted: &[IpNet]) -> Result<Vec<IpAddr>, HttpError> {
    let Some(first) = found.first().copied() else { return Err(HttpError::Unresolved(format!("{host} has no address"))) };
    let may = |address: &IpAddr| special(*address).is_none() || is_in(granted, *address);
    let good: Vec<_> = found.into_iter().filter(may).collect();
    if good.is_empty() {
        let what = special(first).unwrap_or("special");
        return Err(HttpError::NotAllowed(format!("{host} has the address {first}, which is {what}; `addresses` of the grant has it not")));
    }
    Ok(good)
}

/// What is special about an address; `None` for one somewhere on the internet.
fn special(address: IpAddr) -> Option<&'static str> {
    match address.to_canonical() {
        IpAddr::V4(address) => V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, what)| *what),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => special(IpAddr::V4(inner)),
            None => V6.iter().find(|(network, _)| network.contains(&address)).map(|(_, what)| *what).or_else(|| beyond(address)),
        },
    }
}

/// Whatever else is not global unicast: translated addresses (RFC 2765), and what nobody was given yet.
fn beyond(address: Ipv6Addr) -> Option<&'static str> {
    (!GLOBAL.contains(&address)).then_some("of no network on the internet")
}

/// Whether a grant's networks have an address, however it is written.
fn is_in(networks: &[IpNet], address: IpAddr) -> bool {
    networks.iter().any(|network| network.contains(&address) || network.contains(&address.to_canonical()))
}

/// The address of version 4 that one of version 6 leads to.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bytes = address.octets();
    let at = if NAT64.contains(&address) {
        12
    } else if SIX_TO_FOUR.contains(&address) {
        2
    } else {
        return None;
    };
    let inner: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(Ipv4Addr::from(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_on_the_internet_and_what_is_not() {
        for public in ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "64:ff9b::808:808", "2002:808:808::1"] {
            assert_eq!(special(public.parse().unwrap()), None, "{public}");
        }
        for not in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "::ffff:0:127.0.0.1",
            "::ffff:0:10.0.0.1",
            "200::1",
            "4000::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(special(not.parse().unwrap()).is_some(), "{not}");
        }
    }

    #[test]
    fn a_network_has_an_address_in_whichever_way_it_is_written() {
        let networks = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        for inside in ["10.1.2.3", "::ffff:10.1.2.3", "fd00::1"] {
            assert!(is_in(&networks, inside.parse().unwrap()), "{inside}");
        }
        for outside in ["11.0.0.1", "::ffff:11.0.0.1", "fe80::1", "64:ff9b::a00:1"] {
            assert!(!is_in(&networks, outside.parse().unwrap()), "{outside}");
        }
    }
}
