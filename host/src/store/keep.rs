//! How long what is kept, and how much of it: each tier has its time, and where all of them together are too large, the finest
//! gives way first.

use std::time::Duration;

use rusqlite::{Result, Row};

use super::schema::{KINDS, Tier};
use super::whole_seconds;
use super::write::Writer;

/// A share of `max_size` that is left free, so that what comes next has room before anything is deleted.
const HEADROOM: u64 = 10;
/// The same where what came next had none.
const MORE_HEADROOM: u64 = 2;
/// Free bytes below which a disk counts as full: the log of a large commit has no room there.
const FULL_DISK: u64 = 32 << 20;
/// Pages given back to the file system at once.
const VACUUM: i64 = 2_000;

impl Writer {
    /// Deletes what is older than it may be, and the oldest where all of it is larger than it may be. `now` is what a clock told that is
    /// to be believed: what is gone does not come back.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn tidy(&mut self, now: i64) -> Result<()> {
        self.tidy_within(now, self.max_size - self.max_size / HEADROOM)
    }

    /// The same where something had no room: much of what is oldest goes. A file may be larger than it may be because it might be larger before.
    /// Where it is the disk that is full nothing goes: that is no fault of what was kept, and what comes waits in memory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn make_room(&mut self, now: i64) -> Result<()> {
        let disk = rustix::fs::statvfs(self.file()).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if disk.is_ok_and(|free| free < FULL_DISK) {
            return Ok(());
        }
        self.tidy_within(now, self.max_size - self.max_size / MORE_HEADROOM)
    }

    fn tidy_within(&mut self, now: i64, limit: u64) -> Result<()> {
        let keep = self.keep.clone();
        for (tier, kept) in [(Tier::Minute, keep.minutes), (Tier::Hour, keep.hours), (Tier::Day, keep.days)] {
            self.delete_before(tier, now.saturating_sub(whole_seconds(kept)))?;
        }
        self.delete_samples_before(now, keep.samples)?;
        let old = now.saturating_sub(whole_seconds(keep.days));
        for sql in [
            "DELETE FROM runs WHERE last_seen < ?1",
            "DELETE FROM pauses WHERE until < ?1",
            "DELETE FROM incidents WHERE ended < ?1",
            "DELETE FROM slos WHERE updated < ?1",
        ] {
            self.connection.prepare_cached(sql)?.execute([old])?;
        }
        for tier in Tier::ALL {
            self.shrink(tier, now, limit)?;
        }
        let mut vacuum = self.connection.prepare(&format!("PRAGMA incremental_vacuum({VACUUM})"))?;
        let mut pages = vacuum.query([])?;
        while pages.next()?.is_some() {}
        Ok(())
    }

    /// Names that no row has any more. Looks at every row, so once a day is enough.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn forget_names(&mut self) -> Result<()> {
        for (table, column) in [("consumers", "consumer"), ("endpoints", "endpoint")] {
            let used = Tier::ALL.map(|tier| format!("SELECT {column} FROM {column}_{}", tier.as_str())).join(" UNION ");
            self.connection.execute(&format!("DELETE FROM {table} WHERE id NOT IN ({used})"), [])?;
        }
        self.names_changed();
        Ok(())
    }

    fn delete_before(&mut self, tier: Tier, at: i64) -> Result<()> {
        for kind in &KINDS {
            let sql = format!("DELETE FROM {}_{} WHERE at < ?1", kind.name, tier.as_str());
            self.connection.prepare_cached(&sql)?.execute([at])?;
        }
        Ok(())
    }

    fn delete_samples_before(&mut self, now: i64, kept: Duration) -> Result<()> {
        let before = now.saturating_sub(whole_seconds(kept)).saturating_mul(1_000_000);
        self.connection.prepare_cached("DELETE FROM samples WHERE at_us < ?1")?.execute([before]).map(drop)
    }

    /// Bytes of pages in use.
    fn used(&self) -> Result<u64> {
        let pragma = |name: &str| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        Ok((pragma("page_count")? - pragma("freelist_count")?).unsigned_abs() * pragma("page_size")?.unsigned_abs())
    }

    /// Deletes the older half of a tier for as long as all of it is larger than so many bytes. What is not rolled up yet stays.
    fn shrink(&mut self, tier: Tier, now: i64, limit: u64) -> Result<()> {
        while self.used()? > limit {
            let sql = format!("SELECT (SELECT min(at) FROM route_{0}), (SELECT max(at) FROM route_{0})", tier.as_str());
            let ends = |row: &Row<'_>| Ok(row.get::<_, Option<i64>>(0)?.zip(row.get(1)?));
            let Some((oldest, newest)) = self.connection.prepare_cached(&sql)?.query_row([], ends)? else { return Ok(()) };
            let rolled: i64 = self.connection.prepare_cached("SELECT until FROM rolled")?.query_row([], |row| row.get(0))?;
            // What was counted by a clock that is not believed yet gives way when it alone is left.
            let now = if oldest < now - 2 * tier.seconds() { now } else { newest };
            if oldest >= now - 2 * tier.seconds() || oldest >= rolled {
                return Ok(());
            }
            let middle = (oldest + (now - oldest) / 2).clamp(oldest + 1, rolled);
            tracing::warn!(
                tier = tier.as_str(),
                before = middle,
                max_size = self.max_size,
                "The monitoring store is as large as it may be"
            );
            self.delete_before(tier, middle)?;
            if tier == Tier::Minute {
                self.connection.execute("DELETE FROM samples WHERE at_us < ?1", [middle.saturating_mul(1_000_000)])?;
            }
        }
        Ok(())
    }
}
