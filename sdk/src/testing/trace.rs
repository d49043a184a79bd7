//! `trace` of the double: every request of a test is sampled unless it says otherwise.

use std::cell::RefCell;

use crate::value::Value;

/// What a plugin noted.
#[derive(Debug, Clone, PartialEq)]
pub enum Note {
    /// An attribute.
    Attribute(String, Value),
    /// An event and its attributes.
    Event(String, Vec<(String, Value)>),
}

struct State {
    recording: bool,
    notes: Vec<Note>,
}

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State { recording: true, notes: Vec::new() }) };
}

/// Whether requests are sampled from now on.
pub fn set_recording(recording: bool) {
    STATE.with_borrow_mut(|state| state.recording = recording);
}

/// What was noted so far, and forgets it.
pub fn take_notes() -> Vec<Note> {
    STATE.with_borrow_mut(|state| std::mem::take(&mut state.notes))
}

fn note(note: Note) {
    STATE.with_borrow_mut(|state| {
        if state.recording {
            state.notes.push(note);
        }
    });
}

pub(crate) fn recording() -> bool {
    STATE.with_borrow(|state| state.recording)
}

pub(crate) fn set_attribute(name: &str, value: &Value) {
    note(Note::Attribute(name.to_owned(), value.clone()));
}

pub(crate) fn add_event(name: &str, attributes: &[(&str, &Value)]) {
    let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).clone())).collect();
    note(Note::Event(name.to_owned(), attributes));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace;

    #[test]
    fn notes_are_kept_where_requests_are_sampled() {
        trace::set_attribute("hit", true);
        trace::add_event("looked up", [("n", 1.into())]);
        let event = Note::Event("looked up".to_owned(), vec![("n".to_owned(), Value::Integer(1))]);
        assert_eq!(take_notes(), [Note::Attribute("hit".to_owned(), Value::Boolean(true)), event]);
        set_recording(false);
        trace::set_attribute("hit", false);
        assert!(!trace::recording() && take_notes().is_empty());
    }
}
