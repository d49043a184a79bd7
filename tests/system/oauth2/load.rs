//! What an authorization server does while a gateway is at work: rotates its keys, takes its time, talks rubbish, dies. Here in short, so that
//! a machine that is busy with other tests does not fail them; `cargo xtask conformance oauth2` takes longer, with a release build and at the full rate.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::{Raw, RawResponse};
use plugway_harness::upstream::Upstream;
use serde_json::json;

use super::paced::{Paced, Took};
use super::server::{Server, machine, machine_with};
use crate::common::{metric, until};
use crate::guest::get;

const RATE: usize = 1_000;
const OPAQUE: &str = "scope=orders:read&resource=urn:orders:opaque";
const JWT: &str = "scope=orders:read";

/// How long, and how exactly.
struct Form {
    time: Duration,
    /// Of `RATE`.
    least_rate: f64,
    /// What a public route may take more than before, at the median and for 99 of 100.
    slower: [Duration; 2],
    /// What a request may take that bears a token which is known: less than those that wait.
    known: Duration,
    /// How many of those that wait may be told that the server takes too long: it is one process, and answers all of them.
    put_off: usize,
}

/// On a machine that does other things too.
const SHORT: Form = Form {
    time: Duration::from_millis(1_500),
    least_rate: 0.1,
    // Whoever waits for the server waits for two seconds.
    slower: [Duration::from_millis(400), Duration::from_millis(1_700)],
    // It waits for an instance, if the machine is slow until it is put off.
    known: Duration::from_secs(6),
    put_off: 480,
};
/// On one that does nothing else.
const LONG: Form = Form {
    time: Duration::from_secs(10),
    least_rate: 0.95,
    slower: [Duration::from_millis(1), Duration::from_millis(25)],
    known: Duration::from_millis(500),
    put_off: 0,
};

fn server() -> Server {
    Server::start(&[machine("shop"), machine_with("gateway", json!({ "token_endpoint_auth_method": "client_secret_basic" }))])
}

/// Two workers that take JWTs and opaque tokens of the server, with nothing but defaults, and a public route.
fn gateway(server: &Server, upstream: &Upstream) -> Gateway {
    let audience = "audience = [\"urn:orders\", \"urn:orders:opaque\"]\nintrospection = { cache = \"10m\" }";
    server.gateway(
        upstream,
        audience,
        "[[routes]]\nname = \"public\"\nmatch = { path = \"/public/*\" }\npublic = true\nupstream = \"up\"\n",
    )
}

fn bearing(token: &str) -> (String, Vec<(&'static str, String)>) {
    ("/".to_owned(), vec![("authorization", format!("Bearer {token}"))])
}

fn is_put_off(answer: &RawResponse) -> bool {
    answer.status == 503 && answer.header("retry-after").is_some()
}

/// Does something while requests are sent, and gives what it did and what they took.
fn meanwhile<R>(paced: &Paced<'_>, act: impl FnOnce() -> R) -> (R, Took) {
    let stop = AtomicBool::new(false);
    /// Whatever happens: those who send would wait for it for ever.
    struct Stops<'a>(&'a AtomicBool);
    impl Drop for Stops<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| paced.until(&stop));
        let stops = Stops(&stop);
        let done = act();
        drop(stops);
        (done, sending.join().unwrap())
    })
}

#[test]
fn a_rotation_under_load_fails_no_request_and_costs_two_fetches_at_most() {
    rotation(&SHORT);
}

#[test]
#[ignore = "takes a release build and a quiet machine: `cargo xtask conformance oauth2`"]
fn a_rotation_at_a_thousand_a_second() {
    rotation(&LONG);
}

fn rotation(form: &Form) {
    let (server, upstream) = (server(), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    let tokens = Mutex::new(vec![server.token("shop", JWT)]);
    let answered = AtomicUsize::new(0);
    let paced = Paced {
        address: gateway.address("web").unwrap(),
        rate: RATE,
        connections: 16,
        ask: &|number| {
            let tokens = tokens.lock().unwrap();
            bearing(&tokens[number % tokens.len()])
        },
        judge: &|number, answer| {
            assert_eq!(answer.status, 200, "request {number}: {}", answer.text());
            answered.fetch_add(1, Ordering::Relaxed);
        },
    };
    let (fetched, took) = meanwhile(&paced, || {
        let so_many_more = |many: usize| {
            let before = answered.load(Ordering::Relaxed);
            until("they go on", || answered.load(Ordering::Relaxed) >= before + many);
        };
        so_many_more(200);
        // At once, though the set is of this second.
        let before = server.provider.answered("GET /jwks");
        server.provider.rotate().unwrap();
        for _ in 0..16 {
            let token = server.token("shop", JWT);
            tokens.lock().unwrap().push(token);
        }
        so_many_more(500);
        std::thread::sleep(form.time);
        server.provider.answered("GET /jwks") - before
    });
    server.assert_issued(17, 0);
    server.assert_content();
    assert!((1..=2).contains(&fetched), "{fetched} fetches:\n{}", server.provider.said());
    for worker in ["worker=\"0\"", "worker=\"1\""] {
        assert!(metric(&gateway, "plugway_worker_requests_total", &[worker]) > 0.0, "{worker} served nothing");
    }
    println!("{:.0} requests a second, {fetched} fetches for a rotation", took.rate());
    assert!(took.rate() >= RATE as f64 * form.least_rate, "only {:.0} requests a second", took.rate());
}

#[test]
fn a_public_route_beside_five_hundred_that_wait_for_the_server_takes_no_longer() {
    waiting(&SHORT);
}

#[test]
#[ignore = "takes a release build and a quiet machine: `cargo xtask conformance oauth2`"]
fn a_public_route_beside_five_hundred_that_wait_at_its_own_pace() {
    waiting(&LONG);
}

fn waiting(form: &Form) {
    const WAITING: usize = 500;
    const ASKED: &str = "POST /token/introspection";
    let (server, upstream) = (server(), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    let address = gateway.address("web").unwrap();
    let known = server.token("shop", OPAQUE);
    let ask = |token: &str| get(address, "/", &[("authorization", &format!("Bearer {token}"))]);
    until("it is known on both workers", || (0..8).all(|_| ask(&known).status == 200));
    server.provider.behave("/token/introspection", "delayed", Duration::from_secs(2)).unwrap();
    let asked = server.provider.received(ASKED);
    // One in eight carries a token that is known: it needs an instance too, which those that come all at once are given first. It is
    // answered, and has nothing to do with a public route's latency.
    let bears_known = |number: usize| number.is_multiple_of(8);
    let paced = Paced {
        address,
        rate: RATE / 5,
        connections: 8,
        ask: &|number| if bears_known(number) { bearing(&known) } else { ("/public/x".to_owned(), Vec::new()) },
        // Where some may find no room to wait, one that is known may meet an instance that is not there yet.
        judge: &|number, answer| {
            let no_room = form.put_off > 0 && bears_known(number) && is_put_off(answer);
            assert!(answer.status == 200 || no_room, "request {number}: {} {}", answer.status, answer.text());
        },
    };
    let ((began, burst, first), took) = meanwhile(&paced, || {
        let began = Instant::now();
        std::thread::sleep(form.time);
        let mut waiting: Vec<Raw> = (0..WAITING).map(|_| Raw::connect(address).unwrap()).collect();
        let burst = Instant::now();
        for (number, raw) in waiting.iter_mut().enumerate() {
            let head = format!("GET / HTTP/1.1\r\nhost: example.com\r\nauthorization: Bearer nobody-issued-{number}\r\n\r\n");
            raw.send(head.as_bytes()).unwrap();
        }
        let statuses: Vec<_> = waiting.iter_mut().map(|raw| (raw.response().unwrap(), Instant::now())).collect();
        // The server says of each that it is none. All of them found room to wait, by defaults.
        let put_off = statuses.iter().filter(|(answer, _)| answer.status == 503).count();
        assert!(put_off <= form.put_off, "{put_off} were put off");
        for (answer, _) in statuses.iter().filter(|(answer, _)| answer.status != 503) {
            assert_eq!(answer.status, 401, "{}", answer.text());
        }
        assert_eq!(server.provider.received(ASKED) - asked, WAITING);
        // Who found no room was told so at once.
        let first = statuses.iter().find(|(answer, _)| answer.status != 503).map(|(_, at)| *at).unwrap();
        println!("{put_off} of {WAITING} found no room to wait");
        (began, burst, first)
    });
    // The server said of each that it is none, and had nothing against being asked.
    server.assert_issued(0, 1);
    server.assert_content();
    let spans = [began..burst, burst..first];
    let quantile = |share, is_one: &dyn Fn(usize) -> bool| spans.clone().map(|span| took.quantile(share, is_one, span));
    let is_public = |number: usize| !bears_known(number);
    let [median, most, known] = [quantile(0.5, &is_public), quantile(0.99, &is_public), quantile(1.0, &bears_known)];
    println!(
        "before, and beside {WAITING} that wait: a public route {median:?} (half of them), {most:?} (99 of 100); a known token {known:?} (all)"
    );
    for ([before, during], more) in [median, most].into_iter().zip(form.slower) {
        assert!(during <= before * 2 + more, "{during:?}, and {before:?} before");
    }
    assert!(known[1] <= form.known, "a known token took {:?}", known[1]);
}

#[test]
fn a_server_that_talks_rubbish_breaks_hangs_or_dies_under_load_lets_nobody_in_and_those_it_knew_go_on() {
    trouble(&SHORT);
}

#[test]
#[ignore = "takes a release build and a quiet machine: `cargo xtask conformance oauth2`"]
fn a_server_in_trouble_at_a_thousand_a_second() {
    trouble(&LONG);
}

fn trouble(form: &Form) {
    let (mut server, upstream) = (server(), Upstream::plain("up").unwrap());
    let gateway = gateway(&server, &upstream);
    let address = gateway.address("web").unwrap();
    let known: Vec<String> =
        [JWT, OPAQUE].into_iter().flat_map(|what| (0..4).map(move |_| what)).map(|what| server.token("shop", what)).collect();
    let ask = |token: &str| get(address, "/", &[("authorization", &format!("Bearer {token}"))]);
    until("they are known on both workers", || known.iter().all(|token| (0..4).all(|_| ask(token).status == 200)));
    let (passed, put_off, refused) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let is_stranger = |number: usize| number.is_multiple_of(10);
    // Nine of ten are known. The others are strangers, each with a token that nobody has seen.
    let paced = Paced {
        address,
        rate: RATE,
        connections: 64,
        ask: &|number| {
            if is_stranger(number) { bearing(&format!("nobody-issued-{number}")) } else { bearing(&known[number % known.len()]) }
        },
        judge: &|number, answer| match is_stranger(number) {
            true if is_put_off(answer) => drop(put_off.fetch_add(1, Ordering::Relaxed)),
            // The server says so while it is well.
            true => {
                assert_eq!(answer.status, 401, "request {number}: {}", answer.text());
                refused.fetch_add(1, Ordering::Relaxed);
            }
            false => {
                assert_eq!(answer.status, 200, "request {number}: {}", answer.text());
                passed.fetch_add(1, Ordering::Relaxed);
            }
        },
    };
    let ((), took) = meanwhile(&paced, || {
        let mut refused_before = None;
        let mut both_go_on = |what: &str| {
            let (before, off) = (passed.load(Ordering::Relaxed), put_off.load(Ordering::Relaxed));
            until(what, || passed.load(Ordering::Relaxed) > before + 100 && put_off.load(Ordering::Relaxed) > off + 10);
            // Who asked while the server was well was answered long ago; since then nobody can say of a token that it is none.
            let refused_before = *refused_before.get_or_insert_with(|| refused.load(Ordering::Relaxed));
            std::thread::sleep(form.time);
            assert_eq!(refused.load(Ordering::Relaxed), refused_before, "{what}: a token was refused that nobody was asked about");
        };
        for how in ["rubbish", "broken", "delayed"] {
            // Longer than a call has.
            server.provider.behave("/token/introspection", how, Duration::from_secs(10)).unwrap();
            server.provider.behave("/jwks", how, Duration::from_secs(10)).unwrap();
            both_go_on(how);
        }
        server.assert_issued(4, 4);
        server.assert_content();
        server.provider.kill();
        both_go_on("it is dead");
    });
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0, "that a server is in trouble is no failure of the plugin");
    println!("{:.0} requests a second while the server was in trouble", took.rate());
    assert!(took.rate() >= RATE as f64 * form.least_rate, "only {:.0} requests a second", took.rate());
}
