//! What SQL is taught about sketches: `latency_merge(a, b)`, the aggregate `latency_sum(a)`, and `latency_quantile(a, share)` in
//! the unit of what it is of: microseconds, of plugins nanoseconds.

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::{Connection, Error, Result};

use super::sketch::Sketch;
use super::stored::Sum;

/// Teaches a connection.
pub(super) fn teach(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("latency_merge", 2, flags, |context| {
        let mut sum = Sum::default();
        (0..2).try_for_each(|index| add(&mut sum, context, index))?;
        Ok(sum.sketch().to_bytes())
    })?;
    connection.create_scalar_function("latency_quantile", 2, flags, |context| {
        let share: f64 = context.get(1)?;
        let sketch = Sketch::from_bytes(bytes(context, 0)?).map_err(|error| Error::UserFunctionError(error.into()))?;
        Ok(sketch.quantile(share))
    })?;
    connection.create_aggregate_function("latency_sum", 1, flags, Summing)
}

fn bytes<'a>(context: &'a Context<'_>, index: usize) -> Result<&'a [u8]> {
    let bytes = context.get_raw(index).as_bytes_or_null().map_err(|error| Error::UserFunctionError(Box::new(error)))?;
    Ok(bytes.unwrap_or_default())
}

fn add(sum: &mut Sum, context: &Context<'_>, index: usize) -> Result<()> {
    sum.add(bytes(context, index)?).map_err(|error| Error::UserFunctionError(error.into()))
}

struct Summing;

impl Aggregate<Sum, Vec<u8>> for Summing {
    fn init(&self, _: &mut Context<'_>) -> Result<Sum> {
        Ok(Sum::default())
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sum) -> Result<()> {
        add(sum, context, 0)
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sum>) -> Result<Vec<u8>> {
        Ok(sum.unwrap_or_default().sketch().to_bytes())
    }
}
