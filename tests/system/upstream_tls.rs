//! TLS towards upstreams: whom the gateway trusts, which name it asks for, which certificate it shows, and that a
//! connection made with one set of these is never used for another.

use plugway_harness::ca::Authority;
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::{Settings, Upstream};
use serde_json::Value;

use crate::common::{BINARY, HEAD, until};

/// An upstream's table and a route `/NAME/*` to it.
fn upstream(name: &str, endpoint: &str, more: &str) -> String {
    format!(
        r#"
[[routes]]
name = "{name}"
match = {{ path = "/{name}/*" }}
public = true
upstream = "{name}"
[upstreams.{name}]
endpoints = ["{endpoint}"]
{more}
"#
    )
}

struct World {
    launch: Option<Launch>,
    gateway: Option<Gateway>,
}

impl World {
    fn new() -> Self {
        Self { launch: Some(Launch::new(BINARY).unwrap()), gateway: None }
    }

    fn directory(&self) -> &std::path::Path {
        self.launch.as_ref().unwrap().directory()
    }

    fn start(&mut self, upstreams: &[String]) {
        let config = format!("{HEAD}{}", upstreams.concat());
        self.gateway = Some(self.launch.take().unwrap().start(&config).unwrap());
    }

    fn client(&self) -> Raw {
        Raw::connect(self.gateway.as_ref().unwrap().address("web").unwrap()).unwrap()
    }

    fn get(&self, path: &str) -> RawResponse {
        get(&mut self.client(), path)
    }
}

fn get(client: &mut Raw, path: &str) -> RawResponse {
    client.send(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n")).unwrap();
    client.response().unwrap()
}

fn report(response: &RawResponse) -> Value {
    assert_eq!(response.status, 200, "{}", response.text());
    serde_json::from_slice(&response.body).unwrap()
}

/// 502, the code, and a text that tells a stranger nothing of what is behind the gateway.
fn assert_unverified(response: &RawResponse) {
    let problem: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((response.status, &problem["code"]), (502, &"upstream-tls-failed".into()), "{problem:#}");
    for secret in ["127.0.0.1", "localhost", "internal", "certificate", "issuer"] {
        assert!(!response.text().contains(secret), "{problem:#}");
    }
}

#[test]
fn an_upstream_is_trusted_by_its_authority_and_name_alone() {
    let (authority, another) = (Authority::new("root").unwrap(), Authority::new("another").unwrap());
    // The same name, so that only its key tells the two apart.
    let same_name = Authority::new("root").unwrap();
    let server = Upstream::tls("good", &authority.server(&["127.0.0.1", "localhost"]).unwrap()).unwrap();
    let strangers: Vec<_> =
        [&another, &same_name].map(|authority| Upstream::tls("bad", &authority.server(&["127.0.0.1"]).unwrap()).unwrap()).into();
    let misnamed = Upstream::tls("bad", &authority.server(&["other.internal"]).unwrap()).unwrap();
    let client_only = Upstream::tls("bad", &authority.client("no server").unwrap()).unwrap();
    let plain = Upstream::plain("bad").unwrap();

    let mut world = World::new();
    authority.write(world.directory(), "root").unwrap();
    let ca = "tls = { ca = \"root.pem\" }";
    let localhost = format!("https://localhost:{}", server.address().port());
    world.start(&[
        upstream("address", &server.url(), ca),
        upstream("name", &localhost, ca),
        upstream("wrong", &server.url(), "tls = { ca = \"root.pem\", server_name = \"else.internal\" }"),
        upstream("stranger0", &strangers[0].url(), ca),
        upstream("stranger1", &strangers[1].url(), ca),
        upstream("misnamed", &misnamed.url(), ca),
        upstream("clientonly", &client_only.url(), ca),
        upstream("plain", &format!("https://{}", plain.address()), ca),
        upstream("system", &server.url(), ""),
    ]);

    let by_address = report(&world.get("/address/"));
    assert_eq!((&by_address["tls"], &by_address["sni"], &by_address["alpn_h2"]), (&true.into(), &Value::Null, &false.into()));
    let by_name = report(&world.get("/name/"));
    assert_eq!((&by_name["tls"], &by_name["sni"]), (&true.into(), &"localhost".into()));
    let (bytes, requests) = (server.bytes(), server.requests());
    for refused in ["wrong", "stranger0", "stranger1", "misnamed", "clientonly", "plain", "system"] {
        assert_unverified(&world.get(&format!("/{refused}/")));
    }
    assert_eq!((server.bytes(), server.requests()), (bytes, requests), "nothing is sent to who is not verified");
    for stranger in strangers.iter().chain([&misnamed, &client_only]) {
        assert!(stranger.connections() > 0 && stranger.bytes() == 0, "{} bytes", stranger.bytes());
    }
    // Without TLS a hello arrives, and nothing else ever.
    assert!(!String::from_utf8_lossy(&plain.wire()).contains("HTTP"), "{:?}", plain.wire());
}

#[test]
fn a_certificate_counts_only_in_its_time() {
    let authority = Authority::new("root").unwrap();
    let server = |name, years| Upstream::tls(name, &authority.server_in(years, &["127.0.0.1"]).unwrap()).unwrap();
    let [expired, future, current] = [("expired", 2001..2002), ("future", 2090..2091), ("current", 2001..2091)];
    let servers = [expired, future, current].map(|(name, years)| (name, server(name, years)));
    let mut world = World::new();
    authority.write(world.directory(), "root").unwrap();
    world.start(&servers.each_ref().map(|(name, server)| upstream(name, &server.url(), "tls = { ca = \"root.pem\" }")));
    for (name, server) in &servers {
        let response = world.get(&format!("/{name}/"));
        if *name == "current" {
            assert_eq!(report(&response)["tls"], true);
        } else {
            assert_unverified(&response);
            assert!(server.connections() > 0);
            assert_eq!(server.bytes(), 0, "something was sent to {name}");
        }
    }
}

#[test]
fn a_handshake_that_does_not_end_takes_the_time_for_connecting() {
    // Listens, and lets the system accept; nobody ever answers the hello.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    let mut world = World::new();
    world.start(&[upstream("up", &address, "timeouts = { connect = \"300ms\" }\nmax_attempts = 1")]);
    let response = world.get("/up/");
    let problem: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!((response.status, &problem["code"]), (504, &"upstream-connect-timeout".into()), "{problem:#}");
}

#[test]
fn the_systems_roots_are_used_where_no_authority_is_named() {
    let authority = Authority::new("root").unwrap();
    let server = Upstream::tls("up", &authority.server(&["127.0.0.1"]).unwrap()).unwrap();
    let launch = Launch::new(BINARY).unwrap();
    let root = authority.write(launch.directory(), "root").unwrap();
    // Where the system's roots are, as OpenSSL and rustls-native-certs read it.
    let launch = launch.env("SSL_CERT_FILE", root.to_str().unwrap());
    let mut world = World { launch: Some(launch), gateway: None };
    world.start(&[upstream("up", &server.url(), "")]);
    assert_eq!(report(&world.get("/up/"))["tls"], true);
}

#[test]
fn the_server_name_that_is_configured_is_sent_and_verified() {
    let authority = Authority::new("root").unwrap();
    let server = Upstream::tls("up", &authority.server(&["orders.internal", "*.pool.internal"]).unwrap()).unwrap();
    let mut world = World::new();
    authority.write(world.directory(), "root").unwrap();
    let tls = |name: &str| format!("tls = {{ ca = \"root.pem\", server_name = \"{name}\" }}");
    world.start(&[
        upstream("one", &server.url(), &tls("orders.internal")),
        upstream("two", &server.url(), &tls("x.pool.internal")),
        upstream("bad", &server.url(), &tls("pool.internal")),
    ]);
    let mut client = world.client();
    for _ in 0..5 {
        for (route, name) in [("one", "orders.internal"), ("two", "x.pool.internal")] {
            let report = report(&get(&mut client, &format!("/{route}/")));
            assert_eq!(report["sni"], name, "{report:#}");
            // The name of the connection is not the host of the request.
            assert_eq!(plugway_harness::client::reported(&report, "host"), ["a.example"]);
        }
    }
    assert_unverified(&world.get("/bad/"));
    assert_eq!(server.requests(), 10);
    // The server counts the refused handshake a moment after the client has its answer.
    until("there is one connection a name", || server.connections() - server.handshakes_failed() == 2);
}

#[test]
fn connections_of_different_profiles_are_never_mixed() {
    let authority = Authority::new("root").unwrap();
    let clients = Authority::new("clients").unwrap();
    let identity = authority.server(&["127.0.0.1"]).unwrap();
    let server = Upstream::start(&Settings { identity: Some(&identity), clients: Some(&clients), ..Settings::new("up") }).unwrap();
    let (red, blue) = (clients.client("red").unwrap(), clients.client("blue").unwrap());
    let stranger = Authority::new("another").unwrap().client("stranger").unwrap();
    let mut world = World::new();
    authority.write(world.directory(), "root").unwrap();
    for (name, issued) in [("red", &red), ("blue", &blue), ("stranger", &stranger)] {
        issued.write(world.directory(), name).unwrap();
    }
    let shows = |name: &str| {
        format!("tls = {{ ca = \"root.pem\", client_certificate = {{ certificate = \"{name}.pem\", key = \"{name}.key\" }} }}")
    };
    world.start(&[
        upstream("red", &server.url(), &shows("red")),
        upstream("blue", &server.url(), &shows("blue")),
        upstream("stranger", &server.url(), &shows("stranger")),
        upstream("none", &server.url(), "tls = { ca = \"root.pem\" }"),
    ]);
    let mut client = world.client();
    for round in 0..10 {
        for (route, issued) in [("red", &red), ("blue", &blue)] {
            let report = report(&get(&mut client, &format!("/{route}/")));
            assert_eq!(report["client_certificate"], issued.fingerprint(), "{route}, round {round}");
        }
        // These have connections to the same address lying ready, and may use neither, nor a session of one.
        let requests = server.requests();
        for route in ["none", "stranger"] {
            assert_unverified(&get(&mut client, &format!("/{route}/")));
        }
        assert_eq!(server.requests(), requests);
    }
    assert_eq!(server.requests(), 20);
}

#[test]
fn a_forwarder_chooses_among_the_profiles_of_its_upstream() {
    let authority = Authority::new("root").unwrap();
    let (clients, another) = (Authority::new("clients").unwrap(), Authority::new("another").unwrap());
    let identity = authority.server(&["127.0.0.1"]).unwrap();
    let server = Upstream::start(&Settings { identity: Some(&identity), clients: Some(&clients), ..Settings::new("up") }).unwrap();
    let (red, blue) = (clients.client("red").unwrap(), clients.client("blue").unwrap());
    let mut world = World::new();
    authority.write(world.directory(), "root").unwrap();
    another.write(world.directory(), "another").unwrap();
    let mut text = format!(
        "[plugins.forward]\nsource = \"builtin:tls-forward\"\n[upstreams.up]\nendpoints = [\"{}\"]\ntls = {{ ca = \"root.pem\" }}\n",
        server.url()
    );
    for (name, ca, certificate) in [("red", "root", "red"), ("blue", "root", "blue"), ("distrust", "another", "red")] {
        text += &format!("[upstreams.up.tls_profiles.{name}]\nca = \"{ca}.pem\"\n");
        text += &format!("client_certificate = {{ certificate = \"{certificate}.pem\", key = \"{certificate}.key\" }}\n");
    }
    for (name, issued) in [("red", &red), ("blue", &blue)] {
        issued.write(world.directory(), name).unwrap();
    }
    for (name, forwarder) in
        [("own", None), ("red", Some("red")), ("blue", Some("blue")), ("distrust", Some("distrust")), ("no", Some("no"))]
    {
        text += &format!("[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}/*\" }}\npublic = true\nupstream = \"up\"\n");
        if let Some(profile) = forwarder {
            text += &format!("forwarder = {{ plugin = \"forward\", config = {{ tls_profile = \"{profile}\" }} }}\n");
        }
    }
    world.start(&[text]);
    let mut client = world.client();
    for round in 0..5 {
        for (route, issued) in [("red", &red), ("blue", &blue)] {
            let report = report(&get(&mut client, &format!("/{route}/")));
            assert_eq!(report["client_certificate"], issued.fingerprint(), "{route}, round {round}");
        }
        // The upstream's own settings show no certificate, and a profile's own authority did not sign the server's. Connections
        // that lie ready were made with others.
        for route in ["own", "distrust"] {
            assert_unverified(&get(&mut client, &format!("/{route}/")));
        }
        // A profile the upstream does not list is the plugin's failure.
        let unlisted = get(&mut client, "/no/");
        let problem: Value = serde_json::from_slice(&unlisted.body).unwrap();
        assert_eq!((unlisted.status, &problem["code"]), (500, &"plugin-failed".into()), "{problem:#}");
    }
    assert_eq!(server.requests(), 10);
    // The server counts a handshake it saw refused a moment after the client had its answer.
    until("there is one connection a profile", || server.connections() - server.handshakes_failed() == 2);
}

#[test]
fn one_connection_serves_many_requests() {
    let authority = Authority::new("root").unwrap();
    let identity = authority.server(&["127.0.0.1"]).unwrap();
    let http1 = Upstream::tls("one", &identity).unwrap();
    let http2 = Upstream::start(&Settings { identity: Some(&identity), http2: true, ..Settings::new("two") }).unwrap();
    let mut world = World::new();
    authority.write(world.directory(), "root").unwrap();
    world.start(&[
        upstream("one", &http1.url(), "tls = { ca = \"root.pem\" }"),
        upstream("two", &http2.url(), "tls = { ca = \"root.pem\" }\nprotocol = \"http2\""),
        // The same server without HTTP/2 asked for, and one that has none.
        upstream("both", &http2.url(), "tls = { ca = \"root.pem\" }"),
        upstream("without", &http1.url(), "tls = { ca = \"root.pem\" }\nprotocol = \"http2\""),
    ]);
    let mut client = world.client();
    for _ in 0..20 {
        for (route, version) in [("one", "HTTP/1.1"), ("two", "HTTP/2.0"), ("both", "HTTP/1.1")] {
            let report = report(&get(&mut client, &format!("/{route}/")));
            assert_eq!((&report["version"], &report["alpn_h2"]), (&version.into(), &(version == "HTTP/2.0").into()), "{route}");
        }
    }
    assert_eq!((http1.connections(), http2.connections()), (1, 2));
    let bytes = http1.bytes();
    assert_unverified(&world.get("/without/"));
    assert_eq!(http1.bytes(), bytes);
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_setting() {
    let authority = Authority::new("root").unwrap();
    let world = World::new();
    let launch = world.launch.as_ref().unwrap();
    authority.write(launch.directory(), "root").unwrap();
    for name in ["red", "blue"] {
        authority.client(name).unwrap().write(launch.directory(), name).unwrap();
    }
    launch.file("empty.pem", "").unwrap();
    let shows = |certificate: &str, key: &str| format!("{{ client_certificate = {{ certificate = \"{certificate}\", key = \"{key}\" }} }}");
    for (tls, said) in [
        ("{ ca = \"missing.pem\" }".to_owned(), &["ca", "missing.pem", "No such file"][..]),
        ("{ ca = \"empty.pem\" }".to_owned(), &["ca", "empty.pem", "BEGIN CERTIFICATE"]),
        (shows("missing.pem", "red.key"), &["client_certificate", "missing.pem", "No such file"]),
        (shows("red.pem", "red.pem"), &["client_certificate", "red.pem", "BEGIN PRIVATE KEY"]),
        (shows("red.pem", "blue.key"), &["client_certificate", "red.pem", "blue.key", "belong together"]),
    ] {
        let config = format!("{HEAD}{}", upstream("up", "https://127.0.0.1:1", &format!("tls = {tls}")));
        let output = launch.run("check", &config).unwrap();
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(!output.status.success(), "{tls}: {text}");
        for part in said.iter().chain(&["upstreams.up", "plugway.toml"]) {
            assert!(text.contains(part), "{tls}: {part:?} is not in: {text}");
        }
    }
}
