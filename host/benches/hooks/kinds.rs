//! Every hook of a plugin that does nothing in it: the crossing into the sandbox and back.

use std::time::{Duration, Instant};

use criterion::Criterion;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use plugway::exchange::{Exchange, Origin, Outcome, ResponseHead};
use plugway::pipeline::{Chain, Ended, StepKind};
use plugway::plugin::{EndedRow, ExchangeRecord, Texts};
use plugway::proxy::{KeptRecord, RecordSink, RoutePlan};
use plugway::telemetry::Telemetry;
use plugway_harness::{ca, guests};

use super::{Ready, exchange, head, now, ready, worker};

/// What observers and routers that learn are told at once.
const BATCH: usize = 64;

/// Each signature is computed.
pub(super) fn configuration(routes: &str) -> String {
    let guest = guests::example("plugway-bench-guest", "hooks").unwrap();
    let directory = guests::root().join("target/bench-cache");
    std::fs::create_dir_all(&directory).unwrap();
    let [secret, signing] = ["secret", "signing.pem"].map(|name| directory.join(name));
    std::fs::write(&secret, "0123456789abcdef0123456789abcdef").unwrap();
    std::fs::write(&signing, ca::self_signed("signing").unwrap().pems().1).unwrap();
    format!(
        "{}[secrets.secret]\nfile = {secret:?}\n[secrets.signing]\nfile = {signing:?}\n[plugins.all]\nsource = {guest:?}\n\
         grants = {{ crypto = {{ max_signatures = 0 }}, kv = {{}}, rate-limit = {{}}, secrets = [\"secret\"], keys = [\"secret\", \"signing\"] }}\n{routes}",
        head()
    )
}

/// The same plugin with more CPU time than one tick, so that its calls have instances and stacks of their own, as those have that can wait.
fn configuration_that_overlaps(route: &str) -> String {
    configuration(&format!("budget = {{ cpu = \"100ms\" }}\n{route}"))
}

pub(super) fn kinds(criterion: &mut Criterion) {
    let route = "[[routes]]\nname = \"all\"\nplugins = [\"all\"]\nrouter = \"all\"\nforwarder = \"all\"\nupstream = \"up\"\n";
    let ready = ready(&configuration(route));
    on_the_way_in(criterion, &ready, "authorizer", |kind| matches!(kind, StepKind::Authorize { .. }));
    on_the_way_in(criterion, &ready, "request-filter", |kind| kind == StepKind::Filter);
    overlapping(criterion, &super::ready(&configuration_that_overlaps(route)));
    router(criterion, &ready);
    forwarder(criterion, &ready);
    response_filter(criterion, &ready);
    in_batches(criterion, &ready);
    timer(criterion);
}

fn on_the_way_in(criterion: &mut Criterion, ready: &Ready, name: &str, wanted: fn(StepKind) -> bool) {
    let generation = &ready.generation;
    let chain = only(ready, wanted);
    each(criterion, name, exchange(generation), |exchange| now(chain.admit(generation, exchange)).0);
}

/// The one step of the route on the way in that is wanted.
fn only(ready: &Ready, wanted: fn(StepKind) -> bool) -> Chain {
    let all = &ready.generation.routes[0].chain;
    let incoming: Vec<_> = all.incoming.iter().filter(|step| wanted(step.kind)).cloned().collect();
    assert_eq!(incoming.len(), 1);
    Chain { incoming, public: true, ..Chain::default() }
}

fn overlapping(criterion: &mut Criterion, ready: &Ready) {
    let generation = &ready.generation;
    let chain = only(ready, |kind| matches!(kind, StepKind::Authorize { .. }));
    let worker = worker();
    let mut exchange = Some(exchange(generation));
    criterion.bench_function("hook: authorizer, where it might wait", |bencher| {
        bencher.iter_custom(|times| {
            worker.run(async {
                let began = Instant::now();
                for _ in 0..times {
                    exchange = Some(chain.admit(generation, exchange.take().unwrap()).await.0);
                }
                began.elapsed()
            })
        });
    });
}

fn router(criterion: &mut Criterion, ready: &Ready) {
    let generation = &ready.generation;
    let route = &generation.routes[0];
    each(criterion, "router", exchange(generation), |exchange| {
        let (back, selected) = route.chain.select(&generation.plugins, exchange, &route.upstream, None);
        assert!(selected.is_ok());
        back
    });
}

fn forwarder(criterion: &mut Criterion, ready: &Ready) {
    let (first, plan) = planned(ready, &ready.generation.routes[0]);
    each(criterion, "forwarder", first, plan);
}

/// An exchange whose endpoint was selected, and a call of the route's forwarder with it.
pub(super) fn planned<'r>(ready: &'r Ready, route: &'r RoutePlan) -> (Box<Exchange>, impl Fn(Box<Exchange>) -> Box<Exchange> + 'r) {
    let plugins = &ready.generation.plugins;
    let (first, selected) = route.chain.select(plugins, exchange(&ready.generation), &route.upstream, None);
    let (endpoint, host) = (selected.unwrap().endpoint, HeaderValue::from_static("example.com"));
    let plan = move |exchange| {
        let (back, plan) = route.chain.plan(plugins, exchange, &route.upstream, &endpoint, &host);
        plan.unwrap();
        back
    };
    (first, plan)
}

fn response_filter(criterion: &mut Criterion, ready: &Ready) {
    let generation = &ready.generation;
    let chain = Chain { outgoing: generation.routes[0].chain.outgoing.clone(), ..Chain::default() };
    assert_eq!(chain.outgoing.len(), 1);
    each(criterion, "response-filter", answered(ready), |exchange| now(chain.finish(generation, exchange)).0);
}

/// An exchange that has a response of an upstream's.
pub(super) fn answered(ready: &Ready) -> Box<Exchange> {
    let mut exchange = exchange(&ready.generation);
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    exchange.response = Some(ResponseHead { status: StatusCode::OK, headers, origin: Origin::Upstream(0) });
    exchange
}

/// One call of a hook that takes an exchange and gives it back.
fn each(criterion: &mut Criterion, name: &str, first: Box<Exchange>, call: impl Fn(Box<Exchange>) -> Box<Exchange>) {
    let mut exchange = Some(first);
    criterion.bench_function(&format!("hook: {name}"), |bencher| {
        bencher.iter(|| exchange = exchange.take().map(&call));
    });
}

/// Hooks that are told of many things at once; the time is for each of them.
fn in_batches(criterion: &mut Criterion, ready: &Ready) {
    let Ready { config, workshop, assembled, generation, .. } = ready;
    let router = generation.routes[0].chain.router.clone().unwrap();
    assert!(generation.plugins.learns(&router));
    let outcome = Outcome { endpoint: 0, status: Some(200), fault: None };
    criterion.bench_function("hook: outcome-observer, each of 64 outcomes", |bencher| {
        bencher.iter_custom(|iterations| {
            timed(iterations, |_| {
                for _ in 0..BATCH {
                    generation.plugins.learn(&router, Ended { outcome, latency_us: 100 });
                }
                let began = Instant::now();
                generation.plugins.tell_outcomes();
                began.elapsed()
            })
        });
    });
    let mut observers = workshop.observers(config, assembled).unwrap().begin();
    let observer = &generation.routes[0].chain.observers[0];
    let (sender, mut batches) = tokio::sync::mpsc::channel(1);
    let sink = RecordSink::new(sender, Telemetry::new().unwrap().worker(0));
    criterion.bench_function("hook: observer, each of 64 records", |bencher| {
        bencher.iter_custom(|iterations| {
            timed(iterations, |_| {
                for _ in 0..BATCH {
                    sink.push(generation.snapshot.number, (observer.slot, &observer.name), |texts| record(texts, observer.config));
                }
                sink.flush();
                let batch = batches.try_recv().unwrap();
                let began = Instant::now();
                observers.complete(batch).unwrap();
                began.elapsed()
            })
        });
    });
    let observer = &generation.routes[0].chain.batch_observers[0];
    criterion.bench_function("hook: batch-observer, each of 64 rows", |bencher| {
        bencher.iter_custom(|iterations| {
            timed(iterations, |_| {
                for _ in 0..BATCH {
                    sink.push_row(generation.snapshot.number, (observer.slot, observer.config, &observer.name), row);
                }
                sink.flush();
                let batch = batches.try_recv().unwrap();
                let began = Instant::now();
                observers.complete(batch).unwrap();
                began.elapsed()
            })
        });
    });
}

/// Timers of as many routes, which all have their first tick at once.
fn timer(criterion: &mut Criterion) {
    let route = |number| {
        format!(
            "[[routes]]\nname = \"r{number}\"\nmatch = {{ path = \"/{number}\" }}\nupstream = \"up\"\n\
             plugins = [{{ plugin = \"all\", config = {{ timer = true, times = {number} }} }}]\n"
        )
    };
    let Ready { config, workshop, assembled, .. } = &ready(&configuration(&(0..BATCH).map(route).collect::<String>()));
    criterion.bench_function("hook: timer", |bencher| {
        bencher.iter_custom(|iterations| {
            timed(iterations, |_| {
                let mut observers = workshop.observers(config, assembled).unwrap().begin();
                let began = Instant::now();
                observers.tick();
                let took = began.elapsed();
                assert!(observers.next_tick().is_some_and(|next| next > began + Duration::from_secs(60)), "all were ticked");
                took
            })
        });
    });
}

/// So many batches, as the time of as many single things.
fn timed(iterations: u64, mut batch: impl FnMut(u64) -> Duration) -> Duration {
    let all: Duration = (0..iterations).map(&mut batch).sum();
    all / u32::try_from(BATCH).unwrap()
}

/// As a worker has it: text that the row before has is pointed to.
fn row(texts: &mut Texts, before: &EndedRow) -> EndedRow {
    EndedRow {
        route: texts.keep_unless(before.route, "all"),
        host: texts.keep_unless(before.host, "api.example.com"),
        method: texts.keep_unless(before.method, "GET"),
        protocol: texts.keep_unless(before.protocol, "http/1.1"),
        endpoint: texts.keep_unless(before.endpoint, "http://127.0.0.1:9"),
        status: 200,
        attempts: 1,
        received_at: 1_700_000_000_000_000_000,
        duration_us: 300,
        upstream_us: Some(200),
        response_bytes: 64,
        ..EndedRow::default()
    }
}

fn record(texts: &mut Texts, config_id: u32) -> KeptRecord {
    ExchangeRecord {
        config_id,
        id: texts.keep("01890a5d-ac96-774b-bcce-b302099a8057"),
        trace_id: texts.keep("0af7651916cd43dd8448eb211c80319c"),
        received_at: 1_700_000_000_000_000_000,
        duration_us: 300,
        method: texts.keep("GET"),
        host: texts.keep("api.example.com"),
        route: texts.keep("all"),
        api: None,
        api_version: None,
        status: 200,
        fault: None,
        blame: None,
        consumer: None,
        client_address: texts.keep("127.0.0.1"),
        endpoint: Some(texts.keep("http://127.0.0.1:9")),
        attempts: 1,
        upstream_us: Some(200),
        request_bytes: 0,
        response_bytes: 64,
        protocol: texts.keep("http/1.1"),
        attributes: Vec::new(),
        extra: Vec::new(),
    }
}
