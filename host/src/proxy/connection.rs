//! What the requests of one client connection share, so that it is worked out once: its facts, and everything that
//! follows from an authority, which nearly every request of a connection has in common.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use http::HeaderValue;

use crate::exchange::{ConnectionFacts, host_of};
use crate::fault::Fault;

/// A client connection.
pub struct Connection {
    /// What plugins may know.
    pub facts: Arc<ConnectionFacts>,
    /// Whether an authority is covered by the certificate this connection was made with; none on plaintext.
    covers: Option<Box<dyn Fn(&str) -> bool>>,
    /// The peer's address as a header value.
    pub(super) peer: HeaderValue,
    last: RefCell<Option<Rc<Known>>>,
    /// Whether its requests are streams of HTTP/2.
    streams: bool,
    last_request: Cell<bool>,
    activity: Activity,
}

/// What a connection is doing, so that one sweep a worker can close those that do nothing, without a timer a request.
#[derive(Debug)]
struct Activity {
    /// Requests being answered.
    busy: Cell<u32>,
    /// Requests so far.
    requests: Cell<u64>,
    /// Whether part of a head has arrived.
    in_head: Cell<bool>,
    /// Streams whose client has not taken all it was handed.
    unread: Cell<u32>,
    /// Since when it is idle, the head is arriving, or nothing was taken.
    since: Cell<Option<Instant>>,
}

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doing {
    /// Nothing, since then.
    Idle(Instant),
    /// Part of a head has arrived; the first byte at that time.
    Head(Instant),
    /// Requests are being answered.
    Requests,
    /// They are, and the client has taken nothing of any answer since then. Only in HTTP/2: in HTTP/1.1 the socket shows it.
    Unread(Instant),
}

/// One request being answered, until dropped.
#[derive(Debug)]
pub(super) struct Busy {
    connection: Rc<Connection>,
    unread: Cell<bool>,
}

/// What follows from an authority.
#[derive(Debug)]
pub(super) struct Known {
    /// As received.
    raw: HeaderValue,
    /// In lower case.
    pub(super) authority: Arc<str>,
    /// Whether that is how it was received.
    pub(super) is_as_received: bool,
    /// The same as a header value.
    pub(super) host: HeaderValue,
    /// A `Forwarded` element for a request from this peer to this authority.
    pub(super) forwarded: HeaderValue,
}

impl Connection {
    /// A new connection.
    pub fn new(facts: ConnectionFacts, covers: Option<Box<dyn Fn(&str) -> bool>>) -> Self {
        let peer = value(&facts.peer.ip().to_canonical().to_string());
        let activity = Activity {
            busy: Cell::new(0),
            requests: Cell::new(0),
            in_head: Cell::new(false),
            unread: Cell::new(0),
            since: Cell::new(None),
        };
        let streams = facts.tls.as_ref().is_some_and(|tls| tls.alpn == Some("h2"));
        Self { facts: Arc::new(facts), covers, peer, last: RefCell::new(None), streams, last_request: Cell::new(false), activity }
    }

    /// What it is doing. A state's time begins when it is first looked at: whoever looks does so many times a second, and
    /// the request's path is spared the clock.
    pub fn doing(&self, now: Instant) -> Doing {
        let Activity { busy, in_head, since, .. } = &self.activity;
        let began = since.get().unwrap_or(now);
        since.set(Some(began));
        match (busy.get(), in_head.get()) {
            (0, false) => Doing::Idle(began),
            (0, true) => Doing::Head(began),
            _ if self.activity.unread.get() > 0 => Doing::Unread(began),
            _ => Doing::Requests,
        }
    }

    /// Whether it does nothing.
    pub fn is_idle(&self) -> bool {
        !self.is_answering() && !self.activity.in_head.get()
    }

    /// Whether a request is being answered.
    pub fn is_answering(&self) -> bool {
        self.activity.busy.get() > 0
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.activity.requests.get()
    }

    /// The next request is the last one here.
    pub fn set_last(&self) {
        self.last_request.set(true);
    }

    /// Whether no further request is taken.
    pub(super) fn is_last(&self) -> bool {
        self.last_request.get()
    }

    /// Bytes have arrived.
    pub fn received(&self) {
        let Activity { busy, in_head, since, .. } = &self.activity;
        if busy.get() == 0 && !in_head.replace(true) {
            since.set(None);
        }
    }

    /// A request has begun.
    pub(super) fn begin(self: &Rc<Self>) -> Busy {
        let Activity { busy, requests, in_head, .. } = &self.activity;
        busy.set(busy.get() + 1);
        requests.set(requests.get() + 1);
        in_head.set(false);
        Busy { connection: Rc::clone(self), unread: Cell::new(false) }
    }

    /// Checks an authority and works out what follows from it.
    ///
    /// # Errors
    /// `InvalidAuthority` when it is none, `MisdirectedRequest` when this connection's certificate does not cover it
    /// (RFC 9110, section 7.4).
    pub(super) fn authority(&self, raw: &[u8]) -> Result<Rc<Known>, Fault> {
        if let Some(known) = self.last.borrow().as_ref().filter(|known| known.raw.as_bytes() == raw) {
            return Ok(Rc::clone(known));
        }
        let authority = std::str::from_utf8(raw).ok().filter(|authority| is_authority(authority)).ok_or(Fault::InvalidAuthority)?;
        let lower = authority.to_ascii_lowercase();
        if self.covers.as_ref().is_some_and(|covers| !covers(host_of(&lower))) {
            return Err(Fault::MisdirectedRequest);
        }
        let known = Rc::new(Known {
            raw: HeaderValue::from_bytes(raw).map_err(|_| Fault::InvalidAuthority)?,
            forwarded: value(&self.forwarded(&lower)),
            host: value(&lower),
            is_as_received: lower == authority,
            authority: Arc::from(lower),
        });
        *self.last.borrow_mut() = Some(Rc::clone(&known));
        Ok(known)
    }

    /// RFC 7239, section 4; an IPv6 node is quoted and in brackets, and so is a host with a port.
    fn forwarded(&self, host: &str) -> String {
        let address = self.facts.peer.ip().to_canonical();
        let node = if address.is_ipv6() { format!("\"[{address}]\"") } else { address.to_string() };
        let scheme = if self.facts.tls.is_some() { "https" } else { "http" };
        let host = if host.contains([':', '[']) { format!("\"{host}\"") } else { host.to_owned() };
        format!("for={node};host={host};proto={scheme}")
    }
}

/// A name or `[IPv6]`, perhaps a port. As strict with HTTP/2 as the scanner of connections is with HTTP/1.1: what RFC 3986
/// allows beyond that (`;`, `,`, `"`, `%`) means something else in `Forwarded`.
fn is_authority(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (text, None),
    };
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    let is_host = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.strip_suffix('.').unwrap_or(host).split('.').all(is_label),
    };
    is_host && port.is_none_or(is_port)
}

/// Addresses and authorities are visible ASCII, so this never falls back.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

impl Busy {
    /// A part of the answer waits for the client to take it.
    pub(super) fn handed(&self) {
        let Activity { unread, since, .. } = &self.connection.activity;
        if self.connection.streams && !self.unread.replace(true) {
            unread.set(unread.get() + 1);
            since.set(None);
        }
    }

    /// The client has room for more.
    pub(super) fn taken(&self) {
        let Activity { unread, since, .. } = &self.connection.activity;
        if self.unread.replace(false) {
            unread.set(unread.get().saturating_sub(1));
            since.set(None);
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.taken();
        let Activity { busy, since, .. } = &self.connection.activity;
        busy.set(busy.get().saturating_sub(1));
        since.set(None);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("facts", &self.facts).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection() -> Connection {
        let facts = ConnectionFacts { peer: "[::1]:4711".parse().unwrap(), listener: "web".into(), tls: None };
        Connection::new(facts, Some(Box::new(|host| host == "a.example")))
    }

    #[test]
    fn an_authority_is_lower_case_and_covered() {
        let connection = connection();
        let known = connection.authority(b"A.Example:8443").unwrap();
        assert_eq!((&*known.authority, known.is_as_received), ("a.example:8443", false));
        let known = connection.authority(b"a.example:8443").unwrap();
        assert_eq!((&*known.authority, known.is_as_received), ("a.example:8443", true));
        assert_eq!(known.forwarded, "for=\"[::1]\";host=\"a.example:8443\";proto=http");
        assert_eq!(connection.authority(b"b.example").unwrap_err(), Fault::MisdirectedRequest);
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        for raw in [
            &b""[..],
            b"user@a.example",
            b"a b",
            b"a.example/",
            b":80",
            b"\xff",
            b"a.example:",
            b"a.example:x",
            b"a.example:65536",
            b"a.example:+1",
            b"a..example",
            b".a.example",
            b"a,b",
            b"a;by=b",
            b"a%2eexample",
            b"\"a\"",
            b"[::1",
            b"::1",
            b"[a.example]",
            b"[::1]a",
        ] {
            assert_eq!(connection().authority(raw).unwrap_err(), Fault::InvalidAuthority, "{raw:?}");
        }
        for raw in [&b"b"[..], b"b.", b"B_c-1.example:0", b"[::1]", b"[::FFFF:1.2.3.4]:65535", b"127.0.0.1:80"] {
            assert_eq!(connection().authority(raw).unwrap_err(), Fault::MisdirectedRequest, "{raw:?}");
        }
    }
}
