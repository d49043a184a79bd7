//! A real Prometheus scrapes the gateway, and evaluates the rules of `examples/monitoring`.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use plugway_harness::peers::PROMTOOL;
use plugway_harness::prometheus::Prometheus;
use plugway_harness::upstream::Upstream;

use crate::common::{Ends, HEAD, Refusing, admin, ask, metric, run, start, two_workers, until};

/// What is sent: path, how often, the route that it is counted at, and the status.
const LOAD: [(&str, u32, &str, u16); 4] =
    [("/orders", 40, "orders", 200), ("/items/1", 25, "items", 200), ("/gone", 10, "gone", 502), ("/nowhere", 7, "none", 404)];

fn config(upstream: &Upstream, gone: &Refusing) -> String {
    let route = |name: &str, path: &str, upstream: &str, more: &str| {
        format!("[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"{path}\" }}\npublic = true\nupstream = \"{upstream}\"\n{more}\n")
    };
    let fast = "slo = { latency = { under = \"250ms\", share = \"99%\" }, window = \"28d\" }";
    let slo = "slo = { availability = \"99.9%\", latency = { under = \"1ms\", share = \"99%\" }, window = \"28d\" }";
    two_workers(HEAD)
        + &format!("[upstreams.up]\nendpoints = [\"{}\"]\n", upstream.url())
        + &format!("[upstreams.gone]\nendpoints = [\"{}\"]\n", gone.url())
        + "[plugins.limit]\nsource = \"builtin:rate-limit\"\ngrants = { rate-limit = {} }\n"
        + "config = { limits = [{ name = \"all\", key = \"route\", requests = 100000, period = \"1s\" }] }\n"
        + &route("orders", "/orders", "up", "plugins = [\"limit\"]")
        + &route("items", "/items/*", "up", fast)
        + &route("gone", "/gone", "gone", slo)
}

#[test]
fn prometheus_counts_what_was_sent_and_its_rules_have_data() {
    let (upstream, gone) = (Upstream::plain("up").unwrap(), Refusing::new());
    let gateway = start(&config(&upstream, &gone));
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/monitoring/alerts.yml").canonicalize().unwrap();
    let prometheus = Prometheus::start(gateway.admin().unwrap(), &rules).unwrap();
    let now = |query: &str| run(prometheus.query(query)).unwrap_or_else(|error| panic!("{query}: {error}"));
    until("a scrape", || now("up{job=\"plugway\"}").iter().any(|(_, up)| *up == 1.0));

    for (path, times, _, status) in LOAD {
        for _ in 0..times {
            assert_eq!(ask(&gateway, &format!("GET {path} HTTP/1.1\nhost: a\n\n")).status, status, "{path}");
        }
    }
    let sent: u32 = LOAD.iter().map(|(_, times, ..)| times).sum();
    until("every request in Prometheus", || now("sum(plugway_requests_total)").iter().any(|(_, sum)| *sum == f64::from(sent)));
    for (_, times, route, status) in LOAD {
        let of_route = now(&format!("sum(plugway_requests_total{{route=\"{route}\",status=\"{status}\"}})"));
        assert_eq!(of_route.first().map(|(_, sum)| *sum), Some(f64::from(times)), "{route}");
        let timed = now(&format!("sum(plugway_request_duration_seconds_count{{route=\"{route}\"}})"));
        assert_eq!(timed.first().map(|(_, sum)| *sum), Some(f64::from(times)), "{route}");
    }

    let promised = now("sum by (slo) (plugway_slo_objective_ratio{route=\"gone\"})");
    assert_eq!(
        promised.iter().map(|(labels, share)| (labels["slo"].as_str().unwrap(), *share)).collect::<Vec<_>>(),
        [("availability", 0.999), ("latency", 0.99)]
    );
    assert_eq!(now("plugway_slo_window_seconds")[0].1, 28.0 * 86_400.0);
    assert_eq!(now("plugway_slo_broken_total{slo=\"availability\"}")[0].1, 10.0);
    // Too slow are those that are in no bucket up to the limit; on a busy machine others may be.
    for _ in 0..3 {
        assert_eq!(ask(&gateway, "GET /items/1 HTTP/1.1\nhost: a\nx-behave: /slow/400\n\n").status, 200);
    }
    let of_items = |metric: &str| now(metric).iter().map(|(_, value)| *value).sum::<f64>();
    until("slow answers in Prometheus", || of_items("plugway_slo_requests_total{route=\"items\",slo=\"latency\"}") == 28.0);
    let slow = of_items(
        "plugway_request_duration_seconds_count{route=\"items\"} - on(route) plugway_request_duration_seconds_bucket{route=\"items\",le=\"0.25\"}",
    );
    assert_eq!(of_items("plugway_slo_broken_total{route=\"items\",slo=\"latency\"}"), slow);
    assert!((3.0..28.0).contains(&slow), "{slow}");
    // More of it while it looks, since a rate needs two scrapes with something between them. All of it fails: a thousand times what is promised.
    until("a burn rate", || {
        assert_eq!(ask(&gateway, "GET /gone HTTP/1.1\nhost: a\n\n").status, 502);
        now("plugway:slo_burn:rate5m{route=\"gone\",slo=\"availability\"}").iter().any(|(_, rate)| (rate - 1_000.0).abs() < 1.0)
    });
    until("an alert", || !now("ALERTS{alertname=\"PlugwaySloBurnsFast\",route=\"gone\"}").is_empty());

    let dashboard = std::fs::read_to_string(rules.with_file_name("dashboard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&dashboard).unwrap();
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "1m");
            queries += 1;
            until(&format!("data of {}: {query}", panel["title"]), || {
                ask(&gateway, "GET /orders HTTP/1.1\nhost: a\n\n");
                now(&query).iter().any(|(_, value)| value.is_finite())
            });
        }
    }
    assert!(queries > 10, "{dashboard:#}");

    let groups = run(prometheus.api("rules")).unwrap();
    let rules: Vec<_> = groups["groups"].as_array().unwrap().iter().flat_map(|group| group["rules"].as_array().unwrap()).collect();
    assert!(rules.len() > 20, "{groups:#}");
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule:#}");
    }
}

#[test]
fn promtool_finds_nothing_to_say_about_the_metrics() {
    let (upstream, gone) = (Upstream::plain("up").unwrap(), Refusing::new());
    let gateway = start(&config(&upstream, &gone));
    let loaded = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let ends = Ends(&loaded);
        threads.spawn(|| {
            while !loaded.load(Ordering::Relaxed) {
                for (path, ..) in LOAD {
                    ask(&gateway, &format!("GET {path} HTTP/1.1\nhost: a\n\n"));
                }
            }
        });
        until("every route has answered", || metric(&gateway, "plugway_requests_total", &["route=\"gone\""]) > 3.0);
        for _ in 0..3 {
            finds_nothing(&admin(&gateway, "/metrics"));
        }
        drop(ends);
    });
}

fn finds_nothing(metrics: &str) {
    assert!(metrics.contains("plugway_requests_total{") && metrics.contains("plugway_slo_broken_total{"), "{metrics}");
    let mut promtool = Command::new(PROMTOOL.find().unwrap());
    promtool.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut promtool = promtool.spawn().unwrap();
    promtool.stdin.take().unwrap().write_all(metrics.as_bytes()).unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success() && said.is_empty(), "{said}");
}
