//! `batch`: columns of what an observer of batches is told of.

use wasmtime::Result;

use crate::plugin::batch::EndedRow;
use crate::plugin::bindings::plugway::gateway::batch;
use crate::plugin::guest::Guest;
use crate::plugin::texts::Text;

impl Guest {
    fn texts(&self, of: impl Fn(&EndedRow) -> Text) -> Result<batch::Texts> {
        let (values, places) = self.batch()?.texts(of);
        Ok(batch::Texts { values, places })
    }
}

impl batch::Host for Guest {
    fn routes(&mut self) -> Result<batch::Texts> {
        self.texts(|row| row.route)
    }

    fn apis(&mut self) -> Result<batch::Texts> {
        self.texts(|row| row.api)
    }

    fn api_versions(&mut self) -> Result<batch::Texts> {
        self.texts(|row| row.api_version)
    }

    fn hosts(&mut self) -> Result<batch::Texts> {
        self.texts(|row| row.host)
    }

    fn methods(&mut self) -> Result<batch::Texts> {
        self.texts(|row| row.method)
    }

    fn protocols(&mut self) -> Result<batch::Texts> {
        self.texts(|row| row.protocol)
    }

    fn statuses(&mut self) -> Result<Vec<u16>> {
        Ok(self.batch()?.column(|row| row.status))
    }

    fn faults(&mut self) -> Result<batch::Texts> {
        self.texts(|row| row.fault)
    }

    fn blames(&mut self) -> Result<batch::Texts> {
        self.texts(|row| row.blame)
    }

    fn consumers(&mut self) -> Result<batch::Texts> {
        self.texts(|row| row.consumer)
    }

    fn endpoints(&mut self) -> Result<batch::Texts> {
        self.texts(|row| row.endpoint)
    }

    fn attempts(&mut self) -> Result<Vec<u32>> {
        Ok(self.batch()?.column(|row| row.attempts))
    }

    fn received_at(&mut self) -> Result<Vec<u64>> {
        Ok(self.batch()?.column(|row| row.received_at))
    }

    fn durations_us(&mut self) -> Result<Vec<u64>> {
        Ok(self.batch()?.column(|row| row.duration_us))
    }

    fn upstream_durations_us(&mut self) -> Result<Vec<Option<u64>>> {
        Ok(self.batch()?.column(|row| row.upstream_us))
    }

    fn request_bytes(&mut self) -> Result<Vec<u64>> {
        Ok(self.batch()?.column(|row| row.request_bytes))
    }

    fn response_bytes(&mut self) -> Result<Vec<u64>> {
        Ok(self.batch()?.column(|row| row.response_bytes))
    }
}
