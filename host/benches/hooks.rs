//! What a route's plugins cost, called as a worker calls them: `cargo bench -p plugway --bench hooks`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench that cannot go on ends; criterion's macro makes items without docs"
)]

use std::path::Path;
use std::time::Instant;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use plugway::assembly::Workshop;
use plugway::config;
use plugway::exchange::{ConnectionFacts, Exchange, RequestHead, Target};
use plugway::plugin::{Compiler, Ticker};
use plugway::proxy::Generation;
use plugway::telemetry::Telemetry;
use plugway_harness::guests;

/// One route with a chain of `length` plugins that read one header and add one.
fn configuration(length: usize) -> String {
    let guest = guests::component(&guests::root(), "plugway-bench-guest").unwrap();
    let mut text = format!(
        r#"
workers = 1
cache_directory = "{}"
[listen.web]
address = "127.0.0.1:0"
[upstreams.up]
endpoints = ["http://127.0.0.1:9"]
"#,
        guests::root().join("target/bench-cache").display()
    );
    for index in 0..length {
        text += &format!("[plugins.p{index}]\nsource = \"{}\"\nconfig = {{ header = \"x-plugin-{index}\" }}\n", guest.display());
    }
    let names = (0..length).map(|index| format!("\"p{index}\"")).collect::<Vec<_>>().join(", ");
    text + &format!("[[routes]]\nname = \"all\"\nmatch = {{ path = \"/*\" }}\npublic = true\nupstream = \"up\"\nplugins = [{names}]\n")
}

fn exchange(generation: &Generation) -> Box<Exchange> {
    let mut headers = HeaderMap::new();
    for (name, value) in [("host", "example.com"), ("accept", "*/*"), ("user-agent", "bench"), ("x-tenant-id", "acme")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let head = RequestHead { method: Method::GET, tls: false, authority: "example.com".into(), target: Target::default(), headers };
    let connection = ConnectionFacts { peer: ([127, 0, 0, 1], 1).into(), listener: "web".into(), tls: None };
    let id = HeaderValue::from_static("id");
    let route = generation.snapshot.routes[0].facts.clone();
    Exchange::new(head, connection.into(), [127, 0, 0, 1].into(), id.clone(), id, Instant::now(), route, Vec::new())
}

fn hooks(criterion: &mut Criterion) {
    for length in [0, 1, 5] {
        let config = config::parse(&configuration(length), Path::new("bench.toml")).unwrap().config;
        let mut workshop = Workshop::open(&config, Telemetry::new().unwrap(), Compiler::in_process()).unwrap();
        let _ticker = Ticker::start(workshop.engine()).unwrap();
        let assembled = workshop.assemble(&config).unwrap();
        let generation = workshop.generation(&config, &assembled, 0).unwrap();
        let mut exchange = Some(exchange(&generation));
        criterion.bench_function(&format!("chain of {length}: read a header, add a header"), |bencher| {
            let chain = &generation.snapshot.routes[0].chain;
            bencher.iter(|| {
                let (back, verdict) = chain.admit(&generation.plugins, exchange.take().unwrap());
                exchange = Some(back);
                verdict
            });
        });
        assert_eq!(exchange.unwrap().request.headers.contains_key("x-plugin-0"), length > 0);
    }
}

criterion_group!(benches, hooks);
criterion_main!(benches);
