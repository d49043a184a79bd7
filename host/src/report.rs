//! Reports: what the monitoring store knows of a time, gathered once and written as a page, as data or as text.
//!
//! `gather` asks the store; the writers (`html`, `csv`, `markdown`, JSON) only arrange what it found, so every number of every format is
//! the same one.

mod chart;
mod csv;
mod data;
pub mod format;
mod gather;
mod html;
mod markdown;
mod request;
mod tables;
pub mod time;

use std::path::Path;

pub use data::Report;
pub use request::{Format, Request, Scope};

use crate::store::Reader;

/// Why there is no report.
#[derive(Debug)]
pub enum ReportError {
    /// The store cannot be opened, or is none.
    Store(crate::store::OpenError),
    /// The store has never heard of what is asked for; what it knows instead.
    Unknown(Scope, Vec<String>),
    /// The store cannot be read.
    Read(String),
}

/// Gathers a report of what is asked for, as of `now` in seconds since 1970.
///
/// # Errors
/// When there is no store, it cannot be read, or it does not know what is asked for.
pub fn gather(file: &Path, request: &Request, now: i64) -> Result<Report, ReportError> {
    let reader = Reader::open(file).map_err(ReportError::Store)?;
    gather::gather(&reader, request, now)
}

/// Gathers a report of the last `length` seconds that the store knows of: until `now` while a gateway writes it, else until it was last
/// heard of.
///
/// # Errors
/// When there is no store, or it cannot be read.
pub fn latest(file: &Path, length: i64, now: i64) -> Result<Report, ReportError> {
    let reader = Reader::open(file).map_err(ReportError::Store)?;
    let now = reader.ends(now)?;
    gather::gather(&reader, &Request { scope: Scope::Gateway, since: length }, now)
}

impl Report {
    /// As a file of that format.
    pub fn write(&self, format: Format) -> String {
        match format {
            Format::Html => html::page(self),
            Format::Json => format!("{:#}\n", serde_json::json!(self)),
            Format::Csv => csv::file(self),
            Format::Markdown => markdown::text(self),
        }
    }
}

impl std::fmt::Display for ReportError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => error.fmt(f),
            Self::Read(error) => write!(f, "the monitoring store cannot be read: {error}"),
            Self::Unknown(scope, known) if known.is_empty() => write!(f, "the monitoring store knows no {scope}, and no other either"),
            Self::Unknown(scope, known) => write!(f, "the monitoring store knows no {scope}; it knows {}", known.join(", ")),
        }
    }
}

impl std::error::Error for ReportError {}

impl From<rusqlite::Error> for ReportError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Read(error.to_string())
    }
}

#[cfg(test)]
mod tests;
