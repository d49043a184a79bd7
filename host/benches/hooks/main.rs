//! What plugins cost, called as a worker calls them: `cargo bench -p plugway --bench hooks`, or `cargo xtask bench hooks` for a
//! table of it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench that cannot go on ends; criterion's macro makes items without docs"
)]

mod calls;
mod chains;
mod kinds;
mod tokens;

use std::path::Path;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use criterion::{criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method};
use plugway::assembly::{Assembled, Workshop, read_all};
use plugway::config;
use plugway::config::model::Config;
use plugway::exchange::{ConnectionFacts, Exchange, RequestHead, Target};
use plugway::plugin::Compiler;
use plugway::proxy::Generation;
use plugway::telemetry::Telemetry;
use plugway_harness::guests;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

/// The gateway's own.
#[global_allocator]
static ALLOCATOR: plugway::allocator::Allocator = plugway::allocator::Allocator;

/// What every configuration here begins with.
fn head() -> String {
    let cache = guests::root().join("target/bench-cache");
    format!(
        r#"
workers = 1
cache_directory = "{}"
[listen.web]
address = "127.0.0.1:0"
[upstreams.up]
endpoints = ["http://127.0.0.1:9"]
"#,
        cache.display()
    )
}

/// One worker's plugins, ready to be called, and what they were made with.
struct Ready {
    config: Config,
    workshop: Workshop,
    assembled: Assembled,
    generation: Rc<Generation>,
}

fn ready(text: &str) -> Ready {
    let config = config::parse(text, Path::new("bench.toml")).unwrap().config;
    let mut workshop = Workshop::open(&config, Telemetry::new().unwrap(), Compiler::in_process()).unwrap();
    let assembled = workshop.assemble(&config, read_all(&config)).unwrap();
    let generation = Rc::new(workshop.generation(&config, &assembled, 0).unwrap());
    Ready { config, workshop, assembled, generation }
}

/// What comes of a call of plugins that cannot wait.
fn now<R>(call: impl Future<Output = R>) -> R {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(came) => came,
        Poll::Pending => unreachable!("none of these plugins waits"),
    }
}

/// What a worker runs on: a call that may wait gives way when its alarm comes, and goes on as a task.
struct Worker {
    runtime: Runtime,
    tasks: LocalSet,
}

fn worker() -> Worker {
    Worker { runtime: Builder::new_current_thread().enable_time().build().unwrap(), tasks: LocalSet::new() }
}

impl Worker {
    fn run<R>(&self, work: impl Future<Output = R>) -> R {
        self.tasks.block_on(&self.runtime, work)
    }
}

fn exchange(generation: &Generation) -> Box<Exchange> {
    let mut headers = HeaderMap::new();
    for (name, value) in [("host", "example.com"), ("accept", "*/*"), ("user-agent", "bench"), ("x-tenant-id", "acme")] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let head = RequestHead { method: Method::GET, tls: false, authority: "example.com".into(), target: Target::default(), headers };
    let connection = ConnectionFacts { peer: ([127, 0, 0, 1], 1).into(), listener: "web".into(), tls: None };
    let id = HeaderValue::from_static("id");
    let route = generation.routes[0].facts.clone();
    Exchange::new(head, connection.into(), [127, 0, 0, 1].into(), id.clone(), id, Instant::now(), route, Vec::new())
}

criterion_group!(benches, chains::chains, kinds::kinds, calls::calls, tokens::tokens);
criterion_main!(benches);
