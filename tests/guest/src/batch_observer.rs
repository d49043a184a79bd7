//! Counts what it is told of by columns.

use plugway_sdk::{Batch, BatchObserver, Error};

use crate::{Guest, Hook};

impl BatchObserver for Guest {
    fn on_batch(&self, batch: &Batch<'_>) -> Result<(), Error> {
        let (routes, methods, faults, endpoints) = (batch.routes(), batch.methods(), batch.faults(), batch.endpoints());
        let texts = routes.iter().zip(methods.iter()).zip(faults.iter().zip(endpoints.iter()));
        let numbers = batch.statuses().into_iter().zip(batch.attempts()).zip(batch.durations_us().into_iter().zip(batch.received_at()));
        let mut count = 0;
        for (((route, method), (fault, endpoint)), ((status, attempts), (duration, received))) in texts.zip(numbers) {
            let answered = if endpoint.is_empty() { "nobody" } else { "endpoint" };
            let taken = if duration > 0 && received > 1_600_000_000_000_000_000 { "timed" } else { "untimed" };
            self.batched.add(f64::from(attempts.max(1)), [route, method, &status.to_string(), fault, answered, taken]);
            count += 1;
        }
        if count != batch.len() {
            return Err(format!("{count} exchanges in the columns, and {} in the batch", batch.len()).into());
        }
        self.misbehave(self.configured(Hook::BatchObserver))
    }
}
