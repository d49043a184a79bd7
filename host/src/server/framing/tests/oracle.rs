//! What the scanner has to accept, said a second time: over whole buffers, without states, as slowly as it likes.

use std::net::Ipv6Addr;

use super::Limits;

/// One request as the oracle reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) method: String,
    pub(super) http10: bool,
    /// Bytes of the body, chunked framing taken off.
    pub(super) length: u64,
}

/// The requests a connection's bytes consist of; `None` when they are not complete or not good.
pub(super) fn requests(bytes: &[u8], limits: Limits) -> Option<Vec<Seen>> {
    let mut rest = bytes;
    let mut seen = Vec::new();
    loop {
        let start = rest.len();
        rest = rest.strip_prefix(b"\r\n").unwrap_or(rest);
        if rest.is_empty() {
            return Some(seen);
        }
        let (head, body) = split(rest, b"\r\n\r\n")?;
        let (request_line, lines) = split(head, b"\r\n").unwrap_or((head, b""));
        let fields = fields(lines, limits)?;
        if start - body.len() > limits.head_bytes {
            return None;
        }
        let (method, http10) = request_line_of(request_line)?;
        let [host, length, coding] = ["host", "content-length", "transfer-encoding"].map(|wanted| {
            fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.as_str()).collect::<Vec<_>>()
        });
        match host.as_slice() {
            [] if http10 => {}
            [host] if is_host(host) => {}
            _ => return None,
        }
        let length = match (length.as_slice(), coding.as_slice()) {
            ([], []) => 0,
            ([length], []) => number(length, 10)?,
            ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && !http10 => {
                let (length, after) = chunks(body, limits)?;
                seen.push(Seen { method, http10, length });
                rest = after;
                continue;
            }
            _ => return None,
        };
        rest = body.get(usize::try_from(length).ok()?..)?;
        seen.push(Seen { method, http10, length });
    }
}

fn split<'a>(bytes: &'a [u8], at: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let found = bytes.windows(at.len()).position(|window| window == at)?;
    Some((&bytes[..found], &bytes[found + at.len()..]))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

fn request_line_of(line: &[u8]) -> Option<(String, bool)> {
    let words: Vec<&str> = std::str::from_utf8(line).ok()?.split(' ').collect();
    let &[method, target, version] = words.as_slice() else { return None };
    let http10 = match version {
        "HTTP/1.0" => true,
        "HTTP/1.1" => false,
        _ => return None,
    };
    let visible = target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    (is_token(method) && visible && is_target(method, target)).then(|| (method.to_owned(), http10))
}

fn is_target(method: &str, target: &str) -> bool {
    if method == "CONNECT" {
        return is_host(target);
    }
    let lower = target.to_ascii_lowercase();
    match lower.strip_prefix("http://").or_else(|| lower.strip_prefix("https://")) {
        Some(rest) => is_host(rest.split(['/', '?']).next().unwrap_or_default()),
        None => target.starts_with('/') || target == "*" && method == "OPTIONS",
    }
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let port = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
    let host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => {
            let labels = host.strip_suffix('.').unwrap_or(host);
            let good = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            host.len() <= 254 && labels.split('.').all(good)
        }
    };
    host && port
}

/// Header or trailer lines, values trimmed. Bytes above 0x7F become one character each.
fn fields(lines: &[u8], limits: Limits) -> Option<Vec<(String, String)>> {
    let text: String = lines.iter().map(|byte| char::from(*byte)).collect();
    if text.is_empty() {
        return Some(Vec::new());
    }
    let mut fields = Vec::new();
    for line in text.split("\r\n") {
        let (name, value) = line.split_once(':')?;
        if !is_token(name) || value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return None;
        }
        fields.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    (fields.len() <= limits.headers).then_some(fields)
}

fn number(text: &str, radix: u32) -> Option<u64> {
    let digits = !text.is_empty() && text.chars().all(|digit| digit.is_digit(radix));
    // A sign would parse, too.
    u64::from_str_radix(text, radix).ok().filter(|number| digits && i64::try_from(*number).is_ok())
}

/// The length of a chunked body, and what follows it.
fn chunks(body: &[u8], limits: Limits) -> Option<(u64, &[u8])> {
    let (mut rest, mut length) = (body, 0);
    loop {
        let (line, after) = split(rest, b"\r\n")?;
        let line = std::str::from_utf8(line).ok()?;
        let (size, extension) = line.split_at(line.find(';').unwrap_or(line.len()));
        let plain = extension.bytes().all(|byte| byte == b'\t' || byte == b' ' || byte.is_ascii_graphic());
        if size.len() > 16 || extension.len() > 256 || !plain {
            return None;
        }
        match number(size, 16)? {
            0 => {
                let (trailers, after) = match after.strip_prefix(b"\r\n") {
                    Some(after) => (&b""[..], after),
                    None => split(after, b"\r\n\r\n")?,
                };
                let framing = ["host", "content-length", "transfer-encoding"];
                let bad = |name: &str| framing.iter().any(|framing| name.eq_ignore_ascii_case(framing));
                let good = fields(trailers, limits)?.iter().all(|(name, _)| !bad(name)) && trailers.len() + 4 <= limits.head_bytes;
                return good.then_some((length, after));
            }
            size => {
                length += size;
                rest = after.get(usize::try_from(size).ok()?..)?.strip_prefix(b"\r\n")?;
            }
        }
    }
}
