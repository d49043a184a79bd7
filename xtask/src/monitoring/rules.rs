//! What is worth waking somebody for, or a ticket: by what the gateway counts, with a world in which each rule fires and one in which it is silent.

use super::names::{
    ACCEPT_PAUSES, ACCESS_LINES_LOST, BREAKERS_OPEN, BUDGET_HITS, CANARIES_ENDED, EVENT_LOOP_LAG, GENERATIONS_LIVE, HOOK_CALLS,
    HOOK_FAILURES, INCIDENTS_OPEN, LOG_LINES_LOST, PROCESS_MAX_FILES, PROCESS_OPEN_FILES, RECORDS_LOST, REJECTED_FILE, REQUESTS,
    SLO_BROKEN, SLO_OBJECTIVE, SLO_REQUESTS, SLO_WINDOW, SPANS_LOST, STORE_WRITABLE, TLS_HANDSHAKES, TLS_HANDSHAKES_FAILED,
    UPSTREAM_ATTEMPTS,
};

/// A series that is kept under a name of its own.
pub(super) struct Recording {
    pub(super) name: String,
    pub(super) expr: String,
}

/// An alert.
pub(super) struct Alert {
    pub(super) name: &'static str,
    pub(super) severity: Severity,
    pub(super) expr: String,
    /// Minutes that it must be so.
    pub(super) minutes: u32,
    /// One line, in which `{{ $labels.NAME }}` is a label.
    pub(super) summary: &'static str,
    /// What to look at.
    pub(super) runbook: &'static str,
    /// Labels of the alert that fires, as promtool is to find it.
    pub(super) labels: Vec<(&'static str, &'static str)>,
    /// Series and its values by the minute: a world in which it fires.
    pub(super) firing: World,
    /// And one in which it does not.
    pub(super) quiet: World,
}

/// Series and their values, in promtool's notation.
pub(super) type World = Vec<(String, &'static str)>;

#[derive(Clone, Copy)]
pub(super) enum Severity {
    /// Somebody is to look at once.
    Page,
    /// Somebody is to look on a working day.
    Ticket,
}

impl Severity {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// Windows that burn rates are looked at over, and their seconds.
const WINDOWS: [(&str, u32); 7] =
    [("5m", 300), ("30m", 1_800), ("1h", 3_600), ("2h", 7_200), ("6h", 21_600), ("1d", 86_400), ("3d", 259_200)];

/// How many times faster than promised each budget is used up.
pub(super) fn recordings() -> Vec<Recording> {
    let burn = |window: &str| Recording {
        name: burn(window),
        expr: format!(
            "sum by (route, slo) (rate({SLO_BROKEN}[{window}])) / sum by (route, slo) (rate({SLO_REQUESTS}[{window}])) \
             / (1 - max by (route, slo) ({SLO_OBJECTIVE}))"
        ),
    };
    WINDOWS.iter().map(|(window, _)| burn(window)).collect()
}

fn burn(window: &str) -> String {
    format!("plugway:slo_burn:rate{window}")
}

/// Requests in the long window that broke a promise, below which nobody is called: of little traffic one of them would burn at any rate. Incidents of
/// the gateway's own begin with as many.
const FEW: u32 = 10;

/// `percent` of the budget is gone within the long window, and it still burns so in the short one.
fn burns(percent: u32, long: &str, short: &str) -> String {
    let seconds = WINDOWS.iter().find(|(window, _)| *window == long).map_or(0, |(_, seconds)| *seconds);
    let limit = format!("on (route, slo) ({percent} / 100 * max by (route, slo) ({SLO_WINDOW}) / {seconds})");
    let enough = format!("sum by (route, slo) (increase({SLO_BROKEN}[{long}])) >= {FEW}");
    format!("({} > {limit} and {} > {limit} and {enough})", burn(long), burn(short))
}

/// Every alert, the gravest first.
pub(super) fn alerts() -> Vec<Alert> {
    let share = |part: &str, whole: &str, by: &str| format!("sum by ({by}) (rate({part}[5m])) / sum by ({by}) (rate({whole}[5m]))");
    let grew = |name: &str| format!("sum by (instance) (increase({name}[15m]))");
    vec![
        Alert {
            name: "PlugwayDown",
            severity: Severity::Page,
            expr: "up{job=\"plugway\"} == 0".to_owned(),
            minutes: 2,
            summary: "{{ $labels.instance }} does not answer at /metrics",
            runbook: "whether the process runs, and what it logged last; whether the admin listener can be reached",
            labels: vec![("instance", "gw:9")],
            firing: world(&[("up", "job=\"plugway\"", "0x120")]),
            quiet: world(&[("up", "job=\"plugway\"", "1x120")]),
        },
        Alert {
            name: "PlugwaySloBurnsFast",
            severity: Severity::Page,
            expr: format!("{} or {}", burns(2, "1h", "5m"), burns(5, "6h", "30m")),
            minutes: 2,
            summary: "{{ $labels.route }} uses up its error budget of {{ $labels.slo }} within days",
            runbook: "the other alerts that are firing; `plugway_requests_total` by `fault` and `blame`; `plugway why`",
            labels: vec![("route", "orders"), ("slo", "availability")],
            firing: promised("0+20x120"),
            quiet: promised("0+5x120"),
        },
        Alert {
            name: "PlugwaySloBurns",
            severity: Severity::Ticket,
            expr: format!("{} or {}", burns(10, "1d", "2h"), burns(10, "3d", "6h")),
            minutes: 15,
            summary: "{{ $labels.route }} uses up its error budget of {{ $labels.slo }} before its window ends",
            runbook: "which faults or which slow upstream it is made of, over days; whether the promise is one that can be kept",
            labels: vec![("route", "orders"), ("slo", "availability")],
            firing: promised("0+4x120"),
            quiet: promised("0+0.5x120"),
        },
        Alert {
            name: "PlugwayErrors",
            severity: Severity::Page,
            expr: format!(
                "{} > 0.05 and sum by (route) (rate({REQUESTS}[5m])) > 0.1",
                share(&format!("{REQUESTS}{{status=~\"5..\"}}"), REQUESTS, "route")
            ),
            minutes: 5,
            summary: "more than 5 % of the requests of {{ $labels.route }} are answered with 5xx",
            runbook: "`plugway_requests_total` by `fault` and `blame`: what it was, and whose; `plugway why` shows requests that failed",
            labels: vec![("route", "orders")],
            firing: world(&[
                (REQUESTS, "route=\"orders\",status=\"200\"", "0+90x120"),
                (REQUESTS, "route=\"orders\",status=\"502\"", "0+10x120"),
            ]),
            quiet: world(&[
                (REQUESTS, "route=\"orders\",status=\"200\"", "0+99x120"),
                (REQUESTS, "route=\"orders\",status=\"502\"", "0+1x120"),
            ]),
        },
        Alert {
            name: "PlugwayUpstreamFails",
            severity: Severity::Page,
            expr: format!("{} > 0.1", share(&format!("{UPSTREAM_ATTEMPTS}{{fault!=\"\"}}"), UPSTREAM_ATTEMPTS, "upstream")),
            minutes: 5,
            summary: "more than 10 % of the attempts at {{ $labels.upstream }} fail",
            runbook: "`fault` says how: no connection, no answer in time, a broken one; then the upstream's own health",
            labels: vec![("upstream", "shop")],
            firing: world(&[
                (UPSTREAM_ATTEMPTS, "upstream=\"shop\",fault=\"\"", "0+80x120"),
                (UPSTREAM_ATTEMPTS, "upstream=\"shop\",fault=\"upstream-timeout\"", "0+20x120"),
            ]),
            quiet: world(&[
                (UPSTREAM_ATTEMPTS, "upstream=\"shop\",fault=\"\"", "0+80x120"),
                (UPSTREAM_ATTEMPTS, "upstream=\"shop\",fault=\"upstream-timeout\"", "0+1x120"),
            ]),
        },
        Alert {
            name: "PlugwayPluginFails",
            severity: Severity::Page,
            expr: format!("{} > 0.01", share(HOOK_FAILURES, HOOK_CALLS, "plugin")),
            minutes: 5,
            summary: "more than 1 % of the calls of {{ $labels.plugin }} fail",
            runbook: "`kind` of `plugway_hook_failures_total`; the plugin's lines in the log; `plugway plugin rollback NAME` goes back",
            labels: vec![("plugin", "auth")],
            firing: world(&[
                (HOOK_CALLS, "plugin=\"auth\",hook=\"authorizer\"", "0+100x120"),
                (HOOK_FAILURES, "plugin=\"auth\",hook=\"authorizer\",kind=\"trap\"", "0+2x120"),
            ]),
            quiet: world(&[
                (HOOK_CALLS, "plugin=\"auth\",hook=\"authorizer\"", "0+1000x120"),
                (HOOK_FAILURES, "plugin=\"auth\",hook=\"authorizer\",kind=\"trap\"", "0+2x120"),
            ]),
        },
        Alert {
            name: "PlugwayBreakerOpen",
            severity: Severity::Page,
            expr: format!("sum by (plugin, hook) ({BREAKERS_OPEN}) > 0"),
            minutes: 2,
            summary: "{{ $labels.hook }} of {{ $labels.plugin }} is not called: it failed too often",
            runbook: "as for PlugwayPluginFails; what requests meet meanwhile is the plugin's `on_failure`",
            labels: vec![("plugin", "auth"), ("hook", "authorizer")],
            firing: world(&[(BREAKERS_OPEN, "plugin=\"auth\",hook=\"authorizer\"", "1x120")]),
            quiet: world(&[(BREAKERS_OPEN, "plugin=\"auth\",hook=\"authorizer\"", "0x120")]),
        },
        Alert {
            name: "PlugwayAcceptWaits",
            severity: Severity::Page,
            expr: format!("{} > 0", grew(ACCEPT_PAUSES)),
            minutes: 5,
            summary: "{{ $labels.instance }} takes no new connections at times: it is full, or out of file descriptors",
            runbook: "`plugway_connections_open` against `[limits] max_connections`; the process' limit of open files",
            labels: vec![("instance", "gw:9")],
            firing: world(&[(ACCEPT_PAUSES, "worker=\"0\"", "0+1x120")]),
            quiet: world(&[(ACCEPT_PAUSES, "worker=\"0\"", "7x120")]),
        },
        Alert {
            name: "PlugwayFilesRunOut",
            severity: Severity::Ticket,
            // Every program has these: gateways alone.
            expr: format!("{PROCESS_OPEN_FILES} / {PROCESS_MAX_FILES} > 0.85 and on (job, instance) {GENERATIONS_LIVE}"),
            minutes: 5,
            summary: "{{ $labels.instance }} has nearly as many files open, connections among them, as it may have",
            runbook: "`plugway_connections_open` and `plugway_upstream_connections_open`: are they as many as should be; then the limit of open files (`ulimit -Hn`, systemd: `LimitNOFILE`)",
            labels: vec![("instance", "gw:9")],
            firing: world(&[(PROCESS_OPEN_FILES, "", "900x120"), (PROCESS_MAX_FILES, "", "1024x120"), (GENERATIONS_LIVE, "", "1x120")]),
            quiet: world(&[(PROCESS_OPEN_FILES, "", "800x120"), (PROCESS_MAX_FILES, "", "1024x120"), (GENERATIONS_LIVE, "", "1x120")]),
        },
        Alert {
            name: "PlugwayWorkersLate",
            severity: Severity::Ticket,
            expr: format!("histogram_quantile(0.99, sum by (instance, worker, le) (rate({EVENT_LOOP_LAG}_bucket[5m]))) > 0.02"),
            minutes: 10,
            summary: "worker {{ $labels.worker }} of {{ $labels.instance }} is late by more than 20 ms",
            runbook: "CPU of the machine: is there another program; then which plugin takes long (`plugway_budget_hits_total`)",
            labels: vec![("instance", "gw:9"), ("worker", "0")],
            firing: late("0+10x120"),
            quiet: late("0+100x120"),
        },
        Alert {
            name: "PlugwayFileRejected",
            severity: Severity::Ticket,
            expr: format!("{REJECTED_FILE} == 1"),
            minutes: 5,
            summary: "{{ $labels.instance }} does not take {{ $labels.file }} as it is now, and serves what it had",
            runbook: "`why` of the alert, and the log of the reload: line and column are there",
            labels: vec![("instance", "gw:9"), ("file", "plugway.toml")],
            firing: world(&[(REJECTED_FILE, "file=\"plugway.toml\"", "1x120")]),
            quiet: world(&[(REJECTED_FILE, "file=\"plugway.toml\"", "1x10 _x110")]),
        },
        Alert {
            name: "PlugwayCanaryTakenBack",
            severity: Severity::Ticket,
            expr: format!("sum by (plugin) (increase({CANARIES_ENDED}{{end=\"returned\"}}[1h])) > 0"),
            minutes: 0,
            summary: "the new version of {{ $labels.plugin }} failed too often as a canary, and was taken back",
            runbook: "the version's lines in the log, and `plugway plugin list`",
            labels: vec![("plugin", "auth")],
            firing: world(&[(CANARIES_ENDED, "plugin=\"auth\",end=\"returned\"", "0x100 1x20")]),
            quiet: world(&[(CANARIES_ENDED, "plugin=\"auth\",end=\"promoted\"", "0x100 1x20")]),
        },
        Alert {
            name: "PlugwayHandshakesFail",
            severity: Severity::Ticket,
            expr: format!(
                "sum by (listener) (rate({TLS_HANDSHAKES_FAILED}[5m])) \
                 / (sum by (listener) (rate({TLS_HANDSHAKES}[5m])) + sum by (listener) (rate({TLS_HANDSHAKES_FAILED}[5m]))) > 0.2"
            ),
            minutes: 15,
            summary: "more than 20 % of the TLS handshakes at {{ $labels.listener }} fail",
            runbook: "whether the certificate has ended or does not fit the name; `client_auth` and the clients' certificates",
            labels: vec![("listener", "web")],
            firing: world(&[(TLS_HANDSHAKES, "listener=\"web\"", "0+7x120"), (TLS_HANDSHAKES_FAILED, "listener=\"web\"", "0+3x120")]),
            quiet: world(&[(TLS_HANDSHAKES, "listener=\"web\"", "0+9x120"), (TLS_HANDSHAKES_FAILED, "listener=\"web\"", "0+1x120")]),
        },
        Alert {
            name: "PlugwayBudgetMet",
            severity: Severity::Ticket,
            expr: format!("sum by (plugin, budget) (increase({BUDGET_HITS}[15m])) > 0"),
            minutes: 15,
            summary: "{{ $labels.plugin }} needs more than its budget {{ $labels.budget }}",
            runbook: "whether the plugin is at fault or the budget is too small: `docs/budgets.md`",
            labels: vec![("plugin", "auth"), ("budget", "memory")],
            firing: world(&[(BUDGET_HITS, "plugin=\"auth\",budget=\"memory\"", "0+1x120")]),
            quiet: world(&[(BUDGET_HITS, "plugin=\"auth\",budget=\"memory\"", "5x120")]),
        },
        Alert {
            name: "PlugwayRecordsLost",
            severity: Severity::Ticket,
            expr: format!("{} + {} + {} + {} > 0", grew(ACCESS_LINES_LOST), grew(LOG_LINES_LOST), grew(SPANS_LOST), grew(RECORDS_LOST)),
            minutes: 15,
            summary: "{{ $labels.instance }} drops lines of its logs, spans or records of observers",
            runbook: "which of the four grows; whoever takes them is too slow or gone: a log's disk or pipe, the OTLP receiver, the observer",
            labels: vec![("instance", "gw:9")],
            firing: world(&[
                (ACCESS_LINES_LOST, "", "0x120"),
                (LOG_LINES_LOST, "", "0x120"),
                (SPANS_LOST, "", "0+1x120"),
                (RECORDS_LOST, "", "0x120"),
            ]),
            quiet: world(&[
                (ACCESS_LINES_LOST, "", "1x120"),
                (LOG_LINES_LOST, "", "4x120"),
                (SPANS_LOST, "", "2x120"),
                (RECORDS_LOST, "", "3x120"),
            ]),
        },
        Alert {
            name: "PlugwayIncident",
            severity: Severity::Page,
            expr: format!("sum by (instance, kind) ({INCIDENTS_OPEN}{{severity=\"page\"}}) > 0"),
            minutes: 2,
            summary: "{{ $labels.instance }} has found an incident of the kind {{ $labels.kind }} that lasts",
            runbook: "`plugway incidents --open`: since when, by which numbers, and the likely cause; [what each kind means](#what-is-an-incident-and-what-do-i-do-about-one)",
            labels: vec![("instance", "gw:9"), ("kind", "error-rate")],
            firing: world(&[(INCIDENTS_OPEN, "kind=\"error-rate\", severity=\"page\"", "1x120")]),
            quiet: world(&[
                (INCIDENTS_OPEN, "kind=\"error-rate\", severity=\"page\"", "0x120"),
                (INCIDENTS_OPEN, "kind=\"certificate\", severity=\"ticket\"", "1x120"),
            ]),
        },
        Alert {
            name: "PlugwayIncidentWaits",
            severity: Severity::Ticket,
            expr: format!("sum by (instance, kind) ({INCIDENTS_OPEN}{{severity=\"ticket\"}}) > 0"),
            minutes: 15,
            summary: "{{ $labels.instance }} has found an incident of the kind {{ $labels.kind }} that can wait for a working day",
            runbook: "as for PlugwayIncident",
            labels: vec![("instance", "gw:9"), ("kind", "certificate")],
            firing: world(&[(INCIDENTS_OPEN, "kind=\"certificate\", severity=\"ticket\"", "1x120")]),
            quiet: world(&[
                (INCIDENTS_OPEN, "kind=\"certificate\", severity=\"ticket\"", "0x120"),
                (INCIDENTS_OPEN, "kind=\"error-rate\", severity=\"page\"", "1x120"),
            ]),
        },
        Alert {
            name: "PlugwayStoreNotWritten",
            severity: Severity::Ticket,
            expr: format!("{STORE_WRITABLE} == 0"),
            minutes: 5,
            summary: "{{ $labels.instance }} cannot write its monitoring store; it serves on, and counts in memory",
            runbook: "room on the disk of `[store] file`, and who may write there; the log says what failed",
            labels: vec![("instance", "gw:9")],
            firing: world(&[(STORE_WRITABLE, "", "0x120")]),
            quiet: world(&[(STORE_WRITABLE, "", "1x120")]),
        },
        Alert {
            name: "PlugwayGenerationsStay",
            severity: Severity::Ticket,
            expr: format!("{GENERATIONS_LIVE} > 3"),
            minutes: 30,
            summary: "{{ $labels.instance }} keeps old configurations: requests of theirs do not end",
            runbook: "long downloads or streams; `[timeouts]`; how often it is reloaded",
            labels: vec![("instance", "gw:9")],
            firing: world(&[(GENERATIONS_LIVE, "", "4x120")]),
            quiet: world(&[(GENERATIONS_LIVE, "", "2x120")]),
        },
    ]
}

/// Name, labels and values; all of one gateway.
fn world(series: &[(&str, &str, &'static str)]) -> World {
    let labelled = |labels: &str| if labels.is_empty() { "instance=\"gw:9\"".to_owned() } else { format!("instance=\"gw:9\",{labels}") };
    series.iter().map(|(name, labels, values)| (format!("{name}{{{}}}", labelled(labels)), *values)).collect()
}

/// 99.9 % of 1,000 requests a minute, over 30 days.
fn promised(broken: &'static str) -> World {
    let slo = "route=\"orders\",slo=\"availability\"";
    world(&[
        (SLO_REQUESTS, slo, "0+1000x120"),
        (SLO_BROKEN, slo, broken),
        (SLO_OBJECTIVE, slo, "0.999x120"),
        (SLO_WINDOW, slo, "2592000x120"),
    ])
}

/// A hundred ticks a minute, so many of them within 10 ms.
fn late(within: &'static str) -> World {
    let name = format!("{EVENT_LOOP_LAG}_bucket");
    world(&[
        (&name, "worker=\"0\",le=\"0.01\"", within),
        (&name, "worker=\"0\",le=\"0.1\"", "0+100x120"),
        (&name, "worker=\"0\",le=\"+Inf\"", "0+100x120"),
    ])
}
