//! What SQL is taught about sketches: `latency_merge(a, b)`, the aggregate `latency_sum(a)`, and `latency_quantile(a, share)` in
//! microseconds.

use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::{Connection, Error, Result};

use super::sketch::Sketch;

/// Teaches a connection.
pub(super) fn teach(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
    connection.create_scalar_function("latency_merge", 2, flags, |context| {
        let mut sketch = argument(context, 0)?;
        sketch.merge(&argument(context, 1)?);
        Ok(sketch.to_bytes())
    })?;
    connection.create_scalar_function("latency_quantile", 2, flags, |context| {
        let share: f64 = context.get(1)?;
        Ok(argument(context, 0)?.quantile(share))
    })?;
    connection.create_aggregate_function("latency_sum", 1, flags, Sum)
}

fn argument(context: &Context<'_>, index: usize) -> Result<Sketch> {
    let bytes = context.get_raw(index).as_bytes_or_null().map_err(|error| Error::UserFunctionError(Box::new(error)))?;
    Sketch::from_bytes(bytes.unwrap_or_default()).map_err(|error| Error::UserFunctionError(error.into()))
}

struct Sum;

impl Aggregate<Sketch, Vec<u8>> for Sum {
    fn init(&self, _: &mut Context<'_>) -> Result<Sketch> {
        Ok(Sketch::default())
    }

    fn step(&self, context: &mut Context<'_>, sum: &mut Sketch) -> Result<()> {
        sum.merge(&argument(context, 0)?);
        Ok(())
    }

    fn finalize(&self, _: &mut Context<'_>, sum: Option<Sketch>) -> Result<Vec<u8>> {
        Ok(sum.unwrap_or_default().to_bytes())
    }
}
