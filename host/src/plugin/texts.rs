//! Text of many records in one string that they point into: a record allocates nothing, and letting go of a batch on another thread is
//! two calls, not a dozen for each record.

use std::fmt::{Display, Write};

/// A piece of a batch's text.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    begin: u32,
    end: u32,
}

/// The text of one batch.
#[derive(Debug, Default)]
pub struct Texts(String);

impl Texts {
    /// Makes room for some more bytes.
    pub fn reserve(&mut self, bytes: usize) {
        self.0.reserve(bytes);
    }

    /// Keeps some text.
    pub fn keep(&mut self, text: &str) -> Text {
        self.written(|kept| kept.push_str(text))
    }

    /// Keeps some text, unless it is what was kept before.
    pub fn keep_unless(&mut self, before: Text, text: &str) -> Text {
        if self.get(before) == text { before } else { self.keep(text) }
    }

    /// Keeps what a value looks like.
    pub fn show(&mut self, value: impl Display) -> Text {
        self.written(|kept| {
            // Writing to memory does not fail.
            let _ = write!(kept, "{value}");
        })
    }

    /// No batch comes near 4 GiB: what is past it would be empty.
    fn written(&mut self, write: impl FnOnce(&mut String)) -> Text {
        let begin = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        write(&mut self.0);
        Text { begin, end: u32::try_from(self.0.len()).unwrap_or(u32::MAX) }
    }

    /// What was kept.
    pub fn get(&self, Text { begin, end }: Text) -> &str {
        self.0.get(begin as usize..end as usize).unwrap_or_default()
    }
}
