//! Capabilities that a plugin calls from a hook, one of each kind at least: what fifty calls take longer than none, for each of them.

use std::time::{Duration, Instant};

use criterion::Criterion;
use plugway::pipeline::{Chain, StepKind, Verdict};

use super::{Ready, exchange, kinds, now, ready};

/// As many as a request may have changes, and fewer.
const TIMES: u32 = 50;

/// How the guest calls them, and what they are.
const CALLS: [(&str, &str); 24] = [
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
    ("take-token", "rate-limit.take"),
    ("get-secret", "secrets.get, of 32 bytes"),
    ("seal", "keys.seal, 64 bytes"),
];

pub(super) fn calls(criterion: &mut Criterion) {
    let ready = ready(&kinds::configuration(&routes(CALLS.map(|(call, _)| (call, String::new())))));
    for (call, what) in CALLS {
        each(criterion, &ready, call, what);
    }
}

/// A route for each call, with what else its configuration is to have, and one that calls nothing.
pub(super) fn routes(calls: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let nothing = ("nothing", "times = 0".to_owned());
    std::iter::once(nothing)
        .chain(calls.into_iter().map(|(call, more)| (call, format!("times = {TIMES}{more}"))))
        .map(|(call, config)| {
            format!(
                "[[routes]]\nname = \"{call}\"\nmatch = {{ path = \"/{call}\" }}\nupstream = \"up\"\n\
                 plugins = [{{ plugin = \"all\", config = {{ call = \"{call}\", {config} }} }}]\n"
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
