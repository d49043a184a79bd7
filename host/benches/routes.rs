//! What finding a route costs, for one route and for ten thousand: `cargo bench -p plugway --bench routes`.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs,
    reason = "a bench that cannot go on ends; criterion's macro makes items without docs"
)]

use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, Method};
use plugway::config;
use plugway::http::path::normalise;
use plugway::route::{Outcome, Table};

fn table(routes: usize) -> Table {
    let mut text = "[listen.web]\naddress = \"127.0.0.1:0\"\n[upstreams.up]\nendpoints = [\"http://127.0.0.1:9\"]\n".to_owned();
    for index in 0..routes {
        text += &format!(
            "[[routes]]\nname = \"r{index}\"\nmatch = {{ host = \"api{}.example.com\", path = \"/v1/things{index}/{{id}}/*\" }}\npublic = true\nupstream = \"up\"\n",
            index % 100
        );
    }
    let config = config::parse(&text, Path::new("bench.toml")).unwrap().config;
    Table::build(&config.routes).unwrap()
}

fn routes(criterion: &mut Criterion) {
    let headers = HeaderMap::new();
    for count in [1, 100, 10_000] {
        let table = table(count);
        let last = count - 1;
        let (host, path) = (format!("api{}.example.com", last % 100), format!("/v1/things{last}/42/parts"));
        criterion.bench_function(&format!("find among {count}"), |bencher| {
            bencher.iter(|| {
                let found = table.find(&host, &path, &Method::GET, &headers);
                assert!(matches!(found, Outcome::Found(_)));
            });
        });
    }
    criterion.bench_function("normalise a plain path", |bencher| bencher.iter(|| normalise("/v1/things/42/parts").is_ok()));
    criterion.bench_function("normalise a path with dots and escapes", |bencher| {
        bencher.iter(|| normalise("/v1/./x/../things/%41%7e/parts").is_ok())
    });
}

criterion_group!(benches, routes);
criterion_main!(benches);
