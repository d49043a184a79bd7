//! What clients asked for: by time, route, status, endpoint and consumer. Each kind of row is gone through once (consumers' twice).

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use rusqlite::Result;

use super::summed::{COUNTS, Columns, Summed, TOTALS};
use super::{Asked, count};
use crate::report::data::{Consumer, Endpoint, Fault, Point, Route, Status, Totals};

/// Consumers that are shown.
const CONSUMERS: usize = 20;

/// The routes that a report is about, by their number in the store.
pub(super) type Routes = HashMap<i64, Named>;

/// How a route is called.
#[derive(Debug, Clone)]
pub(super) struct Named {
    route: String,
    api: String,
    version: String,
}

/// Their names, each once: a route may have been of several versions of its API.
pub(super) fn names(routes: &Routes) -> HashSet<&str> {
    routes.values().map(|named| &*named.route).collect()
}

/// Requests, added up in three ways.
#[derive(Debug, Default)]
pub(super) struct Traffic {
    all: Summed,
    points: BTreeMap<i64, Summed>,
    routes: HashMap<i64, Summed>,
}

impl Traffic {
    pub(super) fn totals(&self) -> Totals {
        self.all.totals()
    }

    /// Every step of that time, those without requests too.
    pub(super) fn timeline(&self, asked: &Asked<'_>) -> Vec<Point> {
        let steps = (asked.from..asked.until).step_by(usize::try_from(asked.tier.seconds()).unwrap_or(60));
        steps.map(|at| Point { at, totals: self.points.get(&at).map(Summed::totals).unwrap_or_default() }).collect()
    }

    pub(super) fn by_route(&self, names: &Routes) -> Vec<Route> {
        let routes = self.routes.iter().filter_map(|(id, sum)| {
            let Named { route, api, version } = names.get(id)?.clone();
            Some(Route { route, api, version, totals: sum.totals() })
        });
        let mut routes: Vec<_> = routes.collect();
        routes.sort_by(|a, b| (Reverse(a.totals.requests), &a.route, &a.version).cmp(&(Reverse(b.totals.requests), &b.route, &b.version)));
        routes
    }
}

impl Asked<'_> {
    pub(super) fn routes(&self) -> Result<Routes> {
        let sql = "SELECT id, route, api, version FROM routes WHERE id IN {routes} AND ?1 < ?2";
        let named = self.rows(sql, |row| Ok((row.get(0)?, Named { route: row.get(1)?, api: row.get(2)?, version: row.get(3)? })))?;
        Ok(named.into_iter().collect())
    }

    pub(super) fn traffic(&self, routes: &Routes) -> Result<Traffic> {
        let mut traffic = Traffic::default();
        self.each_row("route", &format!("at, route, {TOTALS}"), |row| {
            let (at, route) = (row.get(0)?, row.get(1)?);
            if !routes.contains_key(&route) {
                return Ok(());
            }
            let Traffic { all, points, routes } = &mut traffic;
            let left_out = all.add(row, 2, Columns::Totals)?;
            for sum in [points.entry(at).or_default(), routes.entry(route).or_default()] {
                sum.add(row, 2, Columns::Totals)?;
            }
            self.left_out.set(self.left_out.get() + left_out);
            Ok(())
        })?;
        Ok(traffic)
    }

    /// Requests by status, and by fault.
    pub(super) fn outcomes(&self, routes: &Routes) -> Result<(Vec<Status>, Vec<Fault>)> {
        let (mut statuses, mut faults) = (BTreeMap::<u16, u64>::new(), HashMap::<i64, u64>::new());
        self.each_row("outcome", "route, status, fault, requests", |row| {
            if routes.contains_key(&row.get(0)?) {
                let (fault, requests) = (row.get(2)?, count(row, 3)?);
                *statuses.entry(row.get(1)?).or_default() += requests;
                *faults.entry(fault).or_default() += requests;
            }
            Ok(())
        })?;
        let statuses = statuses.into_iter().map(|(status, requests)| Status { status, requests });
        let mut met = Vec::new();
        let mut named = self.store.prepare("SELECT id, fault, blame FROM faults WHERE id <> 0")?;
        let mut named = named.query([])?;
        while let Some(row) = named.next()? {
            if let Some(requests) = faults.get(&row.get(0)?).copied() {
                met.push(Fault { fault: row.get(1)?, blame: row.get(2)?, requests });
            }
        }
        met.sort_by(|a, b| (Reverse(a.requests), &a.fault, &a.blame).cmp(&(Reverse(b.requests), &b.fault, &b.blame)));
        Ok((statuses.collect(), met))
    }

    pub(super) fn endpoints(&self, routes: &Routes) -> Result<Vec<Endpoint>> {
        let mut sums = HashMap::<(i64, i64), Summed>::new();
        self.each_row("endpoint", &format!("route, endpoint, {COUNTS}"), |row| {
            let (route, endpoint) = (row.get(0)?, row.get(1)?);
            if !routes.contains_key(&route) {
                return Ok(());
            }
            let left_out = sums.entry((route, endpoint)).or_default().add(row, 2, Columns::Counts)?;
            self.left_out.set(self.left_out.get() + left_out);
            Ok(())
        })?;
        let names = self.names("SELECT id, endpoint FROM endpoints")?;
        let endpoints = sums.iter().filter_map(|((route, endpoint), sum)| {
            let Named { route, api, version } = routes.get(route)?.clone();
            let &Summed { requests, client_errors, server_errors, .. } = sum;
            let endpoint = names.get(endpoint)?.clone();
            Some(Endpoint { route, api, version, endpoint, requests, client_errors, server_errors, latency: sum.latency() })
        });
        let mut endpoints: Vec<_> = endpoints.collect();
        endpoints.sort_by(|a, b| (&a.route, &a.api, &a.version, &a.endpoint).cmp(&(&b.route, &b.api, &b.version, &b.endpoint)));
        Ok(endpoints)
    }

    /// Those with most requests, and how many there are in all. Only what is shown is added up: there may be many thousands.
    pub(super) fn consumers(&self, routes: &Routes) -> Result<(Vec<Consumer>, u64)> {
        let mut requests = HashMap::<i64, u64>::new();
        let mut used = HashSet::<(i64, i64)>::new();
        self.each_row("consumer", "route, consumer, requests", |row| {
            let (route, consumer) = (row.get(0)?, row.get(1)?);
            if routes.contains_key(&route) {
                *requests.entry(consumer).or_default() += count(row, 2)?;
                used.insert((consumer, route));
            }
            Ok(())
        })?;
        let mut most: Vec<_> = requests.iter().map(|(consumer, requests)| (Reverse(*requests), *consumer)).collect();
        most.sort_unstable();
        let mut sums: HashMap<_, _> = most.iter().take(CONSUMERS).map(|(_, consumer)| (*consumer, Summed::default())).collect();
        self.each_row("consumer", &format!("route, consumer, {COUNTS}"), |row| {
            if let Some(sum) = sums.get_mut(&row.get(1)?)
                && routes.contains_key(&row.get(0)?)
            {
                self.left_out.set(self.left_out.get() + sum.add(row, 2, Columns::Counts)?);
            }
            Ok(())
        })?;
        let names = self.names("SELECT id, consumer FROM consumers")?;
        let consumers = sums.iter().filter_map(|(id, sum)| {
            let &Summed { requests, client_errors, server_errors, .. } = sum;
            let routes = used.iter().filter(|(consumer, _)| consumer == id).count() as u64;
            Some(Consumer { consumer: names.get(id)?.clone(), routes, requests, client_errors, server_errors, latency: sum.latency() })
        });
        let mut consumers: Vec<_> = consumers.collect();
        consumers.sort_by(|a, b| (Reverse(a.requests), &a.consumer).cmp(&(Reverse(b.requests), &b.consumer)));
        Ok((consumers, requests.len() as u64))
    }

    fn names(&self, sql: &str) -> Result<HashMap<i64, String>> {
        self.store.prepare(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    }
}
