//! A list of headers with names in lower case, for requests, responses and plans of the double.

use crate::header::{HeaderLine, HeaderName};

/// Headers in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Headers {
    list: Vec<HeaderLine>,
}

impl Headers {
    pub(crate) fn get(&self, name: &HeaderName<'_>) -> Option<Vec<u8>> {
        self.values(name).into_iter().next()
    }

    pub(crate) fn values(&self, name: &HeaderName<'_>) -> Vec<Vec<u8>> {
        let name = name.as_str();
        self.list.iter().filter(|header| header.name.eq_ignore_ascii_case(name)).map(|header| header.value.clone()).collect()
    }

    pub(crate) fn only(&self, name: &HeaderName<'_>) -> Result<Option<Vec<u8>>, ()> {
        let mut values = self.values(name);
        let last = values.pop();
        if values.is_empty() { Ok(last) } else { Err(()) }
    }

    pub(crate) fn all(&self) -> Vec<HeaderLine> {
        self.list.clone()
    }

    pub(crate) fn set(&mut self, name: String, value: &[u8]) {
        self.remove(&name);
        self.append(name, value);
    }

    pub(crate) fn append(&mut self, name: String, value: &[u8]) {
        self.list.push(HeaderLine { name: name.to_ascii_lowercase(), value: value.to_vec() });
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.list.retain(|header| !header.name.eq_ignore_ascii_case(name));
    }
}
