//! What stands beside bars, how long they are, and how many of how many are shown, derived from the store.

use rusqlite::Connection;

use super::short::near;
use super::{derive, number, texts};

/// Bars of one chart, and consumers of one table.
const MOST: (usize, usize) = (12, 20);

struct Bar {
    title: String,
    /// What stands at its end, and once more where a phone shows only its beginning.
    figure: String,
    /// Class and width of each part.
    parts: Vec<(String, f64)>,
}

/// A chart's caption and its bars; `None` where the page has no such chart.
fn read(page: &str, chart: &str) -> Option<(String, Vec<Bar>)> {
    let (before, from) = page.split_once(&format!("id=\"{chart}-title\""))?;
    let caption = before.rsplit("<figcaption><span>").next().unwrap().split("</span>").next().unwrap();
    let svg = from.split("</svg>").next().unwrap();
    let text = |from: &str, class: &str| {
        let (_, rest) = from.split_once(&format!("<text class=\"{class}\"")).unwrap_or_else(|| panic!("no {class} in {from}"));
        rest.split_once('>').unwrap().1.split('<').next().unwrap().to_owned()
    };
    let bar = |from: &str| {
        let part = |rect: &str| {
            let width = rect.split(" width=\"").nth(1).unwrap().split('"').next().unwrap();
            (rect.split('"').next().unwrap().to_owned(), number(width))
        };
        let figure = text(from, "figure");
        assert_eq!(figure, text(from, "figure inside"));
        let title = from.split("<title>").nth(1).unwrap().split("</title>").next().unwrap().to_owned();
        Bar { title, figure, parts: from.split("<rect class=\"area ").skip(1).map(part).collect() }
    };
    Some((caption.to_owned(), svg.split("<g>").skip(1).map(bar).collect()))
}

/// Each is as long as what it stands for, beside the others; what is there can be seen.
fn have_lengths(bars: &[Bar], derived: &[Vec<(&str, f64)>]) {
    assert_eq!(bars.len(), derived.len());
    let longest = derived.iter().map(|parts| parts.iter().map(|(_, part)| part).sum::<f64>()).fold(0.0, f64::max);
    let room = bars.iter().map(|bar| bar.parts.iter().map(|(_, width)| width).sum::<f64>()).fold(0.0, f64::max);
    assert!(room > 100.0, "nothing is drawn");
    for (bar, derived) in bars.iter().zip(derived) {
        let derived: Vec<_> = derived.iter().filter(|(_, part)| *part > 0.0).collect();
        assert_eq!(bar.parts.len(), derived.len(), "{}: {:?}, derived {derived:?}", bar.title, bar.parts);
        for ((class, width), (wanted, part)) in bar.parts.iter().zip(derived) {
            let length = (part / longest * room).max(1.5);
            assert!(class == wanted && (width - length).abs() <= 1.0, "{}: {class} {width}, derived {wanted} {length}", bar.title);
        }
    }
}

/// Who sees a part is told of how many.
fn says_of_how_many(caption: &str, all: usize, listed: usize, shown: usize) {
    let rest = if all > listed { format!("the first {listed} are in the table") } else { "the others are in the table".to_owned() };
    let wanted = (all > shown).then(|| format!("{shown} of {all}; {rest}"));
    let said = caption.split_once(" (").map(|(_, said)| said.trim_end_matches(')'));
    assert_eq!(said, wanted.as_deref(), "{caption}");
}

/// How many different ones of something the routes have that `of` names.
fn count(store: &Connection, what: &str, kind: &str, of: &str) -> usize {
    let sql = format!("SELECT count(DISTINCT {what}) FROM {kind}_minute m JOIN routes r ON r.id = m.route WHERE {of}");
    texts(store, &sql)[0][0].parse().unwrap()
}

/// Every chart of bars of a page about the routes that `of` names.
pub(super) fn are_right(page: &str, store: &Connection, of: &str) {
    let total = derive(store, "route", of).requests;
    for (chart, kind) in [("busiest", "route"), ("consumers-chart", "consumer")] {
        let Some((caption, bars)) = read(page, chart) else { continue };
        let mut parts = Vec::new();
        for bar in &bars {
            let name = bar.title.split_once(": ").unwrap().0;
            let condition = match kind {
                "route" => format!("r.route = '{name}'"),
                _ => format!("{of} AND m.consumer = (SELECT id FROM consumers WHERE consumer = '{name}')"),
            };
            let derived = derive(store, kind, &condition);
            let (requests, share) = bar.figure.split_once(" · ").unwrap();
            near(requests, derived.requests);
            near(share, derived.requests / total);
            let answered = derived.requests - derived.client - derived.server;
            parts.push(vec![("ok", answered), ("client", derived.client), ("server", derived.server)]);
        }
        have_lengths(&bars, &parts);
        let all = count(store, &format!("m.{kind}"), kind, of);
        assert_eq!(bars.len(), all.min(MOST.0));
        says_of_how_many(&caption, all, if kind == "consumer" { all.min(MOST.1) } else { all }, bars.len());
    }
    if let Some((caption, bars)) = read(page, "slowest-routes") {
        for bar in &bars {
            let route = bar.title.split([' ', ':']).next().unwrap();
            let derived = derive(store, "route", &format!("r.route = '{route}'"));
            near(bar.figure.strip_prefix("p95 ").unwrap(), derived.bins.quantile(0.95).unwrap());
        }
        let all = count(store, "m.route", "route", of);
        says_of_how_many(&caption, all, all, bars.len());
    }
    endpoints(page, store, of);
    plugins(page, store);
    budgets(page, store);
}

fn endpoints(page: &str, store: &Connection, of: &str) {
    let (caption, bars) = read(page, "endpoints-chart").unwrap();
    for bar in &bars {
        // `orders (v1) 10.0.0.1:80: p50 …`
        let name = bar.title.split_once(": ").unwrap().0;
        let (route, host) = (name.split(' ').next().unwrap(), name.rsplit(' ').next().unwrap());
        let endpoint = format!("r.route = '{route}' AND m.endpoint = (SELECT id FROM endpoints WHERE endpoint = 'http://{host}')");
        let derived = derive(store, "endpoint", &endpoint);
        let (p95, failed) = bar.figure.strip_prefix("p95 ").unwrap().split_once(" · ").unwrap();
        near(p95, derived.bins.quantile(0.95).unwrap());
        near(failed.strip_suffix(" 5xx").unwrap(), derived.server / derived.requests);
    }
    let all = count(store, "m.route * 1000 + m.endpoint", "endpoint", of);
    says_of_how_many(&caption, all, all, bars.len());
}

fn plugins(page: &str, store: &Connection) {
    let (caption, bars) = read(page, "plugins-chart").unwrap();
    let mut parts = Vec::new();
    for bar in &bars {
        let (plugin, digest) = bar.title.split_once(": ").unwrap().0.split_once(' ').unwrap();
        let sql = format!(
            "SELECT sum(calls), sum(calls * ns) / 1000 FROM (SELECT sum(calls) AS calls, 1.0 * sum(timed_ns) / sum(timed) AS ns FROM plugin_minute \
             WHERE plugin = (SELECT id FROM plugins WHERE plugin = '{plugin}' AND digest = '{digest}') GROUP BY hook)"
        );
        let row = texts(store, &sql).remove(0);
        let (calls, us) = (number(&row[0]), number(&row[1]));
        let (time, mean) = bar.figure.strip_suffix(" a call").unwrap().split_once(" · ").unwrap();
        near(time, us);
        near(mean, us / calls);
        parts.push(vec![("plugin", us)]);
    }
    have_lengths(&bars, &parts);
    says_of_how_many(&caption, 3, 3, bars.len());
}

/// Budgets of all objectives: those of the page are of one route.
fn budgets(page: &str, store: &Connection) {
    let (caption, bars) = read(page, "budgets-chart").unwrap();
    let sql = "SELECT name || ' of ' || route || ': ' || good || ' good of ' || total, 1 - (total - good) / ((1 - objective) * total) \
               FROM slos ORDER BY route, name";
    let held = texts(store, sql);
    let mut parts = Vec::new();
    for (bar, row) in bars.iter().zip(&held) {
        assert_eq!(bar.title, row[0]);
        let left = number(&row[1]);
        match bar.figure.strip_suffix(" % left") {
            Some(percent) => assert!((number(percent) - left * 100.0).abs() <= 0.5 && left > 0.0, "{}: {left}", bar.figure),
            None => assert!(bar.figure == "overspent" && left <= 0.0, "{}: {left}", bar.figure),
        }
        parts.push(if left > 0.0 { vec![("ok", left), ("used", 1.0 - left)] } else { vec![("server", 1.0)] });
    }
    have_lengths(&bars, &parts);
    assert!(parts.iter().any(|parts| parts.len() == 1) && parts.iter().any(|parts| parts.len() == 2), "some are spent, and some are not");
    assert_eq!((bars.len(), caption.as_str()), (held.len(), "Error budgets"));
}
