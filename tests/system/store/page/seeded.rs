//! A store of five hours to make pages of.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use plugway::config::model::Keep;
use plugway::fault::{ErrorCause, Fault};
use plugway::store::{Incident, Pending, Slo, Writer};
use plugway::telemetry::latency::Bins;
use plugway::telemetry::{PluginTally, Sample, Tally, TallyCell, Why};

const HOUR: i64 = 3_600;
const DAY: Duration = Duration::from_secs(86_400);

/// Five hours of three routes, two endpoints each, and thirty consumers; with holes in them. Drawn out so many times: one minute in so many
/// has requests, all of which are kept.
pub(super) fn generate(file: &Path, now: i64, drawn_out: i64) {
    let keep = Keep { minutes: 365 * DAY, hours: 365 * DAY, days: 365 * DAY, samples: 365 * DAY };
    let mut random = fastrand::Rng::with_seed(0x5eed_0006);
    let minute = |at: i64| at - at % 60;
    // A run that was killed, then one that goes on.
    let hours = |hours: i64| hours * HOUR * drawn_out;
    for (from, until) in [(now - hours(5), now - hours(3)), (now - hours(2), now)] {
        let mut writer = Writer::open(file, keep.clone(), 1 << 30, from).unwrap();
        // Minutes that are over: what is yet to come is in no report.
        for at in (minute(from)..minute(until)).step_by(usize::try_from(60 * drawn_out).unwrap()) {
            let mut pending = Pending::new();
            pending.add(at, tally(&mut random, at));
            pending.add_plugins(at, &plugins(&mut random));
            pending.close();
            writer.write(&mut pending, at + 30).unwrap();
            writer.roll_up(at).unwrap();
        }
        if until == now {
            for number in 0..3 {
                incident(number, now).insert(writer.connection()).unwrap();
                slo(number, now).put(writer.connection()).unwrap();
            }
            writer.write(&mut Pending::new(), now).unwrap();
            // It goes on for as long as this takes: on a busy machine a run that was seen seconds ago would be a gap by then.
            writer.connection().execute("UPDATE runs SET last_seen = last_seen + 3600 WHERE last_seen = ?1", [now]).unwrap();
        }
    }
}

fn tally(random: &mut fastrand::Rng, at: i64) -> Tally {
    let mut tally = Tally::default();
    for (number, route) in ["orders", "invoices", "none"].iter().enumerate() {
        for endpoint in ["http://10.0.0.1:80", "http://10.0.0.2:80"] {
            if random.u8(..10) == 0 {
                continue;
            }
            let (mut bins, mut sum, mut longest) = (Bins::default(), Duration::ZERO, Duration::ZERO);
            let [upstream, plugin] = [ErrorCause::Upstream, ErrorCause::Plugin].map(Some);
            let outcomes = [(200, None), (404, upstream), (429, plugin), (500, upstream), (502, Some(Fault::UpstreamReset.into()))];
            let outcomes = outcomes.map(|(status, fault)| (status, fault, random.u64(..8)));
            let outcomes: Vec<_> = outcomes.into_iter().filter(|(.., count)| *count > 0).collect();
            for _ in 0..outcomes.iter().map(|(.., count)| count).sum() {
                let took = Duration::from_micros(300 + random.u64(..2_000) * (1 + random.u64(..30)));
                bins.add(took);
                sum += took;
                longest = longest.max(took);
            }
            let api = (number < 2).then(|| Arc::from("shop"));
            tally.cells.push(TallyCell {
                version: api.clone().map(|_| Arc::from(if number == 0 { "v1" } else { "v2" })),
                api,
                route: (*route).into(),
                endpoint: if number < 2 { endpoint.into() } else { "".into() },
                consumer: if number < 2 { format!("consumer-{}", random.u8(..30)).into() } else { "".into() },
                outcomes,
                bins,
                duration: sum,
                longest,
                request_bytes: random.u64(..1 << 16),
                response_bytes: random.u64(..1 << 20),
            });
        }
    }
    if random.u8(..5) == 0 {
        let why = if random.bool() { Why::Slow } else { Why::Failed };
        tally.samples.push(sample(random, at, why));
    }
    tally
}

fn sample(random: &mut fastrand::Rng, at: i64, why: Why) -> Sample {
    Sample {
        at: UNIX_EPOCH + Duration::from_millis(at.unsigned_abs() * 1_000 + random.u64(..60_000)),
        why,
        request_id: format!("{:032x}", random.u128(..)),
        route: "orders".into(),
        api: Some("shop".into()),
        version: Some("v1".into()),
        endpoint: "http://10.0.0.1:80".into(),
        consumer: "consumer-1".into(),
        method: "GET".into(),
        path: "/orders/17".into(),
        status: if why == Why::Failed { 502 } else { 200 },
        fault: (why == Why::Failed).then_some(Fault::UpstreamReset.into()),
        duration: Duration::from_micros(random.u64(1_000..2_000_000)),
        upstream: random.bool().then(|| Duration::from_micros(random.u64(..1_000))),
        attempts: random.u32(1..3),
    }
}

/// Times of calls, in bins of nanoseconds.
fn times(random: &mut fastrand::Rng) -> Bins {
    let mut times = Bins::default();
    // The bins are those of microseconds, and the values of any unit.
    (0..random.u64(1..4)).for_each(|_| times.add(Duration::from_micros(random.u64(300..5_000_000))));
    times
}

fn plugins(random: &mut fastrand::Rng) -> Vec<PluginTally> {
    let of = |plugin: &str, version: &str, hook: &'static str, random: &mut fastrand::Rng| PluginTally {
        plugin: plugin.into(),
        version: version.into(),
        hook,
        calls: 1 + random.u64(..100),
        failures: vec![("trap", random.u64(..3)), ("cpu", random.u64(..2))],
        timed: 1 + random.u64(..3),
        timed_ns: random.u64(..100_000),
        times: times(random),
    };
    vec![
        of("auth", "aaaa", "authorizer", random),
        of("auth", "bbbb", "authorizer", random),
        of("auth", "bbbb", "timer", random),
        of("log", "cccc", "observer", random),
    ]
}

/// The last one is of a plugin, which is of no route and no API and stands in the chain of one.
fn incident(number: i64, now: i64) -> Incident {
    let of_route = number < 2;
    Incident {
        kind: if of_route { "error-rate".into() } else { "plugin-version".into() },
        subject: format!("subject-{number}"),
        api: if of_route { "shop".into() } else { String::new() },
        route: if of_route { "orders".into() } else { String::new() },
        routes: vec!["orders".into()],
        severity: if number == 0 { "page".into() } else { "ticket".into() },
        started: now - HOUR - 60 * number,
        ended: (number > 0).then_some(now - 60 * number),
        title: format!("Incident number {number}"),
        cause: "A deployment".into(),
        evidence: format!("{{\"errors\": {number}}}"),
        outcome: String::new(),
    }
}

/// The last one has overspent what it had.
fn slo(number: i64, now: i64) -> Slo {
    let (good, total) = (9_990 - 30 * number, 10_000 + number);
    Slo {
        name: format!("slo-{number}"),
        api: "shop".into(),
        route: "orders".into(),
        objective: 0.995,
        window_seconds: 86_400,
        good,
        total,
        updated: now,
    }
}
