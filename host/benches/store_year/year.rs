//! The rows of a gateway that was busy in all of its minutes, hours and days. A test of the store writes a few of them, so that they stay
//! what its tables take.

use std::path::Path;
use std::time::Duration;

use plugway::config::model::Keep;
use plugway::store::{Sketch, Tier, Writer};
use plugway::telemetry::latency::Bins;
use rusqlite::{Connection, params};

const ENDPOINTS: i64 = 10;
const CONSUMERS: i64 = 20;
/// Requests of one route in a minute: 500 a second of a gateway of 200 routes.
const A_MINUTE: i64 = 150;
/// One call of a plugin in so many has its time taken.
const ONE_OF: i64 = 64;
/// Distributions to choose from: more would take longer to make, and no more room.
const SKETCHES: usize = 64;

/// How much there is.
#[derive(Debug)]
pub(crate) struct Scale {
    pub(crate) routes: i64,
    /// Values a distribution is made of at most.
    pub(crate) values: i64,
    /// How long each tier reaches back.
    pub(crate) keep: Keep,
}

/// Writes a store. How many rows of counts it has.
pub(crate) fn write(file: &Path, scale: &Scale, now: i64) -> u64 {
    let whole = |span: Duration| i64::try_from(span.as_secs()).unwrap();
    let keep = &scale.keep;
    let mut writer = Writer::open(file, keep.clone(), 1 << 40, now).unwrap();
    names(writer.connection(), scale.routes);
    let mut rows = 0;
    for (tier, kept) in [(Tier::Minute, keep.minutes), (Tier::Hour, keep.hours), (Tier::Day, keep.days)] {
        rows += fill(writer.connection(), scale, tier, now - whole(kept), now);
    }
    samples(writer.connection(), scale.routes, now, whole(keep.samples));
    writer.roll_up(now - now % 60).unwrap();
    writer.end(now).unwrap();
    rows
}

fn names(store: &Connection, routes: i64) {
    store.execute_batch("BEGIN").unwrap();
    for route in 1..=routes {
        let api = format!("api-{:02}", route / 5);
        store.execute("INSERT INTO routes VALUES (?1, ?2, 'v1', ?3)", params![route, api, format!("route-{route:03}")]).unwrap();
        for endpoint in 0..ENDPOINTS {
            let url = format!("http://10.0.{route}.{endpoint}:8080");
            store.execute("INSERT INTO endpoints VALUES (?1, ?2)", params![route * 100 + endpoint, url]).unwrap();
        }
    }
    for consumer in 0..CONSUMERS {
        store.execute("INSERT INTO consumers VALUES (?1, ?2)", params![consumer, format!("consumer-{consumer:02}")]).unwrap();
    }
    store.execute_batch("INSERT INTO faults VALUES (1, 'upstream-status', 'client'), (2, 'upstream-reset', 'upstream')").unwrap();
    store.execute("INSERT INTO plugins VALUES (1, 'auth', 'aaaa', 0)", []).unwrap();
    store.execute("UPDATE rolled SET until = unixepoch()", []).unwrap();
    store.execute_batch("COMMIT").unwrap();
}

/// Distributions of that many values, each around a median of its own.
fn sketches(count: i64, most: i64) -> Vec<Vec<u8>> {
    let mut random = fastrand::Rng::with_seed(count.unsigned_abs());
    let mut normal = {
        let mut random = random.fork();
        move || (0..12).map(|_| random.f64()).sum::<f64>() - 6.0
    };
    (0..SKETCHES)
        .map(|_| {
            let (mut bins, median) = (Bins::default(), 500.0 + 20_000.0 * random.f64());
            (0..count.min(most)).for_each(|_| bins.add(Duration::from_secs_f64(median * (0.5 * normal()).exp() / 1e6)));
            let mut sketch = Sketch::default();
            sketch.add(&bins);
            sketch.to_bytes()
        })
        .collect()
}

/// Every row of a tier. How many there are.
fn fill(store: &Connection, scale: &Scale, tier: Tier, from: i64, until: i64) -> u64 {
    let (name, step) = (tier.as_str(), tier.seconds());
    let of_route = A_MINUTE * step / 60;
    let calls = of_route * scale.routes;
    let [whole, endpoint, consumer, timed] =
        [of_route, of_route / ENDPOINTS, of_route / CONSUMERS, calls / ONE_OF].map(|count| (count, sketches(count, scale.values)));
    let mut rows = 0;
    let insert = |table: &str, marks: &str| store.prepare(&format!("INSERT INTO {table}_{name} VALUES ({marks})")).unwrap();
    let mut routes = insert("route", "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10");
    let mut outcomes = insert("outcome", "?1, ?2, ?3, ?4, ?5");
    let mut parts = [
        (insert("endpoint", "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"), ENDPOINTS, &endpoint),
        (insert("consumer", "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9"), CONSUMERS, &consumer),
    ];
    let mut plugins = insert("plugin", "?1, 1, 'authorizer', ?2, 0, ?3, ?4, ?5");
    let mut pick = 0;
    let mut sketch = |sketches: &'_ [Vec<u8>]| {
        pick = (pick + 7) % SKETCHES;
        sketches.get(pick).cloned().unwrap()
    };
    for at in (from - from % step..until).step_by(usize::try_from(step).unwrap()) {
        store.execute_batch("BEGIN").unwrap();
        for route in 1..=scale.routes {
            let (requests, latencies) = &whole;
            let (client, server) = (requests / 50, requests / 1_000);
            let bytes = requests * 2_000;
            routes
                .execute(params![at, route, requests, client, server, bytes / 4, bytes, requests * 9_000, 250_000, sketch(latencies)])
                .unwrap();
            for (status, fault, count) in [(200, 0, requests - client - server), (404, 1, client), (502, 2, server)] {
                outcomes.execute(params![at, route, status, fault, count]).unwrap();
            }
            rows += 4;
            for (insert, count, (requests, latencies)) in &mut parts {
                for number in 0..*count {
                    let id = if *count == ENDPOINTS { route * 100 + number } else { number };
                    let (client, server) = (*requests / 50, *requests / 1_000);
                    insert
                        .execute(params![at, route, id, requests, client, server, *requests * 9_000, 250_000, sketch(latencies)])
                        .unwrap();
                    rows += 1;
                }
            }
        }
        // The same values as those of requests, but nanoseconds.
        let (timed, nanoseconds) = &timed;
        plugins.execute(params![at, calls, timed, timed * 12_000, sketch(nanoseconds)]).unwrap();
        rows += 1;
        store.execute_batch("COMMIT").unwrap();
    }
    rows
}

/// As many as are kept of every minute.
fn samples(store: &Connection, routes: i64, now: i64, kept: i64) {
    let sql = "INSERT INTO samples (at_us, why, request_id, route, endpoint, consumer, method, path, status, fault, duration_us, upstream_us, attempts) \
               VALUES (?1, ?2, ?3, ?4, 'http://10.0.1.1:8080', 'consumer-01', 'GET', '/orders/1234567/lines', ?5, 0, ?6, 900, 1)";
    let mut insert = store.prepare(sql).unwrap();
    store.execute_batch("BEGIN").unwrap();
    for at in (now - kept..now).step_by(60) {
        for number in 0..40 {
            let (why, status) = if number < 10 { ("slow", 200) } else { ("failed", 502) };
            let id = format!("{:032x}", u128::from(at.unsigned_abs()) << 64 | number);
            insert.execute(params![at * 1_000_000, why, id, at % routes + 1, status, 5_000 + at % 100_000]).unwrap();
        }
    }
    store.execute_batch("COMMIT").unwrap();
}
