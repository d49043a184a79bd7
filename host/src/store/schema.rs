//! The tables, and how an older file becomes a newer one.
//!
//! Every count stands in three tiers (`minute`, `hour`, `day`) of the same columns, `at` being the moment a row's time begins. The views
//! `NAME_by_TIER` have what was rolled up and what was not yet; one moment may have two rows in them, so whoever reads adds up.

use rusqlite::{Connection, Result, Transaction};

/// Whose file it is: "plwy".
pub(super) const APPLICATION: i32 = 0x706c_7779;
/// What this program writes.
pub(super) const VERSION: i64 = 5;

/// How finely time is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// As counted.
    Minute,
    /// Rolled up.
    Hour,
    /// Days of UTC.
    Day,
}

impl Tier {
    /// From fine to coarse.
    pub const ALL: [Self; 3] = [Self::Minute, Self::Hour, Self::Day];

    /// As tables are called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        }
    }

    /// How long one of it is.
    pub fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 3_600,
            Self::Day => 86_400,
        }
    }
}

/// One kind of row: what it is counted by, and what is counted.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Columns of the key, beside `at`.
    pub(super) key: &'static [&'static str],
    /// Columns that add up.
    pub(super) sums: &'static [&'static str],
    /// Columns of times: the longest, and the distribution. Microseconds, those of plugins nanoseconds.
    pub(super) times: &'static [&'static str],
}

const TIMES: &[&str] = &["longest_us", "latency"];

/// Every kind.
pub(super) const KINDS: [Kind; 6] = [
    Kind {
        name: "route",
        key: &["route"],
        sums: &["requests", "client_errors", "server_errors", "request_bytes", "response_bytes", "duration_us"],
        times: TIMES,
    },
    Kind { name: "outcome", key: &["route", "status", "fault"], sums: &["requests"], times: &[] },
    Kind {
        name: "endpoint",
        key: &["route", "endpoint"],
        sums: &["requests", "client_errors", "server_errors", "duration_us"],
        times: TIMES,
    },
    Kind {
        name: "consumer",
        key: &["route", "consumer"],
        sums: &["requests", "client_errors", "server_errors", "duration_us"],
        times: TIMES,
    },
    Kind { name: "plugin", key: &["plugin", "hook"], sums: &["calls", "failures", "timed", "timed_ns"], times: &["latency"] },
    Kind { name: "plugin_failure", key: &["plugin", "hook", "kind"], sums: &["failures"], times: &[] },
];

impl Kind {
    /// Names of all columns, in their order.
    pub(super) fn columns(&self) -> String {
        ["at"].iter().chain(self.key).chain(self.sums).chain(self.times).copied().collect::<Vec<_>>().join(", ")
    }

    /// What becomes of a row when another of its key comes.
    pub(super) fn on_conflict(&self) -> String {
        let mut sets: Vec<_> = self.sums.iter().map(|column| format!("{column} = {column} + excluded.{column}")).collect();
        let merged = |column: &&str| if is_distribution(column) { "latency_merge" } else { "max" };
        sets.extend(self.times.iter().map(|column| format!("{column} = {}({column}, excluded.{column})", merged(column))));
        format!("ON CONFLICT (at, {}) DO UPDATE SET {}", self.key.join(", "), sets.join(", "))
    }

    fn create(&self, tier: Tier) -> String {
        let mut columns = vec!["at INTEGER NOT NULL".to_owned()];
        let kind = |column: &str| if matches!(column, "hook" | "kind") { "TEXT" } else { "INTEGER" };
        columns.extend(self.key.iter().map(|column| format!("{column} {} NOT NULL", kind(column))));
        columns.extend(self.sums.iter().map(|column| format!("{column} INTEGER NOT NULL")));
        let kind = |column: &&str| if is_distribution(column) { "BLOB" } else { "INTEGER" };
        columns.extend(self.times.iter().map(|column| format!("{column} {} NOT NULL", kind(column))));
        let (name, tier, key) = (self.name, tier.as_str(), self.key.join(", "));
        format!("CREATE TABLE {name}_{tier} ({}, PRIMARY KEY (at, {key})) STRICT, WITHOUT ROWID;\n", columns.join(", "))
    }

    fn view(&self, tier: Tier) -> String {
        let (name, columns, seconds) = (self.name, self.columns(), tier.seconds());
        let rest = columns.trim_start_matches("at, ");
        match tier {
            Tier::Minute => format!("CREATE VIEW {name}_by_minute AS SELECT {columns} FROM {name}_minute;\n"),
            _ => format!(
                "CREATE VIEW {name}_by_{} AS SELECT {columns} FROM {name}_{0} UNION ALL \
                 SELECT at - at % {seconds}, {rest} FROM {name}_minute WHERE at >= (SELECT until FROM rolled);\n",
                tier.as_str()
            ),
        }
    }
}

/// Of the columns of times.
pub(super) fn is_distribution(column: &str) -> bool {
    column == "latency"
}

/// Tables that are no counts. Times of `runs`, `pauses`, `incidents` and `slos` are seconds, of `samples` microseconds since 1970.
const REST: &str = "
CREATE TABLE routes (id INTEGER PRIMARY KEY, api TEXT NOT NULL, version TEXT NOT NULL, route TEXT NOT NULL, UNIQUE (route, api, version)) STRICT;
CREATE TABLE endpoints (id INTEGER PRIMARY KEY, endpoint TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE consumers (id INTEGER PRIMARY KEY, consumer TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE plugins (id INTEGER PRIMARY KEY, plugin TEXT NOT NULL, digest TEXT NOT NULL, first_seen INTEGER NOT NULL, UNIQUE (plugin, digest)) STRICT;
CREATE TABLE faults (id INTEGER PRIMARY KEY, fault TEXT NOT NULL UNIQUE, blame TEXT NOT NULL) STRICT;
INSERT INTO faults VALUES (0, '', '');
CREATE TABLE rolled (until INTEGER NOT NULL) STRICT;
INSERT INTO rolled VALUES (0);
CREATE TABLE samples (
    id INTEGER PRIMARY KEY, at_us INTEGER NOT NULL, why TEXT NOT NULL, request_id TEXT NOT NULL, route INTEGER NOT NULL, endpoint TEXT NOT NULL,
    consumer TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, status INTEGER NOT NULL, fault INTEGER NOT NULL,
    duration_us INTEGER NOT NULL, upstream_us INTEGER, attempts INTEGER NOT NULL
) STRICT;
CREATE INDEX samples_at ON samples (at_us);
CREATE TABLE runs (id INTEGER PRIMARY KEY, started INTEGER NOT NULL, last_seen INTEGER NOT NULL, ended INTEGER) STRICT;
CREATE TABLE pauses (id INTEGER PRIMARY KEY, since INTEGER NOT NULL, until INTEGER NOT NULL, lost INTEGER NOT NULL, why TEXT NOT NULL) STRICT;
CREATE TABLE incidents (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, subject TEXT NOT NULL, api TEXT NOT NULL, route TEXT NOT NULL, severity TEXT NOT NULL,
    started INTEGER NOT NULL, ended INTEGER, title TEXT NOT NULL, cause TEXT NOT NULL, evidence TEXT NOT NULL
) STRICT;
CREATE INDEX incidents_started ON incidents (started);
CREATE TABLE slos (
    name TEXT NOT NULL, api TEXT NOT NULL, route TEXT NOT NULL, objective REAL NOT NULL, window_seconds INTEGER NOT NULL,
    good INTEGER NOT NULL, total INTEGER NOT NULL, updated INTEGER NOT NULL, PRIMARY KEY (name, route)
) STRICT, WITHOUT ROWID;
";

/// What analysis needs: until when incidents were looked for, so that none is told twice, and how each ended.
const ANALYSED: &str = "
CREATE TABLE analysed (until INTEGER NOT NULL) STRICT;
INSERT INTO analysed VALUES (0);
ALTER TABLE incidents ADD COLUMN outcome TEXT NOT NULL DEFAULT '';
";

/// A code may be of different people's fault: what an upstream answers by 404 is the client's, by 503 its own.
const BLAMED: &str = "
CREATE TABLE blamed (id INTEGER PRIMARY KEY, fault TEXT NOT NULL, blame TEXT NOT NULL, UNIQUE (fault, blame)) STRICT;
INSERT INTO blamed SELECT id, fault, blame FROM faults;
DROP TABLE faults;
ALTER TABLE blamed RENAME TO faults;
";

/// A plugin or an endpoint is of no one route: an incident of theirs has a JSON array of those it is felt on.
const FELT: &str = "ALTER TABLE incidents ADD COLUMN routes TEXT NOT NULL DEFAULT '[]';";

/// Plugins have distributions of what their calls took.
fn plugins_have_times() -> String {
    let mut script = String::new();
    for kind in KINDS.iter().filter(|kind| kind.name == "plugin") {
        // Each tier's view has minutes in it.
        Tier::ALL.iter().for_each(|tier| script.push_str(&format!("DROP VIEW plugin_by_{};\n", tier.as_str())));
        for tier in Tier::ALL {
            script.push_str(&format!("ALTER TABLE plugin_{} ADD COLUMN latency BLOB NOT NULL DEFAULT x'';\n", tier.as_str()));
        }
        Tier::ALL.iter().for_each(|tier| script.push_str(&kind.view(*tier)));
    }
    script
}

/// Makes a file what this program writes.
pub(super) fn migrate(transaction: &Transaction<'_>, from: i64) -> Result<()> {
    // One step for each version there was; a file that is new takes all of them.
    if from < 1 {
        let mut script = REST.to_owned();
        for kind in &KINDS {
            Tier::ALL.iter().for_each(|tier| script.push_str(&kind.create(*tier)));
            Tier::ALL.iter().for_each(|tier| script.push_str(&kind.view(*tier)));
        }
        transaction.execute_batch(&script)?;
    }
    if from < 2 {
        transaction.execute_batch(ANALYSED)?;
    }
    if from < 3 {
        transaction.execute_batch(BLAMED)?;
    }
    // A new one was made with them.
    if (1..4).contains(&from) {
        transaction.execute_batch(&plugins_have_times())?;
    }
    if from < 5 {
        transaction.execute_batch(FELT)?;
    }
    transaction.pragma_update(None, "user_version", VERSION)
}

/// The version a file has; 0 where it is new.
pub(super) fn version(connection: &Connection) -> Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_an_older_file_keep_their_numbers_and_a_code_may_be_of_two_peoples_fault() {
        let mut store = Connection::open_in_memory().unwrap();
        store.execute_batch(REST).unwrap();
        store.execute_batch("INSERT INTO faults VALUES (7, 'no-route', 'client')").unwrap();
        store.execute_batch("INSERT INTO incidents VALUES (3, 'latency', '', '', 'orders', 'page', 60, NULL, 'slow', '', '{}')").unwrap();
        let plugin = Kind { name: "plugin", key: &["plugin", "hook"], sums: &["calls", "failures", "timed", "timed_ns"], times: &[] };
        for tier in Tier::ALL {
            store.execute_batch(&plugin.create(tier)).unwrap();
            store.execute_batch(&plugin.view(tier)).unwrap();
        }
        store.execute_batch("INSERT INTO plugin_minute VALUES (60, 1, 'router', 5, 0, 1, 400)").unwrap();
        store.pragma_update(None, "user_version", 2).unwrap();
        let transaction = store.transaction().unwrap();
        migrate(&transaction, 2).unwrap();
        transaction.commit().unwrap();
        assert_eq!(version(&store).unwrap(), VERSION);
        let number = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(number("SELECT calls FROM plugin_by_day WHERE length(latency) = 0"), 5);
        assert_eq!(number("SELECT id FROM incidents WHERE routes = '[]'"), 3);
        assert_eq!((number("SELECT id FROM faults WHERE fault = 'no-route'"), number("SELECT id FROM faults WHERE fault = ''")), (7, 0));
        store
            .execute_batch("INSERT INTO faults (fault, blame) VALUES ('upstream-status', 'client'), ('upstream-status', 'upstream')")
            .unwrap();
        assert!(store.execute_batch("INSERT INTO faults (fault, blame) VALUES ('no-route', 'client')").is_err());
    }
}
