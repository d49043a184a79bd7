use super::*;
use crate::minute::Errors;
use crate::sketch::LogHistogram;

/// When something changes, if it does.
const CHANGE: u64 = 120;

/// A route's latency and errors at an endpoint, and how many requests that has of it.
#[derive(Debug, Clone, Copy)]
struct Cell {
    requests: u64,
    seconds: f64,
    /// Of a hundred requests.
    errors: u64,
}

fn traffic(Cell { requests, seconds, errors }: Cell) -> Traffic<LogHistogram> {
    let mut latency = LogHistogram::default();
    (0..requests).for_each(|number| latency.record(seconds * (0.5 + (number * 37 % 100) as f64 / 100.0), 1));
    Traffic { requests, errors: Errors { upstream: requests * errors / 100, ..Errors::default() }, latency }
}

/// Two routes, three endpoints: what the world is like at a minute.
type World = fn(at: u64, route: usize, endpoint: usize) -> Cell;

fn found(world: World, room: usize) -> Vec<(u64, Arc<str>, Finding)> {
    let names = |letters: &str| letters.chars().map(|letter| Arc::from(letter.to_string())).collect::<Vec<Arc<str>>>();
    let (routes, endpoints) = (names("qr"), names("abc"));
    let mut upstream = Upstream::<LogHistogram>::new();
    let mut all = Vec::new();
    for at in 0..180 {
        let cells = (0..routes.len()).flat_map(|route| (0..endpoints.len()).map(move |endpoint| (route, endpoint)));
        let cells: Vec<_> = cells.map(|(route, endpoint)| (route, endpoint, traffic(world(at, route, endpoint)))).collect();
        let rows: Vec<_> = cells.iter().map(|(route, endpoint, traffic)| (&routes[*route], &endpoints[*endpoint], traffic)).collect();
        let room = &mut Room { endpoints: 3 - upstream.endpoints.len(), pairs: room.saturating_sub(upstream.pairs()) };
        upstream.push(Minute(at), &rows, room);
        for (index, found) in upstream.look(Minute(at), 5.0).into_iter().enumerate() {
            if let Some(finding) = found.and_then(|found| found.finding) {
                all.push((at, Arc::clone(&upstream.endpoints[index].name), finding));
            }
        }
    }
    all
}

/// That the last endpoint, and no other, is found soon, with its beginning.
fn is_found(world: World) {
    let all = found(world, 100);
    let (at, _, finding) = all.first().expect("it is found");
    assert!(*at <= CHANGE + 8, "{at}");
    assert!(finding.start.0.abs_diff(CHANGE) <= 2, "{:?}", finding.start);
    assert!(all.iter().all(|(_, name, _)| **name == *"c"), "{all:?}");
}

fn is_silent(world: World) {
    let all = found(world, 100);
    assert!(all.is_empty(), "{all:?}");
}

/// The first route alone.
fn alone(route: usize, cell: Cell) -> Cell {
    if route == 0 { cell } else { Cell { requests: 0, ..cell } }
}

const CALM: Cell = Cell { requests: 100, seconds: 0.01, errors: 0 };

#[test]
fn the_one_that_is_worse_is_found_with_its_beginning() {
    is_silent(|_, route, _| alone(route, CALM));
    is_found(|at, route, endpoint| alone(route, if at >= CHANGE && endpoint == 2 { Cell { seconds: 0.03, ..CALM } } else { CALM }));
    is_found(|at, route, endpoint| alone(route, if at >= CHANGE && endpoint == 2 { Cell { errors: 20, ..CALM } } else { CALM }));
}

/// The second route is thirty times as slow, and a fifth of it fails.
const SLOW: Cell = Cell { requests: 10, seconds: 0.3, errors: 20 };

/// A tenant comes: the last endpoint gets twenty times as much of the second route.
fn jump(at: u64, route: usize, endpoint: usize) -> Cell {
    match (route, at >= CHANGE && endpoint == 2) {
        (0, _) => CALM,
        (_, true) => Cell { requests: 200, ..SLOW },
        (_, false) => SLOW,
    }
}

#[test]
fn more_of_a_slow_or_a_failing_route_is_not_worse() {
    is_silent(jump);
    // Nor where it was so before, and ends.
    is_silent(|at, route, endpoint| jump(if at >= CHANGE { 0 } else { CHANGE }, route, endpoint));
}

#[test]
fn one_that_is_worse_while_its_mix_changes_is_found() {
    is_found(|at, route, endpoint| {
        let cell = jump(at, route, endpoint);
        if at >= CHANGE && endpoint == 2 { Cell { seconds: 2.5 * cell.seconds, ..cell } } else { cell }
    });
    is_found(|at, route, endpoint| {
        let cell = jump(at, route, endpoint);
        if at >= CHANGE && endpoint == 2 { Cell { errors: cell.errors + 50, ..cell } } else { cell }
    });
}

#[test]
fn a_route_that_gets_slower_everywhere_makes_no_endpoint_worse() {
    is_silent(|at, route, endpoint| {
        let cell = jump(CHANGE, route, endpoint);
        if at >= CHANGE && route == 1 { Cell { seconds: 3.0 * cell.seconds, errors: 60, ..cell } } else { cell }
    });
}

#[test]
fn what_only_one_of_them_serves_says_nothing_of_it() {
    is_silent(|at, route, endpoint| match (route, at >= CHANGE && endpoint == 2) {
        (0, _) => CALM,
        (_, true) => Cell { requests: 500, seconds: 2.0, errors: 50 },
        (_, false) => Cell { requests: 0, ..SLOW },
    });
    // A few requests of a sibling stand for none of it.
    is_silent(|at, route, endpoint| match (route, endpoint) {
        (0, _) => CALM,
        (_, 2) if at >= CHANGE => Cell { requests: 500, seconds: 2.0, errors: 50 },
        (_, 1) => Cell { requests: 1, seconds: 0.01, errors: 0 },
        (_, _) => Cell { requests: 0, ..SLOW },
    });
}

#[test]
fn without_room_for_pairs_routes_are_one() {
    assert!(!found(jump, 0).is_empty(), "with no room a change of the mix cannot be told");
    let worse: World = |at, _, endpoint| if at >= CHANGE && endpoint == 2 { Cell { errors: 20, ..CALM } } else { CALM };
    for room in [0, 3, 4, 6] {
        let all = found(worse, room);
        assert!(!all.is_empty() && all.iter().all(|(_, name, _)| **name == *"c"), "{room}: {all:?}");
    }
}
