//! What a gateway that starts again knows of its promises.

use std::sync::mpsc::channel;
use std::time::Duration;

use plugway_analysis::{LatencyObjective, RouteFacts, Slo as Promise};
use plugway_harness::temp::TempDir;

use super::{Open, Watch, Watched};
use crate::config::model::Keep;
use crate::fault::Fault;
use crate::store::{Analyst, Pending, Slo, Writer};
use crate::telemetry::latency::Bins;
use crate::telemetry::{Tally, TallyCell, Telemetry};

/// 2026-11-26 04:00 UTC, where an hour begins and a day does not.
const NOW: i64 = 1_795_665_600;
const MIDNIGHT: i64 = NOW - 4 * HOUR;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Ten requests, of which two may fail and three be slow.
fn requests(bad: bool) -> TallyCell {
    let (failed, slow) = if bad { (2, 3) } else { (0, 0) };
    let mut bins = Bins::default();
    (0..10).for_each(|number| bins.add(Duration::from_millis(if number < slow { 500 } else { 2 })));
    let outcomes = [(200, None, 10 - failed), (502, Some(Fault::UpstreamReset.into()), failed)];
    TallyCell {
        api: None,
        version: None,
        route: "orders".into(),
        endpoint: "".into(),
        consumer: "".into(),
        outcomes: outcomes.into_iter().filter(|(.., count)| *count > 0).collect(),
        bins,
        duration: Duration::from_secs(1),
        longest: Duration::from_millis(500),
        request_bytes: 0,
        response_bytes: 0,
    }
}

#[test]
fn a_promise_over_more_than_is_kept_by_the_hour_is_what_it_was_before_a_restart() {
    let folder = TempDir::new().unwrap();
    let days = |days: i64| Duration::from_secs((days * DAY).unsigned_abs());
    let keep = Keep { minutes: days(1), hours: days(30), days: days(365), samples: days(7) };
    let mut writer = Writer::open(&folder.path().join("monitoring.db"), keep, 1 << 30, NOW - 80 * DAY).unwrap();
    let mut pending = Pending::new();
    // Every hour until now; bad until 35 days ago, of which nothing is known by the hour any more.
    for at in (NOW - 80 * DAY..NOW).step_by(3_600) {
        pending.add(at, Tally { cells: vec![requests(at < MIDNIGHT - 35 * DAY)], ..Tally::default() });
    }
    writer.write(&mut pending, NOW).unwrap();
    writer.roll_up(NOW).unwrap();
    writer.tidy(NOW).unwrap();
    let oldest: i64 = writer.connection().query_row("SELECT min(at) FROM route_hour", [], |row| row.get(0)).unwrap();
    assert_eq!(oldest, NOW - 30 * DAY);

    let slo = Promise { availability: Some(0.99), latency: Some(LatencyObjective { under: 0.1, share: 0.9 }), days: 60 };
    let mut watched = Watched::default();
    watched.topology.routes.insert("orders".into(), RouteFacts { slo: Some(slo), ..RouteFacts::default() });
    let (_sender, news) = channel();
    let mut watch = Watch::new(watched, news, Open::default(), Telemetry::new().unwrap());
    while watch.analyse(writer.connection(), NOW).unwrap() {}
    let left = Slo::all(writer.connection()).unwrap();
    // Sixty days of ten each hour; 24 days and 20 hours of them were bad.
    let bad_hours = 24 * 24 + 20;
    let figures: Vec<_> = left.iter().map(|slo| (slo.name.as_str(), slo.total, slo.total - slo.good)).collect();
    assert_eq!(figures, [("availability", 14_400, 2 * bad_hours), ("latency", 14_400, 3 * bad_hours)]);
}

#[test]
fn a_clock_that_was_ahead_makes_nobody_silent_until_then() {
    let folder = TempDir::new().unwrap();
    let day = Duration::from_secs(DAY.unsigned_abs());
    let keep = Keep { minutes: day, hours: 30 * day, days: 365 * day, samples: 7 * day };
    let mut writer = Writer::open(&folder.path().join("monitoring.db"), keep, 1 << 30, NOW).unwrap();
    let mut watched = Watched::default();
    watched.topology.routes.insert("orders".into(), RouteFacts::default());
    let (_sender, news) = channel();
    let mut watch = Watch::new(watched, news, Open::default(), Telemetry::new().unwrap());
    let told = |writer: &Writer| -> i64 { writer.connection().query_row("SELECT until FROM analysed", [], |row| row.get(0)).unwrap() };
    let mut pass = |writer: &mut Writer, at: i64| {
        let mut pending = Pending::new();
        pending.add(at, Tally { cells: vec![requests(false)], ..Tally::default() });
        writer.write(&mut pending, at).unwrap();
        writer.roll_up(at + 60).unwrap();
        while watch.analyse(writer.connection(), at + 60).unwrap() {}
        told(writer)
    };
    let ahead = NOW + 30 * DAY;
    assert_eq!(pass(&mut writer, ahead), ahead + 60);
    // It is set right, and by a little once more.
    for (minute, until) in [(0, 1), (1, 2), (2, 3), (0, 3), (1, 3), (2, 3), (3, 4)] {
        assert_eq!(pass(&mut writer, NOW + 60 * minute), NOW + 60 * until, "minute {minute}");
    }
}
