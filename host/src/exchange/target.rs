//! Path and query of a request: what was received serves as long as nobody wants another, so that most requests copy
//! neither.

use http::uri::PathAndQuery;

/// Path and query of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Target {
    received: Option<PathAndQuery>,
    /// Where it is not the received one, which was not in normal form or which a hook replaced.
    path: Option<String>,
    query: Query,
}

/// The query of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Query {
    /// What was received, if anything was.
    #[default]
    Received,
    /// What a hook put in its place.
    Set(Option<String>),
}

impl Target {
    /// A target as received, and its path in normal form where that is another.
    pub fn new(received: Option<PathAndQuery>, normal: Option<String>) -> Self {
        Self { received, path: normal, query: Query::Received }
    }

    /// As received.
    pub fn received(&self) -> Option<&PathAndQuery> {
        self.received.as_ref()
    }

    /// As received, where that is in normal form and no hook has set another; most often this is what leaves.
    pub fn unchanged(&self) -> Option<&PathAndQuery> {
        self.received.as_ref().filter(|_| self.path.is_none() && self.query == Query::Received)
    }

    /// The path in normal form.
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or_else(|| self.raw_path())
    }

    /// The path as received.
    pub fn raw_path(&self) -> &str {
        self.received.as_ref().map_or("/", PathAndQuery::path)
    }

    /// The query without `?`.
    pub fn query(&self) -> Option<&str> {
        match &self.query {
            Query::Received => self.received.as_ref()?.query(),
            Query::Set(query) => query.as_deref(),
        }
    }

    /// Puts a path in normal form in place of another, which it gives; `None` is the received one.
    pub(super) fn replace_path(&mut self, path: Option<String>) -> Option<String> {
        std::mem::replace(&mut self.path, path)
    }

    /// Puts a query in place of another, which it gives.
    pub(super) fn replace_query(&mut self, query: Query) -> Query {
        std::mem::replace(&mut self.query, query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_received_stays_beside_what_took_its_place() {
        let mut target = Target::new(Some("/a/../b?x=1".parse().unwrap()), Some("/b".to_owned()));
        assert_eq!((target.path(), target.raw_path(), target.query()), ("/b", "/a/../b", Some("x=1")));
        let path = target.replace_path(Some("/c".to_owned()));
        let query = target.replace_query(Query::Set(None));
        assert_eq!((target.path(), target.raw_path(), target.query()), ("/c", "/a/../b", None));
        target.replace_path(path);
        target.replace_query(query);
        assert_eq!((target.path(), target.query()), ("/b", Some("x=1")));
    }

    #[test]
    fn a_request_without_a_target_asks_for_the_root() {
        let target = Target::default();
        assert_eq!((target.path(), target.raw_path(), target.query()), ("/", "/", None));
    }
}
