//! What a component can know of a request, held against what the client did and what the upstream got.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use plugway_harness::ca::{Authority, Issued, hex};
use plugway_harness::client::{Answer, Client, get as a_get, reported};
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;
use serde_json::Value;

use crate::common::{BINARY, run, start};
use crate::guest::{config, facts, plugin, report};

const TARGET: &str = "/shop//./us%65rs/a%20b/Orders%2a/?tag=a%20b+c%26&tag=second&empty=&x=%7e";
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// What a proxy says of the client behind it.
const CLAIMS: [(&str, &str); 3] = [("x-forwarded-for", "6.6.6.6, 192.0.2.7"), ("x-request-id", "id-of-the-proxy"), ("traceparent", TRACE)];

const ROUTES: &str = r#"
[[routes]]
name = "orders"
match = { path = "/shop/users/{user}/*" }
api = "shop"
version = "v7"
public = true
plugins = ["facts"]
upstream = "up"
[[routes]]
name = "bare"
match = { path = "/*" }
public = true
plugins = ["facts"]
upstream = "up"
"#;

/// Facts by name, and the report they are in.
struct Told {
    facts: BTreeMap<String, String>,
    report: Value,
}

impl Told {
    fn of(report: Value) -> Self {
        let lines = report["headers"].as_array().unwrap().iter().map(|line| [0, 1].map(|at| line[at].as_str().unwrap()));
        let facts = lines.filter_map(|[name, value]| Some((name.strip_prefix("x-fact-")?.to_owned(), value.to_owned()))).collect();
        Self { facts, report }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.facts.get(name).map(String::as_str)
    }

    /// What the upstream got in this header.
    fn sent(&self, name: &str) -> Option<&str> {
        reported(&self.report, name).first().copied()
    }

    #[track_caller]
    fn assert(&self, expected: &[(&str, Option<&str>)]) {
        for (name, value) in expected {
            assert_eq!(self.get(name), *value, "{name} of {:#?}", self.facts);
        }
    }
}

fn now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()
}

struct World {
    authority: Authority,
    client: Issued,
    gateway: Gateway,
    _upstream: Upstream,
}

/// A gateway that asks clients for certificates and takes connections without, and believes these networks.
fn world(trusted: &str) -> World {
    let (authority, upstream) = (Authority::new("test").unwrap(), Upstream::plain("up").unwrap());
    let launch = Launch::new(BINARY).unwrap();
    authority.write(launch.directory(), "clients").unwrap();
    authority.server(&["api.example.com"]).unwrap().write(launch.directory(), "web").unwrap();
    let tls = "tls = { certificate = \"web.pem\", key = \"web.key\", client_auth = { mode = \"optional\", ca = \"clients.pem\" } }";
    let address = "[listen.web]\naddress = \"127.0.0.1:0\"";
    let text = config(&upstream, &[&plugin("facts", facts(), "", ""), ROUTES]).replace(address, &format!("{address}\n{tls}"));
    let gateway = launch.start(&format!("trusted_proxies = [{trusted}]\n{text}")).unwrap();
    World { client: authority.client("shop").unwrap(), authority, gateway, _upstream: upstream }
}

impl World {
    fn client(&self, http2: bool) -> Client<'_> {
        let client = Client::https(self.gateway.address("web").unwrap(), "API.example.com:8443", &self.authority);
        if http2 { client.http2() } else { client }
    }
}

fn ask(client: &Client<'_>, target: &str, headers: &[(&str, &str)]) -> Told {
    let answer: Answer = run(async {
        let mut request = a_get(target).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        client.connect().await.unwrap().request(request).await.unwrap()
    });
    assert_eq!(answer.status, 200, "{}", answer.text());
    Told::of(answer.json().unwrap())
}

#[test]
fn a_component_knows_what_was_asked_and_over_which_connection() {
    let world = world("\"127.0.0.0/8\"");
    let certificate = hex(world.client.der());
    let fingerprint = world.client.fingerprint();
    for (http2, alpn) in [(false, "http/1.1"), (true, "h2")] {
        let client = world.client(http2).identity(&world.client);
        let before = now();
        let told = ask(&client, TARGET, &CLAIMS);
        let after = now();
        let (path, query) = TARGET.split_once('?').unwrap();
        told.assert(&[
            ("method", Some("GET")),
            ("scheme", Some("https")),
            ("authority", Some("api.example.com:8443")),
            ("raw-path", Some(path)),
            ("path", Some("/shop/users/a%20b/Orders%2A/")),
            ("query", Some(query)),
            ("query-tag", Some("a b c&")),
            ("query-empty", Some("")),
            ("query-absent", None),
            ("segment-user", Some("a b")),
            ("segment-absent", None),
            ("peer", Some("127.0.0.1")),
            ("client", Some("192.0.2.7")),
            ("tls-version", Some("TLSv1.3")),
            ("tls-server-name", Some("api.example.com")),
            ("tls-alpn", Some(alpn)),
            ("certificate", Some(&certificate)),
            ("certificate-sha256", Some(&fingerprint)),
            ("id", Some("id-of-the-proxy")),
            ("trace-parent", Some(TRACE)),
            ("route", Some("orders")),
            ("api", Some("shop")),
            ("api-version", Some("v7")),
        ]);
        // What a component is told is what goes on.
        assert_eq!(told.report["target"], format!("/shop/users/a%20b/Orders%2A/?{query}"), "{alpn}");
        assert_eq!((told.sent("x-request-id"), told.sent("traceparent")), (told.get("id"), told.get("trace-parent")), "{alpn}");
        let received: u128 = told.get("received-at").unwrap().parse().unwrap();
        assert!((before..=after).contains(&received), "{received} is not between {before} and {after}");
    }
}

#[test]
fn a_component_is_told_nothing_that_a_stranger_claims() {
    let world = world("\"192.0.2.0/24\"");
    for http2 in [false, true] {
        let told = ask(&world.client(http2), "/else", &CLAIMS);
        told.assert(&[
            ("peer", Some("127.0.0.1")),
            ("client", Some("127.0.0.1")),
            ("certificate", None),
            ("certificate-sha256", None),
            ("query", None),
            ("query-tag", None),
            ("route", Some("bare")),
            ("api", None),
            ("api-version", None),
        ]);
        let id = told.get("id").unwrap();
        assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
        assert_eq!((told.sent("x-request-id"), told.sent("traceparent")), (Some(id), told.get("trace-parent")));
    }
    // A trace context that is made is told like one that came.
    let told = ask(&world.client(false), "/else", &[]);
    let made = told.get("trace-parent").unwrap();
    assert_eq!(made.split('-').map(str::len).collect::<Vec<_>>(), [2, 32, 16, 2], "{made}");
    assert_eq!(told.sent("traceparent"), Some(made));
}

/// A client of TLS 1.2 that names no protocol, and no server: an address is no server name (RFC 6066, section 3).
#[test]
fn what_a_handshake_did_not_say_is_not_there() {
    let (authority, upstream) = (Authority::new("test").unwrap(), Upstream::plain("up").unwrap());
    let launch = Launch::new(BINARY).unwrap();
    authority.server(&["127.0.0.1"]).unwrap().write(launch.directory(), "web").unwrap();
    let address = "[listen.web]\naddress = \"127.0.0.1:0\"";
    let tls = format!("{address}\ntls = {{ certificate = \"web.pem\", key = \"web.key\" }}");
    let gateway = launch.start(&config(&upstream, &[&plugin("facts", facts(), "", ""), ROUTES]).replace(address, &tls)).unwrap();

    let mut roots = rustls::RootCertStore::empty();
    roots.add(authority.der().clone()).unwrap();
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let settings = builder.with_protocol_versions(&[&rustls::version::TLS12]).unwrap().with_root_certificates(roots);
    let session = rustls::ClientConnection::new(Arc::new(settings.with_no_client_auth()), "127.0.0.1".try_into().unwrap()).unwrap();
    let socket = std::net::TcpStream::connect(gateway.address("web").unwrap()).unwrap();
    let mut stream = rustls::StreamOwned::new(session, socket);
    std::io::Write::write_all(&mut stream, b"GET /else HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    let told = Told::of(serde_json::from_str(answer.split("\r\n\r\n").nth(1).unwrap()).unwrap());
    told.assert(&[
        ("scheme", Some("https")),
        ("authority", Some("127.0.0.1")),
        ("tls-version", Some("TLSv1.2")),
        ("tls-server-name", None),
        ("tls-alpn", None),
        ("certificate", None),
    ]);
}

#[test]
fn a_connection_without_tls_has_none_of_its_facts() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = start(&config(&upstream, &[&plugin("facts", facts(), "", ""), ROUTES]));
    let told = Told::of(report(&crate::guest::get(gateway.address("web").unwrap(), "/else", &[])));
    told.assert(&[
        ("scheme", Some("http")),
        ("authority", Some("example.com")),
        ("tls-version", None),
        ("tls-server-name", None),
        ("tls-alpn", None),
        ("certificate", None),
        ("certificate-sha256", None),
    ]);
}
