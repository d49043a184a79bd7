use std::time::Duration;

use http::Method;

use super::*;
use crate::config::model::LatencyObjective;
use crate::fault::{ErrorCause, Fault};

fn lines(telemetry: &Telemetry, of: &str) -> Vec<String> {
    let text = String::from_utf8(telemetry.render()).unwrap();
    text.lines().filter(|line| line.starts_with(of)).map(str::to_owned).collect()
}

#[test]
fn requests_of_all_workers_add_up_and_survive_a_reload() {
    let telemetry = Telemetry::new().unwrap();
    for worker in [0, 1] {
        // As a reload does: the cells are asked for again.
        for _ in 0..2 {
            let orders = telemetry.worker(worker).route("orders", Some("shop"), Some("v1"));
            orders.started();
            orders.finished(&Method::GET, false, 200, None, Duration::from_millis(2));
        }
    }
    let invented = Method::from_bytes(b"BREW").unwrap();
    let none = telemetry.worker(0).route("none", None, None);
    none.started();
    none.finished(&invented, false, 404, Some(ErrorCause::Fault(Fault::NoRoute)), Duration::ZERO);
    none.refused(Fault::MalformedRequest);
    assert_eq!(
        lines(&telemetry, "plugway_requests_total{"),
        [
            "plugway_requests_total{route=\"none\",api=\"\",version=\"\",method=\"other\",status=\"400\",fault=\"malformed-request\",blame=\"client\"} 1",
            "plugway_requests_total{route=\"none\",api=\"\",version=\"\",method=\"other\",status=\"404\",fault=\"no-route\",blame=\"client\"} 1",
            "plugway_requests_total{route=\"orders\",api=\"shop\",version=\"v1\",method=\"GET\",status=\"200\",fault=\"\",blame=\"\"} 4",
        ]
    );
    assert!(lines(&telemetry, "plugway_requests_in_flight{").iter().all(|line| line.ends_with(" 0")));
    let durations = lines(&telemetry, "plugway_request_duration_seconds");
    assert!(
        durations
            .contains(&"plugway_request_duration_seconds_bucket{route=\"orders\",api=\"shop\",version=\"v1\",le=\"0.001\"} 0".to_owned()),
        "{durations:#?}"
    );
    assert!(
        durations
            .contains(&"plugway_request_duration_seconds_bucket{route=\"orders\",api=\"shop\",version=\"v1\",le=\"0.0025\"} 4".to_owned()),
        "{durations:#?}"
    );
}

#[test]
fn a_route_that_nothing_names_any_more_is_forgotten_after_a_while() {
    let telemetry = Telemetry::new().unwrap();
    for worker in [0, 1] {
        let route = telemetry.worker(worker).route("orders-v1", None, None);
        route.started();
        route.finished(&Method::GET, false, 200, None, Duration::ZERO);
        telemetry.worker(worker).upstream("orders-v1").attempt(None);
    }
    let series = || {
        ["requests_total", "request_duration_seconds_count", "upstream_attempts_total"]
            .map(|name| lines(&telemetry, &format!("plugway_{name}{{")).len())
    };
    let began = Instant::now();
    telemetry.forget_unnamed(began);
    assert_eq!(series(), [1, 1, 1]);
    telemetry.forget_unnamed(began + listed::LISTED);
    assert_eq!(series(), [0, 0, 0]);
    let by_worker = [0, 1].map(|worker| format!("plugway_worker_requests_total{{worker=\"{worker}\"}} 1"));
    assert_eq!(lines(&telemetry, "plugway_worker_requests_total{"), by_worker, "what is added up does not fall");
}

#[test]
fn faults_attempts_connections_and_hooks_are_shown() {
    let telemetry = Telemetry::new().unwrap();
    let worker = telemetry.worker(0);
    worker.fault(Fault::NoRoute);
    worker.upstream("orders").attempt(None);
    worker.upstream("orders").attempt(Some(Fault::UpstreamTimeout));
    worker.event_loop_lag(Late { by: Duration::from_micros(1500), busy: Duration::from_micros(400), during: During::Requests });
    let listener = worker.listener("web");
    let open = listener.opened();
    let plugin = telemetry.plugin(&"auth".into(), &"0123456789abcdef".into(), None, 0, &["authorizer"], &["trap", "cpu"]);
    plugin.instance_started();
    plugin.called(0);
    assert!(plugin.begins(0).is_some(), "the first call is one whose time is taken");
    plugin.took(0, Duration::from_millis(250));
    plugin.failed(0, 1);
    let elsewhere = telemetry.plugin(&"auth".into(), &"0123456789abcdef".into(), None, 1, &["authorizer"], &["trap", "cpu"]);
    for cells in [&plugin, &elsewhere] {
        cells.breaker_opened(0, false, false);
        cells.breaker_opened(0, true, true);
    }
    elsewhere.breaker_closed(0);
    for line in [
        "plugway_faults_total{blame=\"client\",fault=\"no-route\"} 1",
        "plugway_upstream_attempts_total{fault=\"\",upstream=\"orders\"} 1",
        "plugway_upstream_attempts_total{fault=\"upstream-timeout\",upstream=\"orders\"} 1",
        "plugway_connections_open{listener=\"web\",worker=\"0\"} 1",
        "plugway_hook_calls_total{hook=\"authorizer\",plugin=\"auth\"} 1",
        "plugway_hook_failures_total{hook=\"authorizer\",kind=\"cpu\",plugin=\"auth\"} 1",
        "plugway_instances{plugin=\"auth\",version=\"0123456789ab\"} 1",
        "plugway_hook_timed_calls_total{hook=\"authorizer\",plugin=\"auth\"} 1",
        "plugway_hook_timed_seconds_total{hook=\"authorizer\",plugin=\"auth\"} 0.25",
        "plugway_version_calls_total{hook=\"authorizer\",plugin=\"auth\",version=\"0123456789ab\"} 1",
        "plugway_version_failures_total{hook=\"authorizer\",kind=\"cpu\",plugin=\"auth\",version=\"0123456789ab\"} 1",
        "plugway_version_timed_calls_total{hook=\"authorizer\",plugin=\"auth\",version=\"0123456789ab\"} 1",
        "plugway_version_timed_seconds_total{hook=\"authorizer\",plugin=\"auth\",version=\"0123456789ab\"} 0.25",
        "plugway_breakers_open{hook=\"authorizer\",plugin=\"auth\"} 1",
        "plugway_breakers_opened_total{hook=\"authorizer\",plugin=\"auth\"} 4",
        "plugway_worker_event_loop_lag_seconds_bucket{worker=\"0\",le=\"0.001\"} 0",
        "plugway_worker_event_loop_lag_seconds_bucket{worker=\"0\",le=\"0.002\"} 1",
        "plugway_worker_event_loop_busy_seconds_bucket{worker=\"0\",le=\"0.0005\"} 1",
    ] {
        assert!(lines(&telemetry, line).len() == 1, "{line} in\n{}", String::from_utf8_lossy(&telemetry.render()));
    }
    plugin.breaker_closed(0);
    assert_eq!(lines(&telemetry, "plugway_breakers_open{"), ["plugway_breakers_open{hook=\"authorizer\",plugin=\"auth\"} 0"]);
    drop(open);
    assert_eq!(lines(&telemetry, "plugway_connections_open{"), ["plugway_connections_open{listener=\"web\",worker=\"0\"} 0"]);
    let status = telemetry.worker(0).status();
    assert_eq!((&status["event_loop_lag_max_us"], &status["event_loop_busy_max_us"]), (&1500.into(), &400.into()));
    // A version that has ended leaves what it counted to its plugin, and no instances.
    drop((plugin, elsewhere));
    telemetry.plugin_tallies(&mut PluginTallies::default());
    assert!(lines(&telemetry, "plugway_hook_timed_seconds_total{")[0].ends_with(" 0.25"));
    assert_eq!(lines(&telemetry, "plugway_instances{"), [""; 0]);
    assert_eq!(lines(&telemetry, "plugway_version_"), [""; 0], "series of versions do not add up for ever");
}

#[test]
fn two_versions_are_told_apart_and_a_counter_of_one_that_serves_never_falls() {
    let telemetry = Telemetry::new().unwrap();
    let name: Arc<str> = "auth".into();
    let cells = |digest: &str, trial: bool| {
        let version = trial.then(|| PluginVersion { digest: digest.into(), is_shadow: false });
        telemetry.plugin(&name, &digest.into(), version.as_ref(), 0, &["authorizer"], &["trap"])
    };
    let calls = || {
        let all = lines(&telemetry, "plugway_version_calls_total{");
        all.iter().filter_map(|line| line.split_once("version=\"")).map(|(_, rest)| rest.to_owned()).collect::<Vec<_>>()
    };
    // While both serve, on trial; then the new one alone.
    let (old, new) = (cells("a", true), cells("b", true));
    (0..3).for_each(|_| old.called(0));
    (0..2).for_each(|_| new.called(0));
    assert_eq!(calls(), ["a\"} 3", "b\"} 2"]);
    let promoted = cells("b", false);
    promoted.called(0);
    drop((old, new));
    telemetry.end_versions();
    assert_eq!(calls(), ["b\"} 3"]);
    assert_eq!(lines(&telemetry, "plugway_hook_calls_total{"), ["plugway_hook_calls_total{hook=\"authorizer\",plugin=\"auth\"} 6"]);
}

#[test]
fn no_counter_of_a_plugin_falls_when_a_version_or_its_shadow_ends() {
    let telemetry = Telemetry::new().unwrap();
    let name: Arc<str> = "auth".into();
    let shadow = PluginVersion { digest: "b".into(), is_shadow: true };
    let worked = |digest: &str, version: Option<&PluginVersion>| {
        let cells = telemetry.plugin(&name, &digest.into(), version, 0, &["authorizer"], &["trap"]);
        cells.instance_started();
        cells.called(0);
        cells.took(0, Duration::from_millis(250));
        cells.failed(0, 0);
        cells.wasted(Duration::from_millis(500));
        cells.outlived();
        cells.outcomes_lost(3);
        cells.breaker_opened(0, false, false);
        cells
    };
    // Those of versions are there for as long as the version is.
    let counters = || {
        let mut all = lines(&telemetry, "plugway_");
        all.retain(|line| line.contains("_total{") && line.contains("plugin=\"auth\"") && !line.contains("version="));
        all
    };
    let serving = worked("a", None);
    let before = counters();
    for (counter, value) in [
        ("plugway_breakers_opened_total{hook=\"authorizer\",plugin=\"auth\"}", "1"),
        ("plugway_failed_cpu_seconds_total{plugin=\"auth\"}", "0.5"),
        ("plugway_hook_calls_outlived_total{plugin=\"auth\"}", "1"),
        ("plugway_hook_calls_total{hook=\"authorizer\",plugin=\"auth\"}", "1"),
        ("plugway_hook_failures_total{hook=\"authorizer\",kind=\"trap\",plugin=\"auth\"}", "1"),
        ("plugway_hook_timed_calls_total{hook=\"authorizer\",plugin=\"auth\"}", "1"),
        ("plugway_hook_timed_seconds_total{hook=\"authorizer\",plugin=\"auth\"}", "0.25"),
        ("plugway_instances_started_total{plugin=\"auth\"}", "1"),
        ("plugway_outcomes_lost_total{plugin=\"auth\"}", "3"),
    ] {
        assert!(before.contains(&format!("{counter} {value}")), "{counter} {value} is not among {before:#?}");
    }
    // What answers nobody adds nothing, and takes nothing away when it ends.
    let beside = worked("b", Some(&shadow));
    assert_eq!(counters(), before);
    drop(beside);
    telemetry.end_versions();
    assert_eq!(counters(), before);
    // Nor does the version that served: what it counted stays.
    drop(serving);
    telemetry.end_versions();
    assert_eq!(counters(), before);
}

#[test]
fn upstreams_are_read_once_for_all_that_is_told_of_them() {
    #[derive(Debug, Default)]
    struct Counting(std::sync::atomic::AtomicU64);
    impl Pools for Counting {
        fn read(&self) -> Vec<PoolReading> {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            vec![PoolReading { upstream: "orders".into(), endpoints: 5, available: 4, connections: 3, idle: 2, in_flight: 1 }]
        }
    }
    let telemetry = Telemetry::new().unwrap();
    assert_eq!(lines(&telemetry, "plugway_upstream_"), [""; 0]);
    let pools = Arc::new(Counting::default());
    telemetry.watch_upstreams(Arc::downgrade(&pools) as _);
    assert_eq!(
        lines(&telemetry, "plugway_upstream_"),
        [
            "plugway_upstream_connections_idle{upstream=\"orders\"} 2",
            "plugway_upstream_connections_open{upstream=\"orders\"} 3",
            "plugway_upstream_endpoints{upstream=\"orders\"} 5",
            "plugway_upstream_endpoints_available{upstream=\"orders\"} 4",
            "plugway_upstream_requests_in_flight{upstream=\"orders\"} 1",
        ]
    );
    assert_eq!(pools.0.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn every_error_says_whose_it_was_and_an_answer_that_broke_off_breaks_a_promise() {
    let telemetry = Telemetry::new().unwrap();
    let route = telemetry.worker(0).route("orders", None, None);
    telemetry.promise(&BTreeMap::from([("orders", Slo { availability: Some(0.999), latency: None, days: 30 })]));
    let ended = |status, cause| {
        route.started();
        route.finished(&Method::GET, false, status, cause, Duration::from_micros(70));
    };
    ended(200, None);
    ended(200, Some(ErrorCause::Fault(Fault::UpstreamBodyFailed)));
    ended(499, Some(ErrorCause::Fault(Fault::ClientGone)));
    ended(404, Some(ErrorCause::Upstream));
    ended(503, Some(ErrorCause::Upstream));
    ended(429, Some(ErrorCause::Plugin));
    ended(500, Some(ErrorCause::Plugin));
    let text = String::from_utf8(telemetry.render()).unwrap();
    for (status, fault, blame) in [
        (200, "", ""),
        (200, "upstream-body-failed", "upstream"),
        (499, "client-gone", "client"),
        (404, "upstream-status", "client"),
        (503, "upstream-status", "upstream"),
        (429, "plugin-status", "client"),
        (500, "plugin-status", "plugin"),
    ] {
        let labels = [format!("status=\"{status}\""), format!("fault=\"{fault}\""), format!("blame=\"{blame}\"")];
        let has_all = |line: &&str| line.starts_with("plugway_requests_total{") && labels.iter().all(|label| line.contains(label));
        let line = text.lines().find(has_all).unwrap_or_else(|| panic!("{labels:?}\n{text}"));
        assert!(line.ends_with(" 1"), "{line}");
    }
    let value = |name: &str| text.lines().find(|line| line.starts_with(&format!("{name}{{"))).and_then(|line| line.rsplit(' ').next());
    assert_eq!((value("plugway_slo_requests_total"), value("plugway_slo_broken_total")), (Some("7"), Some("3")));
    let below = |bound: &str| text.lines().any(|line| line.contains(&format!("le=\"{bound}\"")) && line.ends_with(" 7"));
    assert!(below("0.0001") && below("60") && text.contains("le=\"0.00005\""), "{text}");
    // The route is gone from the configuration, and what was promised of it with it.
    telemetry.promise(&BTreeMap::new());
    let text = String::from_utf8(telemetry.render()).unwrap();
    assert!(!text.contains("plugway_slo_objective_ratio{") && !text.contains("plugway_slo_broken_total{"), "{text}");
}

#[test]
fn a_promise_of_latency_is_broken_by_whatever_takes_longer() {
    let telemetry = Telemetry::new().unwrap();
    let latency = Some(LatencyObjective { under: Duration::from_millis(1), share: 0.99 });
    let promise = Slo { availability: None, latency, days: 30 };
    for worker in [0, 1] {
        let route = telemetry.worker(worker).route("orders", Some("shop"), Some("v1"));
        telemetry.promise(&BTreeMap::from([("orders", promise)]));
        for (status, us) in [(200, 3), (200, 1_000), (200, 1_001), (404, 2_000), (503, 60_000_000), (503, 999)] {
            route.started();
            let cause = (status >= 400).then_some(ErrorCause::Upstream);
            route.finished(&Method::GET, false, status, cause, Duration::from_micros(us));
        }
    }
    let of = |name: &str| lines(&telemetry, &format!("plugway_slo_{name}{{"));
    let labels = "api=\"shop\",route=\"orders\",slo=\"latency\",version=\"v1\"";
    for (name, value) in [("broken_total", "6"), ("requests_total", "12"), ("objective_ratio", "0.99"), ("window_seconds", "2592000")] {
        assert_eq!(of(name), [format!("plugway_slo_{name}{{{labels}}} {value}")]);
    }
}

#[test]
fn series_past_the_limit_are_folded_into_one_and_counted() {
    let telemetry = Telemetry::new().unwrap();
    let worker = telemetry.worker(0);
    let routes: Vec<_> = (0..10_003).map(|number| worker.route(&Arc::from(format!("route-{number}")), None, None)).collect();
    let of = |name: &str| lines(&telemetry, name);
    assert_eq!(of("plugway_requests_in_flight{").len(), 10_001);
    assert!(of("plugway_requests_in_flight{").iter().any(|line| line.contains("otel_metric_overflow=\"true\"")));
    // With the one that stands for requests without a route, if it is there.
    let folded = || of("plugway_series_folded").pop().unwrap();
    assert_eq!(folded(), format!("plugway_series_folded {}", routes.len() - 10_000));

    // Those of a plugin's instrument too, each of them once however many threads record it; and those of what is no whole number.
    let (instruments, plugin) = (telemetry.instruments(), Arc::<str>::from("p"));
    let used = instruments.of_plugin(&plugin);
    let seen = instruments.declare(&used, InstrumentKind::Counter, "seen", "", &["who".to_owned()], &[]).unwrap();
    for who in 0..10_005 {
        for thread in [0, 1] {
            assert!(seen.series(&plugin, &used, 20_000, thread, &[who.to_string()]).unwrap().record(1.0));
        }
    }
    assert_eq!(of("plugway_plugin_seen_total{").len(), 10_001);
    assert_eq!(folded(), format!("plugway_series_folded {}", 3 + 5));
    let promise = Slo { availability: Some(0.999), latency: None, days: 30 };
    telemetry.promise(&routes.iter().map(|route| (&*route.name, promise)).collect());
    assert_eq!(of("plugway_slo_objective_ratio{").len(), 10_001);
    // Of a promise there are two gauges, and two counters.
    assert_eq!(folded(), format!("plugway_series_folded {}", 3 + 5 + 4 * 3));
}
