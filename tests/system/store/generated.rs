//! The year that `cargo xtask conformance store-year` generates, of a few hours: its rows are what the store's tables take, and are reported.

use std::time::{Duration, SystemTime};

use plugway::config::model::Keep;
use plugway::store::seconds;
use plugway_harness::temp::TempDir;
use rusqlite::Connection;

use super::{json_report, year};

#[test]
fn what_a_years_measurement_generates_is_a_store_of_today() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("monitoring.db");
    let hour = Duration::from_secs(3_600);
    let keep = Keep { minutes: hour / 4, hours: 5 * hour, days: 72 * hour, samples: hour / 4 };
    let rows = year::write(&file, &year::Scale { routes: 7, values: 100, keep }, seconds(SystemTime::now()));
    let store = Connection::open(&file).unwrap();
    let number = |sql: &str| store.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let mut counted = 0;
    for tier in ["minute", "hour", "day"] {
        for kind in ["route", "outcome", "endpoint", "consumer", "plugin"] {
            let of_table = number(&format!("SELECT count(*) FROM {kind}_{tier}"));
            assert!(of_table > 0, "{kind} by {tier}");
            counted += of_table;
        }
    }
    assert_eq!(u64::try_from(counted).unwrap(), rows);
    for (words, routes) in [(&[][..], 7), (&["--api", "api-00"][..], 4), (&["--route", "route-002"][..], 1)] {
        let report = json_report(&file, &[&["--since", "60h"], words].concat());
        let of_time = format!("at >= {}", report["from"]);
        let requests = number(&format!("SELECT sum(requests) FROM route_day WHERE {of_time}"));
        assert_eq!(report["totals"]["requests"].as_i64().unwrap(), requests / 7 * routes, "{words:?}");
        let plugin = &report["plugins"][0];
        let calls = number(&format!("SELECT sum(calls) FROM plugin_day WHERE {of_time}"));
        assert_eq!(plugin["calls"].as_i64().unwrap(), calls, "{plugin:#}");
        assert!(plugin["p99_ns"].as_f64().unwrap() > 500.0, "{plugin:#}");
        assert_eq!(report["slowest"].as_array().unwrap().len(), 10);
    }
}
