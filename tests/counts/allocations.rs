//! What a request allocates on its way through the gateway, counted beside a bare hyper proxy that adds the same headers.
//!
//! `PLUGWAY_ALLOCATIONS=show cargo test -p plugway --test counts allocations -- --nocapture` prints every figure, and for one
//! request of each kind where each allocation comes from.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use plugway::config;
use plugway::gateway::Gateway;
use plugway::plugin::Compiler;
use plugway_harness::guests;
use plugway_harness::temp::TempDir;

use crate::load::{Client, Upstream};
use crate::{bare, counter};

/// The only worker's name.
const WORKER: &str = "plugway-0";

const WARM_UP: u64 = 1_000;
/// Requests of one round, and rounds. Housekeeping, ten times a second, allocates too: on a busy machine that is much of each request's
/// share, but of one round in a few only. A request that allocates more does so in all of them.
const REQUESTS: u64 = 50;
const ROUNDS: usize = 20;

/// What is on its way between two rounds, and pieces that grow once in many requests, may add so much to a request's share.
const NOISE: f64 = 0.25;

const GET: &[u8] = b"GET /orders/17?full=1 HTTP/1.1\r\nhost: shop.example\r\nuser-agent: test\r\naccept: */*\r\nx-tenant-id: acme\r\n\r\n";
const POST: &[u8] = b"POST /orders?full=1 HTTP/1.1\r\nhost: shop.example\r\nuser-agent: test\r\naccept: */*\r\nx-tenant-id: acme\r\n\
    content-length: 16\r\n\r\n0123456789abcdef";

/// Allocations of a request without plugins that the bare proxy has not, each named.
const EXTRA: [&str; 3] = [
    "what hyper calls, which it would copy otherwise",
    "the exchange, which moves into a plugin's store and back",
    "the ending, which tells of the exchange however it ends",
];

/// The same, of a request that has a body.
const EXTRA_WITH_BODY: [&str; 1] = ["how the body is getting on, which its sender writes and the ending reads"];

/// What the bare proxy has and a request does without.
const SAVED: [&str; 8] = [
    "a piece of its own for each of request id and traceparent",
    "a count beside it of who shares the id",
    "a buffer for hyper to look by whether the client is still there",
    "a count beside it of who shares the one that the head is in",
    "a place where hyper's client leaves the response for who sent the request",
    "a channel for the response's body",
    "a buffer for the head of the response",
    "a count beside it of who shares that",
];

/// Buffers for heads: that of a request is in the one that the last request's was in, and that of a response in the one of its connection.
const HEAD_BUFFERS: f64 = 0.0;

/// Beyond the bare proxy a request may have so many in all, whatever is named.
const MOST_EXTRA: usize = 2;
const _: () = assert!(EXTRA.len() + EXTRA_WITH_BODY.len() <= MOST_EXTRA + SAVED.len());

/// Allocations of each plugin that reads one header and adds one: the value comes as numbers, the line is there already.
const EACH_PLUGIN: [&str; 0] = [];

/// Allocations of a request that may be made again at another endpoint.
const ANOTHER_ENDPOINT: [&str; 3] =
    ["a copy of the headers", "the copy's index", "a count for the one name the `http` crate does not know, now that two share it"];

/// Allocations of a request that matched a path with one parameter.
const PARAMETER: [&str; 2] = ["the list of parameters", "the value"];

/// Allocations of a limit whose bucket is there already; taking from it needs none, nor does a header that comes with the call.
const RATE_LIMIT: [&str; 1] = ["the key"];

/// The same, of what the key is made of where that is asked for.
const RATE_LIMIT_VALUE: [&str; 1] = ["the value the key is made of"];

/// The same, of telling the client how it stands.
const RATE_LIMIT_HEADERS: [&str; 4] =
    ["the value of `ratelimit-policy`", "the value of `ratelimit`", "the list of headers for the response", "the journal of them"];

/// What a request costs, on average.
#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "bytes are printed")]
struct Cost {
    /// New pieces, and pieces that grew.
    allocations: f64,
    bytes: f64,
    buffers: f64,
}

/// Workers of two gateways have the same name.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a count is what is named. One that is less is a name too many.
fn is(count: f64, named: f64) -> bool {
    (count - named).abs() <= NOISE
}

fn measure(what: &str, thread: &str, address: SocketAddr, request: &[u8]) -> Cost {
    let mut client = Client::connect(address);
    client.send(request, WARM_UP);
    let row = counter::thread(thread).expect(thread);
    let mut round = || {
        let before = counter::read(row);
        client.send(request, REQUESTS);
        let after = counter::read(row);
        let each = |after: u64, before: u64| (after - before) as f64 / REQUESTS as f64;
        Cost {
            allocations: each(after.allocations, before.allocations),
            bytes: each(after.bytes, before.bytes),
            buffers: each(after.buffers, before.buffers),
        }
    };
    let mut rounds: Vec<_> = (0..ROUNDS).map(|_| round()).collect();
    rounds.sort_by(|one, other| one.allocations.total_cmp(&other.allocations));
    let cost = rounds[ROUNDS / 4];
    println!("{what}: {cost:.2?} a request");
    if std::env::var_os("PLUGWAY_ALLOCATIONS").is_some_and(|wish| wish == "show") {
        counter::shown(row, || client.send(request, 1));
    }
    cost
}

/// One route of a gateway.
struct Setup<'a> {
    path: &'a str,
    endpoints: &'a [&'a Upstream],
    plugins: usize,
}

impl Setup<'_> {
    /// As `plugway init` has it, save that requests are not logged.
    fn start(&self, folder: &TempDir) -> (Gateway, SocketAddr) {
        let endpoints: Vec<_> = self.endpoints.iter().map(|upstream| format!("http://{}", upstream.address)).collect();
        let mut text = format!(
            "workers = 1\ncache_directory = {:?}\nstate_directory = {:?}\n[listen.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [access_log]\nenabled = false\n[upstreams.up]\nendpoints = {endpoints:?}\n",
            folder.path().join("cache"),
            folder.path().join("state")
        );
        let mut chain = Vec::new();
        if self.plugins > 0 {
            let guest = guests::component(&guests::root(), "plugway-bench-guest").unwrap();
            for number in 1..=self.plugins {
                text += &format!("[plugins.tag-{number}]\nsource = {guest:?}\nconfig = {{ header = \"x-plugin-{number}\" }}\n");
                chain.push(format!("tag-{number}"));
            }
        }
        text += &format!(
            "[[routes]]\nname = \"all\"\nmatch = {{ path = {:?} }}\npublic = true\nupstream = \"up\"\nplugins = {chain:?}\n",
            self.path
        );
        let config = config::parse(&text, Path::new("plugway.toml")).unwrap().config;
        let gateway = Gateway::start(config, Compiler::in_process()).unwrap();
        let address = gateway.addresses().listeners[0].1;
        (gateway, address)
    }
}

#[test]
fn a_request_allocates_little_more_than_through_a_bare_proxy() {
    let _alone = alone();
    let (upstream, folder) = (Upstream::start(), TempDir::new().unwrap());
    let bare = bare::start(upstream.address);
    let (_gateway, plugway) = Setup { path: "/*", endpoints: &[&upstream], plugins: 0 }.start(&folder);
    for (kind, request, extra) in [("GET", GET, &[][..]), ("POST", POST, &EXTRA_WITH_BODY)] {
        let floor = measure(&format!("{kind} through the bare proxy"), bare::THREAD, bare, request);
        let expected = upstream.last_headers();
        let cost = measure(&format!("{kind} through plugway"), WORKER, plugway, request);
        assert_eq!(upstream.last_headers(), expected, "both add the same headers");
        let named = floor.allocations + (EXTRA.len() + extra.len()) as f64 - SAVED.len() as f64;
        assert!(is(cost.allocations, named), "{kind}: {cost:.2?}, bare: {floor:.2?}, named: {EXTRA:#?} {extra:#?} {SAVED:#?}");
        // The allocator has a list for these alone (`plugway::allocator`).
        assert!(is(cost.buffers, HEAD_BUFFERS), "{kind}: {cost:.2?}");
    }
}

#[test]
fn a_plugin_allocates_what_is_named() {
    let _alone = alone();
    let (upstream, folder) = (Upstream::start(), TempDir::new().unwrap());
    let costs = [0, 1, 5].map(|plugins| {
        let (_gateway, plugway) = Setup { path: "/*", endpoints: &[&upstream], plugins }.start(&folder);
        let cost = measure(&format!("GET through plugway with {plugins} plugins"), WORKER, plugway, GET);
        let added = upstream.last_headers().iter().filter(|line| line.starts_with("x-plugin-")).count();
        assert_eq!(added, plugins, "every plugin adds a header");
        cost
    });
    let [none, one, five] = costs.map(|cost| cost.allocations);
    let each = EACH_PLUGIN.len() as f64;
    assert!(is(one, none + each), "{costs:.2?}, named: {EACH_PLUGIN:#?}");
    assert!(is(five, none + 5.0 * each), "{costs:.2?}, named: {EACH_PLUGIN:#?}");
}

#[test]
fn what_a_route_asks_for_allocates_what_is_named() {
    let _alone = alone();
    let (upstreams, folder) = ([(); 3].map(|()| Upstream::start()), TempDir::new().unwrap());
    let [one, two, three] = &upstreams;
    let cost = |what: &str, setup: Setup<'_>| {
        let (_gateway, plugway) = setup.start(&folder);
        measure(what, WORKER, plugway, GET).allocations
    };
    let plain = cost("GET, one endpoint", Setup { path: "/*", endpoints: &[one], plugins: 0 });
    let several = cost("GET, three endpoints", Setup { path: "/*", endpoints: &[one, two, three], plugins: 0 });
    assert!(is(several, plain + ANOTHER_ENDPOINT.len() as f64), "{several}, one endpoint: {plain}, named: {ANOTHER_ENDPOINT:#?}");
    let parameter = cost("GET, a path parameter", Setup { path: "/orders/{id}", endpoints: &[one], plugins: 0 });
    assert!(is(parameter, plain + PARAMETER.len() as f64), "{parameter}, none: {plain}, named: {PARAMETER:#?}");
}

#[test]
fn a_rate_limit_allocates_what_is_named() {
    let _alone = alone();
    let (upstream, folder) = (Upstream::start(), TempDir::new().unwrap());
    let plain = {
        let (_gateway, plugway) = Setup { path: "/*", endpoints: &[&upstream], plugins: 0 }.start(&folder);
        measure("GET without a limit", WORKER, plugway, GET).allocations
    };
    let limited = |key: &str, headers: bool| {
        let text = format!(
            "workers = 1\ncache_directory = {:?}\n[listen.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n\
             [access_log]\nenabled = false\n[upstreams.up]\nendpoints = [\"http://{}\"]\n\
             [plugins.limit]\nsource = \"builtin:rate-limit\"\ngrants = {{ rate-limit = {{}} }}\nconfig.headers = {headers}\n\
             config.limits = [{{ name = \"all\", key = {key}, requests = 1000000, period = \"1s\" }}]\n\
             [[routes]]\nname = \"all\"\nmatch = {{ path = \"/*\" }}\npublic = true\nupstream = \"up\"\nplugins = [\"limit\"]\n",
            folder.path().join("cache"),
            upstream.address
        );
        let config = config::parse(&text, Path::new("plugway.toml")).unwrap().config;
        let gateway = Gateway::start(config, Compiler::in_process()).unwrap();
        let address = gateway.addresses().listeners[0].1;
        measure(&format!("GET limited by {key}, headers {headers}"), WORKER, address, GET).allocations - plain
    };
    for (key, headers, named) in [
        ("{ header = \"x-tenant-id\" }", false, &[&RATE_LIMIT[..]][..]),
        ("\"route\"", false, &[&RATE_LIMIT, &RATE_LIMIT_VALUE]),
        ("\"route\"", true, &[&RATE_LIMIT, &RATE_LIMIT_VALUE, &RATE_LIMIT_HEADERS]),
    ] {
        let (cost, named) = (limited(key, headers), named.concat());
        assert!(is(cost, named.len() as f64), "{key}, headers {headers}: {cost:.2}, named: {named:#?}");
    }
}
