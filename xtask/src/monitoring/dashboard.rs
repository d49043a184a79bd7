//! The Grafana dashboard: what is asked of a gateway first, from the outside in.

use serde_json::{Value, json};

use super::names::{
    CONNECTIONS_OPEN, EVENT_LOOP_LAG, GENERATIONS_LIVE, HOOK_CALLS, HOOK_FAILURES, HOOK_TIME, HOOK_TIMED, INCIDENTS_OPEN, INSTANCE_MEMORY,
    INSTANCES, PROCESS_CPU, PROCESS_MAX_FILES, PROCESS_MEMORY, PROCESS_OPEN_FILES, REQUEST_DURATION, REQUESTS, REQUESTS_IN_FLIGHT,
    SLO_OBJECTIVE, STORE_SIZE, UPSTREAM_ATTEMPTS, UPSTREAM_AVAILABLE, UPSTREAM_CONNECTIONS, UPSTREAM_ENDPOINTS, UPSTREAM_IDLE,
    VERSION_CALLS, VERSION_FAILURES, VERSION_TIME, VERSION_TIMED,
};

/// One picture.
struct Panel {
    title: &'static str,
    /// As Grafana names them.
    unit: &'static str,
    /// What it shows, and how its lines are named.
    queries: Vec<(String, &'static str)>,
}

/// Of 24 columns.
const WIDTH: usize = 12;
const HEIGHT: usize = 8;

fn panels() -> Vec<Panel> {
    let rate = |name: &str, by: &str| format!("sum by ({by}) (rate({name}[$__rate_interval]))");
    let quantile =
        |share: &str| format!("histogram_quantile({share}, sum by (route, le) (rate({REQUEST_DURATION}_bucket[$__rate_interval])))");
    // Every program has these: gateways alone.
    let own = |of_process: &str| format!("{of_process} and on (job, instance) {GENERATIONS_LIVE}");
    let panel = |title, unit, queries| Panel { title, unit, queries };
    vec![
        panel("Requests by route", "reqps", vec![(rate(REQUESTS, "route"), "{{route}}")]),
        panel("Requests by status", "reqps", vec![(rate(REQUESTS, "status"), "{{status}}")]),
        panel(
            "Answered with 5xx",
            "percentunit",
            vec![(
                format!(
                    "({} or 0 * {}) / {}",
                    rate(&format!("{REQUESTS}{{status=~\"5..\"}}"), "route"),
                    rate(REQUESTS, "route"),
                    rate(REQUESTS, "route")
                ),
                "{{route}}",
            )],
        ),
        panel(
            "Errors by fault and whose they were",
            "reqps",
            vec![(rate(&format!("{REQUESTS}{{fault!=\"\"}}"), "fault, blame"), "{{fault}} ({{blame}})")],
        ),
        panel("Latency, median", "s", vec![(quantile("0.5"), "{{route}}")]),
        panel("Latency, 99th percentile", "s", vec![(quantile("0.99"), "{{route}}")]),
        panel("Error budgets: times faster than promised", "none", vec![("plugway:slo_burn:rate5m".to_owned(), "{{route}} {{slo}}")]),
        panel("Promises", "percentunit", vec![(format!("max by (route, slo) ({SLO_OBJECTIVE})"), "{{route}} {{slo}}")]),
        panel("Incidents that last", "short", vec![(format!("sum by (kind, severity) ({INCIDENTS_OPEN})"), "{{kind}} ({{severity}})")]),
        panel("Requests in flight", "short", vec![(format!("sum by (route) ({REQUESTS_IN_FLIGHT})"), "{{route}}")]),
        panel("Connections open", "short", vec![(format!("sum by (listener) ({CONNECTIONS_OPEN})"), "{{listener}}")]),
        panel("Attempts at upstreams, by fault", "reqps", vec![(rate(UPSTREAM_ATTEMPTS, "upstream, fault"), "{{upstream}} {{fault}}")]),
        panel(
            "Connections to upstreams, open and unused",
            "short",
            vec![
                (format!("sum by (upstream) ({UPSTREAM_CONNECTIONS})"), "{{upstream}} open"),
                (format!("sum by (upstream) ({UPSTREAM_IDLE})"), "{{upstream}} unused"),
            ],
        ),
        panel(
            "Endpoints that may be sent to",
            "percentunit",
            vec![(format!("min by (upstream) ({UPSTREAM_AVAILABLE} / {UPSTREAM_ENDPOINTS})"), "{{upstream}}")],
        ),
        panel("Calls of plugins", "ops", vec![(rate(HOOK_CALLS, "plugin, hook"), "{{plugin}} {{hook}}")]),
        panel(
            "Calls of plugins that failed",
            "ops",
            vec![(format!("{} or 0 * {}", rate(HOOK_FAILURES, "plugin, hook"), rate(HOOK_CALLS, "plugin, hook")), "{{plugin}} {{hook}}")],
        ),
        panel(
            "Time of a call, of those whose time is taken",
            "s",
            vec![(format!("{} / {}", rate(HOOK_TIME, "plugin, hook"), rate(HOOK_TIMED, "plugin, hook")), "{{plugin}} {{hook}}")],
        ),
        panel(
            "Time of a call, by version",
            "s",
            vec![(
                format!("{} / {}", rate(VERSION_TIME, "plugin, version, hook"), rate(VERSION_TIMED, "plugin, version, hook")),
                "{{plugin}} {{version}} {{hook}}",
            )],
        ),
        panel(
            "Calls that failed, by version",
            "ops",
            vec![(
                format!("{} or 0 * {}", rate(VERSION_FAILURES, "plugin, version"), rate(VERSION_CALLS, "plugin, version")),
                "{{plugin}} {{version}}",
            )],
        ),
        panel("Plugin instances", "short", vec![(format!("sum by (plugin, version) ({INSTANCES})"), "{{plugin}} {{version}}")]),
        panel(
            "Memory of plugin instances",
            "bytes",
            vec![(format!("sum by (plugin, version) ({INSTANCE_MEMORY})"), "{{plugin}} {{version}}")],
        ),
        panel(
            "Workers late, 99th percentile",
            "s",
            vec![(
                format!("histogram_quantile(0.99, sum by (instance, worker, le) (rate({EVENT_LOOP_LAG}_bucket[$__rate_interval])))"),
                "{{instance}} {{worker}}",
            )],
        ),
        panel("CPU of the process, cores", "short", vec![(own(&format!("rate({PROCESS_CPU}[$__rate_interval])")), "{{instance}}")]),
        panel("Memory of the process", "bytes", vec![(own(PROCESS_MEMORY), "{{instance}}")]),
        panel(
            "Open files, of those it may have",
            "percentunit",
            vec![(own(&format!("{PROCESS_OPEN_FILES} / {PROCESS_MAX_FILES}")), "{{instance}}")],
        ),
        panel("Configurations alive", "short", vec![(GENERATIONS_LIVE.to_owned(), "{{instance}}")]),
        panel("Monitoring store", "bytes", vec![(STORE_SIZE.to_owned(), "{{instance}}")]),
    ]
}

/// As Grafana imports it.
pub(super) fn dashboard() -> Value {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let panels = panels().into_iter().enumerate().map(|(number, Panel { title, unit, queries })| {
        let targets = queries.iter().zip('A'..).map(|((expr, legend), id)| {
            json!({"refId": id, "datasource": source, "expr": expr, "legendFormat": legend, "editorMode": "code", "range": true})
        });
        json!({
            "id": number + 1,
            "type": "timeseries",
            "title": title,
            "datasource": source,
            "gridPos": {"x": number % 2 * WIDTH, "y": number / 2 * HEIGHT, "w": WIDTH, "h": HEIGHT},
            "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
            "options": {"legend": {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull", "max"]}, "tooltip": {"mode": "multi", "sort": "desc"}},
            "targets": targets.collect::<Vec<_>>(),
        })
    });
    json!({
        "uid": "plugway",
        "title": "plugway",
        "tags": ["plugway"],
        "schemaVersion": 38,
        "editable": true,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {"list": [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]},
        "panels": panels.collect::<Vec<_>>(),
    })
}
