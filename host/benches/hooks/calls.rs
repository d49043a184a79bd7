//! Capabilities that a plugin calls from a hook, and what it asks of a request, a response and a plan: what fifty calls take longer than none, for each of
//! them.

use std::time::{Duration, Instant};

use criterion::Criterion;
use plugway::exchange::Exchange;
use plugway::pipeline::{Chain, Finished, StepKind, Verdict};
use plugway::proxy::RoutePlan;
use plugway_harness::guests;
use plugway_harness::upstream::Upstream;

use super::{Ready, exchange, head, kinds, now, ready, worker};

/// As many as a request may have changes, and fewer.
const TIMES: u32 = 50;

/// How the guest calls them, and what they are.
const CALLS: [(&str, &str); 40] = [
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
    ("ask-upstream-in-flight", "endpoints.upstream-in-flight"),
    ("ask-recording", "trace.recording"),
    ("note-attribute", "trace.set-attribute, of a request that is not sampled"),
    ("add-event", "trace.add-event, of a request that is not sampled"),
    ("random-number", "random.number"),
    ("count-metric", "metrics.record, a counter with a label"),
    ("record-all", "metrics.record-all, 64 amounts of a histogram"),
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
    ("kv-pin", "kv.pin, of a key that is there"),
    ("take-token", "rate-limit.take"),
    ("give-token-back", "rate-limit.give-back"),
    ("get-secret", "secrets.get, of 32 bytes"),
    ("algorithms", "keys.algorithms"),
    ("sign", "keys.sign, ES256 of 64 bytes"),
    ("seal", "keys.seal, 64 bytes"),
    ("open", "keys.open, of 64 bytes"),
];

/// The same from a response filter.
const ON_RESPONSE: [(&str, &str); 4] = [
    ("read-status", "response.status"),
    ("read-response-header", "response.header, by number"),
    ("set-response-header", "response.set-header"),
    ("set-response-line", "response.set-line"),
];

/// And from a forwarder.
const ON_PLAN: [(&str, &str); 3] =
    [("read-plan-host", "forward-plan.host"), ("set-plan-host", "forward-plan.set-host"), ("set-plan-header", "forward-plan.set-header")];

pub(super) fn calls(criterion: &mut Criterion) {
    let names = CALLS.iter().chain(&ON_RESPONSE).chain(&ON_PLAN).map(|(call, _)| (*call, String::new()));
    let ready = ready(&kinds::configuration(&routes(names)));
    for (call, what) in CALLS {
        each(criterion, &ready, call, what);
    }
    for (call, what) in ON_RESPONSE {
        fifty(criterion, call, what, |route, times| on_response(&ready, route, times));
    }
    for (call, what) in ON_PLAN {
        fifty(criterion, call, what, |route, times| on_plan(&ready, route, times));
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
            let place = format!("{{ plugin = \"all\", config = {{ call = \"{call}\", {config} }} }}");
            format!(
                "[[routes]]\nname = \"{call}\"\nmatch = {{ path = \"/{call}\" }}\nupstream = \"up\"\n\
                 router = {place}\nforwarder = {place}\nplugins = [{place}]\n"
            )
        })
        .collect()
}

/// One call of the fifty of a route's request filter.
pub(super) fn each(criterion: &mut Criterion, ready: &Ready, call: &str, what: &str) {
    fifty(criterion, call, what, |route, times| on_request(ready, route, times));
}

/// What one call takes, of a hook that makes fifty on the call's route and none on another.
fn fifty(criterion: &mut Criterion, call: &str, what: &str, run: impl Fn(&str, u64) -> Duration) {
    criterion.bench_function(&format!("call: {what}"), |bencher| {
        bencher.iter_custom(|times| run(call, times).saturating_sub(run("nothing", times)) / TIMES);
    });
}

fn route<'r>(ready: &'r Ready, name: &str) -> &'r RoutePlan {
    ready.generation.routes.iter().find(|route| &*route.facts.name == name).unwrap()
}

/// The request filter of a route by itself.
fn filter(ready: &Ready, name: &str) -> Chain {
    let all = &route(ready, name).chain.incoming;
    let incoming: Vec<_> = all.iter().filter(|step| step.kind == StepKind::Filter).cloned().collect();
    assert_eq!(incoming.len(), 1, "{name}");
    Chain { incoming, public: true, ..Chain::default() }
}

fn on_request(ready: &Ready, name: &str, times: u64) -> Duration {
    let chain = filter(ready, name);
    timed(exchange(&ready.generation), times, |exchange| {
        let (back, verdict) = now(chain.admit(&ready.generation, exchange));
        assert!(matches!(verdict, Verdict::Pass), "a call was refused: {verdict:?}");
        back
    })
}

fn on_response(ready: &Ready, name: &str, times: u64) -> Duration {
    let chain = Chain { outgoing: route(ready, name).chain.outgoing.clone(), ..Chain::default() };
    timed(kinds::answered(ready), times, |exchange| {
        let (back, finished) = now(chain.finish(&ready.generation, exchange));
        assert!(matches!(finished, Finished::SameBody), "a call was refused");
        back
    })
}

fn on_plan(ready: &Ready, name: &str, times: u64) -> Duration {
    let (first, plan) = kinds::planned(ready, route(ready, name));
    timed(first, times, plan)
}

/// So many calls of a hook that takes an exchange and gives it back.
fn timed(first: Box<Exchange>, times: u64, call: impl Fn(Box<Exchange>) -> Box<Exchange>) -> Duration {
    let mut exchange = first;
    let began = Instant::now();
    for _ in 0..times {
        exchange = call(exchange);
    }
    began.elapsed()
}
