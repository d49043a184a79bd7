//! What has changed since the time before: nothing, where traffic is always the same; and what of a store cannot be read.

use std::path::Path;
use std::time::Duration;

use plugway_harness::temp::TempDir;

use crate::config::model::Keep;
use crate::report::{Format, Report, Request, Scope, gather};
use crate::store::{Pending, Writer};
use crate::telemetry::latency::Bins;
use crate::telemetry::{PluginTally, Tally, TallyCell};

/// 2026-11-26 04:00 UTC.
const FOUR: i64 = 1_795_665_600;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// One request in every second that was over by `now`, written down each so many seconds.
fn steady(file: &Path, began: i64, now: i64, every: i64) {
    let year = Duration::from_secs(365 * 86_400);
    let keep = Keep { minutes: year, hours: year, days: year, samples: year };
    let mut writer = Writer::open(file, keep, 1 << 30, began).unwrap();
    let mut pending = Pending::new();
    for at in (began..now).step_by(usize::try_from(every).unwrap()) {
        let requests = (now - at).min(every).unsigned_abs();
        let (mut bins, took) = (Bins::default(), Duration::from_millis(2));
        (0..requests.min(10)).for_each(|_| bins.add(took));
        let cell = TallyCell {
            api: None,
            version: None,
            route: "orders".into(),
            endpoint: "".into(),
            consumer: "".into(),
            outcomes: vec![(200, None, requests)],
            bins,
            duration: took * 10,
            longest: took,
            request_bytes: 0,
            response_bytes: 0,
        };
        pending.add(at, Tally { cells: vec![cell], ..Tally::default() });
    }
    writer.write(&mut pending, now).unwrap();
    writer.roll_up(now - now % 60).unwrap();
}

fn report(file: &Path, since: i64, now: i64) -> Report {
    gather(file, &Request { scope: Scope::Gateway, since }, now).unwrap()
}

/// What stands below the number of requests.
fn said(report: &Report) -> String {
    let page = report.write(Format::Html);
    let (_, tile) = page.split_once("<dt>Requests</dt>").unwrap();
    tile.split("class=\"note\">").nth(1).unwrap().split('<').next().unwrap().to_owned()
}

#[test]
fn nothing_changes_where_traffic_is_always_the_same() {
    // At the beginning of an hour, within it, and at 12:59.
    for after in [0, 20 * 60 + 17, 8 * HOUR + 59 * 60 + 17] {
        let (folder, now) = (TempDir::new().unwrap(), FOUR + after);
        let file = folder.path().join("monitoring.db");
        steady(&file, FOUR - 36 * HOUR, now, 60);
        for (since, step) in [(60, 60), (5 * 60, 60), (90 * 60, 60), (13 * HOUR, HOUR)] {
            let report = report(&file, since, now);
            assert_eq!(report.step, step, "since {since}");
            assert!(said(&report).starts_with("±0 % against the "), "{after}, since {since}: {}", said(&report));
        }
    }
}

#[test]
fn rates_are_of_the_time_that_was_counted() {
    let (folder, now) = (TempDir::new().unwrap(), FOUR);
    let file = folder.path().join("monitoring.db");
    // Within the first hour that is shown.
    let began = FOUR - 20 * HOUR + 20 * 60;
    steady(&file, began, now, 60);
    let report = report(&file, 48 * HOUR, now);
    assert_eq!((report.step, report.from, report.counted_since), (HOUR, FOUR - 20 * HOUR, began));
    let page = report.write(Format::Html);
    assert!(page.contains("<dt>Requests a second</dt><dd data-value=\"1\">"), "{page}");
    assert!(page.contains("<path class=\"area ok\" d=\"M64.0 30.0H"), "the first hour's is one in a second, too: {page}");
    assert!(page.contains(" requests in 19 h 40 min, "), "{page}");
}

#[test]
fn a_hook_whose_time_was_never_taken_makes_its_plugin_no_faster() {
    let (folder, now) = (TempDir::new().unwrap(), FOUR + 30);
    let (file, year) = (folder.path().join("monitoring.db"), Duration::from_secs(365 * 86_400));
    let keep = Keep { minutes: year, hours: year, days: year, samples: year };
    let did = |hook: &'static str, timed: u64| PluginTally {
        plugin: "auth".into(),
        version: "abc".into(),
        hook,
        calls: 60,
        failures: Vec::new(),
        timed,
        timed_ns: 1_000 * timed,
        times: Bins::default(),
    };
    let mut pending = Pending::new();
    pending.add_plugins(FOUR, &[did("authorizer", 1), did("timer", 0)]);
    Writer::open(&file, keep, 1 << 30, FOUR).unwrap().write(&mut pending, now).unwrap();
    let report = report(&file, 60, now);
    let [plugin] = report.plugins.as_slice() else { panic!("{:?}", report.plugins) };
    assert_eq!((plugin.calls, plugin.mean_ns), (120, Some(1_000.0)));
}

#[test]
fn what_cannot_be_read_of_latencies_is_left_out_and_said() {
    let (folder, now) = (TempDir::new().unwrap(), FOUR + 30);
    let file = folder.path().join("monitoring.db");
    steady(&file, FOUR - HOUR, now, 60);
    let whole = report(&file, 30 * 60, now);
    let store = rusqlite::Connection::open(&file).unwrap();
    store.execute("UPDATE route_minute SET latency = x'6e6f' WHERE at IN (?1, ?2)", [FOUR - 60, FOUR - 120]).unwrap();
    let part = report(&file, 30 * 60, now);
    assert_eq!((whole.distributions_left_out, part.distributions_left_out), (0, 2));
    assert_eq!((part.totals.requests, part.totals.latency.p50_us), (whole.totals.requests, whole.totals.latency.p50_us));
    for format in [Format::Html, Format::Markdown] {
        let said = "could not be read: 2. Percentiles are without them";
        assert_eq!([&whole, &part].map(|report| report.write(format).contains(said)), [false, true], "{format:?}");
    }
}

#[test]
fn nothing_changes_by_days_either() {
    let (folder, now) = (TempDir::new().unwrap(), FOUR + 8 * HOUR);
    let file = folder.path().join("monitoring.db");
    steady(&file, FOUR - 4 * HOUR - 90 * DAY, now, HOUR);
    let report = report(&file, 40 * DAY, now);
    assert_eq!((report.step, said(&report).as_str()), (DAY, "±0 % against the 41 d before"));
}

#[test]
fn nothing_is_compared_with_a_time_of_which_a_part_is_missing() {
    let (folder, now) = (TempDir::new().unwrap(), FOUR + 59 * 60);
    let file = folder.path().join("monitoring.db");
    // The hour it began in has a row, of a half of it.
    let began = FOUR - 27 * HOUR - 30 * 60;
    steady(&file, began, now, 60);
    let enough = report(&file, 13 * HOUR, now);
    assert_eq!(enough.before.map(|before| before.from), Some(FOUR - 27 * HOUR));
    let (folder, began) = (TempDir::new().unwrap(), FOUR - 26 * HOUR - 30 * 60);
    let file = folder.path().join("monitoring.db");
    steady(&file, began, now, 60);
    assert_eq!(report(&file, 13 * HOUR, now).before, None);
}
