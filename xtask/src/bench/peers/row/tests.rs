//! Rows, read and judged.

use super::*;
use crate::bench::scenario::SMALL;

fn round(cpu_us: f64, load_core: f64) -> Round {
    let sample = Sample {
        cpu_us,
        paced: 100.0,
        per_second: 1e6 / cpu_us,
        p50_us: 300.0,
        p99_us: 900.0,
        p999_us: 2_000.0,
        rss_bytes: 12_500_000,
        load_core,
        flood_load_core: 0.99,
        foreign: 0.0,
        answered: 10.0,
        kernel: Some(0.6),
    };
    Round { sample, quiet: true, repeats: 0, beside: Beside::default() }
}

fn origin(measured_at: &str) -> Origin {
    Origin { measured_at: measured_at.to_owned(), commit: "abc".to_owned(), processor: None }
}

/// nginx at 10 µs and every other row at twice that.
pub(in crate::bench) fn rows() -> Vec<Row> {
    let entries: Vec<Entry> = LINEUP.into_iter().filter(|entry| entry.workers == 1).collect();
    let nginx = [round(9.0, 0.5), round(10.0, 0.5), round(11.0, 0.5)];
    let other = [round(18.0, 0.5), round(20.0, 0.95), round(22.0, 0.5)];
    let rounds = entries.iter().map(|entry| if entry.name == "nginx" { nginx.to_vec() } else { other.to_vec() }).collect();
    let row = |(entry, rounds): (&Entry, Vec<Round>)| Row::new(*entry, SMALL, "1.0", origin("then"), 100.0, rounds);
    entries.iter().zip(beside(&entries, rounds)).map(row).collect()
}

/// A row of 3 rounds that counts.
pub(in crate::bench) fn in_scenario(name: &str, scenario: &str, cpu_us: f64) -> Row {
    let entry = LINEUP.into_iter().find(|entry| entry.name == name).unwrap();
    Row::new(entry, Scenario::named(scenario).unwrap(), "1.0", origin("then"), 100.0, vec![round(cpu_us, 0.5); 3])
}

/// A row that could not be asked at any rate.
pub(in crate::bench) fn left_out(name: &str, scenario: &str) -> Row {
    let Row { entry, scenario, version, origin, rate, .. } = in_scenario(name, scenario, 0.0);
    Row::new(entry, scenario, &version, origin, rate, Vec::new())
}

#[test]
fn who_was_left_out_says_so_and_has_no_numbers() {
    let envoy = left_out("Envoy", "connections-10000");
    assert_eq!((envoy.counts(), envoy.objection()), (false, Some(UNABLE)));
    let value = json(std::slice::from_ref(&envoy)).unwrap();
    assert_eq!(
        (value[0]["counts"].as_bool(), value[0]["cpu_us_per_request"].is_null(), value[0]["rss_mb"].is_null()),
        (Some(false), true, true)
    );
    let read = parse(&compact(&[envoy]).unwrap()).unwrap();
    assert_eq!(read.iter().map(Row::objection).collect::<Vec<_>>(), [Some(UNABLE)], "it is still known when the page is made");
}

#[test]
fn the_json_is_a_list_of_rows_with_flat_numbers() {
    let json = json(&rows()).unwrap();
    let row = json.as_array().unwrap().iter().find(|row| row["plugins"] == 10).unwrap();
    assert_eq!((row["name"].as_str(), row["scenario"].as_str()), (Some("plugway + 10 plugins"), Some("small")));
    let numbers = ["cpu_us_per_request", "requests_per_second", "p50_us", "p99_us", "rss_mb", "cpu_ratio_to_nginx"];
    let numbers = numbers.map(|name| row[name].as_f64().unwrap());
    assert_eq!(numbers, [20.0, 50_000.0, 300.0, 900.0, 12.5, 2.0]);
    assert_eq!((&row["cpu_us_per_request_interval"]["low"], &row["cpu_us_per_request_interval"]["high"]), (&json!(18.0), &json!(22.0)));
    assert_eq!((&row["cpu_us_per_plugin"], &row["cpu_ratio_to_envoy"]), (&json!(0.0), &json!(1.0)));
    assert!(row["cpu_ratio_to_one_worker"].is_null());
    assert_eq!((row["measured_at"].as_str(), row["commit"].as_str()), (Some("then"), Some("abc")));
    assert_eq!(row["rounds"].as_array().unwrap().len(), 3);
}

#[test]
fn what_a_plugin_adds_is_a_share_of_nginx() {
    let entries = ["nginx", "plugway", "plugway + 5 plugins"].map(|name| LINEUP.into_iter().find(|entry| entry.name == name).unwrap());
    let rounds = [10.0, 12.0, 14.5].map(|cpu| vec![round(cpu, 0.5); 3]).to_vec();
    let row = |(entry, rounds): (&Entry, Vec<Round>)| Row::new(*entry, SMALL, "1.0", origin("then"), 100.0, rounds);
    let rows: Vec<Row> = entries.iter().zip(beside(&entries, rounds)).map(row).collect();
    let share = |row: &Row| row.per_plugin_of_nginx().map(|estimate| estimate.median);
    assert_eq!(rows.iter().map(share).collect::<Vec<_>>(), [None, None, Some(5.0)]);
}

#[test]
fn a_row_at_another_rate_does_not_count() {
    let slow = || {
        let mut slow = round(10.0, 0.5);
        slow.sample.paced = 80.0;
        slow
    };
    let row = |rounds| Row::new(LINEUP[0], SMALL, "1.0", origin("then"), 100.0, rounds);
    let often = row(vec![round(10.0, 0.5), slow(), slow()]);
    assert_eq!((often.counts(), often.objection()), (false, Some("it answered less than it was asked for")));
    assert!(row(vec![round(10.0, 0.5), round(10.0, 0.5), slow()]).counts(), "the median is of rounds at the rate");
}

#[test]
fn a_row_whose_load_was_too_busy_does_not_count() {
    let rows = rows();
    assert!(rows[0].counts() && !rows[1].counts());
    assert!(!rows[0].flood_counts());
}

#[test]
fn rows_are_read_as_they_were_written() {
    let rows = rows();
    for text in [json(&rows).unwrap().to_string(), compact(&rows).unwrap()] {
        assert_eq!(compact(&parse(&text).unwrap()).unwrap(), compact(&rows).unwrap());
    }
    assert!(parse("{}").is_err());
    let gone = json(&rows[..1]).unwrap().to_string().replace("\"small\"", "\"of yesterday\"");
    assert!(parse(&gone).unwrap().is_empty(), "what this bench does not know is not kept");
}

#[test]
fn numbers_are_shortened() {
    assert_eq!(shorten(json!({ "a": [12.345_678, 0.000_123_456, 5, 1e6] })), json!({ "a": [12.346, 0.000_123_46, 5, 1_000_000] }));
}

#[test]
fn new_rows_take_the_place_of_old_ones() {
    let old = rows();
    let new = |name: &str| {
        let entry = LINEUP.into_iter().find(|entry| entry.name == name).unwrap();
        Row::new(entry, SMALL, "2.0", origin("now"), 100.0, vec![round(10.0, 0.5)])
    };
    let count = old.len();
    let merged = merge(old, vec![new("plugway (2 workers)"), new("Envoy")]);
    assert_eq!(merged.len(), count + 1);
    let at = |name: &str| merged.iter().find(|row| row.entry.name == name).map(|row| row.origin.measured_at.as_str());
    assert_eq!((at("Envoy"), at("nginx"), merged[0].entry.name), (Some("now"), Some("then"), "nginx"));
}
