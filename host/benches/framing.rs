//! What the scanner under hyper costs for the head of a usual request: `cargo bench -p plugway --bench framing`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a bench that cannot go on ends; criterion's macro makes items without docs")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use plugway::server::framing::{Limits, Scanner};

const SHORT: &[u8] = b"GET /orders/42 HTTP/1.1\r\nHost: api.example.com\r\nX-Tenant-Id: acme\r\n\r\n";

const BROWSER: &[u8] = b"GET /orders/42?expand=lines HTTP/1.1\r\nHost: api.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) \
Gecko/20100101 Firefox/140.0\r\nAccept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\n\
Accept-Encoding: gzip, deflate, br, zstd\r\nReferer: https://shop.example.com/orders\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n\
Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-site\r\nPriority: u=0, i\r\n\r\n";

fn framing(criterion: &mut Criterion) {
    let limits = Limits { head_bytes: 64 << 10, headers: 100 };
    let mut group = criterion.benchmark_group("scan");
    for (name, head) in [("a short head", SHORT), ("a browser's head", BROWSER)] {
        group.throughput(Throughput::Bytes(head.len() as u64));
        // One scanner for many requests, as on a kept connection.
        let mut scanner = Scanner::new(limits);
        group.bench_function(name, |bencher| bencher.iter(|| scanner.scan(head).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, framing);
criterion_main!(benches);
