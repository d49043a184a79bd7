mod thread;
mod tiers;

use std::path::PathBuf;
use std::time::Duration;

use rusqlite::Connection;

use super::*;
use crate::config::model::Keep;
use crate::fault::Fault;
use crate::telemetry::latency::Bins;
use crate::telemetry::{PluginTally, Sample, Tally, TallyCell, Why};

/// 2026-11-26 04:00 UTC, where an hour begins and a day does not.
const HOUR: i64 = 1_795_665_600;
const DAY: Duration = Duration::from_secs(86_400);

fn keep() -> Keep {
    Keep { minutes: DAY, hours: 30 * DAY, days: 365 * DAY, samples: 7 * DAY }
}

/// A folder of a test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("plugway-store-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn file(&self) -> PathBuf {
        self.0.join("monitoring.db")
    }

    fn writer(&self, now: i64) -> Writer {
        Writer::open(&self.file(), keep(), 1 << 30, now).unwrap()
    }

    fn number(&self, sql: &str) -> i64 {
        Connection::open(self.file()).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Requests of one key, each of them as long.
fn cell(route: &str, consumer: &str, outcomes: &[(u16, Option<Fault>, u64)], ms: u64) -> TallyCell {
    let count: u64 = outcomes.iter().map(|(_, _, count)| count).sum();
    let mut bins = Bins::default();
    (0..count).for_each(|_| bins.add(Duration::from_millis(ms)));
    TallyCell {
        api: Some("shop".into()),
        version: Some("v1".into()),
        route: route.into(),
        endpoint: "http://10.0.0.1:80".into(),
        consumer: consumer.into(),
        outcomes: outcomes.iter().map(|(status, fault, count)| (*status, fault.map(Into::into), *count)).collect(),
        bins,
        duration: Duration::from_millis(ms) * u32::try_from(count).unwrap(),
        longest: Duration::from_millis(ms),
        request_bytes: count,
        response_bytes: 10 * count,
    }
}

fn tally(cells: Vec<TallyCell>) -> Tally {
    Tally { cells, ..Tally::default() }
}

fn pending(minute: i64, cells: Vec<TallyCell>) -> Pending {
    let mut pending = Pending::new();
    pending.add(minute, tally(cells));
    pending
}

#[test]
fn what_cannot_be_written_is_kept_and_written_later() {
    let folder = Folder::new("full");
    let mut writer = folder.writer(HOUR);
    let pages: i64 = writer.connection().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit =
        |writer: &Writer, pages: i64| writer.connection().pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
    limit(&writer, pages);
    let consumers: Vec<_> = (0..500).map(|number| cell("orders", &format!("consumer-{number}"), &[(200, None, 2)], 2)).collect();
    let mut waiting = pending(HOUR, consumers);
    assert!(writer.write(&mut waiting, HOUR).is_err());
    assert_eq!(waiting.requests(), 1000, "nothing of it is gone");
    assert_eq!(folder.number("SELECT count(*) FROM route_minute"), 0, "and nothing of it is there");
    limit(&writer, pages + 1_000);
    writer.write(&mut waiting, HOUR + 60).unwrap();
    assert!(waiting.is_empty());
    assert_eq!(folder.number("SELECT sum(requests) FROM consumer_by_minute"), 1000);
    assert_eq!(folder.number("SELECT count(DISTINCT consumer) FROM consumer_by_minute"), 500);
}

#[test]
fn memory_has_an_end_too() {
    let mut pending = Pending::new();
    for minute in 0..60 {
        let cells = (0..1_800).map(|consumer| cell("orders", &consumer.to_string(), &[(200, None, 1)], 2)).collect();
        pending.add(HOUR + 60 * minute, tally(cells));
    }
    assert_eq!(pending.bound(), 0);
    for minute in 60..200 {
        let cells = (0..1_800).map(|consumer| cell("orders", &consumer.to_string(), &[(200, None, 1)], 2)).collect();
        pending.add(HOUR + 60 * minute, tally(cells));
    }
    let lost = pending.bound();
    assert!(lost > 0 && lost.is_multiple_of(1_800), "{lost}");
    assert_eq!(pending.requests(), 200 * 1_800 - lost);
    assert_eq!(pending.bound(), 0);
}

#[test]
fn consumers_past_the_limit_of_a_minute_are_counted_together() {
    let mut pending = Pending::new();
    pending.add(HOUR, tally((0..2_500).map(|consumer| cell("orders", &consumer.to_string(), &[(200, None, 2)], 2)).collect()));
    assert_eq!(pending.take_folded(), 1_000);
    assert_eq!(pending.take_folded(), 0);
    // Of another route, by the worker itself, which has said so.
    pending.add(HOUR, Tally { folded: 7, ..tally(vec![cell("items", "(other)", &[(200, None, 7)], 2)]) });
    assert_eq!(pending.take_folded(), 7);
    let folder = Folder::new("folded");
    folder.writer(HOUR).write(&mut pending, HOUR).unwrap();
    assert_eq!(folder.number("SELECT sum(requests) FROM consumer_by_minute"), 5_007);
    let other = "SELECT sum(requests) FROM consumer_by_minute m JOIN consumers c ON c.id = m.consumer WHERE c.consumer = '(other)'";
    assert_eq!(folder.number(other), 1_007);
}

#[test]
fn requests_of_consumers_that_the_store_has_no_name_for_are_counted() {
    let folder = Folder::new("nameless");
    let mut writer = folder.writer(HOUR);
    let fill =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO consumers SELECT i, 'c-' || i FROM n";
    writer.connection().execute_batch(fill).unwrap();
    let cells = || vec![cell("orders", "c-7", &[(200, None, 2)], 2), cell("orders", "new", &[(200, None, 3)], 2)];
    let mut waiting = pending(HOUR, cells());
    writer.write(&mut waiting, HOUR).unwrap();
    assert_eq!(waiting.take_folded(), 3);
    // What comes late is written to three tiers, and counted once.
    writer.roll_up(HOUR + 60).unwrap();
    waiting.add(HOUR, tally(cells()));
    writer.write(&mut waiting, HOUR + 60).unwrap();
    assert_eq!(waiting.take_folded(), 3);
    writer.forget_names().unwrap();
    waiting.add(HOUR + 60, tally(cells()));
    writer.write(&mut waiting, HOUR + 120).unwrap();
    assert_eq!(waiting.take_folded(), 0, "there is room again");
}

#[test]
fn each_tier_has_its_time_and_all_of_them_their_size() {
    let folder = Folder::new("keep");
    let limit = 4 << 20;
    let keep = Keep { minutes: DAY, hours: 3 * DAY, days: 20 * DAY, samples: DAY };
    let mut writer = Writer::open(&folder.file(), keep, limit, HOUR).unwrap();
    let mut now = HOUR;
    for hour in 0..24 * 25 {
        now = HOUR + 3_600 * hour;
        let mut part = pending(now, vec![cell("orders", "mia", &[(200, None, 1)], 2)]);
        part.add(now, Tally { samples: vec![sample(now)], ..Tally::default() });
        writer.write(&mut part, now).unwrap();
        writer.roll_up(now + 60).unwrap();
        writer.tidy(now).unwrap();
    }
    let oldest = |table: &str| now - folder.number(&format!("SELECT min(at) FROM {table}"));
    let day = 86_400;
    assert!((day - 3_600..=day).contains(&oldest("route_minute")), "{}", oldest("route_minute"));
    assert!((3 * day - 3_600..=3 * day).contains(&oldest("route_hour")));
    assert!((19 * day..=20 * day).contains(&oldest("route_day")));
    assert!(folder.number("SELECT count(*) FROM samples") <= 25);
    assert_eq!(folder.number("SELECT sum(requests) FROM route_by_day WHERE at >= (SELECT max(at) FROM route_day) - 86400 * 10 AND at < (SELECT max(at) FROM route_day)"), 240);
    // Far more than there is room for: minutes give way, days stay.
    for minute in 0..60 {
        let at = now + 60 * minute;
        let cells = (0..1_900).map(|consumer| cell("orders", &format!("consumer-{consumer}"), &[(200, None, 1)], 2)).collect();
        writer.write(&mut pending(at, cells), at).unwrap();
        writer.roll_up(at + 60).unwrap();
        writer.tidy(at + 60).unwrap();
        let used: i64 = ["page_count", "freelist_count"]
            .map(|name| writer.connection().pragma_query_value(None, name, |row| row.get::<_, i64>(0)).unwrap())
            .iter()
            .fold(0, |used, pages| if used == 0 { *pages } else { used - pages });
        assert!(used * 4096 <= i64::try_from(limit).unwrap(), "{used} pages after {minute} minutes");
    }
    assert!(folder.number("SELECT min(at) FROM route_minute") > now, "what is older has made room");
    assert!(folder.number("SELECT sum(requests) FROM route_by_day WHERE at = (SELECT max(at) FROM route_day)") >= 60 * 1_900);
}

fn sample(at: i64) -> Sample {
    Sample {
        at: std::time::UNIX_EPOCH + Duration::from_secs(at.unsigned_abs()),
        why: Why::Failed,
        request_id: "r-1".into(),
        route: "orders".into(),
        api: None,
        version: None,
        endpoint: String::new(),
        consumer: String::new(),
        method: "GET".into(),
        path: "/orders/1".into(),
        status: 503,
        fault: Some(Fault::NoEndpoint.into()),
        duration: Duration::from_millis(3),
        upstream: None,
        attempts: 0,
    }
}

#[test]
fn runs_that_did_not_end_leave_a_gap_and_those_that_overlap_leave_none() {
    let folder = Folder::new("gaps");
    let run = |started: i64, seen: i64, ends: bool| {
        let mut writer = folder.writer(HOUR + started);
        writer.write(&mut Pending::new(), HOUR + seen).unwrap();
        if ends {
            writer.end(HOUR + seen).unwrap();
        }
    };
    run(0, 100, true);
    // A restart that took no time, then one that overlaps it.
    run(101, 200, true);
    run(180, 300, true);
    // Killed, and started again half a minute later.
    run(300, 400, false);
    run(430, 500, true);
    // Stopped for an hour.
    run(4_100, 4_200, false);
    let reader = Reader::open(&folder.file()).unwrap();
    let gaps = |until: i64| -> Vec<_> {
        let gaps = reader.gaps(HOUR, HOUR + until).unwrap();
        gaps.iter().map(|gap| (gap.since - HOUR, gap.until - HOUR, gap.kind)).collect()
    };
    let known = [(399, 430, GapKind::Killed), (500, 4_100, GapKind::Stopped)];
    assert_eq!(gaps(4_205), known, "it may be running");
    assert_eq!(gaps(4_260), [known[0], known[1], (4_199, 4_260, GapKind::Killed)]);
    folder.writer(HOUR + 4_300).paused(HOUR + 4_310, HOUR + 4_320, 7, "disk full").unwrap();
    assert_eq!(gaps(4_400).last(), Some(&(4_310, 4_320, GapKind::Unwritable)));
}

#[test]
fn a_run_whose_clock_was_set_back_began_no_later_than_it_was_seen() {
    let folder = Folder::new("set-back");
    folder.writer(HOUR).end(HOUR + 100).unwrap();
    let mut writer = folder.writer(HOUR + 7_200);
    for seen in [200, 260] {
        writer.write(&mut Pending::new(), HOUR + seen).unwrap();
    }
    let gaps = Reader::open(&folder.file()).unwrap().gaps(HOUR, HOUR + 262).unwrap();
    assert_eq!(gaps, [Gap { since: HOUR + 100, until: HOUR + 200, kind: GapKind::Stopped, lost: None }], "and none that is yet to come");
}

#[test]
fn a_store_begins_with_its_first_run_and_not_with_the_day_it_was_in() {
    let folder = Folder::new("begins");
    let mut writer = folder.writer(HOUR + 600);
    writer.write(&mut pending(HOUR + 600, vec![cell("orders", "", &[(200, None, 1)], 1)]), HOUR + 660).unwrap();
    writer.roll_up(HOUR + 660).unwrap();
    let reader = Reader::open(&folder.file()).unwrap();
    assert!(reader.oldest(Tier::Day).unwrap().unwrap() < HOUR + 600, "the day began before it");
    assert_eq!(reader.begins().unwrap(), Some(HOUR + 600));
    // A clock that was ahead when the first run began, and was set right.
    writer.connection().execute_batch("UPDATE runs SET started = started + 7200").unwrap();
    assert_eq!(reader.begins().unwrap(), Some(HOUR + 600));
    writer.connection().execute_batch("UPDATE runs SET started = started - 7200").unwrap();
    // Runs of the first days may be forgotten; what was counted then is not.
    writer.connection().execute_batch("UPDATE runs SET started = started + 200000").unwrap();
    assert_eq!(reader.begins().unwrap(), reader.oldest(Tier::Day).unwrap());
}

#[test]
fn a_file_that_is_no_store_is_told_apart() {
    let folder = Folder::new("files");
    assert!(matches!(Reader::open(&folder.file()), Err(OpenError::Missing(_))));
    std::fs::write(
        folder.file(),
        "this is a text, and long enough to be taken for a header of a database, or so it seems to whoever looks at it twice",
    )
    .unwrap();
    assert!(matches!(Writer::open(&folder.file(), keep(), 1 << 30, HOUR), Err(OpenError::NotAStore(..))));
    std::fs::remove_file(folder.file()).unwrap();
    Connection::open(folder.file()).unwrap().execute_batch("CREATE TABLE mine (a)").unwrap();
    assert!(matches!(Writer::open(&folder.file(), keep(), 1 << 30, HOUR), Err(OpenError::Foreign(_))));
    assert_eq!(folder.number("SELECT count(*) FROM mine"), 0, "and left alone");
    std::fs::remove_file(folder.file()).unwrap();
    folder.writer(HOUR);
    Connection::open(folder.file()).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(Writer::open(&folder.file(), keep(), 1 << 30, HOUR), Err(OpenError::Newer(_, 99))));
}

#[test]
fn analysis_writes_incidents_and_objectives_that_readers_find() {
    let folder = Folder::new("incidents");
    let writer = folder.writer(HOUR);
    let incident = Incident {
        kind: "error-rate".into(),
        subject: String::new(),
        api: "shop".into(),
        route: "orders".into(),
        routes: vec!["orders".into(), "\"items\"".into()],
        severity: "page".into(),
        started: HOUR,
        ended: None,
        title: "Errors of orders".into(),
        cause: String::new(),
        evidence: "{}".into(),
        outcome: String::new(),
    };
    let number = incident.insert(writer.connection()).unwrap();
    let reader = Reader::open(&folder.file()).unwrap();
    assert_eq!(Incident::between(reader.connection(), HOUR + 500, HOUR + 600).unwrap(), [(number, incident.clone())]);
    let worse = Incident { severity: "ticket".into(), title: "More errors of orders".into(), ..incident };
    worse.update(writer.connection(), number).unwrap();
    assert_eq!(Incident::open(reader.connection()).unwrap(), [(number, worse)]);
    Incident::end(writer.connection(), number, HOUR + 100, "recovered").unwrap();
    assert_eq!(Incident::open(reader.connection()).unwrap(), []);
    assert_eq!(Incident::between(reader.connection(), HOUR + 500, HOUR + 600).unwrap(), []);
    let slo = Slo {
        name: "availability".into(),
        api: "shop".into(),
        route: "orders".into(),
        objective: 0.99,
        window_seconds: 86_400,
        good: 995,
        total: 1_000,
        updated: HOUR,
    };
    slo.put(writer.connection()).unwrap();
    let later = Slo { good: 1_990, total: 2_000, ..slo };
    later.put(writer.connection()).unwrap();
    assert_eq!(Slo::all(reader.connection()).unwrap(), std::slice::from_ref(&later));
    assert!((later.budget_left().unwrap() - 0.5).abs() < 1e-9);
}

#[test]
fn of_each_minute_the_slowest_and_the_first_failed_requests_are_kept() {
    let mut pending = Pending::new();
    for round in 0..20 {
        let slow = |ms| Sample { why: Why::Slow, duration: Duration::from_millis(ms), ..sample(HOUR) };
        let samples = (0..10).map(|number| slow(round * 10 + number)).chain((0..10).map(|_| sample(HOUR))).collect();
        pending.add(HOUR, Tally { samples, ..Tally::default() });
    }
    pending.close();
    let folder = Folder::new("samples");
    folder.writer(HOUR).write(&mut pending, HOUR).unwrap();
    assert_eq!(folder.number("SELECT count(*) FROM samples WHERE why = 'failed'"), 30);
    assert_eq!(folder.number("SELECT count(*) FROM samples WHERE why = 'slow'"), 10);
    assert_eq!(folder.number("SELECT min(duration_us) FROM samples WHERE why = 'slow'"), 190_000);
}
