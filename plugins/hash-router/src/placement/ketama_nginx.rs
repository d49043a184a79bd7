//! nginx's ring (`ngx_http_upstream_init_chash` in `ngx_http_upstream_hash_module.c`), which is that of Perl's
//! Cache::Memcached::Fast.

use crc32fast::Hasher;

use super::member::Member;
use super::ring::{self, Ring};

/// Points per unit of weight.
const POINTS: u64 = 160;

/// Lays out members: every point is the CRC32 of `HOST \0 PORT PREV_HASH`, where `PREV_HASH` is the point before it in 4
/// bytes, little-endian, and starts at 0. Weights are not reduced: 2 and 4 make another ring than 1 and 2, as in nginx.
pub(super) fn build(members: &[Member]) -> Result<Ring, String> {
    ring::check(members.iter().map(|member| u64::from(member.weight) * POINTS).sum())?;

    let mut points = Vec::new();
    for (owner, member) in (0_u16..).zip(members) {
        let (host, port) = split(&member.name);
        let mut base = Hasher::new();
        base.update(host.as_bytes());
        base.update(b"\0");
        base.update(port.as_bytes());
        let mut previous = 0_u32;
        for _ in 0..u64::from(member.weight) * POINTS {
            let mut hasher = base.clone();
            hasher.update(&previous.to_le_bytes());
            previous = hasher.finalize();
            points.push((previous, owner));
        }
    }
    Ok(Ring::new(points))
}

/// Host and port as nginx reads them from the text after `server`: a port is digits after the last colon, and may be missing;
/// of a Unix socket the path is the host.
fn split(name: &str) -> (&str, &str) {
    if let Some((scheme, path)) = name.split_at_checked(5)
        && scheme.eq_ignore_ascii_case("unix:")
    {
        return (path, "");
    }
    match name.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => (host, port),
        _ => (name, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    // Where the points are is checked against a running nginx, in `tests/nginx.rs`.
    #[test]
    fn a_name_is_split_as_nginx_does_it() {
        assert_eq!(split("10.0.0.1:8080"), ("10.0.0.1", "8080"));
        assert_eq!(split("api.example"), ("api.example", ""));
        assert_eq!(split("[2001:db8::80]:81"), ("[2001:db8::80]", "81"));
        assert_eq!(split("[2001:db8::80]"), ("[2001:db8::80]", ""));
        assert_eq!(split("unix:/run/api.sock"), ("/run/api.sock", ""));
        assert_eq!(split("UNIX:/run/api:80"), ("/run/api:80", ""));
        assert_eq!(split("a:443#2"), ("a:443#2", ""));
    }
}
