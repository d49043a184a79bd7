//! What is asked of every proxy. A scenario is one value here; nothing else has to be written for another one.

use plugway_harness::Result;
use plugway_harness::error::Context;

/// Bytes of the answer where no body size is given.
pub(super) const SMALL_BODY: usize = 64;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    /// Routes, each of which has requests. With one, it takes every path.
    pub(super) routes: usize,
    /// Whether routes are told apart by their paths, and every one has plugin settings of its own.
    pub(super) by_route: bool,
    /// Endpoints behind the proxy.
    pub(super) endpoints: usize,
    /// Proxies with one worker and with two, which share both cores with load and backend.
    pub(super) workers: bool,
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
    routes: 1,
    by_route: false,
    endpoints: 1,
    workers: false,
};

/// As many routes, found by path.
const fn routes(name: &'static str, title: &'static str, routes: usize) -> Scenario {
    Scenario { name, title, routes, by_route: true, ..SMALL }
}

/// As many endpoints, each an address of its own.
const fn endpoints(name: &'static str, title: &'static str, endpoints: usize) -> Scenario {
    Scenario { name, title, endpoints, ..SMALL }
}

/// Everything that `bench peers` measures, in this order.
pub(super) const ALL: [Scenario; 17] = [
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
    Scenario {
        name: "connections-10000",
        title: "GET, 64-byte answer, HTTP/1.1 in the clear, 10,000 kept connections (1,000 at full speed)",
        connections: 10_000,
        ..SMALL
    },
    Scenario {
        name: "workers",
        title: "GET, 64-byte answer, HTTP/1.1 in the clear, 32 kept connections, the same load for one worker and for two; proxy, load and \
                backend share both cores, so compare these rows with each other alone",
        workers: true,
        ..SMALL
    },
    routes("routes-1", "GET, 64-byte answer, 1 route found by path, with plugin settings of its own", 1),
    routes("routes-100", "GET, 64-byte answer, 100 routes found by path, each with plugin settings of its own", 100),
    routes("routes-10000", "GET, 64-byte answer, 10,000 routes found by path, each with plugin settings of its own", 10_000),
    endpoints("endpoints-3", "GET, 64-byte answer, 3 endpoints in turn; the shipped chain hashes the path", 3),
    endpoints("endpoints-100", "GET, 64-byte answer, 100 endpoints in turn; the shipped chain hashes the path", 100),
    endpoints("endpoints-10000", "GET, 64-byte answer, 10,000 endpoints in turn; the shipped chain hashes the path", 10_000),
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

    /// Where a route's paths begin: `/` for one that takes every path.
    pub(super) fn route_path(&self, route: usize) -> String {
        if self.by_route { format!("/r{route}/") } else { "/".to_owned() }
    }

    /// Where the backend says what reached it.
    pub(super) fn echo_path(&self) -> String {
        self.route_path(0) + "echo"
    }

    /// The paths that are asked for, in an order that jumps about: one for each route, one for each endpoint, so that whatever
    /// remembers the last one has nothing of it.
    pub(super) fn paths(&self) -> Vec<String> {
        let count = self.routes.max(self.endpoints);
        // A prime that divides none of the counts, so every number comes once.
        let scattered = (0..count).map(|index| index * 7_919 % count);
        scattered
            .map(|number| {
                if self.by_route {
                    self.route_path(number)
                } else if count > 1 {
                    format!("/e{number}")
                } else {
                    "/".to_owned()
                }
            })
            .collect()
    }

    /// Connections are so many that making them would be a visible part of what is measured.
    pub(super) fn settles(&self) -> bool {
        self.connections >= 1_000
    }

    /// Sockets of one program at most: what a program that must be told is told.
    pub(super) fn descriptors(&self) -> u64 {
        match self {
            // Below what a process may have at most on many systems.
            Self { connections: 1_001.., .. } | Self { endpoints: 101.., .. } => 19_500,
            _ => 4_096,
        }
    }

    /// Connections while a proxy is asked for all it can do: each has another one to the backend then, and an address of this machine has some 28,000
    /// ports for those, that stay taken for a minute when they close.
    pub(super) fn flood_connections(&self) -> u32 {
        self.connections.min(1_000)
    }

    /// Runs a program where proxies run.
    pub(super) fn proxy_core(&self) -> [&'static str; 3] {
        ["taskset", "-c", if self.workers { "0,1" } else { "0" }]
    }

    /// Runs a program where the load generator and the backend run.
    pub(super) fn load_core(&self) -> [&'static str; 3] {
        ["taskset", "-c", if self.workers { "0,1" } else { "1" }]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_route_and_every_endpoint_has_a_path() {
        for scenario in ALL {
            let paths = scenario.paths();
            let different: HashSet<&String> = paths.iter().collect();
            assert_eq!((paths.len(), different.len()), (scenario.routes.max(scenario.endpoints), paths.len()), "{}", scenario.name);
        }
        assert_eq!(Scenario::named("routes-100").unwrap().paths()[..2], ["/r0/", "/r19/"]);
        assert_eq!(Scenario::named("endpoints-3").unwrap().paths(), ["/e0", "/e2", "/e1"]);
        assert_eq!(SMALL.paths(), ["/"]);
    }

    #[test]
    fn names_are_unique() {
        assert_eq!(ALL.map(|scenario| scenario.name).into_iter().collect::<HashSet<_>>().len(), ALL.len());
    }
}
