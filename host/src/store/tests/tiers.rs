//! What is counted is the same by minute, hour and day.

use super::*;

#[test]
fn counts_add_up_in_every_tier_whenever_they_are_rolled_up() {
    let folder = Folder::new("tiers");
    let mut writer = folder.writer(HOUR);
    // Two hours and a bit, in commits that share minutes.
    for minute in 0..130 {
        for _ in 0..2 {
            let mut part = pending(
                HOUR + 60 * minute,
                vec![
                    cell("orders", "mia", &[(200, None, 3), (502, Some(Fault::UpstreamReset), 1)], 2),
                    cell("orders", "ben", &[(404, None, 1)], 40),
                ],
            );
            part.add_plugins(
                HOUR + 60 * minute,
                &[PluginTally {
                    plugin: "auth".into(),
                    version: "abc".into(),
                    hook: "authorizer",
                    calls: 5,
                    failures: vec![("trap", 1), ("cpu", 0)],
                    timed: 1,
                    timed_ns: 400,
                    times: Bins::default(),
                }],
            );
            writer.write(&mut part, HOUR + 60 * minute).unwrap();
            assert!(part.is_empty());
        }
        // Not after every minute, as when a disk was full for a while.
        if minute % 7 == 0 {
            writer.roll_up(HOUR + 60 * minute).unwrap();
            assert!(!writer.roll_up(HOUR + 60 * minute).unwrap(), "once is enough");
        }
    }
    for tier in Tier::ALL {
        let tier = tier.as_str();
        for (column, wanted) in [
            ("sum(requests)", 1300),
            ("sum(client_errors)", 260),
            ("sum(server_errors)", 260),
            ("sum(request_bytes)", 1300),
            ("sum(response_bytes)", 13_000),
            ("sum(duration_us)", 260 * (4 * 2_000 + 40_000)),
            ("max(longest_us)", 40_000),
        ] {
            assert_eq!(folder.number(&format!("SELECT {column} FROM route_by_{tier}")), wanted, "{column} by {tier}");
        }
        assert_eq!(folder.number(&format!("SELECT sum(requests) FROM outcome_by_{tier} WHERE status = 502")), 260);
        assert_eq!(folder.number(&format!("SELECT sum(requests) FROM endpoint_by_{tier}")), 1300);
        let mia = format!(
            "SELECT sum(requests) FROM consumer_by_{tier} JOIN consumers c ON c.id = consumer_by_{tier}.consumer WHERE c.consumer = 'mia'"
        );
        assert_eq!(folder.number(&mia), 1040);
        assert_eq!(folder.number(&format!("SELECT sum(calls) FROM plugin_by_{tier}")), 1300);
        assert_eq!(folder.number(&format!("SELECT sum(failures) FROM plugin_failure_by_{tier} WHERE kind = 'trap'")), 260);
        let reader = Reader::open(&folder.file()).unwrap();
        let quantile = |share: f64| -> f64 {
            let sql = format!("SELECT latency_quantile(latency_sum(latency), ?1) FROM route_by_{tier}");
            reader.connection().query_row(&sql, [share], |row| row.get(0)).unwrap()
        };
        assert!((quantile(0.5) / 2_000.0 - 1.0).abs() < 0.021, "{tier}: {}", quantile(0.5));
        assert!((quantile(0.99) / 40_000.0 - 1.0).abs() < 0.021, "{tier}: {}", quantile(0.99));
    }
    assert_eq!(folder.number("SELECT count(DISTINCT at) FROM route_by_hour"), 3);
    assert_eq!(folder.number("SELECT count(*) FROM route_hour"), 3, "one row for each hour, however often it was added to");
}

#[test]
fn a_distribution_that_cannot_be_read_is_left_out_of_what_is_added_up() {
    let folder = Folder::new("unreadable");
    let mut writer = folder.writer(HOUR);
    let write = |writer: &mut Writer, minute: i64| {
        let at = HOUR + 60 * minute;
        writer.write(&mut pending(at, vec![cell("orders", "", &[(200, None, 3)], 2)]), at).unwrap();
    };
    (0..3).for_each(|minute| write(&mut writer, minute));
    writer.roll_up(HOUR + 60).unwrap();
    let broken = format!("UPDATE route_minute SET latency = x'6e6f' WHERE at = {HOUR} + 60; UPDATE route_day SET latency = x'05ff'");
    writer.connection().execute_batch(&broken).unwrap();
    assert_eq!(writer.take_left_out(), 0);
    write(&mut writer, 1);
    assert_eq!(writer.take_left_out(), 1, "more came for that minute");
    writer.roll_up(HOUR + 180).unwrap();
    assert_eq!(writer.take_left_out(), 1, "and for the day");
    assert_eq!(folder.number("SELECT requests FROM route_day"), 12);
    let reader = Reader::open(&folder.file()).unwrap();
    let median = |table: &str| -> Option<f64> {
        let sql = format!("SELECT latency_quantile(latency_sum(latency), 0.5) FROM {table}");
        reader.connection().query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert!(["route_hour", "route_day"].map(median).into_iter().all(|us| (us.unwrap() / 2_000.0 - 1.0).abs() < 0.021));
    writer.connection().execute_batch("UPDATE route_day SET latency = x'05ff'").unwrap();
    assert_eq!((median("route_day"), reader.take_left_out()), (None, 1));
}

#[test]
fn what_comes_for_a_minute_that_was_rolled_up_is_counted_where_it_belongs() {
    let folder = Folder::new("late");
    let mut writer = folder.writer(HOUR);
    let requests = |from: &str| folder.number(&format!("SELECT ifnull(sum(requests), 0) FROM {from}"));
    writer.write(&mut pending(HOUR + 60, vec![cell("orders", "", &[(200, None, 1)], 2)]), HOUR).unwrap();
    // The clock was a month ahead, and was set back.
    let ahead = HOUR + 30 * 86_400;
    writer.roll_up(ahead).unwrap();
    writer.write(&mut pending(ahead, vec![cell("orders", "", &[(200, None, 1)], 2)]), ahead).unwrap();
    for at in [HOUR + 60, HOUR + 120] {
        writer.write(&mut pending(at, vec![cell("orders", "mia", &[(200, None, 2)], 2)]), at).unwrap();
        writer.roll_up(at + 60).unwrap();
        writer.tidy(at + 60).unwrap();
    }
    for tier in Tier::ALL {
        let of_then = format!("route_by_{} WHERE at > {HOUR} - 86400 AND at <= {HOUR} + 120", tier.as_str());
        assert_eq!(requests(&of_then), 5, "by {tier:?}");
        assert_eq!(requests(&format!("consumer_by_{}", tier.as_str())), 4, "by {tier:?}");
        assert_eq!(requests(&format!("route_by_{} WHERE at > {HOUR} + 86400", tier.as_str())), 1, "by {tier:?}");
    }
    assert_eq!(requests(&format!("route_minute WHERE at = {HOUR} + 60")), 3);
    assert_eq!(requests(&format!("route_hour WHERE at = {HOUR}")), 5);
}
