//! A place: one host pattern with one path pattern, and the routes that share it. They differ in headers and methods.

use std::cmp::Reverse;
use std::sync::Arc;

use http::header::{GetAll, HeaderMap, HeaderValue};
use http::{HeaderName, Method};

use crate::config::model::Match;

/// The routes of one place, those with more headers first.
#[derive(Debug)]
pub(super) struct Place {
    candidates: Vec<Candidate>,
    allow: HeaderValue,
}

/// One route at a place.
#[derive(Debug)]
pub(super) struct Candidate {
    /// An index into the configuration's routes.
    pub(super) route: usize,
    /// Which segments have a name.
    pub(super) names: Box<[(usize, Arc<str>)]>,
    headers: Box<[Header]>,
    methods: Box<[Method]>,
}

/// A header that must be there, and its value if that matters.
type Header = (HeaderName, Option<Box<[u8]>>);

/// What a place says to a request.
pub(super) enum Choice<'p> {
    /// No route's headers match: the place has nothing to say.
    NoHeaders,
    /// Headers match, the method nowhere.
    NoMethod(&'p HeaderValue),
    Found(&'p Candidate),
}

/// How a route takes a method, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Taken {
    Listed,
    /// `HEAD` where `GET` is listed (RFC 9110, section 9.3.2).
    HeadByGet,
    Unlisted,
}

impl Default for Place {
    fn default() -> Self {
        Self { candidates: Vec::new(), allow: HeaderValue::from_static("") }
    }
}

impl Place {
    pub(super) fn add(&mut self, candidate: Candidate) {
        self.candidates.push(candidate);
    }

    /// Sorts the routes and makes the `Allow` header. Routes of equal rank stay as written.
    pub(super) fn finish(&mut self) {
        self.candidates.sort_by_key(|candidate| Reverse(candidate.rank()));
        let mut methods: Vec<&str> = self.candidates.iter().flat_map(|candidate| &candidate.methods).map(Method::as_str).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.sort_unstable();
        methods.dedup();
        // Methods are tokens, so this is always a header value.
        self.allow = HeaderValue::try_from(methods.join(", ")).unwrap_or_else(|_| HeaderValue::from_static(""));
    }

    pub(super) fn choose(&self, method: &Method, headers: &HeaderMap) -> Choice<'_> {
        let mut any = false;
        let mut best: Option<(Taken, &Candidate)> = None;
        for candidate in &self.candidates {
            if best.is_some_and(|(_, best)| best.rank() != candidate.rank()) {
                break;
            }
            if !candidate.takes_headers(headers) {
                continue;
            }
            any = true;
            match candidate.takes_method(method) {
                Some(Taken::Listed) => return Choice::Found(candidate),
                Some(taken) if best.is_none_or(|(best, _)| taken < best) => best = Some((taken, candidate)),
                _ => {}
            }
        }
        match best {
            Some((_, candidate)) => Choice::Found(candidate),
            None if any => Choice::NoMethod(&self.allow),
            None => Choice::NoHeaders,
        }
    }
}

impl Candidate {
    pub(super) fn new(route: usize, matches: &Match, names: Box<[(usize, Arc<str>)]>) -> Self {
        let headers = matches.headers.iter().map(|header| {
            let value = header.value.as_ref().map(|value| value.as_bytes().into());
            (header.name.clone(), value)
        });
        Self { route, names, headers: headers.collect(), methods: matches.methods.iter().cloned().collect() }
    }

    /// Headers, and those of them with a value.
    fn rank(&self) -> (usize, usize) {
        (self.headers.len(), self.headers.iter().filter(|(_, value)| value.is_some()).count())
    }

    fn takes_headers(&self, headers: &HeaderMap) -> bool {
        self.headers.iter().all(|(name, value)| match value {
            None => headers.contains_key(name),
            Some(value) => is_only(headers.get_all(name), value),
        })
    }

    fn takes_method(&self, method: &Method) -> Option<Taken> {
        if self.methods.is_empty() {
            Some(Taken::Unlisted)
        } else if self.methods.contains(method) {
            Some(Taken::Listed)
        } else if *method == Method::HEAD && self.methods.contains(&Method::GET) {
            Some(Taken::HeadByGet)
        } else {
            None
        }
    }
}

/// Two lines of one name are read differently by different servers, so they equal nothing.
fn is_only(lines: GetAll<'_, HeaderValue>, value: &[u8]) -> bool {
    let mut lines = lines.iter();
    lines.next().is_some_and(|line| line.as_bytes() == value) && lines.next().is_none()
}
