//! Columns of the batch that a test handed to a [`BatchObserver`](crate::BatchObserver): made from whole records.

use std::cell::RefCell;

use crate::batch::Texts;
use crate::record::ExchangeRecord;

thread_local! {
    static RECORDS: RefCell<Vec<ExchangeRecord>> = const { RefCell::new(Vec::new()) };
}

/// Runs a hook that is told of those records.
pub(crate) fn told<R>(records: &[ExchangeRecord], hook: impl FnOnce() -> R) -> R {
    RECORDS.set(records.to_vec());
    let result = hook();
    RECORDS.take();
    result
}

fn column<T>(of: impl Fn(&ExchangeRecord) -> T) -> Vec<T> {
    RECORDS.with_borrow(|records| records.iter().map(of).collect())
}

fn texts(of: impl Fn(&ExchangeRecord) -> &str) -> Texts {
    RECORDS.with_borrow(|records| {
        let mut values = Vec::<String>::new();
        let place = |record: &ExchangeRecord| {
            let text = of(record);
            let known = values.iter().position(|value| value == text);
            let place = known.unwrap_or_else(|| {
                values.push(text.to_owned());
                values.len() - 1
            });
            u32::try_from(place).unwrap_or(u32::MAX)
        };
        let places = records.iter().map(place).collect();
        Texts { values, places }
    })
}

fn or_empty(text: Option<&String>) -> &str {
    text.map_or("", String::as_str)
}

pub(crate) fn routes() -> Texts {
    texts(|record| &record.route)
}

pub(crate) fn apis() -> Texts {
    texts(|record| or_empty(record.api.as_ref()))
}

pub(crate) fn api_versions() -> Texts {
    texts(|record| or_empty(record.api_version.as_ref()))
}

pub(crate) fn hosts() -> Texts {
    texts(|record| &record.host)
}

pub(crate) fn methods() -> Texts {
    texts(|record| &record.method)
}

pub(crate) fn protocols() -> Texts {
    texts(|record| &record.protocol)
}

pub(crate) fn statuses() -> Vec<u16> {
    column(|record| record.status)
}

pub(crate) fn faults() -> Texts {
    texts(|record| or_empty(record.fault.as_ref()))
}

pub(crate) fn blames() -> Texts {
    texts(|record| or_empty(record.blame.as_ref()))
}

pub(crate) fn consumers() -> Texts {
    texts(|record| or_empty(record.consumer.as_ref()))
}

pub(crate) fn endpoints() -> Texts {
    texts(|record| or_empty(record.endpoint.as_ref()))
}

pub(crate) fn attempts() -> Vec<u32> {
    column(|record| record.attempts)
}

pub(crate) fn received_at() -> Vec<u64> {
    column(|record| record.received_at)
}

pub(crate) fn durations_us() -> Vec<u64> {
    column(|record| record.duration_us)
}

pub(crate) fn upstream_durations_us() -> Vec<Option<u64>> {
    column(|record| record.upstream_us)
}

pub(crate) fn request_bytes() -> Vec<u64> {
    column(|record| record.request_bytes)
}

pub(crate) fn response_bytes() -> Vec<u64> {
    column(|record| record.response_bytes)
}
