//! Incidents as they are asked for, of a store that a gateway may be writing.

use std::fmt;
use std::path::Path;

use serde_json::Value;

use super::told;
use crate::report;
use crate::store::{Incident, OpenError, Reader};

/// Which incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Those that lasted at some moment since so many seconds before now.
    pub since: i64,
    /// Those that last alone.
    pub open: bool,
}

/// Why there is no list.
#[derive(Debug)]
pub enum ListError {
    /// The store cannot be opened, or is none.
    Store(OpenError),
    /// The store cannot be read.
    Read(String),
}

/// What the store has of them, the latest first, as JSON.
///
/// # Errors
/// When there is no store, or it cannot be read.
pub fn list(file: &Path, asked: &Asked, now: i64) -> Result<Vec<Value>, ListError> {
    let reader = Reader::open(file).map_err(ListError::Store)?;
    let found = match asked.open {
        true => Incident::open(reader.connection()),
        false => Incident::between(reader.connection(), now.saturating_sub(asked.since), now + 1),
    };
    let found = found.map_err(|error| ListError::Read(error.to_string()))?;
    Ok(found.iter().map(|(number, incident)| told::json(*number, incident)).collect())
}

impl Default for Asked {
    fn default() -> Self {
        Self { since: report::Request::default().since, open: false }
    }
}

impl Asked {
    /// What a query string asks for: `since=24h&open=true`.
    ///
    /// # Errors
    /// When it asks for something else.
    pub fn of_query(query: &str) -> Result<Self, String> {
        let mut asked = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=').unwrap_or((pair, "true")) {
                ("since", since) => asked.since = report::Request::since(since)?,
                ("open", "true") => asked.open = true,
                ("open", "false") => asked.open = false,
                (other, _) => return Err(format!("incidents have no `{other}` like this: ask for since=24h and open=true")),
            }
        }
        Ok(asked)
    }

    /// As a query string.
    pub fn query(&self) -> String {
        format!("since={}m&open={}", self.since.div_euclid(60).max(1), self.open)
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Read(error) => write!(f, "the monitoring store cannot be read: {error}"),
        }
    }
}

impl std::error::Error for ListError {}
