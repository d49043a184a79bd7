//! Names and the numbers that stand for them in every row.

use std::collections::HashMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Params, Result, params};

use super::pending::RouteKey;
use crate::fault::{Blame, ErrorCause};
use crate::telemetry::OTHER;

/// Consumers the store knows at once; those past it are counted together. Names without rows are forgotten.
const MAX_CONSUMERS: i64 = 20_000;

/// What was looked up in the transactions that were committed.
#[derive(Debug, Default)]
pub(super) struct Names {
    routes: HashMap<RouteKey, i64>,
    endpoints: HashMap<Arc<str>, i64>,
    consumers: HashMap<Arc<str>, i64>,
    /// How many consumers there are; `None` until they are counted.
    known_consumers: Option<i64>,
    plugins: HashMap<(Arc<str>, Arc<str>), i64>,
    faults: HashMap<(ErrorCause, Blame), i64>,
}

impl Names {
    pub(super) fn route(&mut self, connection: &Connection, key: &RouteKey) -> Result<i64> {
        if let Some(id) = self.routes.get(key) {
            return Ok(*id);
        }
        let id = id(connection, "routes (route, api, version) VALUES (?1, ?2, ?3)", params![key.route, key.api, key.version])?;
        self.routes.insert(key.clone(), id);
        Ok(id)
    }

    pub(super) fn endpoint(&mut self, connection: &Connection, name: &Arc<str>) -> Result<i64> {
        if let Some(id) = self.endpoints.get(name) {
            return Ok(*id);
        }
        let id = id(connection, "endpoints (endpoint) VALUES (?1)", params![name])?;
        self.endpoints.insert(Arc::clone(name), id);
        Ok(id)
    }

    /// Its number, and whether it is its own: names past the limit have one together. None of these is remembered, since they are without
    /// end.
    pub(super) fn consumer(&mut self, connection: &Connection, name: &Arc<str>) -> Result<(i64, bool)> {
        if let Some(id) = self.consumers.get(name) {
            return Ok((*id, true));
        }
        let mut known = connection.prepare_cached("SELECT id FROM consumers WHERE consumer = ?1")?;
        if let Some(id) = known.query_row([name], |row| row.get(0)).optional()? {
            self.consumers.insert(Arc::clone(name), id);
            return Ok((id, true));
        }
        let count = match self.known_consumers {
            Some(count) => count,
            None => connection.prepare_cached("SELECT count(*) FROM consumers")?.query_row([], |row| row.get(0))?,
        };
        self.known_consumers = Some(count);
        if count >= MAX_CONSUMERS && &**name != OTHER {
            return Ok((self.consumer(connection, &OTHER.into())?.0, false));
        }
        let id = id(connection, "consumers (consumer) VALUES (?1)", params![name])?;
        self.known_consumers = Some(count + 1);
        self.consumers.insert(Arc::clone(name), id);
        Ok((id, true))
    }

    pub(super) fn plugin(&mut self, connection: &Connection, name: &Arc<str>, digest: &Arc<str>, now: i64) -> Result<i64> {
        let key = (Arc::clone(name), Arc::clone(digest));
        if let Some(id) = self.plugins.get(&key) {
            return Ok(*id);
        }
        let id = id(connection, "plugins (plugin, digest, first_seen) VALUES (?1, ?2, ?3)", params![name, digest, now])?;
        self.plugins.insert(key, id);
        Ok(id)
    }

    /// What an answer with that status had wrong: the code says what, the status whose answer's it was.
    pub(super) fn fault(&mut self, connection: &Connection, fault: Option<ErrorCause>, status: u16) -> Result<i64> {
        let Some(fault) = fault else { return Ok(0) };
        let key = (fault, fault.blame(status));
        if let Some(id) = self.faults.get(&key) {
            return Ok(*id);
        }
        let id = id(connection, "faults (fault, blame) VALUES (?1, ?2)", params![fault.code(), key.1.as_str()])?;
        self.faults.insert(key, id);
        Ok(id)
    }

    /// Looks everything up again.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

/// The number of a row, which is made where there is none.
fn id(connection: &Connection, into: &str, params: impl Params) -> Result<i64> {
    // What is set is what it was: only then does RETURNING tell of a row that was there.
    let column = into.split(['(', ',', ')']).nth(1).unwrap_or_default().trim();
    let key = match column {
        "route" => "route, api, version",
        "plugin" => "plugin, digest",
        "fault" => "fault, blame",
        other => other,
    };
    let sql = format!("INSERT INTO {into} ON CONFLICT ({key}) DO UPDATE SET {column} = excluded.{column} RETURNING id");
    connection.prepare_cached(&sql)?.query_row(params, |row| row.get(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema;

    #[test]
    fn consumers_past_the_limit_are_neither_named_nor_remembered_until_some_are_forgotten() {
        let mut store = Connection::open_in_memory().unwrap();
        let transaction = store.transaction().unwrap();
        schema::migrate(&transaction, 0).unwrap();
        transaction.commit().unwrap();
        let fill =
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) INSERT INTO consumers SELECT i, 'c-' || i FROM n";
        store.execute(fill, [MAX_CONSUMERS - 1]).unwrap();
        let mut names = Names::default();
        assert!(names.consumer(&store, &"last".into()).unwrap().1);
        let (other, is_named) = names.consumer(&store, &"one-more".into()).unwrap();
        assert!(!is_named);
        for number in 0..1_000 {
            assert_eq!(names.consumer(&store, &format!("new-{number}").into()).unwrap(), (other, false));
        }
        assert_eq!(names.consumer(&store, &"c-7".into()).unwrap(), (7, true));
        assert_eq!(names.consumers.len(), 3, "the last, the one of two that is known, and what stands for the rest");
        store.execute("DELETE FROM consumers WHERE id = 8", []).unwrap();
        store.execute("DELETE FROM consumers WHERE id = 9", []).unwrap();
        names.forget();
        assert!(names.consumer(&store, &"one-more".into()).unwrap().1);
    }
}
