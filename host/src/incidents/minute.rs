//! A minute as the store has it, as analysis takes it.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use plugway_analysis::{Errors, LogHistogram, Minute, MinuteData, Traffic};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result, Row};

use super::watched::Watched;
use crate::store::{Tier, each_bin};
use crate::telemetry::{OTHER, StoreCells};

/// What a route did in some time.
pub(super) type Counted = Traffic<LogHistogram>;

/// Everything of the minute that begins at `at`. What is not configured is left out: it has nobody to tell.
pub(super) fn read(store: &Connection, watched: &Watched, at: i64, cells: &StoreCells) -> Result<MinuteData<LogHistogram>> {
    let minute = Minute(u64::try_from(at / 60).unwrap_or_default());
    let mut data = MinuteData { certificates: watched.certificates.clone(), ..MinuteData::at(minute) };
    let routes = routes(store, Tier::Minute, at, at + 60, cells)?.into_iter().map(|((_, route), counted)| (route, counted));
    data.routes = routes.filter(|(route, _)| watched.topology.routes.contains_key(route)).collect();
    data.endpoints = endpoints(store, watched, at, cells)?;
    data.consumers = consumers(store, at)?;
    data.plugins = plugins(store, at)?;
    Ok(data)
}

/// What routes did, by the hour (or minute) that it began in.
pub(super) fn routes(
    store: &Connection,
    tier: Tier,
    from: i64,
    until: i64,
    cells: &StoreCells,
) -> Result<BTreeMap<(i64, Arc<str>), Counted>> {
    let mut all = BTreeMap::<(i64, Arc<str>), Counted>::new();
    let tier = tier.as_str();
    let sql = format!(
        "SELECT m.at, r.route, m.requests, m.latency FROM route_{tier} m JOIN routes r ON r.id = m.route WHERE m.at >= ?1 AND m.at < ?2"
    );
    let mut rows = store.prepare_cached(&sql)?;
    let mut rows = rows.query([from, until])?;
    while let Some(row) = rows.next()? {
        let counted = all.entry((row.get(0)?, text(row, 1)?)).or_default();
        counted.requests += number(row, 2)?;
        latency(row, 3, &mut counted.latency, cells)?;
    }
    let sql = format!(
        "SELECT o.at, r.route, o.status, f.blame, o.requests FROM outcome_{tier} o JOIN routes r ON r.id = o.route \
         JOIN faults f ON f.id = o.fault WHERE o.at >= ?1 AND o.at < ?2 AND (o.status >= 400 OR o.fault <> 0)"
    );
    let mut rows = store.prepare_cached(&sql)?;
    let mut rows = rows.query([from, until])?;
    while let Some(row) = rows.next()? {
        let Some(counted) = all.get_mut(&(row.get(0)?, text(row, 1)?)) else { continue };
        let (status, count): (i64, u64) = (row.get(2)?, number(row, 4)?);
        let errors = &mut counted.errors;
        // Stores of before have errors without a fault: what an upstream answered.
        *match row.get_ref(3)?.as_str()? {
            "gateway" => &mut errors.gateway,
            "plugin" => &mut errors.plugin,
            "upstream" => &mut errors.upstream,
            "" if status >= 500 => &mut errors.upstream,
            _ => &mut errors.client,
        } += count;
    }
    Ok(all)
}

/// By route and endpoint.
fn endpoints(store: &Connection, watched: &Watched, at: i64, cells: &StoreCells) -> Result<Vec<(Arc<str>, Arc<str>, Counted)>> {
    let mut all = BTreeMap::<(Arc<str>, Arc<str>), Counted>::new();
    let sql = "SELECT r.route, e.endpoint, m.requests, m.client_errors, m.server_errors, m.latency FROM endpoint_minute m \
               JOIN routes r ON r.id = m.route JOIN endpoints e ON e.id = m.endpoint WHERE m.at = ?1";
    let mut rows = store.prepare_cached(sql)?;
    let mut rows = rows.query([at])?;
    while let Some(row) = rows.next()? {
        // A configured route's name is there already.
        let Some((route, _)) = watched.topology.routes.get_key_value(row.get_ref(0)?.as_str()?) else { continue };
        if row.get_ref(1)?.as_str()? == OTHER {
            continue;
        }
        let counted = all.entry((Arc::clone(route), text(row, 1)?)).or_default();
        counted.requests += number(row, 2)?;
        counted.errors.client += number(row, 3)?;
        counted.errors.upstream += number(row, 4)?;
        latency(row, 5, &mut counted.latency, cells)?;
    }
    Ok(all.into_iter().map(|((route, endpoint), counted)| (route, endpoint, counted)).collect())
}

fn consumers(store: &Connection, at: i64) -> Result<Vec<(Arc<str>, u64)>> {
    let sql = "SELECT c.consumer, sum(m.requests) FROM consumer_minute m JOIN consumers c ON c.id = m.consumer \
               WHERE m.at = ?1 AND c.consumer <> ?2 GROUP BY 1";
    let mut rows = store.prepare_cached(sql)?;
    let rows = rows.query_map(rusqlite::params![at, OTHER], |row| Ok((text(row, 0)?, number(row, 1)?)))?;
    rows.collect()
}

/// Plugins with the version that was called most, and what all of their versions did.
fn plugins(store: &Connection, at: i64) -> Result<Vec<(Arc<str>, Arc<str>, Counted)>> {
    #[derive(Default)]
    struct Plugin {
        versions: HashMap<Arc<str>, u64>,
        calls: u64,
        failures: u64,
        /// By hook, over all versions: how many calls were timed, and what they took together, nanoseconds.
        hooks: BTreeMap<Arc<str>, (u64, u64)>,
    }
    let mut all = BTreeMap::<Arc<str>, Plugin>::new();
    let sql = "SELECT p.plugin, p.digest, m.hook, m.calls, m.failures, m.timed, m.timed_ns FROM plugin_minute m \
               JOIN plugins p ON p.id = m.plugin WHERE m.at = ?1";
    let mut rows = store.prepare_cached(sql)?;
    let mut rows = rows.query([at])?;
    while let Some(row) = rows.next()? {
        let plugin = all.entry(text(row, 0)?).or_default();
        let calls = number(row, 3)?;
        *plugin.versions.entry(text(row, 1)?).or_default() += calls;
        plugin.calls += calls;
        plugin.failures += number(row, 4)?;
        let (timed, nanos) = plugin.hooks.entry(text(row, 2)?).or_default();
        *timed += number(row, 5)?;
        *nanos += number(row, 6)?;
    }
    let counted = |plugin: Plugin| {
        let version = plugin.versions.into_iter().max_by_key(|(version, calls)| (*calls, Arc::clone(version)))?.0;
        // What a request pays that meets each of its hooks, whatever the hooks' shares of the calls are; of versions that serve
        // beside each other it meets one.
        let timed = || plugin.hooks.values().filter(|(timed, _)| *timed > 0);
        let seconds = timed().map(|(timed, nanos)| *nanos as f64 / *timed as f64 / 1e9).sum();
        // The store keeps times of calls as a sum: a minute has its mean.
        let mut latency = LogHistogram::default();
        latency.record(seconds, timed().map(|(timed, _)| *timed).max().unwrap_or_default());
        let errors = Errors { plugin: plugin.failures.min(plugin.calls), ..Errors::default() };
        Some((version, Traffic { requests: plugin.calls, errors, latency }))
    };
    let all = all.into_iter().filter_map(|(name, plugin)| counted(plugin).map(|(version, counted)| (name, version, counted)));
    Ok(all.collect())
}

fn text(row: &Row<'_>, index: usize) -> Result<Arc<str>> {
    Ok(row.get_ref(index)?.as_str()?.into())
}

fn number(row: &Row<'_>, index: usize) -> Result<u64> {
    row.get::<_, i64>(index).map(|number| u64::try_from(number).unwrap_or_default())
}

/// Adds a sketch that was stored. One that cannot be read is left out and counted: what else is known of the time is looked at.
fn latency(row: &Row<'_>, index: usize, sum: &mut LogHistogram, cells: &StoreCells) -> Result<()> {
    let bytes = match row.get_ref(index)? {
        ValueRef::Blob(bytes) => bytes,
        _ => &[],
    };
    let mut bins = Vec::with_capacity(bytes.len());
    match each_bin(bytes, |bin, count| bins.push((bin, count))) {
        Ok(()) => sum.record_bins(&bins),
        Err(_) => cells.left_out(1),
    }
    Ok(())
}
