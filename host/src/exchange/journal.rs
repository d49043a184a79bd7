//! What the running hook changed, so that a trap can take it back. Changes are made at once and undone in reverse:
//! a hook that returns normally, which is nearly every one, pays for nothing but the list.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};

use super::line::Line;
use super::target::Query;
use super::{ChangeLimits, Exchange, Identity, Value};

/// Changes of one hook, oldest first.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Most hooks make one change or none; it needs no list.
    first: Option<Undo>,
    more: Vec<Undo>,
    /// Header lines this hook set.
    pub(super) headers: usize,
    /// Bytes of their names and values.
    pub(super) header_bytes: usize,
    /// What it was refused.
    pub(super) refused: Refused,
}

/// Changes of one hook that were past a limit of its plugin, by the limit.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Refused {
    /// Past `ChangeLimits::headers`.
    pub headers: u32,
    /// Past `ChangeLimits::header_bytes`.
    pub header_bytes: u32,
    /// Past `ChangeLimits::attribute_bytes`.
    pub attribute_bytes: u32,
}

/// How to take one change back.
#[derive(Debug)]
pub(super) enum Undo {
    RequestHeader(HeaderName, Previous),
    ResponseHeader(HeaderName, Previous),
    /// Of lines the number is enough: a name would be shared, which costs more.
    RequestLine(u16, Previous),
    ResponseLine(u16, Previous),
    Method(Method),
    Path(Option<String>),
    Query(Query),
    Status(StatusCode),
    Attribute(Arc<str>, String, Option<Value>),
    Identity(Option<Arc<Identity>>),
    LeftResponseHeader,
}

/// Values a header had.
#[derive(Debug)]
pub(super) enum Previous {
    Absent,
    One(HeaderValue),
    Many(Vec<HeaderValue>),
}

impl Journal {
    pub(super) fn push(&mut self, undo: Undo) {
        match &self.first {
            None => self.first = Some(undo),
            Some(_) => self.more.push(undo),
        }
    }

    /// The same of what is there once: what it was before the hook is all that counts, however often the hook changes it.
    pub(super) fn push_first(&mut self, undo: Undo) {
        if !self.first.iter().chain(&self.more).any(|known| known.is_of_the_same(&undo)) {
            self.push(undo);
        }
    }

    /// The newest change.
    fn pop(&mut self) -> Option<Undo> {
        self.more.pop().or_else(|| self.first.take())
    }

    fn clear(&mut self) {
        self.first = None;
        self.more.clear();
        self.headers = 0;
        self.header_bytes = 0;
        self.refused = Refused::default();
    }
}

impl Undo {
    fn is_of_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Method(_), Self::Method(_))
            | (Self::Path(_), Self::Path(_))
            | (Self::Query(_), Self::Query(_))
            | (Self::Status(_), Self::Status(_)) => true,
            (Self::Attribute(plugin, name, _), Self::Attribute(other_plugin, other, _)) => name == other && plugin == other_plugin,
            _ => false,
        }
    }
}

impl Refused {
    /// Whether one more header line of that many bytes is too much, for a hook that wrote so many already.
    pub fn header(&mut self, limits: &ChangeLimits, headers: usize, header_bytes: usize) -> bool {
        if headers >= limits.headers {
            self.headers = self.headers.saturating_add(1);
            true
        } else if header_bytes > limits.header_bytes {
            self.header_bytes = self.header_bytes.saturating_add(1);
            true
        } else {
            false
        }
    }
}

impl Previous {
    /// What `name` holds now.
    pub(super) fn of(headers: &HeaderMap, name: &HeaderName) -> Self {
        Self::those(headers.get_all(name).iter())
    }

    /// These values.
    pub(super) fn those<'v>(mut values: impl Iterator<Item = &'v HeaderValue>) -> Self {
        match (values.next(), values.next()) {
            (None, _) => Self::Absent,
            (Some(only), None) => Self::One(only.clone()),
            (Some(first), Some(second)) => Self::Many([first, second].into_iter().chain(values).cloned().collect()),
        }
    }

    fn restore(self, headers: &mut HeaderMap, name: HeaderName) {
        headers.remove(&name);
        match self {
            Self::Absent => {}
            Self::One(value) => drop(headers.insert(name, value)),
            Self::Many(values) => {
                for value in values {
                    headers.append(name.clone(), value);
                }
            }
        }
    }
}

impl Exchange {
    /// What the running hook was refused for its size.
    pub fn refused(&self) -> Refused {
        self.journal.refused
    }

    /// The hook returned normally: its changes stay.
    pub fn commit(&mut self) {
        self.journal.clear();
    }

    /// The hook failed: everything is as it was before it. `lines` are those its numbers are of.
    pub fn roll_back(&mut self, lines: &[Line]) {
        let name_of = |number: u16| lines.get(usize::from(number)).map(|line| line.name.clone());
        while let Some(undo) = self.journal.pop() {
            match undo {
                Undo::RequestHeader(name, previous) => previous.restore(&mut self.request.headers, name),
                Undo::ResponseHeader(name, previous) => {
                    if let Some(response) = &mut self.response {
                        previous.restore(&mut response.headers, name);
                    }
                }
                Undo::RequestLine(number, previous) => {
                    if let Some(name) = name_of(number) {
                        previous.restore(&mut self.request.headers, name);
                    }
                }
                Undo::ResponseLine(number, previous) => {
                    if let (Some(name), Some(response)) = (name_of(number), &mut self.response) {
                        previous.restore(&mut response.headers, name);
                    }
                }
                Undo::Method(method) => self.request.method = method,
                Undo::Path(path) => drop(self.request.target.replace_path(path)),
                Undo::Query(query) => drop(self.request.target.replace_query(query)),
                Undo::Status(status) => {
                    if let Some(response) = &mut self.response {
                        response.status = status;
                    }
                }
                Undo::Attribute(plugin, name, value) => self.attributes.restore(&plugin, &name, value),
                Undo::Identity(identity) => self.identity = identity,
                Undo::LeftResponseHeader => drop(self.response_headers.pop()),
            }
        }
        self.commit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Origin, Phase, ResponseHead};

    fn answered(headers: &HeaderMap) -> Box<Exchange> {
        let mut exchange = Exchange::sample(headers.clone());
        exchange.answer(ResponseHead { status: StatusCode::OK, headers: headers.clone(), origin: Origin::Upstream(1) });
        exchange
    }

    #[test]
    fn a_line_is_taken_back_by_its_number() {
        let limits = ChangeLimits { headers: 8, header_bytes: 1_000, attribute_bytes: 0 };
        let line = |name| Line::new(HeaderName::from_static(name), HeaderValue::from_static("line"));
        let lines = [line("x-absent"), line("x-one"), line("x-many")];
        let mut headers = HeaderMap::new();
        for (name, value) in [("x-one", "1"), ("x-many", "1"), ("x-many", "2")] {
            headers.append(name, HeaderValue::from_static(value));
        }
        let mut exchange = answered(&headers);
        let before = exchange.copy();
        for (number, line) in (0..).zip(&lines) {
            exchange.set_line(Phase::Request, &limits, number, line).unwrap();
            exchange.set_response_line(Phase::Response, &limits, number, line).unwrap();
        }
        // By its name in between.
        let (name, value) = (HeaderName::from_static("x-many"), HeaderValue::from_static("3"));
        exchange.append_header(Phase::Request, &limits, name, value).unwrap();
        exchange.set_line(Phase::Request, &limits, 2, &lines[2]).unwrap();
        let after = exchange.copy();
        for headers in [&after.request.headers, &after.response.as_ref().unwrap().headers] {
            assert!(lines.iter().all(|line| headers.get_all(&line.name).iter().eq([&line.value])), "{headers:?}");
        }
        exchange.roll_back(&lines);
        assert!(exchange.is_like(&before), "{exchange:?}");

        exchange.set_line(Phase::Request, &limits, 0, &lines[0]).unwrap();
        exchange.commit();
        exchange.roll_back(&lines);
        assert!(exchange.request.headers.contains_key("x-absent"), "it was there to stay");
    }

    #[test]
    fn what_a_hook_changes_again_and_again_is_kept_once_as_it_was_before() {
        let mut journal = Journal::default();
        let plugin: Arc<str> = "p".into();
        for turn in 0..1_000 {
            let text = turn.to_string();
            journal.push_first(Undo::Path(Some(text.clone())));
            journal.push_first(Undo::Method(Method::POST));
            journal.push_first(Undo::Status(StatusCode::OK));
            for name in ["a", "b"] {
                journal.push_first(Undo::Attribute(Arc::clone(&plugin), name.to_owned(), Some(Value::Text(text.clone()))));
            }
        }
        let mut kept = Vec::new();
        while let Some(undo) = journal.pop() {
            kept.push(format!("{undo:?}"));
        }
        assert_eq!(kept.len(), 5);
        assert!(kept.iter().all(|undo| !undo.contains("999")) && kept.concat().contains("Path(Some(\"0\"))"), "{kept:?}");
    }
}
