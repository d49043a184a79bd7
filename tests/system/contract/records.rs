//! What an observer is told of an exchange, and what it is not told when it does not keep up.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use plugway_harness::client::reported;
use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use crate::common::{HEAD, json, metric, start, until, until_logged, wire};
use crate::guest::{config, holding, plugin, send, witness};

fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

/// What the witness wrote of the exchange with that id.
fn record(gateway: &Gateway, id: &str) -> BTreeMap<String, String> {
    let begin = format!("ended id={id} ");
    until_logged(gateway, &begin);
    let lines = gateway.log().lines();
    let line = lines.iter().find(|line| line.message().starts_with(&begin)).unwrap();
    let words = line.message().split(' ').filter_map(|word| word.split_once('='));
    words.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[track_caller]
fn assert_fields(record: &BTreeMap<String, String>, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(record.get(*name).map(String::as_str), Some(*value), "{name} of {record:#?}");
    }
}

#[test]
fn a_record_says_what_the_exchange_was() {
    let upstream = Upstream::plain("up").unwrap();
    let routes = "[[routes]]\nname = \"orders\"\nmatch = { path = \"/*\" }\napi = \"shop\"\nversion = \"v7\"\npublic = true\nupstream = \"up\"\n\
                  plugins = [{ plugin = \"witness\", config = { name = \"here\" } }]\n\
                  [[routes]]\nname = \"closed\"\nmatch = { path = \"/closed\" }\nupstream = \"up\"\nplugins = [\"witness\"]\n\
                  [[routes]]\nname = \"once\"\nmatch = { path = \"/once\" }\npublic = true\nupstream = \"up\"\nplugins = [\"limit\", \"witness\"]\n\
                  [plugins.limit]\nsource = \"builtin:rate-limit\"\ngrants = { rate-limit = {} }\n\
                  config = { limits = [{ name = \"one\", key = \"route\", requests = 1, period = \"1h\" }] }\n";
    let text = config(&upstream, &[&plugin("witness", witness(), "", ""), routes]);
    let gateway = start(&format!("trusted_proxies = [\"127.0.0.1\"]\n{text}"));
    let mut client = crate::common::web(&gateway);

    let before = now();
    let request = "POST /some/where HTTP/1.1\nhost: Shop.example:8080\nx-forwarded-for: 192.0.2.7\nx-request-id: the-first\n\
                   traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\ncontent-length: 5\n\nhello";
    client.send(wire(request)).unwrap();
    let response = client.response().unwrap();
    let took = now() - before;
    assert_eq!(reported(&json(&response), "x-request-id"), ["the-first"]);
    let first = record(&gateway, "the-first");
    let (url, sent) = (upstream.url(), response.body.len().to_string());
    assert_fields(
        &first,
        &[
            ("trace", "4bf92f3577b34da6a3ce929d0e0e4736"),
            ("method", "POST"),
            ("host", "shop.example"),
            ("route", "orders"),
            ("api", "shop"),
            ("version", "v7"),
            ("status", "200"),
            ("fault", "none"),
            ("blame", "none"),
            ("consumer", "none"),
            ("client", "192.0.2.7"),
            ("endpoint", &url),
            ("attempts", "1"),
            ("in", "5"),
            ("out", &sent),
            ("protocol", "http/1.1"),
            // For versions to come.
            ("extra", "0"),
            ("observer", "here"),
        ],
    );
    let number = |name: &str| first[name].parse::<u64>().unwrap();
    assert!((before..before + took).contains(&number("received")), "{first:#?}");
    assert!(number("upstream") > 0 && number("upstream") <= number("took") && number("took") <= took / 1_000, "{first:#?} in {took} ns");

    for (path, behave, id, expected) in [
        ("/", "/close", "the-second", [("status", "502"), ("fault", "upstream-reset"), ("blame", "upstream"), ("endpoint", "none")]),
        ("/closed", "-", "the-third", [("status", "401"), ("fault", "denied"), ("blame", "client"), ("attempts", "0")]),
        ("/", "/status/503", "the-fourth", [("status", "503"), ("fault", "upstream-status"), ("blame", "upstream"), ("endpoint", &*url)]),
        ("/", "/status/404", "the-fifth", [("status", "404"), ("fault", "upstream-status"), ("blame", "client"), ("endpoint", &*url)]),
        ("/once", "-", "the-sixth", [("status", "200"), ("fault", "none"), ("blame", "none"), ("attempts", "1")]),
        ("/once", "-", "the-seventh", [("status", "429"), ("fault", "plugin-status"), ("blame", "client"), ("attempts", "0")]),
    ] {
        send(&mut client, path, &[("x-behave", behave), ("x-request-id", id)]);
        let record = record(&gateway, id);
        assert_fields(&record, &expected);
        assert_eq!(record["trace"].len(), 32, "{record:#?}");
    }
}

/// Places of the observer on one route: as many records for each exchange.
const PLACES: usize = 16;
/// Batches that wait for the control thread, and records in each (`host/src/gateway/control.rs`, `host/src/proxy/records.rs`).
const QUEUE: usize = 64 * 256;

#[test]
fn records_that_find_the_queue_full_are_counted_and_no_request_waits() {
    let upstream = Upstream::plain("up").unwrap();
    let many: Vec<String> = (0..PLACES).map(|number| format!("{{ plugin = \"holding\", config = {{ number = {number} }} }}")).collect();
    let route = |name: &str, plugins: &str| {
        format!(
            "[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}\" }}\npublic = true\nupstream = \"up\"\nplugins = [{plugins}]\n"
        )
    };
    let gateway = start(&format!(
        "{HEAD}[upstreams.up]\nendpoints = [{:?}]\n{}{}{}[access_log]\nenabled = false\n",
        upstream.url(),
        plugin("holding", holding(), "", "grants = { kv = {} }\nbudget = { setup_cpu = \"120s\" }"),
        route("first", "{ plugin = \"holding\", config = { holds = true } }"),
        route("many", &many.join(", ")),
    ));
    let mut client = crate::common::web(&gateway);
    assert_eq!(send(&mut client, "/first", &[]).status, 200);
    until_logged(&gateway, "it holds");

    // Every one is answered while nobody takes records; a batch may be handed over before it is full, so these are more than there is room for.
    let exchanges = QUEUE / PLACES + 64;
    for _ in 0..exchanges {
        assert_eq!(send(&mut client, "/many", &[]).status, 200);
    }
    assert_eq!(send(&mut client, "/many", &[("x-release", "now")]).status, 200);

    let of_all = ((exchanges + 1) * PLACES + 1) as f64;
    let lost = || metric(&gateway, "plugway_records_lost_total", &[]);
    let told = || metric(&gateway, "plugway_plugin_told_total", &[]);
    until("every record is told or lost", || told() + lost() == of_all);
    assert!(lost() > 0.0 && told() > 1.0, "{} of {of_all} were lost", lost());
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0);
    assert_eq!(metric(&gateway, "plugway_requests_total", &["status=\"200\""]), (exchanges + 2) as f64);
}
