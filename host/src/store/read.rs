//! What every reader asks of a store beside its counts: since when there is any, and where it has gaps.

use rusqlite::Result;
use serde::Serialize;

use super::open::Reader;
use super::schema::Tier;

/// A time of which the store knows nothing, or not everything.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Seconds since 1970.
    pub since: i64,
    /// Seconds since 1970.
    pub until: i64,
    /// Why.
    pub kind: GapKind,
    /// Requests that were lost, where that is known.
    pub lost: Option<i64>,
}

/// Why there is a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum GapKind {
    /// The gateway ended without saying so. What it counted in its last second is lost.
    Killed,
    /// It was stopped. Nothing is lost.
    Stopped,
    /// The store could not be written for so long that there was no room in memory either.
    Unwritable,
}

impl GapKind {
    /// In words.
    pub fn title(self) -> &'static str {
        match self {
            Self::Killed => "the gateway ended without warning; what it counted in its last second is lost",
            Self::Stopped => "the gateway was stopped",
            Self::Unwritable => "the store could not be written, and there was no room in memory",
        }
    }
}

/// Two runs so close together are one: a restart takes no time that anybody could see.
const NO_GAP: i64 = 1;
/// A run that was killed may have counted something this long before it was last seen that was still on its way to the store: what a
/// worker had not handed over, and the rest of a second.
const ON_THE_WAY: i64 = 1;
/// How long a gateway may say nothing while it serves.
const SILENT: i64 = 15;

impl Reader {
    /// Gaps between two moments, the first one first. `until` is no later than now.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn gaps(&self, from: i64, until: i64) -> Result<Vec<Gap>> {
        let mut gaps = Vec::new();
        let mut runs = self.connection.prepare_cached("SELECT started, last_seen, ended FROM runs ORDER BY started, id")?;
        let mut rows = runs.query([])?;
        // Until when some run is known to have counted, and how that one ended.
        let mut covered: Option<(i64, GapKind)> = None;
        let mut gap = |covered: Option<(i64, GapKind)>, until: i64, least: i64| {
            if let Some((since, kind)) = covered.filter(|(since, kind)| until - since > least || *kind == GapKind::Killed) {
                let since = if kind == GapKind::Killed { since - ON_THE_WAY } else { since };
                gaps.push(Gap { since, until: until.max(since), kind, lost: None });
            }
        };
        while let Some(row) = rows.next()? {
            let (started, last_seen, ended): (i64, i64, Option<i64>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if covered.is_none_or(|(until, _)| started >= until) {
                gap(covered, started, NO_GAP);
            }
            let kind = if ended.is_some() { GapKind::Stopped } else { GapKind::Killed };
            if covered.is_none_or(|(until, _)| last_seen >= until) {
                covered = Some((last_seen, kind));
            }
        }
        // The last one may be running.
        if covered.is_some_and(|(since, kind)| kind == GapKind::Stopped || until - since > SILENT) {
            gap(covered, until, NO_GAP);
        }
        let mut pauses = self.connection.prepare_cached("SELECT since, until, lost FROM pauses WHERE lost > 0")?;
        let pauses = pauses
            .query_map([], |row| Ok(Gap { since: row.get(0)?, until: row.get(1)?, kind: GapKind::Unwritable, lost: Some(row.get(2)?) }))?;
        gaps.extend(pauses.collect::<Result<Vec<_>>>()?);
        gaps.retain(|gap| gap.until >= from && gap.since <= until);
        gaps.sort_by_key(|gap| (gap.since, gap.until));
        Ok(gaps)
    }

    /// When the first run began that is known of; `None` where there was none.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn begins(&self) -> Result<Option<i64>> {
        // Runs are forgotten last, but what was generated or copied may have none, or none of its first days. The day a run
        // began in began before it, and so did the minute. Where the clock was set back since then, minutes know better.
        let sql = "SELECT CASE WHEN started >= day + 86400 THEN day WHEN minute + 60 <= started THEN minute ELSE coalesce(started, day) END \
                   FROM (SELECT (SELECT min(started) FROM runs) AS started, (SELECT min(at) FROM route_day) AS day, \
                   (SELECT min(at) FROM route_minute) AS minute)";
        self.connection.query_row(sql, [], |row| row.get(0))
    }

    /// The last moment it knows of: now, while a gateway writes it or where no gateway is known to have.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn ends(&self, now: i64) -> Result<i64> {
        let last: Option<i64> = self.connection.query_row("SELECT max(last_seen) FROM runs", [], |row| row.get(0))?;
        Ok(last.filter(|last| now - last > SILENT).unwrap_or(now))
    }

    /// The first moment a tier has something of; `None` where it has nothing.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn oldest(&self, tier: Tier) -> Result<Option<i64>> {
        let sql = format!("SELECT min(at) FROM route_by_{}", tier.as_str());
        self.connection.prepare_cached(&sql)?.query_row([], |row| row.get(0))
    }
}
