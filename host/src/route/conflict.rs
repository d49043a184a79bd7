//! Routes that match alike: nothing in the rules says which of them is meant, so the configuration is wrong.

use std::collections::{HashMap, HashSet};
use std::fmt;

use http::Method;

use super::Table;
use super::tree::PlaceId;
use crate::config::model::{HostPattern, Match, PathPattern, Segment};

/// Two routes that match alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The one written first: an index into the routes.
    pub first: usize,
    /// The other one.
    pub second: usize,
    /// What both take: ``method `GET`, host `api.example.com`, path `/orders/{id}` ``.
    pub what: String,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "two routes take {}", self.what)
    }
}

/// Everything about a route that the rules compare: its place, headers in order of name, and one of its methods.
type Key = (PlaceId, Vec<(String, Option<String>)>, Option<Method>);

/// What was met while a table is built.
#[derive(Debug, Default)]
pub(super) struct Seen {
    routes: HashMap<Key, usize>,
    placed: HashSet<(PlaceId, usize)>,
    conflicts: Vec<Conflict>,
}

impl Seen {
    /// Notes a route at a place. False when the same route stands there already (`/{a}` and `/{b}` are one place).
    pub(super) fn is_new(&mut self, route: usize, place: PlaceId, host: Option<&HostPattern>, path: &PathPattern, matches: &Match) -> bool {
        let mut headers: Vec<_> = matches.headers.iter().map(|header| (header.name.to_string(), header.value.clone())).collect();
        headers.sort();
        headers.dedup();
        let methods: Vec<_> = match matches.methods.as_slice() {
            [] => vec![None],
            methods => methods.iter().cloned().map(Some).collect(),
        };
        for method in methods {
            let first = *self.routes.entry((place, headers.clone(), method.clone())).or_insert(route);
            // One report per pair of routes is enough.
            let known = self.conflicts.iter().rev().take_while(|known| known.second == route).any(|known| known.first == first);
            if first != route && !known {
                self.conflicts.push(Conflict { first, second: route, what: describe(method.as_ref(), host, path, &headers) });
            }
        }
        self.placed.insert((place, route))
    }

    /// The table, if no routes match alike.
    pub(super) fn into_result(self, table: Table) -> Result<Table, Vec<Conflict>> {
        if self.conflicts.is_empty() { Ok(table) } else { Err(self.conflicts) }
    }
}

fn describe(method: Option<&Method>, host: Option<&HostPattern>, path: &PathPattern, headers: &[(String, Option<String>)]) -> String {
    let mut text = match method {
        Some(method) => format!("method `{method}`, "),
        None => "every method, ".to_owned(),
    };
    text.push_str(&match host {
        Some(HostPattern::Exact(name)) => format!("host `{name}`, "),
        Some(HostPattern::Wildcard(suffix)) => format!("host `*.{suffix}`, "),
        None => "every host, ".to_owned(),
    });
    let (PathPattern::Exact(segments) | PathPattern::Prefix(segments)) = path;
    let mut pattern = String::new();
    for segment in segments {
        match segment {
            Segment::Literal(literal) => pattern.extend(["/", literal]),
            Segment::Parameter(name) => pattern.extend(["/{", name, "}"]),
        }
    }
    if matches!(path, PathPattern::Prefix(_)) {
        pattern.push_str("/*");
    } else if pattern.is_empty() {
        pattern.push('/');
    }
    text.push_str(&format!("path `{pattern}`"));
    for (name, value) in headers {
        text.push_str(&match value {
            Some(value) => format!(", header `{name}: {value}`"),
            None => format!(", header `{name}`"),
        });
    }
    text
}
