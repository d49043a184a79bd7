//! Requests of one route on one worker.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::Method;

use super::cell::Count;
use super::durations::{Answer, Durations};
use super::histogram::Reading;
use super::slo::SloCells;
use crate::config::model::Slo;
use crate::fault::{Blame, ErrorCause, Fault};

/// Methods with a series of their own (RFC 9110, section 9.3; RFC 5789). A client may invent others without end, so they
/// share one.
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
const OTHER: &str = "other";
/// Status codes of one class.
const CODES: usize = 100;
/// 1xx to 5xx.
const CLASSES: usize = 5;

/// Counts of the codes of one class; made when the first one comes, since most routes meet two classes and one method.
type Class = OnceLock<Box<[Code; CODES]>>;

/// Answers of one status code.
#[derive(Debug, Default)]
struct Code {
    count: Count,
    /// Those that had one, by cause; made when the first one comes.
    causes: OnceLock<Box<[Count; ErrorCause::COUNT]>>,
}

/// What was counted of one method, status and cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) method: &'static str,
    pub(super) status: u16,
    /// `None` where nothing was wrong.
    pub(super) cause: Option<ErrorCause>,
    pub(super) count: u64,
}

/// What one worker counts of one route.
#[derive(Debug)]
pub struct RouteCells {
    pub(super) name: Arc<str>,
    pub(super) api: Option<Arc<str>>,
    pub(super) version: Option<Arc<str>>,
    /// By method, then class.
    requests: Box<[[Class; CLASSES]; METHODS.len() + 1]>,
    in_flight: Count,
    durations: Durations,
    pub(super) slo: SloCells,
}

/// What a method is counted as.
pub fn method_name(method: &str) -> &'static str {
    name_of(method_number(method))
}

/// Whether it is counted as itself.
pub fn is_known_method(method: &str) -> bool {
    METHODS.contains(&method)
}

fn method_number(method: &str) -> usize {
    METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len())
}

fn name_of(number: usize) -> &'static str {
    METHODS.get(number).copied().unwrap_or(OTHER)
}

impl RouteCells {
    pub(super) fn new(name: &str, api: Option<&str>, version: Option<&str>) -> Self {
        Self {
            name: name.into(),
            api: api.map(Arc::from),
            version: version.map(Arc::from),
            requests: Box::default(),
            in_flight: Count::default(),
            durations: Durations::default(),
            slo: SloCells::default(),
        }
    }

    pub(super) fn is(&self, name: &str, api: Option<&str>, version: Option<&str>) -> bool {
        &*self.name == name && self.api.as_deref() == api && self.version.as_deref() == version
    }

    /// A request has begun.
    pub fn started(&self) {
        self.in_flight.add(1);
    }

    /// A request that had begun has ended. `tls`: whether it came over TLS.
    pub fn finished(&self, method: &Method, tls: bool, status: u16, cause: Option<ErrorCause>, duration: Duration) {
        self.in_flight.sub(1);
        let number = method_number(method.as_str());
        self.count(number, status, cause);
        self.durations.record(Answer { method: name_of(number), status, tls }, duration);
        self.slo.finished(duration);
    }

    /// Something was answered that never became a request.
    pub fn refused(&self, fault: Fault) {
        self.count(METHODS.len(), fault.status().as_u16(), Some(ErrorCause::Fault(fault)));
    }

    fn count(&self, method: usize, status: u16, cause: Option<ErrorCause>) {
        let (class, code) = (usize::from(status / 100).wrapping_sub(1), usize::from(status % 100));
        if let Some(class) = self.requests.get(method).and_then(|classes| classes.get(class)) {
            let codes = class.get_or_init(|| Box::new(std::array::from_fn(|_| Code::default())));
            if let Some(code) = codes.get(code) {
                code.add(cause);
            }
        }
    }

    /// What is promised of the route from now on. Takes a lock; call it when a configuration is assembled.
    pub fn promise(&self, promise: Option<Slo>) {
        self.slo.promise(promise);
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.get()
    }

    pub(super) fn duration(&self) -> Reading {
        self.durations.sum()
    }

    pub(super) fn durations(&self) -> impl Iterator<Item = (Answer, Reading)> + '_ {
        self.durations.each()
    }

    /// How many were answered.
    pub(super) fn answered(&self) -> u64 {
        self.requests.iter().flatten().filter_map(OnceLock::get).flat_map(|codes| codes.iter()).map(|code| code.count.get()).sum()
    }

    /// Everything that was counted.
    pub(super) fn requests(&self) -> impl Iterator<Item = Answers> + '_ {
        let methods = METHODS.iter().copied().chain([OTHER]);
        methods.zip(self.requests.iter()).flat_map(|(method, classes)| {
            classes.iter().enumerate().flat_map(move |(class, codes)| {
                let codes = codes.get().into_iter().flat_map(|codes| codes.iter().enumerate());
                codes.flat_map(move |(code, cell)| cell.answers(method, u16::try_from((class + 1) * 100 + code).unwrap_or_default()))
            })
        })
    }
}

impl Code {
    fn add(&self, cause: Option<ErrorCause>) {
        self.count.add(1);
        let Some(cause) = cause else { return };
        let causes = self.causes.get_or_init(|| Box::new(std::array::from_fn(|_| Count::default())));
        if let Some(count) = causes.get(cause.index()) {
            count.add(1);
        }
    }

    /// By cause, and what has none; nothing of what never came.
    fn answers(&self, method: &'static str, status: u16) -> impl Iterator<Item = Answers> + '_ {
        let answers = move |cause, count| (count > 0).then_some(Answers { method, status, cause, count });
        // Causes are read first: who counts adds to the sum before, so what has no cause is never fewer than none.
        let caused: Vec<_> = self.causes.get().into_iter().flat_map(|causes| causes.iter().map(Count::get)).collect();
        let rest = answers(None, self.count.get().saturating_sub(caused.iter().sum()));
        ErrorCause::all().zip(caused).filter_map(move |(cause, count)| answers(Some(cause), count)).chain(rest)
    }
}

impl Answers {
    /// Its code and whose fault it was; empty where nothing was wrong.
    pub(super) fn fault(&self) -> (&'static str, &'static str) {
        self.cause.map_or(("", ""), |cause| (cause.code(), cause.blame(self.status).as_str()))
    }

    /// Whether gateway, plugin or upstream failed it: by its status, or by an answer that broke off.
    pub(super) fn is_broken(&self) -> bool {
        self.cause.is_some_and(|cause| cause.blame(self.status) != Blame::Client)
    }
}
