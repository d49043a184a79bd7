//! `[secrets.NAME]`, and who may have them. Nothing of a secret is read here.

use std::collections::BTreeMap;

use super::{Compiler, items};
use crate::config::document::At;
use crate::config::model::{Secret, SecretSource};
use crate::config::schema::{self, List};

impl Compiler<'_> {
    pub(super) fn secrets(&mut self, raw: BTreeMap<String, schema::Secret>) -> Vec<Secret> {
        let section = At::default().key("secrets");
        raw.into_iter()
            .map(|(name, raw)| {
                let at = section.key(&name);
                self.name(&at, "a secret", &name);
                Secret { source: self.secret_source(&at, &name, raw), name }
            })
            .collect()
    }

    fn secret_source(&mut self, at: &At, name: &str, raw: schema::Secret) -> SecretSource {
        match (raw.file, raw.env) {
            (Some(file), None) => SecretSource::File(self.path(&at.key("file"), &file)),
            (None, Some(variable)) => {
                if variable.is_empty() || variable.contains(['=', '\0']) {
                    let help = format!("write the name alone, such as \"{}\"", name.to_ascii_uppercase().replace('-', "_"));
                    self.error(&at.key("env"), "this is no name of a variable", help);
                }
                SecretSource::Environment(variable)
            }
            (Some(_), Some(_)) => {
                self.error(&at.key("env"), "a secret is in a file or in a variable, not in both", "remove `env` or `file`");
                SecretSource::Environment(String::new())
            }
            (None, None) => {
                self.error(at, "it is not said where this secret is", "write `file = \"PATH\"` or `env = \"VARIABLE\"`");
                SecretSource::Environment(String::new())
            }
        }
    }

    /// The names of secrets that a plugin is granted.
    pub(super) fn granted_secrets(&mut self, at: &At, raw: Option<List<String>>) -> Vec<String> {
        let mut granted = Vec::new();
        for (at, name) in items(raw.unwrap_or_default(), at) {
            let Some(&index) = self.declared.secrets.get(&name) else {
                self.unknown(&at, "secret", &name);
                continue;
            };
            if let Some(used) = self.secrets_used.get_mut(index) {
                *used = true;
            }
            granted.push(name);
        }
        granted
    }
}
