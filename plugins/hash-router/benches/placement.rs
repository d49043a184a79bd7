//! What a pick by key costs: hashing a key of 24 bytes and taking the first member of its order.

#![expect(clippy::panic, reason = "a bench that cannot be set up has nothing to measure")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use plugway_plugin_hash_router::hash::Hash;
use plugway_plugin_hash_router::placement::maglev::{DEFAULT_TABLE_SIZE, TableSize};
use plugway_plugin_hash_router::placement::{Kind, Member, Placement};

fn members(count: u16, weight: impl Fn(u16) -> u16) -> Vec<Member> {
    let member = |number: u16| Member { name: format!("10.0.{}.{}:8080", number / 250, number % 250), weight: weight(number) };
    (0..count).map(member).collect()
}

fn kinds() -> [(&'static str, Kind, Hash); 5] {
    let table = TableSize::new(DEFAULT_TABLE_SIZE).unwrap_or_else(|why| panic!("{why}"));
    [
        ("maglev", Kind::Maglev(table), Hash::Xxh3),
        ("ketama", Kind::Ketama, Hash::Md5),
        ("ketama-nginx", Kind::KetamaNginx, Hash::Crc32),
        ("rendezvous", Kind::Rendezvous, Hash::Xxh3),
        ("modulo", Kind::Modulo, Hash::Xxh3),
    ]
}

fn placement(kind: Kind, members: &[Member]) -> Placement {
    Placement::build(kind, members).unwrap_or_else(|why| panic!("{why}"))
}

fn pick(criterion: &mut Criterion) {
    let keys: Vec<String> = (0..1024).map(|number| format!("/users/{number:05}/orders/{:03}", number % 997)).collect();
    for (weights, weight) in [("equal", (|_| 1) as fn(u16) -> u16), ("weighted", |number| number % 4 + 1)] {
        let mut group = criterion.benchmark_group(format!("pick/{weights}"));
        for (name, kind, hash) in kinds() {
            for count in [10, 100] {
                let placement = placement(kind, &members(count, weight));
                let mut keys = keys.iter().cycle();
                group.bench_function(BenchmarkId::new(name, count), |bencher| {
                    bencher.iter(|| {
                        let key = keys.next().map_or(&b""[..], String::as_bytes);
                        placement.order(hash.of(black_box(key))).next()
                    });
                });
            }
        }
    }
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    group.sample_size(20);
    for (name, kind, _) in kinds() {
        for count in [10, 100] {
            let members = members(count, |_| 1);
            group.bench_function(BenchmarkId::new(name, count), |bencher| bencher.iter(|| placement(kind, black_box(&members))));
        }
    }
}

criterion_group!(benches, pick, build);
criterion_main!(benches);
