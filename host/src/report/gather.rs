//! The questions a report asks the store.

use rusqlite::{Connection, Result, Row, params};

use super::ReportError;
use super::data::{Consumer, Endpoint, Fault, Latency, Plugin, Point, Report, Route, Sample, Status, Totals};
use super::request::{Request, Scope};
use crate::store::{Incident, Reader, Sketch, Slo, Tier};
use crate::telemetry::latency::ACCURACY;

/// Consumers that are shown.
const CONSUMERS: i64 = 20;
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
    routes: &'static str,
    name: String,
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
    let (scope, routes, name) = match &request.scope {
        Scope::Gateway => ("gateway", "?3 = ''", String::new()),
        Scope::Api(name) => ("api", "api = ?3", name.clone()),
        Scope::Route(name) => ("route", "route = ?3", name.clone()),
    };
    if !name.is_empty() || scope != "gateway" {
        known(store, &request.scope, scope)?;
    }
    // What was before the store began would only make the rest small.
    let since = reader.begins()?.map_or(now - request.since, |begins| begins.clamp(now - request.since, now));
    let tier = tier(reader, since, now - since)?;
    let from = begin(tier, since);
    // The second that it is belongs to it: a minute may have begun with it.
    let asked = Asked { store, tier, from, until: now + 1, routes, name: name.clone() };
    let length = now - from;
    let earlier = Asked { from: from - length, until: from, name: name.clone(), ..asked };
    let reaches_back = reader.oldest(tier)?.is_some_and(|oldest| oldest <= earlier.from);
    let slos = Slo::all(store)?;
    let incidents = Incident::between(store, from, now)?.into_iter().map(|(_, incident)| incident);
    let about = |api: &str, route: &str| match &request.scope {
        Scope::Gateway => true,
        Scope::Api(name) => api == name,
        Scope::Route(name) => route == name,
    };
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
        step: tier.seconds(),
        latency_accuracy: ACCURACY,
        totals: asked.totals()?,
        before: if reaches_back { Some(earlier.totals()?) } else { None },
        timeline: asked.timeline()?,
        statuses: asked.statuses()?,
        faults: asked.faults()?,
        routes: asked.by_route()?,
        endpoints: asked.endpoints()?,
        consumers: asked.consumers()?,
        consumers_in_all: asked.consumers_in_all()?,
        plugins: asked.plugins()?,
        slowest: asked.samples("slow")?,
        failed: asked.samples("failed")?,
        incidents: incidents.filter(|incident| about(&incident.api, &incident.route)).collect(),
        slos: slos.into_iter().filter(|slo| about(&slo.api, &slo.route)).collect(),
        gaps: reader.gaps(from, now)?,
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

/// The columns of `Totals` after those of a key, in their order.
const TOTALS: &str = "sum(requests), sum(client_errors), sum(server_errors), sum(request_bytes), sum(response_bytes), sum(duration_us), \
                      max(longest_us), latency_sum(latency)";
const COUNTS: &str = "sum(requests), sum(client_errors), sum(server_errors), sum(duration_us), max(longest_us), latency_sum(latency)";

impl Asked<'_> {
    /// Runs a query of rows at that time; `{tier}` in it is the tier, `{routes}` the numbers of the routes it is about.
    fn rows<T>(&self, sql: &str, row: impl FnMut(&Row<'_>) -> Result<T>) -> Result<Vec<T>> {
        let routes = format!("(SELECT id FROM routes WHERE {})", self.routes);
        let sql = sql.replace("{tier}", self.tier.as_str()).replace("{routes}", &routes);
        let sql = sql.replace("{time}", "at >= ?1 AND at < ?2");
        let mut statement = self.store.prepare(&sql)?;
        statement.query_map(params![self.from, self.until, self.name], row)?.collect()
    }

    fn totals(&self) -> Result<Totals> {
        let sql = format!("SELECT {TOTALS} FROM route_by_{{tier}} WHERE {{time}} AND route IN {{routes}}");
        Ok(self.rows(&sql, |row| totals(row, 0))?.pop().unwrap_or_default())
    }

    fn timeline(&self) -> Result<Vec<Point>> {
        let sql = format!("SELECT at, {TOTALS} FROM route_by_{{tier}} WHERE {{time}} AND route IN {{routes}} GROUP BY at ORDER BY at");
        let mut known = self.rows(&sql, |row| Ok(Point { at: row.get(0)?, totals: totals(row, 1)? }))?.into_iter().peekable();
        let step = usize::try_from(self.tier.seconds()).unwrap_or(60);
        let steps = (self.from..self.until).step_by(step);
        Ok(steps.map(|at| known.next_if(|point| point.at == at).unwrap_or(Point { at, totals: Totals::default() })).collect())
    }

    fn statuses(&self) -> Result<Vec<Status>> {
        let sql = "SELECT status, sum(requests) FROM outcome_by_{tier} WHERE {time} AND route IN {routes} GROUP BY status ORDER BY status";
        self.rows(sql, |row| Ok(Status { status: row.get(0)?, requests: count(row, 1)? }))
    }

    fn faults(&self) -> Result<Vec<Fault>> {
        let sql = "SELECT f.fault, f.blame, sum(requests) AS n FROM outcome_by_{tier} o JOIN faults f ON f.id = o.fault \
                   WHERE {time} AND route IN {routes} AND o.fault <> 0 GROUP BY o.fault ORDER BY n DESC, f.fault";
        self.rows(sql, |row| Ok(Fault { fault: row.get(0)?, blame: row.get(1)?, requests: count(row, 2)? }))
    }

    fn by_route(&self) -> Result<Vec<Route>> {
        let sql = format!(
            "SELECT r.route, r.api, r.version, c.* FROM (SELECT route AS id, {TOTALS} FROM route_by_{{tier}} \
             WHERE {{time}} AND route IN {{routes}} GROUP BY route) c JOIN routes r USING (id) ORDER BY 5 DESC, 1, 3"
        );
        self.rows(&sql, |row| Ok(Route { route: row.get(0)?, api: row.get(1)?, version: row.get(2)?, totals: totals(row, 4)? }))
    }

    fn endpoints(&self) -> Result<Vec<Endpoint>> {
        let sql = format!(
            "SELECT r.route, r.api, r.version, e.endpoint, c.* FROM (SELECT route, endpoint, {COUNTS} FROM endpoint_by_{{tier}} \
             WHERE {{time}} AND route IN {{routes}} GROUP BY route, endpoint) c \
             JOIN routes r ON r.id = c.route JOIN endpoints e ON e.id = c.endpoint ORDER BY r.route, r.version, e.endpoint"
        );
        self.rows(&sql, |row| {
            let (requests, client_errors, server_errors, latency) = counts(row, 6)?;
            let (route, api, version, endpoint) = (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            Ok(Endpoint { route, api, version, endpoint, requests, client_errors, server_errors, latency })
        })
    }

    fn consumers(&self) -> Result<Vec<Consumer>> {
        // Sketches are only added up of those that are shown: most of the store is consumers.
        let sql = format!(
            "WITH top AS (SELECT consumer, sum(requests) AS n FROM consumer_by_{{tier}} WHERE {{time}} AND route IN {{routes}} \
             GROUP BY consumer ORDER BY n DESC, consumer LIMIT {CONSUMERS}) \
             SELECT n.consumer, count(DISTINCT c.route), {COUNTS} FROM consumer_by_{{tier}} c JOIN consumers n ON n.id = c.consumer \
             WHERE {{time}} AND c.route IN {{routes}} AND c.consumer IN (SELECT consumer FROM top) \
             GROUP BY c.consumer ORDER BY sum(requests) DESC, n.consumer"
        );
        self.rows(&sql, |row| {
            let (requests, client_errors, server_errors, latency) = counts(row, 2)?;
            Ok(Consumer { consumer: row.get(0)?, routes: count(row, 1)?, requests, client_errors, server_errors, latency })
        })
    }

    fn consumers_in_all(&self) -> Result<u64> {
        let sql = "SELECT count(DISTINCT consumer) FROM consumer_by_{tier} WHERE {time} AND route IN {routes}";
        Ok(self.rows(sql, |row| count(row, 0))?.pop().unwrap_or_default())
    }

    fn plugins(&self) -> Result<Vec<Plugin>> {
        let kinds = "SELECT plugin, kind, sum(failures) FROM plugin_failure_by_{tier} WHERE {time} AND ?3 = ?3 GROUP BY plugin, kind ORDER BY plugin, kind";
        let kinds = self.rows(kinds, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, count(row, 2)?)))?;
        // Hooks of one plugin differ, so each has a mean of its own.
        let sql = "SELECT p.id, p.plugin, p.digest, sum(calls), sum(failures), sum(ns) FROM (SELECT plugin, hook, sum(calls) AS calls, \
                   sum(failures) AS failures, CASE WHEN sum(timed) > 0 THEN 1.0 * sum(timed_ns) / sum(timed) * sum(calls) END AS ns \
                   FROM plugin_by_{tier} WHERE {time} AND ?3 = ?3 GROUP BY plugin, hook) c JOIN plugins p ON p.id = c.plugin \
                   GROUP BY p.id ORDER BY sum(ns) DESC, p.plugin, p.digest";
        self.rows(sql, |row| {
            let id: i64 = row.get(0)?;
            let (calls, ns): (u64, Option<f64>) = (count(row, 3)?, row.get(5)?);
            let own = kinds.iter().filter(|(plugin, ..)| *plugin == id).map(|(_, kind, failures)| (kind.clone(), *failures));
            Ok(Plugin {
                plugin: row.get(1)?,
                digest: row.get(2)?,
                calls,
                failures: count(row, 4)?,
                kinds: own.collect(),
                mean_ns: ns.filter(|_| calls > 0).map(|ns| ns / calls as f64),
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

fn totals(row: &Row<'_>, first: usize) -> Result<Totals> {
    let at = |column: usize| count(row, first + column);
    let (requests, client_errors, server_errors, request_bytes, response_bytes) = (at(0)?, at(1)?, at(2)?, at(3)?, at(4)?);
    let latency = latency(row, first + 5, requests)?;
    Ok(Totals { requests, client_errors, server_errors, request_bytes, response_bytes, latency })
}

fn counts(row: &Row<'_>, first: usize) -> Result<(u64, u64, u64, Latency)> {
    let requests = count(row, first)?;
    Ok((requests, count(row, first + 1)?, count(row, first + 2)?, latency(row, first + 3, requests)?))
}

/// Sum, longest and sketch of durations.
fn latency(row: &Row<'_>, first: usize, requests: u64) -> Result<Latency> {
    let bytes: Option<Vec<u8>> = row.get(first + 2)?;
    let sketch = Sketch::from_bytes(&bytes.unwrap_or_default());
    let sketch = sketch.map_err(|error| rusqlite::Error::FromSqlConversionFailure(first + 2, rusqlite::types::Type::Blob, error.into()))?;
    // What never became a request took no time.
    let timed = sketch.count().min(requests);
    Ok(Latency {
        mean_us: if timed > 0 { Some(count(row, first)? as f64 / timed as f64) } else { None },
        p50_us: sketch.quantile(0.5),
        p95_us: sketch.quantile(0.95),
        p99_us: sketch.quantile(0.99),
        longest_us: if timed > 0 { Some(count(row, first + 1)?) } else { None },
    })
}
