//! Plugins' own tables. Text that belongs in a file of its own, such as a key set, is put in its place.

use std::path::Path;

use serde_json::Value;

use super::Compiler;
use crate::config::bounded::read_bounded;
use crate::config::document::At;
use crate::config::schema::Table;

/// Largest file, bytes: each configuration of a plugin gets a copy of its own.
const LARGEST: u64 = 1 << 20;

impl Compiler<'_> {
    /// A table with the text of a file wherever `{ file = "PATH" }` stands.
    pub(super) fn plugin_table(&mut self, at: &At, table: Option<Table>) -> Table {
        let mut table = table.unwrap_or_default();
        for (key, value) in &mut table {
            self.put_files(&at.key(key), value);
        }
        table
    }

    fn put_files(&mut self, at: &At, value: &mut Value) {
        match value {
            Value::Object(map) => match map.get("file") {
                Some(Value::String(path)) if map.len() == 1 => {
                    let file = self.beside(path);
                    let text = read(&file).unwrap_or_else(|message| {
                        let help = "`{ file = \"PATH\" }` stands for the text of a file; a relative path starts at the folder of this file";
                        self.error(&at.key("file"), format!("{path:?} cannot be read: {message}"), help);
                        String::new()
                    });
                    *value = Value::String(text);
                    self.plugin_texts.insert(file);
                }
                _ => map.iter_mut().for_each(|(key, value)| self.put_files(&at.key(key), value)),
            },
            Value::Array(items) => items.iter_mut().enumerate().for_each(|(index, item)| self.put_files(&at.index(index), item)),
            _ => {}
        }
    }
}

fn read(path: &Path) -> Result<String, String> {
    let bytes = read_bounded(path, LARGEST)?;
    String::from_utf8(bytes).map_err(|_| "it is no UTF-8 text".to_owned())
}
