//! Attributes: the only state a request carries from one plugin to another.

use std::sync::Arc;

/// A typed value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// UTF-8 text.
    Text(String),
    /// A signed integer.
    Integer(i64),
    /// A floating-point number.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Value {
    /// Bytes it holds.
    pub fn size(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Integer(_) | Self::Number(_) => 8,
            Self::Boolean(_) => 1,
        }
    }
}

/// Every attribute of one request. A handful at most, so a list beats a map.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes {
    list: Vec<Attribute>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Attribute {
    pub(super) plugin: Arc<str>,
    pub(super) name: String,
    pub(super) value: Value,
}

impl Attributes {
    /// One attribute of one plugin.
    pub fn get(&self, plugin: &str, name: &str) -> Option<&Value> {
        self.list.iter().find(|entry| &*entry.plugin == plugin && entry.name == name).map(|entry| &entry.value)
    }

    /// All of them: plugin, name, value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.list.iter().map(|entry| (&*entry.plugin, entry.name.as_str(), &entry.value))
    }

    /// Bytes one plugin holds under other names than this one.
    pub(super) fn size_without(&self, plugin: &str, name: &str) -> usize {
        self.list
            .iter()
            .filter(|entry| &*entry.plugin == plugin && entry.name != name)
            .map(|entry| entry.name.len() + entry.value.size())
            .sum()
    }

    /// Sets one and gives what was there.
    pub(super) fn set(&mut self, plugin: &Arc<str>, name: &str, value: Value) -> Option<Value> {
        match self.list.iter_mut().find(|entry| entry.plugin == *plugin && entry.name == name) {
            Some(entry) => Some(std::mem::replace(&mut entry.value, value)),
            None => {
                self.list.push(Attribute { plugin: Arc::clone(plugin), name: name.to_owned(), value });
                None
            }
        }
    }

    /// Puts back what `set` replaced.
    pub(super) fn restore(&mut self, plugin: &Arc<str>, name: &str, value: Option<Value>) {
        match value {
            Some(value) => drop(self.set(plugin, name, value)),
            None => self.list.retain(|entry| entry.plugin != *plugin || entry.name != name),
        }
    }
}
