//! The times of a sampled request's steps, and what plugins note in them.

use std::time::{Duration, Instant};

use http::HeaderValue;

use super::Parent;

/// What is recorded of a sampled request.
#[derive(Debug)]
pub struct Recording {
    /// The request's own span.
    pub span: Parent,
    /// The caller's span.
    pub parent: Option<u64>,
    /// `tracestate`, as received.
    pub state: Option<HeaderValue>,
    /// `user-agent`, as received.
    pub user_agent: Option<HeaderValue>,
    /// Members of `baggage` that are to be shown.
    pub baggage: Vec<(String, String)>,
    steps: Vec<Timed>,
    under_way: Option<Timed>,
}

/// When a step was made.
#[derive(Debug, Clone)]
pub struct Timed {
    /// Its span.
    pub span: u64,
    /// Its beginning.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// What its plugin noted.
    pub notes: Notes,
}

/// What a plugin noted in one step.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// Attributes; a later one of the same name replaces.
    pub attributes: Vec<(String, NoteValue)>,
    /// Events, in order.
    pub events: Vec<Note>,
    /// Requests it made.
    pub requests: Vec<Asked>,
    /// Attributes there was no room for.
    pub attributes_lost: u32,
    /// Events there was no room for.
    pub events_lost: u32,
    bytes: usize,
}

/// One event.
#[derive(Debug, Clone)]
pub struct Note {
    /// When.
    pub at: Instant,
    /// Its name.
    pub name: String,
    /// What it says.
    pub attributes: Vec<(String, NoteValue)>,
}

/// A request a plugin made while a hook ran.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its span.
    pub span: u64,
    /// Its beginning.
    pub began: Instant,
    /// How long it took.
    pub took: Duration,
    /// Its method.
    pub method: String,
    /// Where it went, without the query.
    pub url: String,
    /// Status, and whether the server or the cache gave it; or why there was no answer.
    pub outcome: Result<(u16, &'static str), &'static str>,
}

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum NoteValue {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number.
    Number(f64),
    /// Yes or no.
    Boolean(bool),
}

/// Attributes of one step, and of one event: OpenTelemetry's own default is 128, and a hook is no service.
const MAX_ATTRIBUTES: usize = 32;
/// Events of one step.
const MAX_EVENTS: usize = 32;
/// Requests of one step.
const MAX_REQUESTS: usize = 32;
/// Bytes of all of it.
const MAX_BYTES: usize = 8 << 10;

impl Recording {
    /// Records under that span.
    pub fn new(span: Parent, parent: Option<u64>) -> Box<Self> {
        let (state, user_agent, baggage) = (None, None, Vec::new());
        Box::new(Self { span, parent, state, user_agent, baggage, steps: Vec::with_capacity(16), under_way: None })
    }

    /// A step begins; its span.
    pub(super) fn begin(&mut self) -> u64 {
        let span = fastrand::u64(1..);
        self.under_way = Some(Timed { span, began: Instant::now(), took: Duration::ZERO, notes: Notes::default() });
        span
    }

    /// The step under way ended.
    pub(super) fn end(&mut self) {
        if let Some(mut timed) = self.under_way.take() {
            timed.took = timed.began.elapsed();
            self.steps.push(timed);
        }
    }

    /// Steps that ended, in order.
    pub fn steps(&self) -> &[Timed] {
        &self.steps
    }

    /// The step that has begun and not ended.
    pub fn under_way(&self) -> Option<&Timed> {
        self.under_way.as_ref()
    }

    /// What is noted in the step under way.
    pub fn notes(&mut self) -> Option<&mut Notes> {
        self.under_way.as_mut().map(|timed| &mut timed.notes)
    }
}

impl Notes {
    /// Sets an attribute, if there is room for it.
    pub fn attribute(&mut self, name: String, value: NoteValue) {
        let known = self.attributes.iter().position(|(known, _)| *known == name);
        let before = known.and_then(|at| self.attributes.get(at)).map_or(0, |(name, value)| name.len() + value.size());
        let bytes = self.bytes - before + name.len() + value.size();
        if bytes > MAX_BYTES || (known.is_none() && self.attributes.len() >= MAX_ATTRIBUTES) {
            self.attributes_lost = self.attributes_lost.saturating_add(1);
            return;
        }
        self.bytes = bytes;
        match known.and_then(|at| self.attributes.get_mut(at)) {
            Some(attribute) => attribute.1 = value,
            None => self.attributes.push((name, value)),
        }
    }

    /// Adds an event that happens now, if there is room for it.
    pub fn event(&mut self, name: String, mut attributes: Vec<(String, NoteValue)>) {
        let lost = attributes.len().saturating_sub(MAX_ATTRIBUTES);
        attributes.truncate(MAX_ATTRIBUTES);
        let size: usize = attributes.iter().map(|(name, value)| name.len() + value.size()).sum();
        let bytes = self.bytes + name.len() + size;
        if bytes > MAX_BYTES || self.events.len() >= MAX_EVENTS {
            self.events_lost = self.events_lost.saturating_add(1);
            return;
        }
        self.bytes = bytes;
        self.attributes_lost = self.attributes_lost.saturating_add(u32::try_from(lost).unwrap_or(u32::MAX));
        self.events.push(Note { at: Instant::now(), name, attributes });
    }
}

impl Notes {
    /// Adds a request that ended, if there is room for it.
    pub fn request(&mut self, asked: Asked) {
        if self.requests.len() < MAX_REQUESTS {
            self.requests.push(asked);
        }
    }
}

impl Asked {
    /// One that begins now.
    pub fn begin(method: &str, url: String) -> Self {
        let span = fastrand::u64(1..);
        Self { span, began: Instant::now(), took: Duration::ZERO, method: method.to_owned(), url, outcome: Err("not-ended") }
    }

    /// The same, ended now.
    pub fn ended(self, outcome: Result<(u16, &'static str), &'static str>) -> Self {
        Self { took: self.began.elapsed(), outcome, ..self }
    }
}

impl NoteValue {
    fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Integer(_) | Self::Number(_) | Self::Boolean(_) => 8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_bounded_and_say_what_was_lost() {
        let mut notes = Notes::default();
        for number in 0..40 {
            notes.attribute(format!("a{number}"), NoteValue::Integer(number));
            notes.event(format!("e{number}"), vec![("n".to_owned(), NoteValue::Integer(number))]);
        }
        assert_eq!((notes.attributes.len(), notes.attributes_lost), (32, 8));
        assert_eq!((notes.events.len(), notes.events_lost), (32, 8));
        notes.attribute("a1".to_owned(), NoteValue::Text("again".to_owned()));
        assert_eq!(notes.attributes[1], ("a1".to_owned(), NoteValue::Text("again".to_owned())));
        notes.attribute("a2".to_owned(), NoteValue::Text("x".repeat(9 << 10)));
        assert_eq!(notes.attributes_lost, 9);
        assert_eq!(notes.attributes[2].1, NoteValue::Integer(2));
    }

    #[test]
    fn a_step_has_its_time_and_its_notes() {
        let mut recording = Recording::new(Parent { trace: 1, span: 2, sampled: true }, None);
        assert!(recording.notes().is_none(), "nothing is under way");
        let span = recording.begin();
        recording.notes().unwrap().attribute("a".to_owned(), NoteValue::Boolean(true));
        assert_eq!(recording.under_way().unwrap().span, span);
        recording.end();
        assert_eq!((recording.steps().len(), recording.steps()[0].notes.attributes.len()), (1, 1));
        assert!(recording.under_way().is_none());
    }
}
