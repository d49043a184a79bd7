//! What was wanted, and what was measured of it.

use plugway_harness::{Error, Result};

use super::Material;
use crate::bench::NGINX_US;
use crate::bench::peers::row::Row;
use crate::bench::scenario::SMALL;
use crate::bench::statistics::Estimate;

/// At most this much CPU of nginx's per request without plugins.
const BARE: f64 = 1.05;
/// At most this much of one worker's CPU per request with two.
const SECOND_WORKER: f64 = 1.05;
/// At most this for each plugin in a chain of five, µs where nginx takes [`NGINX_US`].
const PLUGIN_US: f64 = 0.5;
/// At most this much of nginx's with five plugins: what one Lua script costs there.
const FIVE: f64 = 1.23;
/// At most this for all of the shipped chain, µs where nginx takes [`NGINX_US`].
const SHIPPED_US: f64 = 3.0;
/// At most this much of the better of nginx and `HAProxy`.
const OTHERS: f64 = 1.1;
/// At most this much of one route's CPU per request with ten thousand.
const ROUTES: f64 = 2.0;

/// A goal.
pub(super) struct Goal {
    pub(super) what: String,
    /// At most this.
    pub(super) wanted: f64,
    pub(super) unit: String,
    /// None where it was not measured.
    pub(super) measured: Option<Estimate>,
}

impl Goal {
    pub(super) fn met(&self) -> Option<bool> {
        self.measured.as_ref().map(|estimate| estimate.median <= self.wanted)
    }

    /// Whether no part of its interval is past it.
    pub(super) fn is_met_for_sure(&self) -> bool {
        self.measured.as_ref().is_some_and(|estimate| estimate.high <= self.wanted)
    }

    /// Whether all of its interval is past it: then it is no machine's mood.
    pub(super) fn is_missed_for_sure(&self) -> bool {
        self.measured.as_ref().is_some_and(|estimate| estimate.low > self.wanted)
    }
}

/// Fails where goals are missed for sure.
///
/// # Errors
/// Names them.
pub(super) fn hold(goals: &[Goal]) -> Result<()> {
    let missed = goals.iter().filter(|goal| goal.is_missed_for_sure());
    let missed: Vec<String> = missed.map(|Goal { what, wanted, unit, .. }| format!("{what}: at most {wanted} {unit}")).collect();
    if missed.is_empty() {
        Ok(())
    } else {
        Err(Error::new(format!("goals that all of their interval is past:\n  {}", missed.join("\n  "))))
    }
}

/// Every goal, in the order they were set.
pub(super) fn all(material: &Material) -> Vec<Goal> {
    let rows = &material.rows;
    let small = |name| find(rows, SMALL.name, name);
    let mut goals = vec![
        goal("no plugin, against nginx", BARE, "x", small("plugway").and_then(|row| row.to_nginx.clone())),
        goal(
            "a second worker, against one under the same load",
            SECOND_WORKER,
            "x",
            find(rows, "workers", "plugway (2 workers)").and_then(|row| row.to_one_worker.clone()),
        ),
        of_nginx("each plugin in a chain of five", PLUGIN_US, small("plugway + 5 plugins")),
        goal("five plugins, against nginx", FIVE, "x", small("plugway + 5 plugins").and_then(|row| row.to_nginx.clone())),
        of_nginx("the shipped chain with a token it knows", SHIPPED_US, small("plugway + shipped chain")),
    ];
    for scenario in ["tls-in", "tls-out", "http2", "body-64k", "body-1m"] {
        goals.push(goal(format!("{scenario}, against the better of nginx and HAProxy"), OTHERS, "x", to_better(rows, scenario)));
    }
    let routes = ratio(find(rows, "routes-10000", "plugway"), find(rows, "routes-1", "plugway"));
    goals.push(goal("10,000 routes, against one", ROUTES, "x", routes));
    for figure in material.footprint.iter().chain(&material.hooks) {
        if let Some(wanted) = figure.goal {
            goals.push(goal(format!("{}: {}", figure.name, figure.of), wanted, &figure.unit, Some(figure.estimate.clone())));
        }
    }
    goals
}

/// A goal in µs, as a share of nginx's request.
fn of_nginx(what: &str, wanted_us: f64, row: Option<&Row>) -> Goal {
    let wanted = (1_000.0 * wanted_us / NGINX_US).round() / 10.0;
    goal(format!("{what}, of nginx's request ({wanted_us} µs of {NGINX_US})"), wanted, "%", row.and_then(Row::per_plugin_of_nginx))
}

fn goal(what: impl Into<String>, wanted: f64, unit: &str, measured: Option<Estimate>) -> Goal {
    Goal { what: what.into(), wanted, unit: unit.to_owned(), measured }
}

/// A row, if it counts.
fn find<'r>(rows: &'r [Row], scenario: &str, name: &str) -> Option<&'r Row> {
    rows.iter().find(|row| row.scenario.name == scenario && row.entry.name == name).filter(|row| row.counts())
}

/// Of plugway to whichever of the two took less.
fn to_better(rows: &[Row], scenario: &str) -> Option<Estimate> {
    let peers = ["nginx", "HAProxy"].into_iter().filter_map(|name| find(rows, scenario, name));
    let better = peers.min_by(|one, other| one.cpu_us.median.total_cmp(&other.cpu_us.median));
    ratio(find(rows, scenario, "plugway"), better)
}

/// Of two rows, round by round.
fn ratio(own: Option<&Row>, other: Option<&Row>) -> Option<Estimate> {
    let (own, other) = own.zip(other)?;
    let ratios = own.cpu_us.samples.iter().zip(&other.cpu_us.samples).map(|(own, other)| own / other);
    Some(Estimate::of(ratios.collect()))
}

#[cfg(test)]
mod tests {
    use super::super::super::figure::tests::figure;
    use super::super::super::peers::row::tests::in_scenario;
    use super::*;

    #[test]
    fn goals_are_met_missed_or_not_measured() {
        let rows = vec![
            in_scenario("nginx", "tls-in", 10.0),
            in_scenario("HAProxy", "tls-in", 8.0),
            in_scenario("plugway", "tls-in", 9.0),
            in_scenario("plugway", "routes-1", 10.0),
            in_scenario("plugway", "routes-10000", 12.0),
        ];
        let material =
            Material { footprint: vec![figure("start", 99.0, Some(100.0)), figure("more", 1.0, None)], ..Material::of_rows(rows) };
        let goals = all(&material);
        assert!(
            hold(&goals).unwrap_err().to_string().ends_with("is past:\n  tls-in, against the better of nginx and HAProxy: at most 1.1 x")
        );
        assert!(hold(&goals.into_iter().filter(|goal| !goal.what.starts_with("tls-in")).collect::<Vec<_>>()).is_ok());
        let goals = all(&material);
        let met = |what: &str| goals.iter().find(|goal| goal.what.starts_with(what)).unwrap().met();
        assert_eq!((met("no plugin"), met("tls-in"), met("10,000 routes"), met("start")), (None, Some(false), Some(true), Some(true)));
    }
}
