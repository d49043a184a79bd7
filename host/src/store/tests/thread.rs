//! The store's thread, and files that it cannot go on with.

use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::*;
use crate::config::model::Store;
use crate::telemetry::Telemetry;

fn settings(folder: &Folder, max_size: u64) -> Store {
    Store { enabled: true, file: folder.file(), max_size, keep: keep() }
}

/// A store of half an hour with many consumers.
fn filled(folder: &Folder) {
    let mut writer = folder.writer(HOUR);
    for minute in 0..30 {
        let at = HOUR + 60 * minute;
        let cells = (0..1_900).map(|consumer| cell("orders", &format!("consumer-{consumer}"), &[(200, None, 1)], 2)).collect();
        writer.write(&mut pending(at, cells), at).unwrap();
        writer.roll_up(at + 60).unwrap();
    }
    writer.end(HOUR + 1_800).unwrap();
    // No page of it is free.
    Connection::open(folder.file()).unwrap().execute_batch("VACUUM").unwrap();
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "not in a minute: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Requests of the consumer `mine`, where there is a store that can be read.
fn of_mine(folder: &Folder) -> i64 {
    let sql = "SELECT sum(requests) FROM consumer_by_minute m JOIN consumers c ON c.id = m.consumer WHERE c.consumer = 'mine'";
    let asked = Reader::open(&folder.file()).ok().and_then(|reader| reader.connection().query_row(sql, [], |row| row.get(0)).ok());
    asked.unwrap_or_default()
}

#[test]
fn a_file_that_is_larger_than_it_may_be_now_gives_way_to_what_comes() {
    let folder = Folder::new("smaller");
    filled(&folder);
    let size = || std::fs::metadata(folder.file()).unwrap().len();
    let before = size();
    let (tallies, thread) = start(settings(&folder, before / 2), Telemetry::new().unwrap(), None).unwrap();
    for _ in 0..20 {
        // More than fits on the pages that happen to be free.
        let cells = (0..400).map(|number| cell("orders", &format!("another-{number}"), &[(200, None, 1)], 2));
        tallies.send(tally(cells.chain([cell("orders", "mine", &[(200, None, 1)], 2)]).collect())).unwrap();
    }
    until("what came is there", || of_mine(&folder) == 20);
    drop(tallies);
    thread.join();
    assert!(size() < before, "{} bytes, and {before} before", size());
}

#[test]
fn a_file_that_is_broken_in_its_midst_is_put_aside_as_it_is_written() {
    let folder = Folder::new("broken");
    filled(&folder);
    let length = std::fs::metadata(folder.file()).unwrap().len();
    let mut file = std::fs::OpenOptions::new().write(true).open(folder.file()).unwrap();
    // The header is as it was, and the table of tables behind it.
    file.seek(SeekFrom::Start(16 << 10)).unwrap();
    file.write_all(&vec![0x5a; usize::try_from(length).unwrap() - (16 << 10)]).unwrap();
    drop(file);
    let (tallies, thread) = start(settings(&folder, 1 << 30), Telemetry::new().unwrap(), None).unwrap();
    tallies.send(tally(vec![cell("orders", "mine", &[(200, None, 3)], 2)])).unwrap();
    let aside = || std::fs::read_dir(&folder.0).unwrap().any(|file| file.unwrap().file_name().to_string_lossy().contains(".broken-"));
    until("it is put aside", aside);
    until("what came is in the new one", || of_mine(&folder) == 3);
    drop(tallies);
    thread.join();
}

#[test]
fn another_programs_database_is_left_alone() {
    let folder = Folder::new("foreign");
    Connection::open(folder.file()).unwrap().execute_batch("CREATE TABLE mine (a); INSERT INTO mine VALUES (1)").unwrap();
    let (tallies, thread) = start(settings(&folder, 1 << 30), Telemetry::new().unwrap(), None).unwrap();
    tallies.send(tally(vec![cell("orders", "mine", &[(200, None, 3)], 2)])).unwrap();
    drop(tallies);
    thread.join();
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
    assert_eq!(folder.number("SELECT count(*) FROM mine"), 1);
}

#[test]
fn a_clock_that_is_ahead_when_a_gateway_starts_deletes_nothing() {
    let wall = seconds(std::time::SystemTime::now());
    // What is believed after ten minutes without a run, and what is not after more than a year.
    for (name, seen, left) in [("believed", wall - 600, 0), ("ahead", wall - 400 * 86_400, 1)] {
        let folder = Folder::new(name);
        let old = seen - seen % 60 - 86_100;
        let mut writer = folder.writer(old);
        writer.write(&mut pending(old, vec![cell("orders", "", &[(200, None, 1)], 1)]), seen).unwrap();
        writer.end(seen).unwrap();
        let (tallies, thread) = start(settings(&folder, 1 << 30), Telemetry::new().unwrap(), None).unwrap();
        tallies.send(tally(vec![cell("orders", "mine", &[(200, None, 3)], 2)])).unwrap();
        drop(tallies);
        thread.join();
        assert_eq!(folder.number(&format!("SELECT count(*) FROM route_minute WHERE at = {old}")), left, "{name}");
        assert_eq!(folder.number("SELECT sum(requests) FROM route_by_hour"), 4, "{name}");
    }
}

/// Finds a row that makes no sense to it.
struct Puzzled(Arc<AtomicU64>);

impl Analyst for Puzzled {
    fn analyse(&mut self, _: &Connection, _: i64) -> rusqlite::Result<bool> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Err(rusqlite::Error::InvalidColumnName("no such".to_owned()))
    }
}

#[test]
fn what_analysis_cannot_make_sense_of_is_written_all_the_same() {
    let folder = Folder::new("puzzled");
    let (telemetry, asked) = (Telemetry::new().unwrap(), Arc::new(AtomicU64::new(0)));
    let analyst = Some(Box::new(Puzzled(Arc::clone(&asked))) as Box<dyn Analyst>);
    let (tallies, thread) = start(settings(&folder, 1 << 30), Arc::clone(&telemetry), analyst).unwrap();
    tallies.send(tally(vec![cell("orders", "mine", &[(200, None, 3)], 2)])).unwrap();
    until("what came is there", || of_mine(&folder) == 3 && asked.load(Ordering::Relaxed) > 0);
    drop(tallies);
    thread.join();
    assert!(telemetry.store().is_writable());
    assert!(asked.load(Ordering::Relaxed) <= 3, "once a minute is enough");
}

#[test]
fn a_file_that_was_removed_or_moved_away_is_made_anew() {
    let folder = Folder::new("removed");
    let (tallies, thread) = start(settings(&folder, 1 << 30), Telemetry::new().unwrap(), None).unwrap();
    let send = |count| tallies.send(tally(vec![cell("orders", "mine", &[(200, None, count)], 2)])).unwrap();
    send(3);
    until("what came is there", || of_mine(&folder) == 3);
    for file in std::fs::read_dir(&folder.0).unwrap() {
        std::fs::remove_file(file.unwrap().path()).unwrap();
    }
    send(4);
    until("what came since is in a new one", || of_mine(&folder) == 4);
    let moved = folder.0.join("moved.db");
    std::fs::rename(folder.file(), &moved).unwrap();
    send(5);
    until("and in another new one", || of_mine(&folder) == 5);
    drop(tallies);
    thread.join();
    let number = |sql: &str| Connection::open(&moved).unwrap().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!((number("SELECT sum(requests) FROM route_minute"), number("SELECT count(*) FROM runs WHERE ended IS NOT NULL")), (4, 1));
}
