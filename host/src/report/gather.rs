//! The questions a report asks the store.

mod summed;
mod traffic;

use std::cell::Cell;

use rusqlite::{Connection, Result, Row, params};

use super::ReportError;
use super::data::{Before, Plugin, Report, Sample};
use super::request::{Request, Scope};
use crate::store::{Incident, Reader, Slo, Tier};
use crate::telemetry::latency::ACCURACY;

/// Slow requests, and failed ones, that are shown.
const SAMPLES: i64 = 10;
/// Points a timeline has at most in one tier: half a day of minutes, a month of hours.
const POINTS: i64 = 744;

/// The time a report is about, and who.
struct Asked<'a> {
    store: &'a Connection,
    tier: Tier,
    from: i64,
    until: i64,
    /// What holds for the routes it is about, as SQL with `?3`.
    which: &'static str,
    name: String,
    /// Distributions that could not be read.
    left_out: &'a Cell<u64>,
}

pub(super) fn gather(reader: &Reader, request: &Request, now: i64) -> std::result::Result<Report, ReportError> {
    // One picture for all questions, whatever is written meanwhile.
    let store = reader.connection();
    store.execute_batch("BEGIN")?;
    let report = gather_within(reader, request, now);
    store.execute_batch("COMMIT")?;
    report
}

fn gather_within(reader: &Reader, request: &Request, now: i64) -> std::result::Result<Report, ReportError> {
    let store = reader.connection();
    let (scope, which, name) = match &request.scope {
        Scope::Gateway => ("gateway", "?3 = ''", String::new()),
        Scope::Api(name) => ("api", "api = ?3", name.clone()),
        Scope::Route(name) => ("route", "route = ?3", name.clone()),
    };
    if !name.is_empty() || scope != "gateway" {
        known(store, &request.scope, scope)?;
    }
    // What was before the store began would only make the rest small.
    let begins = reader.begins()?;
    let since = begins.map_or(now - request.since, |begins| begins.clamp(now - request.since, now));
    let tier = tier(reader, since, now - since)?;
    let from = begin(tier, since);
    // The second that it is belongs to it: a minute may have begun with it.
    let left_out = &Cell::new(0);
    let asked = Asked { store, tier, from, until: now + 1, which, name: name.clone(), left_out };
    // Of whole steps: a part of the first one could not be told from the rest of it.
    let earlier = Asked { from: begin(tier, from - (now - from)), until: from, name: name.clone(), ..asked };
    let reaches_back =
        reader.oldest(tier)?.is_some_and(|oldest| oldest <= earlier.from) && begins.is_none_or(|begins| begins <= earlier.from);
    let routes = asked.routes()?;
    let traffic = asked.traffic(&routes)?;
    let (statuses, faults) = asked.outcomes(&routes)?;
    let (consumers, consumers_in_all) = asked.consumers(&routes)?;
    let slos = Slo::all(store)?;
    let incidents = Incident::between(store, from, now)?.into_iter().map(|(_, incident)| incident);
    let about = |api: &str, route: &str| match &request.scope {
        Scope::Gateway => true,
        Scope::Api(name) => api == name,
        Scope::Route(name) => route == name,
    };
    // What a plugin or an endpoint did is told of each route that felt it.
    let names = traffic::names(&routes);
    let felt = |incident: &Incident| about(&incident.api, &incident.route) || incident.routes.iter().any(|route| names.contains(&**route));
    let title = match &request.scope {
        Scope::Gateway => "Gateway".to_owned(),
        Scope::Api(name) => format!("API {name}"),
        Scope::Route(name) => format!("Route {name}"),
    };
    Ok(Report {
        title,
        scope,
        name: (scope != "gateway").then_some(name),
        generated_at: now,
        from,
        until: now,
        counted_since: begins.map_or(from, |begins| begins.clamp(from, now)),
        step: tier.seconds(),
        latency_accuracy: ACCURACY,
        totals: traffic.totals(),
        before: if reaches_back { Some(Before { from: earlier.from, totals: earlier.traffic(&routes)?.totals() }) } else { None },
        timeline: traffic.timeline(&asked),
        statuses,
        faults,
        routes: traffic.by_route(&routes),
        endpoints: asked.endpoints(&routes)?,
        consumers,
        consumers_in_all,
        plugins: asked.plugins()?,
        slowest: asked.samples("slow")?,
        failed: asked.samples("failed")?,
        incidents: incidents.filter(felt).collect(),
        slos: slos.into_iter().filter(|slo| about(&slo.api, &slo.route)).collect(),
        gaps: reader.gaps(from, now)?,
        // When all has been read.
        distributions_left_out: left_out.get() + reader.take_left_out(),
    })
}

/// Refuses a name that the store has never heard of.
fn known(store: &Connection, asked: &Scope, column: &str) -> std::result::Result<(), ReportError> {
    let sql = format!("SELECT DISTINCT {column} FROM routes WHERE {column} <> '' ORDER BY 1");
    let known: Vec<String> = store.prepare(&sql)?.query_map([], |row| row.get(0))?.collect::<Result<_>>()?;
    let (Scope::Api(name) | Scope::Route(name)) = asked else { return Ok(()) };
    if known.contains(name) { Ok(()) } else { Err(ReportError::Unknown(asked.clone(), known)) }
}

/// The finest tier that reaches back so far and makes no more points than can be seen; a coarser one where the finer has nothing
/// of that time.
fn tier(reader: &Reader, from: i64, since: i64) -> Result<Tier> {
    let fits = Tier::ALL.into_iter().filter(|tier| since / tier.seconds() <= POINTS || *tier == Tier::Day);
    let oldest_day = reader.oldest(Tier::Day)?;
    for tier in fits {
        // Whatever the days have of that time, this one must have too.
        let reaches = reader.oldest(tier)?.is_some_and(|oldest| oldest <= from.max(oldest_day.unwrap_or(from) + Tier::Day.seconds()));
        if reaches || tier == Tier::Day {
            return Ok(tier);
        }
    }
    Ok(Tier::Day)
}

fn begin(tier: Tier, at: i64) -> i64 {
    at - at.rem_euclid(tier.seconds())
}

impl Asked<'_> {
    /// Runs a query of rows at that time; `{tier}` in it is the tier, `{routes}` the numbers of the routes it is about.
    fn rows<T>(&self, sql: &str, row: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
        let routes = format!("(SELECT id FROM routes WHERE {})", self.which);
        let sql = sql.replace("{tier}", self.tier.as_str()).replace("{routes}", &routes);
        let sql = sql.replace("{time}", "at >= ?1 AND at < ?2");
        let mut statement = self.store.prepare(&sql)?;
        statement.query_map(params![self.from, self.until, self.name], row)?.collect()
    }

    /// Goes once through what was counted at that time, of one kind. SQL would sort millions of rows to group them.
    fn each_row(&self, kind: &str, columns: &str, mut row: impl FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let sql = format!("SELECT {columns} FROM {kind}_by_{} WHERE at >= ?1 AND at < ?2", self.tier.as_str());
        let mut statement = self.store.prepare(&sql)?;
        let mut rows = statement.query([self.from, self.until])?;
        while let Some(found) = rows.next()? {
            row(found)?;
        }
        Ok(())
    }

    fn plugins(&self) -> Result<Vec<Plugin>> {
        let kinds = "SELECT plugin, kind, sum(failures) FROM plugin_failure_by_{tier} WHERE {time} AND ?3 = ?3 GROUP BY plugin, kind ORDER BY plugin, kind";
        let kinds = self.rows(kinds, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, count(row, 2)?)))?;
        // Hooks of one plugin differ, so each has a mean of its own. One that was called too seldom for its time to be taken has none.
        let sql = "SELECT p.id, p.plugin, p.digest, sum(calls), sum(failures), sum(ns), latency_quantile(latency_sum(latency), 0.99), \
                   sum(CASE WHEN ns IS NOT NULL THEN calls END) FROM \
                   (SELECT plugin, hook, sum(calls) AS calls, sum(failures) AS failures, latency_sum(latency) AS latency, \
                   CASE WHEN sum(timed) > 0 THEN 1.0 * sum(timed_ns) / sum(timed) * sum(calls) END AS ns \
                   FROM plugin_by_{tier} WHERE {time} AND ?3 = ?3 GROUP BY plugin, hook) c JOIN plugins p ON p.id = c.plugin \
                   GROUP BY p.id ORDER BY sum(ns) DESC, p.plugin, p.digest";
        self.rows(sql, |row| {
            let id: i64 = row.get(0)?;
            let (calls, ns): (u64, Option<f64>) = (count(row, 3)?, row.get(5)?);
            let calls_of_known_time = count(row, 7)?;
            let own = kinds.iter().filter(|(plugin, ..)| *plugin == id).map(|(_, kind, failures)| (kind.clone(), *failures));
            Ok(Plugin {
                plugin: row.get(1)?,
                digest: row.get(2)?,
                calls,
                failures: count(row, 4)?,
                kinds: own.collect(),
                mean_ns: ns.filter(|_| calls_of_known_time > 0).map(|ns| ns / calls_of_known_time as f64),
                p99_ns: row.get(6)?,
                seconds: ns.map(|ns| ns / 1e9),
            })
        })
    }

    fn samples(&self, why: &str) -> Result<Vec<Sample>> {
        let order = if why == "slow" { "duration_us DESC, at_us" } else { "at_us DESC, s.id DESC" };
        let sql = format!(
            "SELECT at_us, request_id, r.route, endpoint, consumer, method, path, status, f.fault, duration_us, upstream_us, attempts \
             FROM samples s JOIN routes r ON r.id = s.route JOIN faults f ON f.id = s.fault \
             WHERE at_us >= ?1 * 1000000 AND at_us < ?2 * 1000000 AND s.route IN {{routes}} AND why = '{why}' ORDER BY {order} LIMIT {SAMPLES}"
        );
        self.rows(&sql, |row| {
            Ok(Sample {
                at_us: row.get(0)?,
                request_id: row.get(1)?,
                route: row.get(2)?,
                endpoint: row.get(3)?,
                consumer: row.get(4)?,
                method: row.get(5)?,
                path: row.get(6)?,
                status: row.get(7)?,
                fault: row.get(8)?,
                duration_us: count(row, 9)?,
                upstream_us: row.get::<_, Option<i64>>(10)?.map(i64::unsigned_abs),
                attempts: row.get(11)?,
            })
        })
    }
}

/// A sum, which is nothing where there are no rows.
fn count(row: &Row<'_>, index: usize) -> Result<u64> {
    Ok(row.get::<_, Option<i64>>(index)?.unwrap_or_default().unsigned_abs())
}
