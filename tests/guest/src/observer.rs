//! Counts the records it gets.

use plugway_sdk::{Error, ExchangeRecord, Observer, log};

use crate::{Guest, Hook};

impl Observer for Guest {
    fn on_complete(&self, records: &[ExchangeRecord]) -> Result<(), Error> {
        for record in records {
            self.observed.add(1.0, [&record.route]);
        }
        log::debug!("observed {} records", records.len());
        self.misbehave(self.configured(Hook::Observer))
    }
}
