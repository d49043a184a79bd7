//! Minutes that are over are added to their hour and their day, once: how far that went stands in the same transaction.

use rusqlite::{Result, TransactionBehavior};

use super::schema::{KINDS, Kind, Tier, is_distribution};
use super::write::Writer;

impl Writer {
    /// Rolls up every minute before `until`. Whether there was anything to do: what was rolled up by a clock that was ahead stays so.
    ///
    /// # Errors
    /// When it cannot be written; then nothing was.
    pub fn roll_up(&mut self, until: i64) -> Result<bool> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let from: i64 = transaction.prepare_cached("SELECT until FROM rolled")?.query_row([], |row| row.get(0))?;
        if from >= until {
            return Ok(false);
        }
        for kind in &KINDS {
            for tier in [Tier::Hour, Tier::Day] {
                transaction.prepare_cached(&statement(kind, tier))?.execute([from, until])?;
            }
        }
        transaction.prepare_cached("UPDATE rolled SET until = ?1")?.execute([until])?;
        transaction.commit()?;
        Ok(true)
    }
}

fn statement(kind: &Kind, tier: Tier) -> String {
    let (name, key, seconds) = (kind.name, kind.key.join(", "), tier.seconds());
    let sums = kind.sums.iter().map(|column| format!(", sum({column})")).collect::<String>();
    let merged = |column: &&str| if is_distribution(column) { "latency_sum" } else { "max" };
    let times = kind.times.iter().map(|column| format!(", {}({column})", merged(column))).collect::<String>();
    format!(
        "INSERT INTO {name}_{} ({}) SELECT at - at % {seconds} AS begins, {key}{sums}{times} FROM {name}_minute WHERE at >= ?1 AND at < ?2 \
         GROUP BY begins, {key} {}",
        tier.as_str(),
        kind.columns(),
        kind.on_conflict()
    )
}
