//! `[store]`

use std::path::Path;

use super::Compiler;
use crate::config::defaults;
use crate::config::document::At;
use crate::config::model::{Keep, Store};
use crate::config::schema;

/// What can hold a day of a small gateway, and what a disk may have.
const SIZES: std::ops::RangeInclusive<usize> = 1 << 20..=1 << 50;

impl Compiler<'_> {
    pub(super) fn store(&mut self, raw: schema::Store, state_directory: &Path) -> Store {
        let at = At::default().key("store");
        let file = match raw.file {
            Some(file) => self.path(&at.key("file"), &file),
            None => state_directory.join(defaults::STORE_FILE),
        };
        let (max_size, keep) = (self.size(&at.key("max_size"), raw.max_size, defaults::STORE_MAX_SIZE, SIZES), at.key("keep"));
        let raw_keep = raw.keep.unwrap_or_default();
        let keep = Keep {
            minutes: self.span(&keep.key("minutes"), raw_keep.minutes, defaults::STORE_MINUTES),
            hours: self.span(&keep.key("hours"), raw_keep.hours, defaults::STORE_HOURS),
            days: self.span(&keep.key("days"), raw_keep.days, defaults::STORE_DAYS),
            samples: self.span(&keep.key("samples"), raw_keep.samples, defaults::STORE_SAMPLES),
        };
        if keep.minutes > keep.hours || keep.hours > keep.days {
            self.error(
                &at.key("keep"),
                "a finer count is kept longer than a coarser one",
                "keep minutes no longer than hours, and hours no longer than days",
            );
        }
        Store { enabled: raw.enabled.unwrap_or(defaults::STORE_ENABLED), file, max_size: max_size as u64, keep }
    }
}
