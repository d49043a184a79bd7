//! TLS termination: which certificate a client sees, what it must show, which hosts its connection may name, and what an
//! operator reads when a file is wrong.

mod files;
mod handshakes;

use std::net::SocketAddr;

use plugway_harness::ca::{Authority, Issued};
use plugway_harness::client::{Client, get};
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, metric, run, until};

/// An authority, what it issued, and a gateway that serves it.
struct World {
    authority: Authority,
    /// For `a.example`, `*.w.example` and this machine's addresses; it is the default.
    first: Issued,
    /// For `b.example` and `x.w.example`.
    second: Issued,
    gateway: Gateway,
    _upstream: Upstream,
}

/// What `listen.web.tls` has beside its certificates, and further listeners.
fn world(workers: usize, tls: &str, listeners: &str) -> World {
    let upstream = Upstream::plain("up").unwrap();
    let authority = Authority::new("root").unwrap();
    let launch = Launch::new(BINARY).unwrap();
    let first = authority.server(&["a.example", "*.w.example", "127.0.0.1", "::1"]).unwrap();
    let second = authority.server(&["b.example", "x.w.example"]).unwrap();
    first.write(launch.directory(), "first").unwrap();
    second.write(launch.directory(), "second").unwrap();
    authority.write(launch.directory(), "clients").unwrap();
    let gateway = launch
        .start(&format!(
            r#"
workers = {workers}
[listen.web]
address = "127.0.0.1:0"
[listen.web.tls]
certificates = [{{ certificate = "first.pem", key = "first.key" }}, {{ certificate = "second.pem", key = "second.key" }}]
{tls}
{listeners}
[admin]
address = "127.0.0.1:0"
[upstreams.up]
endpoints = ["{}"]
[[routes]]
name = "all"
match = {{ path = "/*" }}
public = true
upstream = "up"
"#,
            upstream.url()
        ))
        .unwrap();
    World { authority, first, second, gateway, _upstream: upstream }
}

impl World {
    fn address(&self) -> SocketAddr {
        self.gateway.address("web").unwrap()
    }

    fn client(&self, host: &str) -> Client<'_> {
        Client::https(self.address(), host, &self.authority)
    }
}

#[test]
fn the_certificate_is_chosen_by_the_name_a_client_asks_for() {
    let world = world(1, "", "");
    run(async {
        for (name, certificate) in [
            ("a.example", &world.first),
            ("A.Example", &world.first),
            ("b.example", &world.second),
            ("y.w.example", &world.first),
            // An exact name before a wildcard.
            ("x.w.example", &world.second),
            // An address is never sent as a name: the first certificate, which holds it.
            ("127.0.0.1", &world.first),
        ] {
            let connection = world.client(name).connect().await.unwrap();
            assert_eq!(connection.certificate(), Some(certificate.fingerprint().as_str()), "{name}");
        }
        // Somebody else's name: the first certificate, which the client then refuses; one label only for a wildcard.
        for name in ["unknown.example", "w.example", "z.y.w.example"] {
            let error = world.client(name).connect().await.unwrap_err().to_string();
            assert!(error.contains("not valid for name") && error.contains("a.example"), "{name}: {error}");
        }
    });
}

/// Name connected with, `Host`, whether the certificate chosen by that name covers it.
const AUTHORITIES: [(&str, &str, bool); 21] = [
    ("a.example", "a.example", true),
    ("a.example", "A.EXAMPLE", true),
    ("a.example", "a.example:443", true),
    ("a.example", "a.example:9", true),
    ("a.example", "a.example.", true),
    ("a.example", "y.w.example", true),
    ("a.example", "Y.W.example:8443", true),
    ("a.example", "127.0.0.1", true),
    ("a.example", "127.0.0.1:8443", true),
    ("a.example", "[::1]", true),
    ("a.example", "[::1]:8443", true),
    ("a.example", "b.example", false),
    ("a.example", "w.example", false),
    ("a.example", "z.y.w.example", false),
    ("a.example", "sub.a.example", false),
    ("a.example", "example", false),
    ("a.example", "127.0.0.2", false),
    ("a.example", "[::2]", false),
    ("b.example", "b.example", true),
    // The other certificate of the same listener has it, but it is not the one this client saw.
    ("b.example", "a.example", false),
    ("127.0.0.1", "a.example", true),
];

#[test]
fn a_host_that_the_certificate_does_not_cover_is_misdirected_in_http1() {
    let world = world(1, "", "");
    for (name, host, covered) in AUTHORITIES {
        let mut client = Raw::connect_tls(world.address(), name, &world.authority).unwrap();
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).unwrap();
        let response = client.response().unwrap();
        assert_eq!(response.status, if covered { 200 } else { 421 }, "{host} on {name}: {}", response.text());
        if !covered {
            assert!(response.text().contains("misdirected-request"), "{}", response.text());
        }
        // Only the request was on the wrong connection.
        client.send(format!("GET / HTTP/1.1\r\nHost: {name}\r\n\r\n")).unwrap();
        assert_eq!(client.response().unwrap().status, 200, "after {host} on {name}");
        // The target's authority counts, not the header's.
        client.send(format!("GET https://{host}/ HTTP/1.1\r\nHost: {name}\r\n\r\n")).unwrap();
        assert_eq!(client.response().unwrap().status, if covered { 200 } else { 421 }, "https://{host}/ on {name}");
        // More security than was asked for harms nobody.
        client.send(format!("GET http://{host}/ HTTP/1.1\r\nHost: {name}\r\n\r\n")).unwrap();
        assert_eq!(client.response().unwrap().status, if covered { 200 } else { 421 }, "http://{host}/ on {name}");
    }
}

#[test]
fn a_host_that_the_certificate_does_not_cover_is_misdirected_in_http2() {
    let world = world(1, "", "");
    run(async {
        for (name, host, covered) in AUTHORITIES {
            let mut client = world.client(name).http2().connect().await.unwrap();
            // What a browser does that coalesces connections.
            let mut request = get("/").unwrap();
            request.headers_mut().insert("host", host.parse().unwrap());
            let answer = client.request(request).await.unwrap();
            assert_eq!(answer.status, if covered { 200 } else { 421 }, "{host} on {name}: {}", answer.text());
            assert_eq!(client.get("/").await.unwrap().status, 200, "after {host} on {name}");
        }
    });
}

#[test]
fn a_client_certificate_is_asked_for_as_configured() {
    let rule = |mode: &str| {
        format!(
            r#"[listen.{mode}]
address = "127.0.0.1:0"
tls = {{ certificate = "first.pem", key = "first.key", client_auth = {{ mode = "{mode}", ca = "clients.pem" }} }}
"#
        )
    };
    let world = world(1, "", &format!("{}{}", rule("optional"), rule("required")));
    let good = world.authority.client("good").unwrap();
    let stranger = Authority::new("another root").unwrap().client("stranger").unwrap();
    // Signed by the right authority, but for servers.
    let purpose = &world.first;
    run(async {
        for (listener, identity, served) in [
            ("web", None, true),
            ("web", Some(&good), true),
            ("web", Some(&stranger), true),
            ("optional", None, true),
            ("optional", Some(&good), true),
            ("optional", Some(&stranger), false),
            ("optional", Some(purpose), false),
            ("required", None, false),
            ("required", Some(&good), true),
            ("required", Some(&stranger), false),
            ("required", Some(purpose), false),
        ] {
            for http2 in [false, true] {
                let mut client = Client::https(world.gateway.address(listener).unwrap(), "a.example", &world.authority);
                if let Some(identity) = identity {
                    client = client.identity(identity);
                }
                let client = if http2 { client.http2() } else { client };
                // In TLS 1.3 the refusal comes when this side of the handshake is over.
                let answer = client.get("/").await;
                assert_eq!(answer.is_ok(), served, "{listener}, HTTP/2 {http2}: {answer:?}");
            }
        }
    });
}

#[test]
fn a_wildcard_leads_around_no_other_listeners_client_certificates() {
    let listener = |name: &str, certificate: &str, rule: &str| {
        format!(
            "[listen.{name}]\naddress = \"127.0.0.1:0\"\ntls = {{ certificate = \"{certificate}.pem\", key = \"{certificate}.key\"{rule} }}\n"
        )
    };
    let required = r#", client_auth = { mode = "required", ca = "clients.pem" }"#;
    let optional = r#", client_auth = { mode = "optional", ca = "clients.pem" }"#;
    let listeners =
        [("partners", "second", required), ("same-rule", "first", required), ("public", "first", ""), ("asking", "first", optional)];
    let listeners: String = listeners.map(|(name, certificate, rule)| listener(name, certificate, rule)).concat();
    let world = world(1, "", &listeners);
    let good = world.authority.client("good").unwrap();
    run(async {
        for (listener, identity, host, status) in [
            ("partners", Some(&good), "x.w.example", 200),
            // Its wildcard has the host, and partners' certificate has it by its name.
            ("public", None, "x.w.example", 421),
            ("asking", None, "x.w.example", 421),
            ("asking", Some(&good), "x.w.example", 421),
            ("public", None, "X.W.example.", 421),
            ("public", None, "y.w.example", 200),
            ("public", None, "a.example", 200),
            // Who came in was asked for the same.
            ("same-rule", Some(&good), "x.w.example", 200),
            // Named as closely on a listener that asks for none: so it was meant.
            ("web", None, "x.w.example", 200),
        ] {
            for http2 in [false, true] {
                let name = if matches!(listener, "partners" | "web") { "x.w.example" } else { "y.w.example" };
                let client = Client::https(world.gateway.address(listener).unwrap(), name, &world.authority);
                let client = identity.into_iter().fold(client, |client, identity| client.identity(identity));
                let client = if http2 { client.http2() } else { client };
                let mut request = get("/").unwrap();
                request.headers_mut().insert("host", host.parse().unwrap());
                let answer = client.connect().await.unwrap().request(request).await.unwrap();
                assert_eq!(answer.status, status, "{host} on {listener}, HTTP/2 {http2}: {}", answer.text());
            }
        }
    });
}

#[test]
fn who_leaves_a_connection_with_tls_ends_its_request() {
    let world = world(1, "", "");
    let mut client = Raw::connect_tls(world.address(), "a.example", &world.authority).unwrap();
    client.send("GET /hang HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    until("it is answered", || metric(&world.gateway, "plugway_requests_in_flight", &[]) == 1.0);
    drop(client);
    until("it is given up", || metric(&world.gateway, "plugway_requests_in_flight", &[]) == 0.0);
    assert_eq!(metric(&world.gateway, "plugway_faults_total", &["client-gone"]), 1.0);
}
