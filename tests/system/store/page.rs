//! Every number of the page, derived again: by SQL of its own over the minutes alone, with sketches read by a second hand.

mod bars;
mod charts;
mod seeded;
mod short;
mod shown;

use std::time::SystemTime;

use plugway::store::seconds;
use plugway_harness::temp::TempDir;
use rusqlite::Connection;

use super::report;
use super::sketch::Bins;
use seeded::generate;

/// The values of a table of the page, by row.
fn table(page: &str, title: &str) -> Vec<Vec<String>> {
    let (_, from) = page.split_once(&format!("aria-label=\"{title}\"")).unwrap_or_else(|| panic!("the page has no table {title:?}"));
    let body = from.split("</table>").next().unwrap();
    let cells = |row: &str| row.split("data-value=\"").skip(1).map(|cell| cell.split('"').next().unwrap().to_owned()).collect();
    body.split("<tr>").skip(2).map(cells).collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is no number"))
}

/// Counts that the page shows beside each other, derived from rows of minutes.
#[derive(Default)]
struct Derived {
    requests: f64,
    client: f64,
    server: f64,
    us: f64,
    longest: f64,
    bytes: [f64; 2],
    bins: Bins,
}

impl Derived {
    /// The columns as the page has them; bytes only where that kind of row has them.
    fn columns(&self, bytes: bool) -> Vec<Option<f64>> {
        let any = (self.requests > 0.0).then_some(());
        let mut columns = vec![
            Some(self.requests),
            Some(self.client),
            Some(self.server),
            any.map(|()| self.server / self.requests),
            any.map(|()| self.us / self.requests),
            self.bins.quantile(0.5),
            self.bins.quantile(0.95),
            self.bins.quantile(0.99),
            any.map(|()| self.longest),
        ];
        if bytes {
            columns.extend(self.bytes.map(Some));
        }
        columns
    }
}

/// What is counted of the rows that a condition names; all of it by outcomes where it can be, so that columns are held against each other.
fn derive(store: &Connection, kind: &str, condition: &str) -> Derived {
    let bytes = if kind == "route" { "request_bytes, response_bytes" } else { "0, 0" };
    let sql = format!(
        "SELECT m.requests, client_errors, server_errors, duration_us, longest_us, {bytes}, latency FROM {kind}_minute m JOIN routes r ON r.id = m.route WHERE {condition}"
    );
    let mut derived = Derived::default();
    let mut statement = store.prepare(&sql).unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let at = |column: usize| row.get::<_, i64>(column).unwrap() as f64;
        derived.requests += at(0);
        derived.client += at(1);
        derived.server += at(2);
        derived.us += at(3);
        derived.longest = derived.longest.max(at(4));
        derived.bytes[0] += at(5);
        derived.bytes[1] += at(6);
        derived.bins.add(&row.get::<_, Vec<u8>>(7).unwrap());
    }
    assert_eq!(derived.bins.count(), derived.requests, "{kind} {condition}");
    derived
}

/// Holds figures of a page against derived ones.
fn same(shown: &[String], derived: &[Option<f64>], what: &str) {
    assert_eq!(shown.len(), derived.len(), "{what}: {shown:?}");
    for (shown, derived) in shown.iter().zip(derived) {
        match derived {
            None => assert_eq!(shown, "", "{what}"),
            Some(derived) => {
                assert!((number(shown) - derived).abs() <= derived.abs() * 1e-9, "{what}: the page says {shown}, the store {derived}")
            }
        }
    }
}

fn texts(store: &Connection, sql: &str) -> Vec<Vec<String>> {
    let mut statement = store.prepare(sql).unwrap();
    let columns = statement.column_count();
    let text = |row: &rusqlite::Row<'_>, column: usize| match row.get_ref(column).unwrap() {
        rusqlite::types::ValueRef::Null => String::new(),
        rusqlite::types::ValueRef::Integer(integer) => integer.to_string(),
        rusqlite::types::ValueRef::Real(real) => real.to_string(),
        other => other.as_str().unwrap().to_owned(),
    };
    let rows = statement.query_map([], |row| Ok((0..columns).map(|column| text(row, column)).collect())).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_number_of_the_page_is_what_the_store_holds() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("monitoring.db");
    generate(&file, seconds(SystemTime::now()), 1);
    let store = Connection::open(&file).unwrap();
    let page = report(&file, &["--since", "6h"]);
    all(&page, &store, "1", 60);
    let counts = ["Routes", "Endpoints", "Consumers", "Over time"].map(|title| table(&page, title).len());
    assert_eq!(counts[..3], [3, 4, 20]);
    assert!(counts[3] >= 300, "one point each minute");

    let page = report(&file, &["--since", "6h", "--api", "shop"]);
    all(&page, &store, "r.api = 'shop'", 60);
    assert_eq!(table(&page, "Routes").len(), 2);

    let page = report(&file, &["--since", "6h", "--route", "orders"]);
    all(&page, &store, "r.route = 'orders'", 60);
    assert!(!page.contains("aria-label=\"Routes\""), "one route needs no list of routes");
    // Nothing happened to it, nor to what serves it.
    assert!(report(&file, &["--since", "6h", "--route", "invoices"]).contains("<p class=\"none\">None was found.</p>"));
}

#[test]
fn hours_and_days_are_the_sums_of_their_minutes() {
    for (drawn_out, since, step) in [(4, "2d", 3_600), (200, "90d", 86_400)] {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("monitoring.db");
        generate(&file, seconds(SystemTime::now()), drawn_out);
        let store = Connection::open(&file).unwrap();
        let page = report(&file, &["--since", since]);
        all(&page, &store, "1", step);
        let points = table(&page, "Over time").len();
        assert!((15..=45).contains(&points), "{points} points since {since}");
        let page = report(&file, &["--since", since, "--api", "shop"]);
        all(&page, &store, "r.api = 'shop'", step);
    }
}

#[test]
fn a_page_says_what_has_changed_since_the_time_before() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("monitoring.db");
    generate(&file, seconds(SystemTime::now()), 1);
    let store = Connection::open(&file).unwrap();
    // There was nothing in the hour before the last two, and traffic before that.
    let page = report(&file, &["--since", "100m"]);
    let [from, until] = when(&page, &store);
    let of = |from: i64, until: i64| derive(&store, "route", &format!("at >= {from} AND at < {until}"));
    // Whole minutes, as many as cover the time it is about, which ends within one; counts by the second, since that makes it longer.
    let begun = texts(&store, &format!("SELECT {from} - 60 * (({until} - {from} + 59) / 60)")).remove(0).remove(0);
    let begun: i64 = begun.parse().unwrap();
    let (now, before) = (of(from, until), of(begun, from));
    assert!(before.requests > 0.0 && before.requests < now.requests);
    let [seconds, seconds_before] = [until - from, from - begun].map(|seconds| seconds as f64);
    for (tile, now, before) in [
        ("Requests", now.requests / seconds, before.requests / seconds_before),
        ("Server errors (5xx)", now.server / seconds, before.server / seconds_before),
        ("Half took less than", now.bins.quantile(0.5).unwrap(), before.bins.quantile(0.5).unwrap()),
        ("99 of 100 took less than", now.bins.quantile(0.99).unwrap(), before.bins.quantile(0.99).unwrap()),
    ] {
        let (_, note) = page.split_once(&format!("<dt>{tile}</dt>")).unwrap();
        let note = note.split("class=\"note\">").nth(1).unwrap().split('<').next().unwrap();
        let said = note.split(" against the ").next().unwrap();
        let (factor, text) = match said.strip_prefix('×') {
            Some(times) => (times.parse::<f64>().unwrap(), said),
            None => (1.0 + said.replace(['+', ' ', '%'], "").replace('−', "-").parse::<f64>().unwrap_or(0.0) / 100.0, said),
        };
        assert!((factor - now / before).abs() <= 0.006 * factor.max(1.0), "{tile}: {text:?}, {now} after {before}");
    }
}

#[test]
fn a_page_with_everything_on_it_needs_nothing_from_anywhere() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("monitoring.db");
    generate(&file, seconds(SystemTime::now()), 1);
    // Endpoints are called by their URLs, which are text.
    let page =
        ["http://10.0.0.1:80", "http://10.0.0.2:80"].iter().fold(report(&file, &["--since", "6h"]), |page, url| page.replace(url, ""));
    assert_eq!(page.matches("<svg ").count(), 9);
    for outside in ["http:", "https:", "//", "src=", "href=", "@import", "url(", "<link", "<script", "<img", "<iframe", "<object", "<use"] {
        assert!(!page.contains(outside), "{outside}: {page}");
    }
}

/// The time a page is about.
fn when(page: &str, store: &Connection) -> [i64; 2] {
    let mut times = page.split("<time datetime=\"").skip(1).map(|time| time.split('"').next().unwrap());
    std::array::from_fn(|_| store.query_row("SELECT unixepoch(?1)", [times.next().unwrap()], |row| row.get(0)).unwrap())
}

/// Every figure of a page, of the routes that a condition names, with a point for so many seconds.
fn all(page: &str, store: &Connection, of: &str, step: i64) {
    assert!(shown::texts_are_right(page) > 100);
    charts::are_right(page, store, of, step);
    bars::are_right(page, store, of);
    short::is_right(page, store, of);
    incidents_are_right(page, store);
    tiles(page, &derive(store, "route", of));
    for row in table(page, "Over time") {
        let at = format!("{of} AND at >= unixepoch('{0}') AND at < unixepoch('{0}') + {step}", row[0]);
        same(&row[1..], &derive(store, "route", &at).columns(true), &row[0]);
    }
    let routes = if page.contains("aria-label=\"Routes\"") { table(page, "Routes") } else { Vec::new() };
    for row in routes {
        let route = format!("r.route = '{}' AND r.api = '{}' AND r.version = '{}'", row[0], row[1], row[2]);
        same(&row[3..], &derive(store, "route", &route).columns(true), &route);
    }
    for row in table(page, "Endpoints") {
        let endpoint = format!(
            "r.route = '{}' AND r.version = '{}' AND m.endpoint = (SELECT id FROM endpoints WHERE endpoint = '{}')",
            row[0], row[1], row[2]
        );
        same(&row[3..], &derive(store, "endpoint", &endpoint).columns(false), &endpoint);
    }
    for row in table(page, "Consumers") {
        let consumer = format!("{of} AND m.consumer = (SELECT id FROM consumers WHERE consumer = '{}')", row[0]);
        let routes: i64 = store
            .query_row(
                &format!(
                    "SELECT count(DISTINCT route) FROM consumer_minute m JOIN routes r ON r.id = m.route WHERE {}",
                    consumer.replace("route.", "r.")
                )
                .replace("DISTINCT route", "DISTINCT m.route"),
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(row[1], routes.to_string(), "{consumer}");
        same(&row[2..], &derive(store, "consumer", &consumer).columns(false), &consumer);
    }
    let most = format!(
        "SELECT sum(m.requests) FROM consumer_minute m JOIN routes r ON r.id = m.route WHERE {of} GROUP BY m.consumer ORDER BY 1 DESC LIMIT 20"
    );
    let shown: Vec<_> = table(page, "Consumers").iter().map(|row| vec![row[2].clone()]).collect();
    assert_eq!(shown, texts(store, &most), "those with most requests");
    let total = derive(store, "route", of).requests;
    let outcomes = format!("FROM outcome_minute o JOIN routes r ON r.id = o.route JOIN faults f ON f.id = o.fault WHERE {of}");
    let statuses =
        texts(store, &format!("SELECT status, sum(requests), sum(requests) / {total:?} {outcomes} GROUP BY status ORDER BY status"));
    equal(&table(page, "Statuses"), &statuses, "Statuses");
    let faults = texts(
        store,
        &format!(
            "SELECT fault, blame, n, n / {total:?} FROM (SELECT f.fault, f.blame, sum(requests) AS n {outcomes} AND f.fault <> '' GROUP BY 1, 2) ORDER BY n DESC, fault, blame"
        ),
    );
    equal(&table(page, "Faults"), &faults, "Faults");
    let errors = texts(store, &format!("SELECT sum(requests) {outcomes} AND status >= 400"));
    assert_eq!(faults.iter().map(|row| number(&row[2])).sum::<f64>(), number(&errors[0][0]), "each error has its fault");
    plugins_are_right(page, store);
    let samples = |why: &str, order: &str| {
        let sql = format!(
            "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', at_us / 1000000, 'unixepoch'), request_id, r.route, method || ' ' || path, status, f.fault, duration_us, \
             upstream_us, attempts, endpoint, consumer FROM samples s JOIN routes r ON r.id = s.route JOIN faults f ON f.id = s.fault \
             WHERE why = '{why}' AND {of} ORDER BY {order} LIMIT 10"
        );
        texts(store, &sql)
    };
    equal(&table(page, "Slowest requests"), &samples("slow", "duration_us DESC, at_us"), "slow");
    equal(&table(page, "Latest failed requests"), &samples("failed", "at_us DESC, s.id DESC"), "failed");
    let slos = texts(
        store,
        "SELECT name, route, objective, window_seconds, 1.0 * good / total, total, \
         1 - (total - good) / ((1 - objective) * total) FROM slos ORDER BY route, name",
    );
    equal(&table(page, "Objectives"), &slos, "Objectives");
    let gaps = table(page, "Gaps");
    let killed = texts(
        store,
        "SELECT strftime('%Y-%m-%dT%H:%M:%SZ', last_seen - 1, 'unixepoch'), strftime('%Y-%m-%dT%H:%M:%SZ', (SELECT max(started) FROM runs), 'unixepoch'), \
         (SELECT max(started) FROM runs) - last_seen + 1 FROM runs ORDER BY started LIMIT 1",
    );
    assert_eq!(gaps.len(), 1);
    assert_eq!(gaps[0][..3], killed[0][..]);
    for (number, shown) in texts(store, "SELECT title, evidence FROM incidents").iter().enumerate() {
        assert!(page.contains(&shown[0]), "{number}");
        assert!(page.contains(&format!("<dt>errors</dt><dd>{number}</dd>")));
    }
}

fn plugins_are_right(page: &str, store: &Connection) {
    // Plugins of a gateway are not its routes'.
    let title = if page.contains("Gateway report") { "Plugins" } else { "Plugins of the whole gateway" };
    let shown = table(page, title);
    assert_eq!(shown.len(), 3);
    for row in shown {
        let of = format!("plugin = (SELECT id FROM plugins WHERE plugin = '{}' AND digest = '{}')", row[0], row[1]);
        let one = |sql: String| store.query_row(&sql, [], |row| row.get::<_, f64>(0)).unwrap();
        let calls = one(format!("SELECT 1.0 * sum(calls) FROM plugin_minute WHERE {of}"));
        assert_eq!(number(&row[2]), calls);
        assert_eq!(number(&row[3]), one(format!("SELECT 1.0 * sum(failures) FROM plugin_failure_minute WHERE {of}")));
        let kinds =
            texts(store, &format!("SELECT kind || ' ' || sum(failures) FROM plugin_failure_minute WHERE {of} GROUP BY kind ORDER BY kind"));
        assert_eq!(row[4], kinds.concat().join(", "));
        // Each hook has a mean of its own.
        let hooks = texts(store, &format!("SELECT sum(calls), sum(timed), sum(timed_ns) FROM plugin_minute WHERE {of} GROUP BY hook"));
        let us: f64 = hooks.iter().map(|hook| number(&hook[0]) * number(&hook[2]) / number(&hook[1]) / 1e3).sum();
        assert!((number(&row[7]) / us - 1.0).abs() < 1e-9, "{row:?}: {us}");
        assert!((number(&row[5]) * calls / us - 1.0).abs() < 1e-9, "{row:?}");
        let mut bins = Bins::default();
        let mut statement = store.prepare(&format!("SELECT latency FROM plugin_minute WHERE {of}")).unwrap();
        let blobs = statement.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        blobs.for_each(|blob| bins.add(&blob.unwrap()));
        assert!((number(&row[6]) * 1e3 / bins.quantile(0.99).unwrap() - 1.0).abs() < 1e-9, "{row:?}");
    }
}

/// Incidents stand in articles of their own: when each began, how long it lasted, and its evidence.
fn incidents_are_right(page: &str, store: &Connection) {
    let articles: Vec<&str> =
        page.split("<article class=\"incident").skip(1).map(|from| from.split("</article>").next().unwrap()).collect();
    let sql = "SELECT title, severity, strftime('%Y-%m-%d %H:%M:%S UTC', started, 'unixepoch'), \
               coalesce(strftime('%Y-%m-%d %H:%M:%S UTC', ended, 'unixepoch'), ''), (ended - started) / 60, cause, json_extract(evidence, '$.errors') FROM incidents";
    let held = texts(store, sql);
    assert_eq!(articles.len(), held.len());
    for row in held {
        let article =
            articles.iter().find(|article| article.contains(&format!("<h3>{}</h3>", row[0]))).unwrap_or_else(|| panic!("{row:?}"));
        let lasted = if row[3].is_empty() { String::new() } else { format!("until {} ({} min)", row[3], row[4]).replace("60 min", "1 h") };
        for said in [format!("· {} · since {},", row[1], row[2]).replace("· ", ""), lasted, row[5].clone(), format!("<dd>{}</dd>", row[6])]
        {
            assert!(article.replace("· ", "").contains(&said), "{said:?} is not in {article}");
        }
    }
}

fn tiles(page: &str, derived: &Derived) {
    let tile = |name: &str| {
        let (_, from) = page.split_once(&format!("<dt>{name}</dt><dd data-value=\"")).unwrap_or_else(|| panic!("no tile {name:?}"));
        number(from.split('"').next().unwrap())
    };
    let near = |shown: f64, derived: f64| assert!((shown - derived).abs() <= derived * 1e-9, "{shown} {derived}");
    near(tile("Requests"), derived.requests);
    near(tile("Server errors (5xx)"), derived.server);
    near(tile("Answered without a server error"), 1.0 - derived.server / derived.requests);
    near(tile("Half took less than"), derived.bins.quantile(0.5).unwrap());
    near(tile("95 of 100 took less than"), derived.bins.quantile(0.95).unwrap());
    near(tile("99 of 100 took less than"), derived.bins.quantile(0.99).unwrap());
    near(tile("Sent to clients"), derived.bytes[1]);
    let times: Vec<&str> = page.split("<time datetime=\"").skip(1).map(|time| time.split('"').next().unwrap()).collect();
    let length = Connection::open_in_memory().unwrap();
    let length: f64 = length.query_row("SELECT 1.0 * (unixepoch(?2) - unixepoch(?1))", [times[0], times[1]], |row| row.get(0)).unwrap();
    near(tile("Requests a second"), derived.requests / length);
}

/// Rows that are the same, numbers to what a float holds.
fn equal(shown: &[Vec<String>], derived: &[Vec<String>], what: &str) {
    assert_eq!(shown.len(), derived.len(), "{what}: {shown:?}\n{derived:?}");
    for (shown, derived) in shown.iter().zip(derived) {
        for (shown, derived) in shown.iter().zip(derived) {
            let close = matches!((shown.parse::<f64>(), derived.parse::<f64>()), (Ok(a), Ok(b)) if (a - b).abs() <= b.abs() * 1e-9);
            assert!(close || shown == derived || shown.replace(" (client left)", "") == *derived, "{what}: {shown:?} {derived:?}");
        }
    }
}
