//! A request stays on the thread that accepted it.
//!
//! The program says nothing about its own threads here; the kernel does. It counts for each thread how often it was put on
//! a core. Between two readings one request is made on a connection of its own: it is accepted, goes through hooks, out on
//! an upstream socket and back. A thread that does any of it has to run for that, so its count grows; one whose count stays
//! had no part in it, whatever the code looks like. One kind of thread runs for a reason of its own, and that has a rate: each worker's
//! housekeeping ten times a second. And a worker may come back to what it served itself the moment before, so it is looked at where it did not.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use plugway_harness::gateway::Launch;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use crate::common::{BINARY, two_workers};
use crate::guest::{config, every_hook, filters, plugin, report, route, seen};
use crate::thread_time::{Thread, Times};

const WORKERS: [&str; 2] = ["plugway-0", "plugway-1"];
const REQUESTS: u64 = 400;
/// How often a worker looks at all its connections.
const HOUSEKEEPING: Duration = Duration::from_millis(100);

/// How often each thread ran, read when nobody is running.
fn runs(threads: &BTreeMap<String, Thread>) -> BTreeMap<&str, Times> {
    Thread::all_settled(threads.iter())
}

#[test]
fn accept_hooks_upstream_and_response_of_a_request_run_on_one_thread() {
    let upstream = Upstream::plain("up").unwrap();
    let launch = Launch::new(BINARY).unwrap();
    // In a folder where nothing else happens: the gateway watches the folders of its plugins, and other tests build into theirs.
    let own = |name: &str, file: &Path| {
        let copy = launch.directory().join(name).with_extension("wasm");
        std::fs::copy(file, &copy).unwrap();
        plugin(name, &copy, "mode = \"mark\"", "")
    };
    let (filter, other) = (own("filter", filters()), own("other", every_hook()));
    let chain = route("public = true\nplugins = [\"filter\"]\nrouter = \"other\"\nforwarder = \"other\"");
    // Lines and counts of a request are written when it is over.
    let written = "[access_log]\nenabled = false\n[store]\nenabled = false\n";
    let gateway = launch.start(&two_workers(&config(&upstream, &[&filter, &other, &chain, written]))).unwrap();
    let address = gateway.address("web").unwrap();

    // What happens once, on the program's side too, is over before the first reading.
    for _ in 0..20 {
        report(&crate::guest::get(address, "/", &[]));
    }
    std::thread::sleep(Duration::from_millis(500));
    let before_all = upstream.requests();
    let threads = Thread::all(gateway.pid());
    assert!(WORKERS.iter().all(|name| threads.contains_key(*name)), "{:?}", threads.keys());

    let mut handled: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut others, mut looked, mut elapsed) = (0, 0, Duration::ZERO);
    let mut last = None;
    for _ in 0..REQUESTS {
        let began = Instant::now();
        let before = runs(&threads);
        let mut client = Raw::connect(address).unwrap();
        client.send(b"GET / HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n").unwrap();
        let response = client.response().unwrap();
        assert!(client.closes().unwrap());
        drop(client);
        let after = runs(&threads);
        let took = began.elapsed();

        // The hooks were at work: both filters, the router and the forwarder.
        report(&response);
        assert_eq!((response.header("x-plugin"), seen(&response, "x-plugin").as_deref()), (Some(&b"on"[..]), Some("on")));
        let ran = |name: &str| after[name].runs - before[name].runs;
        let time = |name: &str| after[name].ran - before[name].ran;
        for name in threads.keys().filter(|name| !WORKERS.contains(&name.as_str())) {
            assert_eq!(ran(name), 0, "{name} had a part in a request");
        }
        let [one, other] = if time(WORKERS[0]) > time(WORKERS[1]) { WORKERS } else { [WORKERS[1], WORKERS[0]] };
        assert!(ran(one) > 0, "a request was answered and no worker ran");
        *handled.entry(one).or_default() += 1;
        if last.replace(one) == Some(one) {
            looked += 1;
            others += u64::from(ran(other) > 0);
            elapsed += took;
        }
    }
    assert_eq!(Thread::all(gateway.pid()).len(), threads.len(), "no thread was started for requests");
    assert_eq!(upstream.requests() - before_all, REQUESTS);

    // Had the other worker a part in every request, or in every second one, it would have run in so many. Housekeeping is at
    // another time in each, and the machine may interrupt it; a slow one has many rounds of it.
    let rounds = u64::try_from(elapsed.as_nanos() / HOUSEKEEPING.as_nanos()).unwrap();
    assert!(looked > REQUESTS / 10, "two requests in a row met one worker {looked} times in {REQUESTS}");
    let allowed = (2 * rounds + looked / 10).min(looked / 2 - 1);
    assert!(
        others <= allowed,
        "the other worker ran in {others} of {looked} requests and {elapsed:?}, for housekeeping in {allowed} at most"
    );
    println!("the other worker ran in {others} of {looked} requests");
    // And both were workers.
    assert!(WORKERS.iter().all(|name| handled.get(name).copied().unwrap_or_default() > REQUESTS / 10), "{handled:?}");
}
