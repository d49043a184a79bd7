//! `http-client`: requests of a plugin's own through real sockets and real TLS, and calls that wait for them.

mod beforehand;
mod bounds;
mod traced;
mod waiting;

use plugway_harness::ca::Authority;
use plugway_harness::client::Client;
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::raw::Raw;
use plugway_harness::upstream::{Settings, Upstream};

use crate::common::{BINARY, assert_problem, metric, run, start, two_workers, until};
use crate::guest::{asking, config, get, plugin, route};
use crate::thread_time::Thread;

/// A server, and a gateway whose plugin may ask it.
struct World {
    server: Upstream,
    up: Upstream,
    gateway: Gateway,
}

const LOOPBACK: &str = "addresses = [\"127.0.0.0/8\"]";
/// The same for requests that take long.
const PATIENT: &str = "addresses = [\"127.0.0.0/8\"]\ntimeout = \"60s\"";

impl World {
    /// `grant` is more of the grant, `more` of the plugin's table.
    fn new(grant: &str, more: &str) -> Self {
        Self::with(|config| config.to_owned(), grant, more)
    }

    fn with(change: impl Fn(&str) -> String, grant: &str, more: &str) -> Self {
        let (server, up) = (Upstream::plain("server").unwrap(), Upstream::plain("up").unwrap());
        let gateway = start(&change(&configuration(&server, &up, grant, more)));
        Self { server, up, gateway }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    /// What asking came to.
    fn ask(&self, told: &str) -> String {
        let response = get(self.gateway.address("web").unwrap(), "/", &[("x-ask", told)]);
        assert_eq!(response.status, 200, "{told}: {}", response.text());
        response.text()
    }

    /// Requests of the plugin's own that are on their way.
    fn in_flight(&self) -> f64 {
        metric(&self.gateway, "plugway_http_client_in_flight", &[])
    }

    fn hits(&self, budget: &str) -> f64 {
        metric(&self.gateway, "plugway_budget_hits_total", &[&format!("budget=\"{budget}\"")])
    }

    /// Sends a request and does not wait for its answer.
    fn send(&self, told: &str) -> Raw {
        let mut raw = Raw::connect(self.gateway.address("web").unwrap()).unwrap();
        raw.send(format!("GET / HTTP/1.1\r\nhost: example.com\r\nx-ask: {told}\r\n\r\n").as_bytes()).unwrap();
        raw
    }
}

fn configuration(server: &Upstream, up: &Upstream, grant: &str, more: &str) -> String {
    let more = patient(more);
    let table = format!("{more}\n[plugins.asking.grants.http-client]\nhosts = [{:?}]\n{grant}", server.url());
    let free = "[[routes]]\nname = \"free\"\nmatch = { path = \"/free\" }\nupstream = \"up\"\npublic = true\n";
    config(up, &[&plugin("asking", asking(), "", &table), &route("public = true\nplugins = [\"asking\"]"), free])
}

/// The same with more CPU time, unless that is what a test is about: on a machine that is busy enough next to nothing looks like the 10 ms
/// of the default. It waits all the same.
fn patient(more: &str) -> String {
    match more.contains("budget") {
        _ if more.contains("cpu") => more.to_owned(),
        true => more.replace("budget = {", "budget = { cpu = \"500ms\","),
        false => format!("{more}\nbudget = {{ cpu = \"500ms\" }}"),
    }
}

#[test]
fn it_asks_what_it_was_granted_and_nothing_else() {
    let world = World::new(LOOPBACK, "");
    assert!(world.ask(&format!("GET {}", world.url("/a"))).starts_with("200 Server "));
    assert_eq!(world.ask(&format!("GET {}", world.url("/status/404"))), "404 Server 0");
    let report: serde_json::Value =
        serde_json::from_str(&world.ask(&format!("POST {} accept=body body=token x-key=v", world.url("/b?c=d")))).unwrap();
    assert_eq!((&report["method"], &report["target"], &report["body"]["length"]), (&"POST".into(), &"/b?c=d".into(), &5.into()));
    let before = world.up.connections();
    let refused = world.ask(&format!("GET {}/", world.up.url()));
    assert!(refused.starts_with("NotAllowed("), "{refused}");
    assert_eq!(world.up.connections(), before);
    assert!(world.ask("GET https://id.example/").starts_with("NotAllowed("));
    assert!(world.ask("GET /no-url").starts_with("Invalid("));
    assert!(world.ask(&format!("GET {} host=evil", world.url("/"))).starts_with("Invalid("));
    assert!(world.ask(&format!("CONNECT {}", world.url("/"))).starts_with("Invalid("));
    // Where nothing can be waited for it says so at once.
    assert!(world.ask("configured").starts_with("NotHere"));
    assert_eq!(metric(&world.gateway, "plugway_http_client_requests_total", &["outcome=\"server\""]), 3.0);
    assert!(metric(&world.gateway, "plugway_http_client_duration_seconds_count", &["plugin=\"asking\""]) >= 3.0);
}

#[test]
fn who_was_not_granted_it_is_called_as_one_that_cannot_wait() {
    let up = Upstream::plain("up").unwrap();
    let gateway = start(&config(&up, &[&plugin("asking", asking(), "", ""), &route("public = true\nplugins = [\"asking\"]")]));
    let ask = |told: &str| get(gateway.address("web").unwrap(), "/", &[("x-ask", told)]);
    assert_eq!(ask("configured").text(), "not granted");
    assert_problem(&ask("GET http://127.0.0.1:9/"), 500, "plugin-failed");
    // One of a pool would be made by the next call that needs it.
    until("the one instance is replaced at once", || metric(&gateway, "plugway_instances", &["plugin=\"asking\""]) == 1.0);
    assert_eq!(metric(&gateway, "plugway_instances_started_total", &["plugin=\"asking\""]), 2.0);
    assert_eq!(ask("spin 1").text(), "spun");
}

#[test]
fn an_address_of_this_machine_is_refused_however_it_is_called() {
    let server = Upstream::plain("server").unwrap();
    let up = Upstream::plain("up").unwrap();
    let port = server.address().port();
    let hosts = ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"];
    let allowed: Vec<_> = hosts.iter().map(|host| format!("\"http://{host}:{port}\"")).collect();
    let table = format!("[plugins.asking.grants.http-client]\nhosts = [{}]", allowed.join(", "));
    let gateway = start(&config(&up, &[&plugin("asking", asking(), "", &table), &route("public = true\nplugins = [\"asking\"]")]));
    for host in hosts {
        let told = format!("GET http://{host}:{port}/");
        let response = get(gateway.address("web").unwrap(), "/", &[("x-ask", &told)]);
        assert!(response.text().starts_with("NotAllowed(") && response.text().contains("grant"), "{host}: {}", response.text());
    }
    assert_eq!(server.connections(), 0);
}

#[test]
fn a_redirect_is_held_against_the_grant_again() {
    let world = World::new(LOOPBACK, "");
    assert!(world.ask(&format!("GET {}", world.url("/redirect/302/there"))).starts_with("200 Server "));
    assert_eq!(world.ask(&format!("GET {} redirects=0", world.url("/redirect/302/there"))), "302 Server 0");
    let elsewhere = world.ask(&format!("GET {}", world.url(&format!("/redirect/302?to={}/", world.up.url()))));
    assert!(elsewhere.starts_with("NotAllowed("), "{elsewhere}");
    let metadata = world.ask(&format!("GET {}", world.url("/redirect/302?to=http://169.254.169.254/latest/")));
    assert!(metadata.starts_with("NotAllowed("), "{metadata}");
    let round = world.url(&format!("/redirect/302?to={}", world.url("/redirect/302?to=/redirect/302/redirect/302/there")));
    assert_eq!(world.ask(&format!("GET {round} redirects=1")), "TooManyRedirects");
    assert_eq!(world.up.connections(), 0);
}

#[test]
fn time_and_size_are_bounded() {
    let world = World::new(&format!("{LOOPBACK}\nmax_body_bytes = \"64KiB\""), "");
    assert_eq!(world.ask(&format!("GET {} timeout=100", world.url("/hang"))), "Timeout");
    assert!(world.ask(&format!("GET {} timeout=5000", world.url("/slow/50"))).starts_with("200 "));
    for shape in ["bytes", "chunked"] {
        assert_eq!(world.ask(&format!("GET {}", world.url(&format!("/{shape}/65536")))), "200 Server 65536");
        assert_eq!(world.ask(&format!("GET {}", world.url(&format!("/{shape}/65537")))), "TooLarge");
        assert_eq!(world.ask(&format!("GET {} max-body=10", world.url(&format!("/{shape}/11")))), "TooLarge");
    }
    assert!(world.ask(&format!("GET {}", world.url("/cut"))).starts_with("Protocol("));
    assert!(world.ask(&format!("GET {}", world.url("/close"))).starts_with("Protocol("));
}

#[test]
fn an_upstream_is_reached_with_its_own_roots_and_client_certificate() {
    let authority = Authority::new("Private CA").unwrap();
    let identity = authority.server(&["id.internal"]).unwrap();
    let clients = Authority::new("Client CA").unwrap();
    let client = clients.client("gateway").unwrap();
    let server = Upstream::start(&Settings { identity: Some(&identity), clients: Some(&clients), ..Settings::new("id") }).unwrap();
    let up = Upstream::plain("up").unwrap();
    let launch = Launch::new(BINARY).unwrap();
    authority.write(launch.directory(), "ca").unwrap();
    client.write(launch.directory(), "client").unwrap();
    let id = format!(
        "[upstreams.id]\nendpoints = [{:?}]\ntls = {{ ca = \"ca.pem\", server_name = \"id.internal\", \
         client_certificate = {{ certificate = \"client.pem\", key = \"client.key\" }} }}\n",
        server.url()
    );
    let table = "[plugins.asking.grants.http-client]\nupstreams = [\"id\"]";
    let (plugin, route) = (plugin("asking", asking(), "", table), route("public = true\nplugins = [\"asking\"]"));
    let gateway = launch.start(&config(&up, &[&id, &plugin, &route])).unwrap();
    let told = format!("GET {}/introspect accept=body", server.url());
    let response = get(gateway.address("web").unwrap(), "/", &[("x-ask", &told)]);
    let report: serde_json::Value = serde_json::from_str(&response.text()).unwrap_or_else(|_| panic!("{}", response.text()));
    assert_eq!(report["client_certificate"], client.fingerprint());
    assert_eq!(report["sni"], "id.internal");
}

#[test]
fn an_unknown_authority_is_a_tls_error() {
    let authority = Authority::new("Unknown CA").unwrap();
    let server = Upstream::tls("id", &authority.server(&["127.0.0.1", "localhost"]).unwrap()).unwrap();
    let up = Upstream::plain("up").unwrap();
    let table = format!("[plugins.asking.grants.http-client]\nhosts = [{:?}]\n{LOOPBACK}", server.url());
    let gateway = start(&config(&up, &[&plugin("asking", asking(), "", &table), &route("public = true\nplugins = [\"asking\"]")]));
    let response = get(gateway.address("web").unwrap(), "/", &[("x-ask", &format!("GET {}/", server.url()))]);
    assert!(response.text().starts_with("Tls("), "{}", response.text());
}

#[test]
fn five_hundred_that_are_the_same_are_one() {
    let world = World::with(two_workers, PATIENT, "budget = { instances = 512, deadline = \"60s\" }");
    let told = format!("GET {}", world.url("/held"));
    let address = world.gateway.address("web").unwrap();
    let ask_all = async || {
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let told = told.clone();
            clients.spawn_local(async move {
                let mut connection = Client::http(address, "example.com").connect().await.unwrap();
                let mut request = plugway_harness::client::get("/").unwrap();
                request.headers_mut().insert("x-ask", told.parse().unwrap());
                let answer = connection.request(request).await.unwrap();
                assert!(answer.text().starts_with("200 Server "), "{}", answer.text());
            });
        }
        while let Some(done) = clients.join_next().await {
            done.unwrap();
        }
    };
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| run(ask_all()));
        // Answered when all of them wait, however long they took to come: what they asked for has arrived where it is sent from, or one of
        // these threads had something to do.
        let in_flight = || metric(&world.gateway, "plugway_requests_in_flight", &["route=\"all\""]);
        let threads = ["plugway-0", "plugway-1", "plugway-http"].map(|name| Thread::named(world.gateway.pid(), name));
        until("all of them wait", || asked.is_finished() || in_flight() == 500.0 && threads.iter().all(Thread::sleeps));
        world.server.release();
        asked.join().unwrap();
    });
    assert_eq!(world.server.requests(), 1);
}

#[test]
fn requests_in_flight_are_bounded() {
    let world = World::new(&format!("{LOOPBACK}\nmax_in_flight = 1"), "");
    let waiting = world.send(&format!("GET {} timeout=3000", world.url("/hang")));
    until("one is in flight", || metric(&world.gateway, "plugway_http_client_in_flight", &[]) == 1.0);
    assert_eq!(world.ask(&format!("GET {}", world.url("/other"))), "TooManyCalls");
    drop(waiting);
}

#[test]
fn what_is_fresh_is_not_asked_for_again_and_the_last_good_answer_outlives_its_server() {
    let mut world = World::with(two_workers, LOOPBACK, "");
    let (fresh, short) = (world.url("/fresh/600"), world.url("/fresh/1"));
    assert!(world.ask(&format!("GET {fresh}")).starts_with("200 Server "));
    // Whichever worker takes it.
    (0..8).for_each(|_| assert!(world.ask(&format!("GET {fresh}")).starts_with("200 Cache ")));
    assert!(world.ask(&format!("GET {fresh} max-age=0")).starts_with("200 Server "));
    assert_eq!(world.server.requests(), 2);
    let told = format!("GET {short} stale=600");
    assert!(world.ask(&told).starts_with("200 Server "));
    let short_without = format!("GET {short}");
    world.server = Upstream::plain("another, elsewhere").unwrap();
    until("it is not fresh any more", || world.ask(&told).starts_with("200 Stale "));
    assert!(world.ask(&short_without).starts_with("NotConnected("));
}
