//! The route table: which route takes a request. Built once per configuration, then only read; pure, with no clock, no lock
//! and, save for escaped segments, no allocation per request. `docs/routing.md` has the rules.
//!
//! A host leads to a tree of path segments by one hash, each segment to the next by another, so ten thousand routes cost
//! what one costs. Where routes differ only in method and headers they share a `place`.

mod conflict;
mod place;
mod tree;

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::FixedState;
use http::{HeaderMap, HeaderValue, Method};

pub use self::conflict::Conflict;
use self::conflict::Seen;
use self::place::{Candidate, Choice, Place};
use self::tree::{NodeId, PlaceId, Tree};
use crate::config::model::{HostPattern, PathPattern, Route, Segment};

/// All routes of a configuration, ready to be asked.
#[derive(Debug, Default)]
pub struct Table {
    exact: HashMap<Box<str>, NodeId, FixedState>,
    /// By what follows `*.`.
    wildcards: HashMap<Box<str>, NodeId, FixedState>,
    /// Lengths of the shortest and the longest wildcard: a host of a hundred labels costs no hundred look-ups.
    wildcard_lengths: Option<(usize, usize)>,
    any: Option<NodeId>,
    tree: Tree,
    places: Vec<Place>,
}

/// What a table says about a request.
#[derive(Debug)]
pub enum Outcome<'t> {
    /// A route takes it.
    Found(Match<'t>),
    /// The path is published, but not with this method: 405.
    MethodNotAllowed {
        /// The `Allow` header (RFC 9110, section 10.2.1).
        allow: HeaderValue,
    },
    /// No route takes it: 404.
    NotFound,
}

/// The route that takes a request.
#[derive(Debug, Clone, Copy)]
pub struct Match<'t> {
    /// An index into the slice the table was built from.
    pub route: usize,
    /// Which segments have a name, counted from 0, in order.
    names: &'t [(usize, Arc<str>)],
}

impl<'t> Match<'t> {
    /// The path parameters in order of the path, which must be the one that was matched. Values are raw segments;
    /// [`decode_segment`](crate::http::path::decode_segment) says what they stand for.
    pub fn parameters<'p>(&self, path: &'p str) -> impl Iterator<Item = (&'t Arc<str>, &'p str)> + use<'t, 'p> {
        let mut segments = path.split('/').skip(1);
        let mut next = 0;
        self.names.iter().filter_map(move |(index, name)| {
            let value = segments.nth(index.checked_sub(next)?)?;
            next = index + 1;
            Some((name, value))
        })
    }
}

impl Table {
    /// Builds a table, or says which routes match alike, all of them.
    pub fn build<'a>(routes: impl IntoIterator<Item = &'a Route>) -> Result<Self, Vec<Conflict>> {
        let mut table = Self::default();
        let mut seen = Seen::default();
        for (index, route) in routes.into_iter().enumerate() {
            let hosts: Vec<_> = match route.matches.hosts.as_slice() {
                [] => vec![None],
                hosts => hosts.iter().map(Some).collect(),
            };
            let every_path = [PathPattern::Prefix(Vec::new())];
            let paths = match route.matches.paths.as_slice() {
                [] => every_path.as_slice(),
                paths => paths,
            };
            for host in hosts {
                let root = table.root(host);
                for path in paths {
                    let place = table.place(root, path);
                    if seen.is_new(index, place, host, path, &route.matches)
                        && let Some(place) = table.places.get_mut(place.index())
                    {
                        place.add(Candidate::new(index, &route.matches, names(path)));
                    }
                }
            }
        }
        for place in &mut table.places {
            place.finish();
        }
        seen.into_result(table)
    }

    /// Which route takes a request: its host in lower case without port, its path in normal form.
    pub fn find(&self, host: &str, path: &str, method: &Method, headers: &HeaderMap) -> Outcome<'_> {
        let host = host.strip_suffix('.').unwrap_or(host);
        let mut decide = |place: PlaceId| match self.places.get(place.index())?.choose(method, headers) {
            Choice::NoHeaders => None,
            Choice::NoMethod(allow) => Some(Outcome::MethodNotAllowed { allow: allow.clone() }),
            Choice::Found(candidate) => Some(Outcome::Found(Match { route: candidate.route, names: &candidate.names })),
        };
        self.roots(host).find_map(|root| self.tree.walk(root, path, &mut decide)).unwrap_or(Outcome::NotFound)
    }

    /// The trees a host may be served from, most specific first.
    fn roots<'a>(&'a self, host: &'a str) -> impl Iterator<Item = NodeId> + use<'a> {
        let exact = if self.exact.is_empty() { None } else { self.exact.get(host).copied() };
        let (shortest, longest) = self.wildcard_lengths.unwrap_or((usize::MAX, 0));
        let wildcards = memchr::memchr_iter(b'.', host.as_bytes())
            // A label must stand in front of the dot.
            .skip_while(|dot| *dot == 0)
            .take_while(move |dot| host.len() - dot > shortest)
            .filter(move |dot| host.len() - dot - 1 <= longest)
            .filter_map(|dot| self.wildcards.get(host.get(dot + 1..)?).copied());
        exact.into_iter().chain(wildcards).chain(self.any)
    }

    fn root(&mut self, host: Option<&HostPattern>) -> NodeId {
        let known = match host {
            Some(HostPattern::Exact(name)) => self.exact.entry(name.as_str().into()).or_insert(NodeId::NONE),
            Some(HostPattern::Wildcard(suffix)) => {
                let (shortest, longest) = self.wildcard_lengths.unwrap_or((usize::MAX, 0));
                self.wildcard_lengths = Some((shortest.min(suffix.len()), longest.max(suffix.len())));
                self.wildcards.entry(suffix.as_str().into()).or_insert(NodeId::NONE)
            }
            None => self.any.get_or_insert(NodeId::NONE),
        };
        if *known == NodeId::NONE {
            *known = self.tree.add_root();
        }
        *known
    }

    fn place(&mut self, root: NodeId, path: &PathPattern) -> PlaceId {
        let next = PlaceId::new(self.places.len());
        let place = self.tree.insert(root, path, next);
        if place == next {
            self.places.push(Place::default());
        }
        place
    }
}

/// Where the parameters of a path stand.
fn names(path: &PathPattern) -> Box<[(usize, Arc<str>)]> {
    let (PathPattern::Exact(segments) | PathPattern::Prefix(segments)) = path;
    let named = segments.iter().enumerate().filter_map(|(index, segment)| match segment {
        Segment::Parameter(name) => Some((index, Arc::from(name.as_str()))),
        Segment::Literal(_) => None,
    });
    named.collect()
}

#[cfg(test)]
mod tests;
