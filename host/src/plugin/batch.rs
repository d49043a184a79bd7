//! What an observer of batches may ask of the exchanges that have ended: rows as they were gathered, columns as they are asked for.

use std::collections::HashMap;
use std::sync::Arc;

use super::texts::{Text, Texts};

/// One exchange; `wit/batch.wit` says what each field is. What there is none of is empty.
#[derive(Debug, Default, Clone, Copy)]
#[allow(missing_docs, reason = "the contract has them")]
pub struct EndedRow {
    pub route: Text,
    pub api: Text,
    pub api_version: Text,
    pub host: Text,
    pub method: Text,
    pub protocol: Text,
    pub status: u16,
    pub fault: Text,
    pub blame: Text,
    pub consumer: Text,
    pub endpoint: Text,
    pub attempts: u32,
    pub received_at: u64,
    pub duration_us: u64,
    pub upstream_us: Option<u64>,
    pub request_bytes: u64,
    pub response_bytes: u64,
}

/// Exchanges of one configuration, in the order in which they ended.
#[derive(Debug)]
pub struct EndedBatch {
    /// At least one.
    pub rows: Vec<EndedRow>,
    /// What they point into.
    pub texts: Arc<Texts>,
}

impl EndedBatch {
    /// A column of numbers.
    pub(super) fn column<T>(&self, of: impl Fn(&EndedRow) -> T) -> Vec<T> {
        self.rows.iter().map(of).collect()
    }

    /// A column of text: each different one once, and its place by row.
    pub(super) fn texts(&self, of: impl Fn(&EndedRow) -> Text) -> (Vec<String>, Vec<u32>) {
        let (mut values, mut known) = (Vec::new(), HashMap::<&str, u32>::new());
        let mut last = None;
        let place = |row: &EndedRow| {
            let text = of(row);
            // Most rows have what the one before had.
            match last {
                Some((before, place)) if before == text => place,
                _ => {
                    let value = self.texts.get(text);
                    let place = *known.entry(value).or_insert_with(|| {
                        values.push(value.to_owned());
                        u32::try_from(values.len() - 1).unwrap_or(u32::MAX)
                    });
                    last = Some((text, place));
                    place
                }
            }
        };
        let places = self.rows.iter().map(place).collect();
        (values, places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_is_there_once_however_it_was_kept() {
        let mut texts = Texts::default();
        let mut last = EndedRow::default();
        let mut row = |route: &str, consumer: &str| {
            last.route = texts.keep_unless(last.route, route);
            last.consumer = texts.keep_unless(last.consumer, consumer);
            last
        };
        let rows = vec![row("a", ""), row("a", "ann"), row("b", "ann"), row("a", "")];
        let batch = EndedBatch { rows, texts: Arc::new(texts) };
        assert_eq!(batch.texts(|row| row.route), (vec!["a".to_owned(), "b".to_owned()], vec![0, 0, 1, 0]));
        assert_eq!(batch.texts(|row| row.consumer), (vec![String::new(), "ann".to_owned()], vec![0, 1, 1, 0]));
    }
}
