//! What SQL is taught about sketches: `latency_merge(a, b)`, the aggregate `latency_sum(a)`, and `latency_quantile(a, share)` in
//! the unit of what it is of: microseconds, of plugins nanoseconds. What cannot be read is left out and counted: one such row must not keep all
//! others from being added up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::{Connection, Error, Result};

use super::stored::Sum;

/// How often a connection met a distribution that could not be read.
#[derive(Debug, Default, Clone)]
pub(super) struct LeftOut(Arc<AtomicU64>);

impl LeftOut {
    fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How often since this was last asked.
    pub(super) fn take(&self) -> u64 {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// Teaches a connection.
pub(super) fn teach(connection: &Connection, left_out: &LeftOut) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    let of_merge = left_out.clone();
    connection.create_scalar_function("latency_merge", 2, flags, move |context| {
        let mut sum = Sum::default();
        (0..2).try_for_each(|index| add(&mut sum, context, index, &of_merge))?;
        Ok(sum.sketch().to_bytes())
    })?;
    let of_quantile = left_out.clone();
    connection.create_scalar_function("latency_quantile", 2, flags, move |context| {
        let share: f64 = context.get(1)?;
        let mut sum = Sum::default();
        add(&mut sum, context, 0, &of_quantile)?;
        Ok(sum.sketch().quantile(share))
    })?;
    connection.create_aggregate_function("latency_sum", 1, flags, Summing(left_out.clone()))
}

fn bytes<'a>(context: &'a Context<'_>, index: usize) -> Result<&'a [u8]> {
    let bytes = context.get_raw(index).as_bytes_or_null().map_err(|error| Error::UserFunctionError(Box::new(error)))?;
    Ok(bytes.unwrap_or_default())
}

fn add(sum: &mut Sum, context: &Context<'_>, index: usize, left_out: &LeftOut) -> Result<()> {
    if sum.add(bytes(context, index)?).is_err() {
        left_out.count();
    }
    Ok(())
}

struct Summing(LeftOut);

impl Aggregate<Sum, Vec<u8>> for Summing {
    fn init(&self, _: &mut Context<'_>) -> Result<Sum> {
        Ok(Sum::default())
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        add(sum, context, 0, &self.0)
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> Result<Vec<u8>> {
        Ok(sum.unwrap_or_default().sketch().to_bytes())
    }
}
