//! A story as an operator reads it.

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::{Asked, NoteValue, Notes, Story, StoryStep, What};
use crate::fault::ErrorCause;

impl Story {
    /// Its head alone: what a list shows.
    pub fn summary(&self) -> Value {
        let since = self.received.duration_since(UNIX_EPOCH).unwrap_or_default();
        json!({
            "id": self.id.to_str().unwrap_or_default(),
            "received_ms": u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            "duration_us": micros(self.duration),
            "method": self.method,
            "host": &*self.authority,
            "path": self.path,
            "status": self.status,
            "fault": self.fault.map(ErrorCause::code),
            "blame": self.fault.map(|fault| fault.blame(self.status).as_str()),
            "route": self.route.as_deref(),
            "trace_id": self.trace_id,
            "sampled": self.trace.is_some(),
        })
    }

    /// All of it.
    pub fn json(&self) -> Value {
        let mut all = self.summary();
        if let Some(all) = all.as_object_mut() {
            let more = json!({
                "query": self.query,
                "api": self.api.as_deref(),
                "version": self.version.as_deref(),
                "client": self.client.to_string(),
                "consumer": self.consumer,
                "request_bytes": self.request_bytes,
                "response_bytes": self.response_bytes,
                "steps": self.steps.iter().map(StoryStep::json).collect::<Vec<_>>(),
            });
            all.extend(more.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
        }
        all
    }
}

impl StoryStep {
    fn json(&self) -> Value {
        let mut step = match &self.what {
            What::Hook { hook, plugin, version } => json!({ "hook": hook, "plugin": &**plugin, "version": &**version }),
            What::Attempt { number, upstream, endpoint } => json!({ "attempt": number, "upstream": &**upstream, "endpoint": endpoint }),
        };
        if let Some(step) = step.as_object_mut() {
            let mut set = |key: &str, value: Value| drop(step.insert(key.to_owned(), value));
            set("result", self.result.map_or("client-gone", super::StepResult::as_str).into());
            if let Some(status) = self.result.and_then(super::StepResult::status) {
                set("status", status.into());
            }
            if let Some(fault) = self.result.and_then(super::StepResult::fault) {
                set("fault", fault.code().into());
            }
            if let Some(time) = self.time {
                set("after_us", micros(time.after).into());
                set("took_us", micros(time.took).into());
            }
            if let Some(span) = &self.span {
                noted(&span.notes, &span.events_after, &mut set);
                let requests: Vec<_> = span.notes.requests.iter().zip(&span.requests_after).map(asked).collect();
                if !requests.is_empty() {
                    set("requests", requests.into());
                }
            }
        }
        step
    }
}

fn asked((asked, after): (&Asked, &Duration)) -> Value {
    let (status, source) = asked.outcome.ok().unzip();
    json!({
        "method": asked.method,
        "url": asked.url,
        "status": status,
        "source": source,
        "error": asked.outcome.err(),
        "after_us": micros(*after),
        "took_us": micros(asked.took),
    })
}

fn noted(notes: &Notes, after: &[Duration], set: &mut impl FnMut(&str, Value)) {
    if !notes.attributes.is_empty() {
        set("attributes", attributes(&notes.attributes));
    }
    let events: Vec<_> = notes
        .events
        .iter()
        .zip(after)
        .map(|(event, after)| json!({ "name": event.name, "after_us": micros(*after), "attributes": attributes(&event.attributes) }))
        .collect();
    if !events.is_empty() {
        set("events", events.into());
    }
}

fn attributes(attributes: &[(String, NoteValue)]) -> Value {
    let value = |value: &NoteValue| match value {
        NoteValue::Text(text) => text.as_str().into(),
        NoteValue::Integer(integer) => (*integer).into(),
        NoteValue::Number(number) => (*number).into(),
        NoteValue::Boolean(boolean) => (*boolean).into(),
    };
    attributes.iter().map(|(name, noted)| (name.clone(), value(noted))).collect::<Map<_, _>>().into()
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
