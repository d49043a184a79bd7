use std::time::Duration;

use http::Method;

use super::*;
use crate::fault::Fault;

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
            let unrouted = telemetry.worker(worker).route("none", None, None);
            let orders = telemetry.worker(worker).route("orders", Some("shop"), Some("v1"));
            unrouted.started();
            unrouted.moved_to(&orders);
            orders.finished(&Method::GET, 200, Duration::from_millis(2));
        }
    }
    let invented = Method::from_bytes(b"BREW").unwrap();
    let none = telemetry.worker(0).route("none", None, None);
    none.started();
    none.finished(&invented, 404, Duration::ZERO);
    none.refused(400);
    assert_eq!(
        lines(&telemetry, "plugway_requests_total{"),
        [
            "plugway_requests_total{route=\"none\",api=\"\",version=\"\",method=\"other\",status=\"400\"} 1",
            "plugway_requests_total{route=\"none\",api=\"\",version=\"\",method=\"other\",status=\"404\"} 1",
            "plugway_requests_total{route=\"orders\",api=\"shop\",version=\"v1\",method=\"GET\",status=\"200\"} 4",
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
fn faults_attempts_connections_and_hooks_are_shown() {
    let telemetry = Telemetry::new().unwrap();
    let worker = telemetry.worker(0);
    worker.fault(Fault::NoRoute);
    worker.upstream("orders").attempt(None);
    worker.upstream("orders").attempt(Some(Fault::UpstreamTimeout));
    worker.event_loop_lag(Duration::from_micros(1500));
    let listener = worker.listener("web");
    let open = listener.opened();
    let plugin = telemetry.plugin(&"auth".into(), &"".into(), None, 0, &["authorizer"], &["trap", "cpu"]);
    plugin.instance_started();
    plugin.called(0);
    plugin.failed(0, 1);
    let elsewhere = telemetry.plugin(&"auth".into(), &"".into(), None, 1, &["authorizer"], &["trap", "cpu"]);
    for cells in [&plugin, &elsewhere] {
        cells.breaker_opened(0, false);
        cells.breaker_opened(0, true);
    }
    elsewhere.breaker_closed(0);
    for line in [
        "plugway_faults_total{blame=\"client\",fault=\"no-route\"} 1",
        "plugway_upstream_attempts_total{fault=\"\",upstream=\"orders\"} 1",
        "plugway_upstream_attempts_total{fault=\"upstream-timeout\",upstream=\"orders\"} 1",
        "plugway_connections_open{listener=\"web\",worker=\"0\"} 1",
        "plugway_hook_calls_total{hook=\"authorizer\",plugin=\"auth\"} 1",
        "plugway_hook_failures_total{hook=\"authorizer\",kind=\"cpu\",plugin=\"auth\"} 1",
        "plugway_instances{plugin=\"auth\"} 1",
        "plugway_breakers_open{hook=\"authorizer\",plugin=\"auth\"} 1",
        "plugway_breakers_opened_total{hook=\"authorizer\",plugin=\"auth\"} 4",
        "plugway_worker_event_loop_lag_seconds_bucket{worker=\"0\",le=\"0.002\"} 1",
    ] {
        assert!(lines(&telemetry, line).len() == 1, "{line} in\n{}", String::from_utf8_lossy(&telemetry.render()));
    }
    plugin.breaker_closed(0);
    assert_eq!(lines(&telemetry, "plugway_breakers_open{"), ["plugway_breakers_open{hook=\"authorizer\",plugin=\"auth\"} 0"]);
    drop(open);
    assert_eq!(lines(&telemetry, "plugway_connections_open{"), ["plugway_connections_open{listener=\"web\",worker=\"0\"} 0"]);
    assert_eq!(telemetry.worker(0).status()["event_loop_lag_max_us"], 1500);
}
