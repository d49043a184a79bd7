//! The one who writes. Every commit is whole: what was pending is in it, or nothing of it is.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, Result, Transaction, TransactionBehavior, params, params_from_iter};

use super::names::Names;
use super::open::{self, OpenError};
use super::pending::{Minute, Pending};
use super::schema::{KINDS, Kind, Tier};
use super::sql::LeftOut;
use super::{int, seconds, us};
use crate::config::model::Keep;
use crate::telemetry::Sample;

/// An open store.
#[derive(Debug)]
pub struct Writer {
    file: PathBuf,
    pub(super) connection: Connection,
    names: Names,
    run: i64,
    /// When earlier runs were last seen, or where there was none when this one began, seconds since 1970.
    known: i64,
    pub(super) keep: Keep,
    pub(super) max_size: u64,
    left_out: LeftOut,
    /// Device and number of the file that was opened.
    inode: Option<(u64, u64)>,
}

impl Writer {
    /// Opens a store, making it where there is none, and begins a run in it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(file: &Path, keep: Keep, max_size: u64, now: i64) -> Result<Self, OpenError> {
        let left_out = LeftOut::default();
        let connection = open::write(file, &left_out)?;
        let (names, inode) = (Names::default(), std::fs::metadata(file).ok().map(|data| (data.dev(), data.ino())));
        let mut writer = Self { file: file.to_owned(), connection, names, run: 0, known: now, keep, max_size, left_out, inode };
        writer.begin(now).map_err(|error| OpenError::of(file, &error))?;
        Ok(writer)
    }

    fn begin(&mut self, now: i64) -> Result<()> {
        let page: u64 = self.connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0))?.unsigned_abs().max(1);
        // Twenty pages hold every table of a new store; whatever is asked, it can be opened.
        let pages = (self.max_size / page).max(64);
        self.connection.pragma_update_and_check(None, "max_page_count", int(pages), |_| Ok(()))?;
        let known: Option<i64> = self.connection.query_row("SELECT max(last_seen) FROM runs", [], |row| row.get(0))?;
        self.known = known.unwrap_or(now);
        self.connection.execute("INSERT INTO runs (started, last_seen) VALUES (?1, ?1)", [now])?;
        self.run = self.connection.last_insert_rowid();
        Ok(())
    }

    /// Commits what is pending. It is empty afterwards, or as it was.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&mut self, pending: &mut Pending, now: i64) -> Result<()> {
        match self.try_write(pending, now) {
            Ok(folded) => {
                pending.minutes.clear();
                pending.samples.clear();
                pending.fold(folded);
                Ok(())
            }
            Err(error) => {
                // Numbers that were given in it are not there.
                self.names.forget();
                Err(error)
            }
        }
    }

    /// Names were deleted.
    pub(super) fn names_changed(&mut self) {
        self.names.forget();
    }

    /// How many requests' consumers had no name of their own.
    fn try_write(&mut self, pending: &Pending, now: i64) -> Result<u64> {
        let Self { connection, names, run, .. } = self;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let rolled: i64 = transaction.prepare_cached("SELECT until FROM rolled")?.query_row([], |row| row.get(0))?;
        let mut folded = 0;
        for (at, minute) in &pending.minutes {
            // What was rolled up is not rolled up again: what comes late, of a process that is ending or by a clock that was ahead, is added to each.
            let tiers = if *at < rolled { &Tier::ALL[..] } else { &[Tier::Minute] };
            for tier in tiers {
                let nameless = write_minute(&transaction, names, (*tier, *at), minute, now)?;
                folded += if *tier == Tier::Minute { nameless } else { 0 };
            }
        }
        for sample in &pending.samples {
            write_sample(&transaction, names, sample)?;
        }
        // By a clock that was ahead when it began and was set right, it would begin long after it was seen.
        let seen = "UPDATE runs SET last_seen = ?2, started = min(started, ?2) WHERE id = ?1";
        transaction.prepare_cached(seen)?.execute([*run, now])?;
        transaction.commit()?;
        Ok(folded)
    }

    /// Writes down that nothing could be written for a while, and how many requests were lost meanwhile.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn paused(&mut self, since: i64, until: i64, lost: u64, why: &str) -> Result<()> {
        let sql = "INSERT INTO pauses (since, until, lost, why) VALUES (?1, ?2, ?3, ?4)";
        self.connection.execute(sql, params![since, until, int(lost), why]).map(drop)
    }

    /// The run ends in good order.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(mut self, now: i64) -> Result<()> {
        self.roll_up(now - now % Tier::Minute.seconds())?;
        self.connection.execute("UPDATE runs SET last_seen = ?2, ended = ?2 WHERE id = ?1", [self.run, now])?;
        self.connection.close().map_err(|(_, error)| error)
    }

    /// Whether the file that is written is still the one of that name.
    pub(super) fn is_in_place(&self) -> bool {
        match std::fs::metadata(&self.file) {
            Ok(data) => self.inode.is_none_or(|inode| inode == (data.dev(), data.ino())),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        }
    }

    /// The file was moved away: the run ends in it, and what is in its log, which has the name it had, goes into it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn leave(self, now: i64) -> Result<()> {
        self.connection.execute("UPDATE runs SET last_seen = ?2, ended = ?2 WHERE id = ?1", [self.run, now])?;
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
    }

    /// For analysis: reads and writes its own tables.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// How often a distribution that could not be read was left out, since this was last asked.
    pub fn take_left_out(&self) -> u64 {
        self.left_out.take()
    }

    pub(super) fn known(&self) -> i64 {
        self.known
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Bytes of its files.
    pub fn size(&self) -> u64 {
        let of = |file: &Path| std::fs::metadata(file).map_or(0, |data| data.len());
        let mut log = self.file.clone().into_os_string();
        log.push("-wal");
        of(&self.file) + of(Path::new(&log))
    }
}

fn upsert(kind: &Kind, tier: Tier) -> String {
    let columns = kind.columns();
    let marks = vec!["?"; columns.split(", ").count()].join(", ");
    format!("INSERT INTO {}_{} ({columns}) VALUES ({marks}) {}", kind.name, tier.as_str(), kind.on_conflict())
}

/// How many requests' consumers had no name of their own.
fn write_minute(transaction: &Transaction<'_>, names: &mut Names, (tier, at): (Tier, i64), minute: &Minute, now: i64) -> Result<u64> {
    let [route, outcome, endpoint, consumer, plugin, failure] = &KINDS;
    let at = at - at.rem_euclid(tier.seconds());
    let put =
        |kind: &Kind, values: Vec<Value>| transaction.prepare_cached(&upsert(kind, tier))?.execute(params_from_iter(values)).map(drop);
    let row = |key: &[i64], rest: Vec<Value>| {
        let mut values = vec![Value::from(at)];
        values.extend(key.iter().copied().map(Value::from));
        values.extend(rest);
        values
    };
    for (key, counts) in &minute.routes {
        put(route, row(&[names.route(transaction, key)?], counts.values(true)))?;
    }
    for ((key, status, fault), count) in &minute.outcomes {
        let key = [names.route(transaction, key)?, i64::from(*status), names.fault(transaction, *fault, *status)?];
        put(outcome, row(&key, vec![int(*count).into()]))?;
    }
    for ((key, name), counts) in &minute.endpoints {
        put(endpoint, row(&[names.route(transaction, key)?, names.endpoint(transaction, name)?], counts.values(false)))?;
    }
    let mut folded = 0;
    for ((key, name), counts) in &minute.consumers {
        let (id, is_named) = names.consumer(transaction, name)?;
        put(consumer, row(&[names.route(transaction, key)?, id], counts.values(false)))?;
        folded += if is_named { 0 } else { counts.requests };
    }
    for ((name, digest, hook), counts) in &minute.plugins {
        let id = names.plugin(transaction, name, digest, now)?;
        let hook = Value::from((*hook).to_owned());
        let sums = [counts.calls, counts.failures, counts.timed, counts.timed_ns].map(|sum| Value::from(int(sum)));
        let times = Value::from(counts.times.to_bytes());
        put(plugin, row(&[id], std::iter::once(hook.clone()).chain(sums).chain([times]).collect()))?;
        for (kind, count) in &counts.kinds {
            put(failure, row(&[id], vec![hook.clone(), (*kind).to_owned().into(), int(*count).into()]))?;
        }
    }
    Ok(folded)
}

fn write_sample(transaction: &Transaction<'_>, names: &mut Names, sample: &Sample) -> Result<()> {
    let name = |name: &Option<std::sync::Arc<str>>| name.clone().unwrap_or_default();
    let key =
        super::pending::RouteKey { api: name(&sample.api), version: name(&sample.version), route: std::sync::Arc::clone(&sample.route) };
    let (route, fault) = (names.route(transaction, &key)?, names.fault(transaction, sample.fault, sample.status)?);
    let since = sample.at.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap_or_default();
    let sql = "INSERT INTO samples (at_us, why, request_id, route, endpoint, consumer, method, path, status, fault, duration_us, upstream_us, \
               attempts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
    transaction
        .prepare_cached(sql)?
        .execute(params![
            us(since),
            sample.why.as_str(),
            sample.request_id,
            route,
            sample.endpoint,
            sample.consumer,
            sample.method,
            sample.path,
            sample.status,
            fault,
            us(sample.duration),
            sample.upstream.map(us),
            sample.attempts,
        ])
        .map(drop)
}

/// The minute a moment is in.
pub(super) fn minute(now: std::time::SystemTime) -> i64 {
    let now = seconds(now);
    now - now % Tier::Minute.seconds()
}
