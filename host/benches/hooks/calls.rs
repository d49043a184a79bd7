//! Capabilities that a plugin calls from a hook, one of each kind at least: what fifty calls take longer than none, for each of them.

use std::time::{Duration, Instant};

use criterion::Criterion;
use plugway::pipeline::{Chain, StepKind, Verdict};
use plugway_harness::guests;
use plugway_harness::upstream::Upstream;

use super::{Ready, exchange, head, kinds, now, ready, worker};

/// As many as a request may have changes, and fewer.
const TIMES: u32 = 50;

/// How the guest calls them, and what they are.
const CALLS: [(&str, &str); 34] = [
    ("read-header", "request.header, by number"),
    ("read-header-by-text", "request.header, by text"),
    ("read-headers", "request.headers, 4 of them"),
    ("set-header", "request.set-header"),
    ("set-line", "request.set-line"),
    ("read-path", "request.path"),
    ("read-request-id", "request.id"),
    ("set-attribute", "request.set-attribute"),
    ("read-attribute", "request.attribute, of nobody"),
    ("clock", "clock.now"),
    ("monotonic", "clock.monotonic"),
    ("ask-available", "endpoints.available"),
    ("ask-in-flight", "endpoints.in-flight"),
    ("ask-latency", "endpoints.latency-us"),
    ("ask-recording", "trace.recording"),
    ("note-attribute", "trace.set-attribute, of a request that is not sampled"),
    ("random-number", "random.number"),
    ("count-metric", "metrics.record, a counter with a label"),
    ("ask-log-level", "log.enabled"),
    ("sha256", "crypto.digest, SHA-256 of 64 bytes"),
    ("hmac", "crypto.hmac, SHA-256 of 64 bytes"),
    ("equal", "crypto.equal, 32 bytes"),
    ("random-bytes", "random.bytes, 16 of them"),
    ("write-log", "log.write, below the level"),
    ("kv-get", "kv.get, of 64 bytes"),
    ("kv-set", "kv.set, of 64 bytes"),
    ("kv-increment", "kv.increment"),
    ("kv-delete", "kv.delete, where nothing is"),
    ("kv-swap", "kv.compare-and-swap, of 64 bytes"),
    ("take-token", "rate-limit.take"),
    ("give-token-back", "rate-limit.give-back"),
    ("get-secret", "secrets.get, of 32 bytes"),
    ("seal", "keys.seal, 64 bytes"),
    ("open", "keys.open, of 64 bytes"),
];

pub(super) fn calls(criterion: &mut Criterion) {
    let ready = ready(&kinds::configuration(&routes(CALLS.map(|(call, _)| (call, String::new())))));
    for (call, what) in CALLS {
        each(criterion, &ready, call, what);
    }
    asking(criterion);
}

/// Requests of a plugin's own in one call of its hook.
const ASKED: u32 = 10;

/// A request of a plugin's own, answered from the gateway's cache: it goes to the thread that makes them, and the answer comes back from there.
fn asking(criterion: &mut Criterion) {
    let upstream = Upstream::plain("asked").unwrap();
    let guest = guests::example("plugway-bench-guest", "asking").unwrap();
    let grants = format!("{{ http-client = {{ hosts = [\"{}\"], addresses = [\"127.0.0.0/8\"] }} }}", upstream.url());
    let route = |name: &str, times: u32, only_may: bool| {
        format!(
            "[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}\" }}\npublic = true\nupstream = \"up\"\n\
             plugins = [{{ plugin = \"all\", config = {{ url = \"{}/fresh/86400\", times = {times}, only_may = {only_may} }} }}]\n",
            upstream.url()
        )
    };
    let routes = [route("nothing", 0, false), route("send", ASKED, false), route("may-ask", ASKED, true)].concat();
    let ready = ready(&format!("{}[plugins.all]\nsource = {guest:?}\ngrants = {grants}\n{routes}", head()));
    let worker = worker();
    for (call, what) in [("send", "http-client.send, answered from the cache"), ("may-ask", "http-client.may-ask")] {
        let (nothing, chain) = (filter(&ready, "nothing"), filter(&ready, call));
        criterion.bench_function(&format!("call: {what}"), |bencher| {
            bencher.iter_custom(|iterations| {
                let run = |chain: &Chain| worker.run(run_in_turns(&ready, chain, iterations));
                run(&chain).saturating_sub(run(&nothing)) / ASKED
            });
        });
    }
    // None where a filter of criterion left it out.
    assert!(upstream.requests() <= 1);
}

async fn run_in_turns(ready: &Ready, chain: &Chain, iterations: u64) -> Duration {
    let mut exchange = exchange(&ready.generation);
    let began = Instant::now();
    for _ in 0..iterations {
        let (back, verdict) = chain.admit(&ready.generation, exchange).await;
        assert!(matches!(verdict, Verdict::Pass), "a call was refused: {verdict:?}");
        exchange = back;
    }
    began.elapsed()
}

/// A route for each call, with what else its configuration is to have, and one that calls nothing.
pub(super) fn routes(calls: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let nothing = ("nothing", "times = 0".to_owned());
    std::iter::once(nothing)
        .chain(calls.into_iter().map(|(call, more)| (call, format!("times = {TIMES}{more}"))))
        .map(|(call, config)| {
            format!(
                "[[routes]]\nname = \"{call}\"\nmatch = {{ path = \"/{call}\" }}\nupstream = \"up\"\n\
                 router = {{ plugin = \"all\", config = {{ call = \"{call}\", {config} }} }}\nplugins = [{{ plugin = \"all\", config = {{ call = \"{call}\", {config} }} }}]\n"
            )
        })
        .collect()
}

/// One call of the route's fifty.
pub(super) fn each(criterion: &mut Criterion, ready: &Ready, call: &str, what: &str) {
    let (nothing, chain) = (filter(ready, "nothing"), filter(ready, call));
    criterion.bench_function(&format!("call: {what}"), |bencher| {
        bencher.iter_custom(|iterations| {
            let with = run(ready, &chain, iterations);
            with.saturating_sub(run(ready, &nothing, iterations)) / TIMES
        });
    });
}

/// The request filter of a route by itself.
fn filter(ready: &Ready, route: &str) -> Chain {
    let routes = &ready.generation.routes;
    let found = routes.iter().find(|found| &*found.facts.name == route).unwrap();
    let incoming: Vec<_> = found.chain.incoming.iter().filter(|step| step.kind == StepKind::Filter).cloned().collect();
    assert_eq!(incoming.len(), 1, "{route}");
    Chain { incoming, public: true, ..Chain::default() }
}

fn run(ready: &Ready, chain: &Chain, iterations: u64) -> Duration {
    let mut exchange = exchange(&ready.generation);
    let began = Instant::now();
    for _ in 0..iterations {
        let (back, verdict) = now(chain.admit(&ready.generation, exchange));
        assert!(matches!(verdict, Verdict::Pass), "a call was refused: {verdict:?}");
        exchange = back;
    }
    began.elapsed()
}
