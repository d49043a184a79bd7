//! What is asked of every proxy. A scenario is one value here; nothing else has to be written for another one.

use plugway_harness::Result;
use plugway_harness::error::Context;

/// Bytes of the answer where no body size is given.
pub(super) const SMALL_BODY: usize = 64;

/// What is asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    /// How it is called in options and JSON.
    pub(super) name: &'static str,
    /// What it is, for readers.
    pub(super) title: &'static str,
    /// Connections of the load generator.
    pub(super) connections: u32,
    /// Requests under way on each of them.
    pub(super) streams: u32,
    /// Bytes of the body of the request and of the answer. 0: a GET, answered with [`SMALL_BODY`] bytes.
    pub(super) body: usize,
    /// TLS from clients.
    pub(super) tls_in: bool,
    /// TLS to the backend, verified.
    pub(super) tls_out: bool,
    /// HTTP/2 from clients.
    pub(super) http2: bool,
    /// A new connection for each request.
    pub(super) close: bool,
}

/// The one that `cargo xtask bench` and `bench peers --quick` measure.
pub(super) const SMALL: Scenario = Scenario {
    name: "small",
    title: "GET, 64-byte answer, HTTP/1.1 in the clear, 32 kept connections",
    connections: 32,
    streams: 1,
    body: 0,
    tls_in: false,
    tls_out: false,
    http2: false,
    close: false,
};

/// Everything that `bench peers` measures, in this order.
pub(super) const ALL: [Scenario; 9] = [
    SMALL,
    Scenario { name: "body-64k", title: "POST, 64 KiB both ways, HTTP/1.1 in the clear, 32 kept connections", body: 64 << 10, ..SMALL },
    Scenario { name: "body-1m", title: "POST, 1 MiB both ways, HTTP/1.1 in the clear, 32 kept connections", body: 1 << 20, ..SMALL },
    Scenario { name: "tls-in", title: "GET, 64-byte answer, TLS from clients, 32 kept connections", tls_in: true, ..SMALL },
    Scenario { name: "tls-out", title: "GET, 64-byte answer, TLS to the backend, verified, 32 kept connections", tls_out: true, ..SMALL },
    Scenario {
        name: "http2",
        title: "GET, 64-byte answer, HTTP/2 over TLS from clients, 8 connections with 4 requests on each",
        connections: 8,
        streams: 4,
        tls_in: true,
        http2: true,
        ..SMALL
    },
    Scenario {
        name: "new-connections",
        title: "GET, 64-byte answer, HTTP/1.1 in the clear, a connection for each request",
        close: true,
        ..SMALL
    },
    Scenario { name: "connections-1", title: "GET, 64-byte answer, HTTP/1.1 in the clear, 1 kept connection", connections: 1, ..SMALL },
    Scenario {
        name: "connections-1000",
        title: "GET, 64-byte answer, HTTP/1.1 in the clear, 1,000 kept connections",
        connections: 1_000,
        ..SMALL
    },
];

impl Scenario {
    /// The one of that name.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn named(name: &str) -> Result<Self> {
        let known = || ALL.map(|scenario| scenario.name).join(", ");
        ALL.into_iter().find(|scenario| scenario.name == name).context(format!("no scenario {name}; there are {}", known()))
    }

    /// Bytes of the answer's body.
    pub(super) fn answer(&self) -> usize {
        if self.body == 0 { SMALL_BODY } else { self.body }
    }

    /// `http` or `https`, as clients say it.
    pub(super) fn scheme(&self) -> &'static str {
        if self.tls_in { "https" } else { "http" }
    }
}
