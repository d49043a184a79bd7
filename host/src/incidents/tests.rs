//! What a gateway that starts again knows of its promises.

use std::sync::mpsc::channel;
use std::time::Duration;

use plugway_analysis::{
    Analyst as Analysis, Certificate, Change, LatencyObjective, LogHistogram, Minute, MinuteData, RouteFacts, Severity, Slo as Promise,
    Topology,
};
use plugway_harness::temp::TempDir;

use super::watch::first;
use super::{Open, Watch, Watched, minute, told};
use crate::config::model::Keep;
use crate::fault::Fault;
use crate::store::{Analyst, Incident, Pending, Slo, Writer};
use crate::telemetry::latency::Bins;
use crate::telemetry::{PluginTally, Tally, TallyCell, Telemetry};

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

/// How many requests are left of a promise over two days, by a gateway that starts at `at`.
fn promised(writer: &Writer, at: i64) -> i64 {
    let slo = Promise { availability: Some(0.99), latency: None, days: 2 };
    let mut watched = Watched::default();
    watched.topology.routes.insert("orders".into(), RouteFacts { slo: Some(slo), ..RouteFacts::default() });
    let (_sender, news) = channel();
    let mut watch = Watch::new(watched, news, Open::default(), Telemetry::new().unwrap());
    while watch.analyse(writer.connection(), at).unwrap() {}
    Slo::all(writer.connection()).unwrap().iter().map(|slo| slo.total).sum()
}

/// A store that has a request each minute of that time, as it is when it ends.
fn each_minute(folder: &TempDir, from: i64, until: i64) -> Writer {
    let day = Duration::from_secs(DAY.unsigned_abs());
    let keep = Keep { minutes: day, hours: 30 * day, days: 365 * day, samples: 7 * day };
    let mut writer = Writer::open(&folder.path().join("monitoring.db"), keep, 1 << 30, from).unwrap();
    let mut pending = Pending::new();
    for at in (from..until).step_by(60) {
        pending.add(at, Tally { cells: vec![requests(false)], ..Tally::default() });
    }
    writer.write(&mut pending, until).unwrap();
    writer.roll_up(until).unwrap();
    writer.tidy(until).unwrap();
    writer
}

#[test]
fn an_hour_whose_first_minutes_are_gone_is_learnt_whole() {
    let folder = TempDir::new().unwrap();
    let now = NOW + 36 * 60;
    let writer = each_minute(&folder, NOW - 30 * HOUR, now);
    let oldest: i64 = writer.connection().query_row("SELECT min(at) FROM route_minute", [], |row| row.get(0)).unwrap();
    assert_eq!(oldest, now - DAY);
    assert_eq!(first(writer.connection(), now).unwrap(), NOW - DAY + HOUR);
    assert_eq!(promised(&writer, now), 10 * (30 * 60 + 36), "nothing is missing, and nothing there twice");
}

#[test]
fn a_young_store_lives_through_all_of_its_minutes_again() {
    let folder = TempDir::new().unwrap();
    let now = NOW + 36 * 60;
    let writer = each_minute(&folder, NOW - 100 * 60, now);
    assert_eq!(first(writer.connection(), now).unwrap(), NOW - 2 * HOUR);
    assert_eq!(promised(&writer, now), 10 * 136);
}

#[test]
fn versions_beside_each_other_make_no_plugin_slower() {
    let folder = TempDir::new().unwrap();
    let mut writer = each_minute(&folder, NOW - HOUR, NOW);
    let took = |version: &str, hook: &'static str, timed: u64, timed_ns: u64| PluginTally {
        plugin: "auth".into(),
        version: version.into(),
        hook,
        calls: 10 * timed,
        failures: Vec::new(),
        timed,
        timed_ns,
        times: Bins::default(),
    };
    let (mut at, telemetry) = (NOW, Telemetry::new().unwrap());
    let mut median = |tallies: &[PluginTally]| {
        let mut pending = Pending::new();
        pending.add_plugins(at, tallies);
        writer.write(&mut pending, at).unwrap();
        let data = minute::read(writer.connection(), &Watched::default(), at, telemetry.store()).unwrap();
        at += 60;
        data.plugins.into_iter().map(|(name, version, counted)| (name, version, counted.latency)).next().unwrap()
    };
    let alone = median(&[took("old", "router", 100, 100_000_000), took("old", "observer", 50, 100_000_000)]);
    let beside = median(&[
        took("old", "router", 90, 90_000_000),
        took("new", "router", 10, 10_000_000),
        took("old", "observer", 45, 90_000_000),
        took("new", "observer", 5, 10_000_000),
    ]);
    assert_eq!(alone, beside, "1 ms by the one hook and 2 ms by the other");
}

#[test]
fn a_page_has_the_date_that_its_ticket_had() {
    let mut analysis = Analysis::<LogHistogram>::new(Topology::default());
    let minute = |at: i64| Minute(at.unsigned_abs() / 60);
    let certificate = Certificate { name: "web.pem".into(), not_before: minute(NOW - 360 * DAY), not_after: minute(NOW + 5 * DAY) };
    let mut told = Vec::new();
    for hour in 0..4 * 24 {
        let data = MinuteData { certificates: vec![certificate.clone()], ..MinuteData::at(minute(NOW + hour * HOUR)) };
        for change in analysis.minute(&data) {
            let (Change::Opened(found) | Change::Updated(found) | Change::Closed(found)) = change;
            told.push((found.severity, told::incident(&found, &Watched::default()).title));
        }
    }
    let title = || "The certificate web.pem is valid until 2026-12-01 04:00 UTC".to_owned();
    assert_eq!(told, [(Severity::Ticket, title()), (Severity::Page, title())]);
}

#[test]
fn a_store_that_was_begun_anew_is_told_what_lasts() {
    let minute = |at: i64| Minute(at.unsigned_abs() / 60);
    let certificate = Certificate { name: "web.pem".into(), not_before: minute(NOW - 360 * DAY), not_after: minute(NOW + 5 * DAY) };
    let mut watched = Watched::default();
    watched.certificates.push(certificate);
    let (_sender, news) = channel();
    let mut watch = Watch::new(watched, news, Open::default(), Telemetry::new().unwrap());
    for (from, until) in [(NOW - HOUR, NOW), (NOW, NOW + 60), (NOW + 60, NOW + 120)] {
        let folder = TempDir::new().unwrap();
        let writer = each_minute(&folder, from, until);
        while watch.analyse(writer.connection(), until).unwrap() {}
        let open = Incident::open(writer.connection()).unwrap();
        assert_eq!(open.iter().map(|(_, incident)| incident.subject.as_str()).collect::<Vec<_>>(), ["web.pem"], "at {until}");
    }
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

#[test]
fn a_clock_that_is_set_from_1970_is_followed_at_once() {
    let folder = TempDir::new().unwrap();
    let day = Duration::from_secs(DAY.unsigned_abs());
    let keep = Keep { minutes: day, hours: 30 * day, days: 365 * day, samples: 7 * day };
    let mut writer = Writer::open(&folder.path().join("monitoring.db"), keep, 1 << 30, 0).unwrap();
    let mut watched = Watched::default();
    watched.topology.routes.insert("orders".into(), RouteFacts::default());
    let (_sender, news) = channel();
    let mut watch = Watch::new(watched, news, Open::default(), Telemetry::new().unwrap());
    for at in [0, 60, 120, NOW, NOW + 60, NOW + 30 * DAY] {
        let mut pending = Pending::new();
        pending.add(at, Tally { cells: vec![requests(false)], ..Tally::default() });
        writer.write(&mut pending, at).unwrap();
        writer.roll_up(at + 60).unwrap();
        // Each is a tenth of a second.
        let parts = (0..100).take_while(|_| watch.analyse(writer.connection(), at + 60).unwrap()).count();
        assert!(parts < 100, "{at}: it lives through the years between");
        let told: i64 = writer.connection().query_row("SELECT until FROM analysed", [], |row| row.get(0)).unwrap();
        assert_eq!(told, at + 60);
    }
}
