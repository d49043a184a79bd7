//! `trace`: what a plugin notes in the span of its hook.

use wasmtime::Result;

use crate::capability::secrets::Secrets;
use crate::plugin::bindings::plugway::gateway::trace;
use crate::plugin::bindings::plugway::gateway::types;
use crate::plugin::guest::Guest;
use crate::trace::{NoteValue, Notes};

/// Bytes of a name that are kept.
const MAX_NAME: usize = 256;
/// Bytes of a text that are kept.
const MAX_TEXT: usize = 1024;

impl Guest {
    /// The notes of the running hook, where its request is sampled.
    fn notes(&mut self) -> Option<(&mut Notes, &Secrets)> {
        let notes = self.exchange.as_mut()?.steps.recording_mut()?.notes()?;
        Some((notes, &self.secrets))
    }
}

impl trace::Host for Guest {
    fn recording(&mut self) -> Result<bool> {
        Ok(self.notes().is_some())
    }

    fn set_attribute(&mut self, name: String, value: types::Value) -> Result<()> {
        if let Some((notes, secrets)) = self.notes() {
            notes.attribute(shown(secrets, &name, MAX_NAME), noted(secrets, value));
        }
        Ok(())
    }

    fn add_event(&mut self, name: String, attributes: Vec<(String, types::Value)>) -> Result<()> {
        if let Some((notes, secrets)) = self.notes() {
            let attributes = attributes.into_iter().map(|(name, value)| (shown(secrets, &name, MAX_NAME), noted(secrets, value))).collect();
            notes.event(shown(secrets, &name, MAX_NAME), attributes);
        }
        Ok(())
    }
}

/// As much of a text as is kept, with the plugin's secrets masked.
fn shown(secrets: &Secrets, text: &str, most: usize) -> String {
    secrets.shown(text, most).into_owned()
}

fn noted(secrets: &Secrets, value: types::Value) -> NoteValue {
    match value {
        types::Value::Text(text) => NoteValue::Text(shown(secrets, &text, MAX_TEXT)),
        types::Value::Bytes(bytes) => NoteValue::Text(shown(secrets, &String::from_utf8_lossy(&bytes), MAX_TEXT)),
        types::Value::Integer(integer) => NoteValue::Integer(integer),
        types::Value::Number(number) => NoteValue::Number(number),
        types::Value::Boolean(boolean) => NoteValue::Boolean(boolean),
    }
}
