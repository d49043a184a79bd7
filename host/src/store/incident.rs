//! What analysis finds, as reports show it. The store keeps the tables; whoever analyses fills them, on the store's own thread.

use rusqlite::{Connection, Params, Result, params};
use serde::{Serialize, Serializer};

/// Something that went wrong, from when to when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// What kind, one stable word in kebab case, such as `error-rate`.
    pub kind: String,
    /// What it is about: an endpoint, a plugin, a consumer, a certificate, an objective; empty where the route says it all.
    pub subject: String,
    /// The API, or empty.
    pub api: String,
    /// The route, or empty for the whole gateway.
    pub route: String,
    /// Every route it is felt on, as far as that is known of what it is about: its own; those with the plugin in their chain when it was
    /// found, or of the endpoint's upstream. Readers choose by them and do not show them: a plugin may stand in a thousand chains.
    #[serde(skip)]
    pub routes: Vec<String>,
    /// `page` or `ticket`.
    pub severity: String,
    /// Seconds since 1970.
    pub started: i64,
    /// Seconds since 1970; `None` while it lasts.
    pub ended: Option<i64>,
    /// One sentence.
    pub title: String,
    /// The likely cause, one sentence; empty where none is known.
    pub cause: String,
    /// Figures it was found by, a JSON object of numbers and texts.
    #[serde(serialize_with = "object")]
    pub evidence: String,
    /// How it ended, one stable word: `recovered`, `new-level` (it is what is usual now), `silent` (nothing was heard of it any more),
    /// `gone` (it is configured no more); empty while it lasts.
    pub outcome: String,
}

/// What is JSON already stays an object and does not become a text of it.
fn object<S: Serializer>(evidence: &str, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serde_json::from_str::<serde_json::Value>(evidence).unwrap_or_default().serialize(serializer)
}

/// Its columns after its number, in the order they are read.
const COLUMNS: &str = "kind, subject, api, route, severity, started, ended, title, cause, evidence, outcome, routes";

/// How much of an objective's error budget is left.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Slo {
    /// Its name.
    pub name: String,
    /// The API of its route, or empty.
    pub api: String,
    /// Its route.
    pub route: String,
    /// The share of requests that must be good, such as 0.999.
    pub objective: f64,
    /// Over how long, seconds.
    pub window_seconds: i64,
    /// Requests that were, in the window that ends at `updated`.
    pub good: i64,
    /// All of them.
    pub total: i64,
    /// Seconds since 1970.
    pub updated: i64,
}

/// Who looks at what was stored. Called on the store's thread after every minute's rollup: what takes long holds up writing, not
/// serving.
pub trait Analyst: Send {
    /// Every minute before `until` is complete. Whether there is more to do: what takes long is done in parts, with writing between them.
    ///
    /// # Errors
    /// When the store cannot be read or written. It is asked again after a pause.
    fn analyse(&mut self, store: &Connection, until: i64) -> Result<bool>;
}

impl Incident {
    /// Writes one down and returns its number.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn insert(&self, store: &Connection) -> Result<i64> {
        let sql = format!("INSERT INTO incidents ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)");
        let routes = serde_json::json!(self.routes).to_string();
        store.prepare_cached(&sql)?.execute(params![
            self.kind,
            self.subject,
            self.api,
            self.route,
            self.severity,
            self.started,
            self.ended,
            self.title,
            self.cause,
            self.evidence,
            self.outcome,
            routes
        ])?;
        Ok(store.last_insert_rowid())
    }

    /// It got worse: the one of that number is told anew. When it began stays.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn update(&self, store: &Connection, number: i64) -> Result<()> {
        let sql = "UPDATE incidents SET severity = ?2, title = ?3, cause = ?4, evidence = ?5 WHERE id = ?1";
        store.prepare_cached(sql)?.execute(params![number, self.severity, self.title, self.cause, self.evidence]).map(drop)
    }

    /// Those that lasted at some moment from `from` until `until`, the latest first, with their numbers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn between(store: &Connection, from: i64, until: i64) -> Result<Vec<(i64, Self)>> {
        Self::read(store, "started < ?2 AND (ended IS NULL OR ended >= ?1)", [from, until])
    }

    /// Those that last, the latest first, with their numbers.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn open(store: &Connection) -> Result<Vec<(i64, Self)>> {
        Self::read(store, "ended IS NULL", [])
    }

    fn read(store: &Connection, which: &str, params: impl Params) -> Result<Vec<(i64, Self)>> {
        let sql = format!("SELECT id, {COLUMNS} FROM incidents WHERE {which} ORDER BY started DESC, id DESC");
        let mut rows = store.prepare_cached(&sql)?;
        let rows = rows.query_map(params, |row| {
            let incident = Self {
                kind: row.get(1)?,
                subject: row.get(2)?,
                api: row.get(3)?,
                route: row.get(4)?,
                severity: row.get(5)?,
                started: row.get(6)?,
                ended: row.get(7)?,
                title: row.get(8)?,
                cause: row.get(9)?,
                evidence: row.get(10)?,
                outcome: row.get(11)?,
                routes: serde_json::from_str(row.get_ref(12)?.as_str()?).unwrap_or_default(),
            };
            Ok((row.get(0)?, incident))
        })?;
        rows.collect()
    }

    /// It is over, and how that came.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn end(store: &Connection, number: i64, ended: i64, outcome: &str) -> Result<()> {
        let sql = "UPDATE incidents SET ended = max(started, ?2), outcome = ?3 WHERE id = ?1";
        store.prepare_cached(sql)?.execute(params![number, ended, outcome]).map(drop)
    }
}

impl Slo {
    /// The share of the error budget that is left; less than nothing where it is overspent, `None` where there is none to spend.
    pub fn budget_left(&self) -> Option<f64> {
        let budget = (1.0 - self.objective) * self.total as f64;
        (budget > 0.0).then(|| 1.0 - (self.total - self.good) as f64 / budget)
    }

    /// Writes one down, in the place of what was known of it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&self, store: &Connection) -> Result<()> {
        let sql = "INSERT OR REPLACE INTO slos (name, api, route, objective, window_seconds, good, total, updated) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let params = params![self.name, self.api, self.route, self.objective, self.window_seconds, self.good, self.total, self.updated];
        store.prepare_cached(sql)?.execute(params).map(drop)
    }

    /// Forgets those that were not written down since: they are promised no more.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn forget_before(store: &Connection, at: i64) -> Result<()> {
        store.prepare_cached("DELETE FROM slos WHERE updated < ?1")?.execute([at]).map(drop)
    }

    /// All of them, by route and name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn all(store: &Connection) -> Result<Vec<Self>> {
        let sql = "SELECT name, api, route, objective, window_seconds, good, total, updated FROM slos ORDER BY route, name";
        let mut rows = store.prepare_cached(sql)?;
        let rows = rows.query_map([], |row| {
            Ok(Self {
                name: row.get(0)?,
                api: row.get(1)?,
                route: row.get(2)?,
                objective: row.get(3)?,
                window_seconds: row.get(4)?,
                good: row.get(5)?,
                total: row.get(6)?,
                updated: row.get(7)?,
            })
        })?;
        rows.collect()
    }
}
