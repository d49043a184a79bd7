mod compared;

use super::data::{Report, Totals};
use super::*;
use crate::store::Incident;

/// A report without anything in it.
fn empty() -> Report {
    Report {
        title: "Gateway".into(),
        scope: "gateway",
        name: None,
        generated_at: 1_795_665_906,
        from: 1_795_662_000,
        until: 1_795_665_906,
        counted_since: 1_795_662_000,
        step: 60,
        latency_accuracy: 0.02,
        totals: Totals::default(),
        before: None,
        timeline: Vec::new(),
        statuses: Vec::new(),
        faults: Vec::new(),
        routes: Vec::new(),
        endpoints: Vec::new(),
        consumers: Vec::new(),
        consumers_in_all: 0,
        plugins: Vec::new(),
        slowest: Vec::new(),
        failed: Vec::new(),
        incidents: Vec::new(),
        slos: Vec::new(),
        gaps: Vec::new(),
        distributions_left_out: 0,
    }
}

#[test]
fn a_time_without_requests_is_a_report_too() {
    let page = empty().write(Format::Html);
    assert!(page.contains("No request was counted in 1 h 5 min."), "{page}");
    assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
    for format in [Format::Json, Format::Csv, Format::Markdown] {
        assert!(!empty().write(format).is_empty());
    }
}

#[test]
fn names_are_text_wherever_they_stand() {
    let evil = "<script>alert(1)</script>|`\"'=1+1";
    let totals = Totals { requests: 1, ..Totals::default() };
    let route = data::Route { route: evil.into(), api: evil.into(), version: evil.into(), totals };
    let consumer = data::Consumer {
        consumer: evil.into(),
        routes: 1,
        requests: 1,
        client_errors: 0,
        server_errors: 0,
        latency: data::Latency { p50_us: Some(1.0), p95_us: Some(2.0), p99_us: Some(3.0), ..data::Latency::default() },
    };
    let incident = Incident {
        kind: evil.into(),
        subject: evil.into(),
        api: evil.into(),
        route: evil.into(),
        routes: vec![evil.into()],
        severity: evil.into(),
        started: 1_795_662_000,
        ended: None,
        title: evil.into(),
        cause: evil.into(),
        evidence: format!("{{\"<script>\":{evil:?}}}"),
        outcome: String::new(),
    };
    let report = Report {
        title: evil.into(),
        name: Some(evil.into()),
        totals,
        timeline: vec![data::Point { at: 1_795_662_000, totals }],
        routes: vec![route.clone(), route],
        consumers: vec![consumer],
        incidents: vec![incident],
        ..empty()
    };
    let page = report.write(Format::Html);
    assert!(!page.contains("<script"), "{page}");
    assert!(!report.write(Format::Markdown).contains("<script"));
    assert!(report.write(Format::Csv).contains("\"<script>alert(1)</script>|`\"\"'=1+1\""));
}

#[test]
fn no_request_failed_only_where_none_did() {
    let of = |status, client_errors| {
        let totals = Totals { requests: 5, client_errors, ..Totals::default() };
        Report { totals, statuses: vec![data::Status { status, requests: 5 }], ..empty() }.write(Format::Html)
    };
    let said = ["No request failed.", "What was at fault was not yet counted."];
    assert_eq!(said.map(|text| of(200, 0).contains(text)), [true, false]);
    assert_eq!(said.map(|text| of(404, 5).contains(text)), [false, true], "what was counted before errors of upstreams had a code");
}

#[test]
fn a_page_needs_nothing_from_anywhere() {
    let page = empty().write(Format::Html);
    for outside in ["http://", "https://", "src=", "@import", "url(", "<link", "<script"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn what_matched_no_route_is_no_route_in_short() {
    let route = |name: &str, requests| {
        let totals = Totals { requests, ..Totals::default() };
        data::Route { route: name.into(), api: String::new(), version: String::new(), totals }
    };
    let of = |routes: Vec<data::Route>| {
        let requests = routes.iter().map(|route| route.totals.requests).sum();
        Report { totals: Totals { requests, ..Totals::default() }, routes, ..empty() }.in_short()
    };
    let three = of(vec![route("none", 60), route("orders", 30), route("items", 10)]);
    assert!(three.contains("The busiest of 2 routes is orders with 30 %") && three.contains(" 60 % matched no route."), "{three}");
    let routed = of(vec![route("orders", 30), route("items", 10)]);
    assert!(routed.contains("The busiest of 2 routes is orders with 75 %") && !routed.contains("matched no route"), "{routed}");
}

#[test]
fn a_timeline_says_what_its_bands_are_and_names_none_that_it_has_not() {
    let totals = Totals { requests: 1, ..Totals::default() };
    let timeline = vec![data::Point { at: 1_795_662_000, totals }];
    let gap = crate::store::Gap { kind: crate::store::GapKind::Stopped, since: 1_795_662_060, until: 1_795_662_120, lost: None };
    let page = Report { totals, timeline, gaps: vec![gap], ..empty() }.write(Format::Html);
    assert_eq!(page.matches("<span class=\"key stopped\">gateway stopped</span>").count(), 2, "{page}");
    assert!(!page.contains("class=\"key gap\"") && !page.contains("class=\"key page\""), "{page}");
}

#[test]
fn an_incident_lasts_no_longer_than_there_is_a_gateway_to_see_it() {
    let gap = |since: i64| crate::store::Gap {
        kind: crate::store::GapKind::Stopped,
        since: 1_795_662_000 + since,
        until: 1_795_665_600,
        lost: None,
    };
    let incident = Incident {
        kind: "latency".into(),
        subject: String::new(),
        api: String::new(),
        route: "orders".into(),
        routes: vec!["orders".into()],
        severity: "ticket".into(),
        started: 1_795_662_060,
        ended: None,
        title: "slow".into(),
        cause: String::new(),
        evidence: "{}".into(),
        outcome: String::new(),
    };
    let of = |gaps| Report { from: 1_795_662_000, until: 1_795_665_600, gaps, incidents: vec![incident.clone()], ..empty() };
    let stopped = of(vec![gap(660)]);
    assert!(stopped.write(Format::Html).contains("lasted when the gateway ended (10 min)"));
    assert!(stopped.write(Format::Markdown).contains("| lasted when the gateway ended |"));
    let serving = of(vec![crate::store::Gap { until: 1_795_662_720, ..gap(660) }]);
    assert!(serving.write(Format::Html).contains("lasts (59 min)"));
    assert!(of(vec![gap(0)]).write(Format::Html).contains("lasts (59 min)"), "somebody saw it");
}

#[test]
fn incidents_at_one_time_are_one_band_that_names_them_all() {
    let incident = |severity: &str, started: i64, title: &str| Incident {
        kind: "error-rate".into(),
        subject: String::new(),
        api: String::new(),
        route: "orders".into(),
        routes: vec!["orders".into()],
        severity: severity.into(),
        started: 1_795_662_000 + started,
        ended: Some(1_795_662_060 + started),
        title: title.into(),
        cause: String::new(),
        evidence: r#"{"errors now":"12.00 %","requests looked at":100}"#.into(),
        outcome: String::new(),
    };
    let totals = Totals { requests: 1, ..Totals::default() };
    let incidents = vec![incident("page", 30, "second"), incident("page", 0, "first"), incident("ticket", 10, "third")];
    let report = Report {
        from: 1_795_662_000,
        until: 1_795_662_600,
        totals,
        timeline: vec![data::Point { at: 1_795_662_000, totals }],
        incidents,
        ..empty()
    };
    let page = report.write(Format::Html);
    // One on each of two timelines: of latency nothing is known.
    assert_eq!(page.matches("class=\"band page\"").count(), 2, "{page}");
    assert!(page.contains("<title>first; second</title>") && page.contains("<title>third</title>"), "{page}");
    assert!(page.contains("class=\"band page\" x=\"64.0\" y=\"16\"") && page.contains("y=\"23\""), "each kind has a strip: {page}");
    assert!(page.contains("3 incidents were found, 2 of them to page for."), "{page}");
    for format in [Format::Csv, Format::Markdown] {
        assert!(report.write(format).contains("errors now 12.00 %, requests looked at 100"), "figures are no JSON there");
    }
    let json: serde_json::Value = serde_json::from_str(&report.write(Format::Json)).unwrap();
    assert_eq!(json["incidents"][0]["evidence"]["errors now"], "12.00 %", "and an object where there is JSON");
}

#[test]
fn a_promise_is_shown_as_it_was_made() {
    let of = |objective| {
        let (name, api, route) = ("availability".into(), String::new(), "orders".into());
        let slo = crate::store::Slo { name, api, route, objective, window_seconds: 86_400, good: 1, total: 1, updated: 0 };
        Report { slos: vec![slo], ..empty() }.write(Format::Markdown)
    };
    for (objective, shown) in [(0.906, "90.6"), (0.9954, "99.54"), (0.999_999, "99.9999"), (0.5, "50")] {
        assert!(of(objective).contains(&format!("| {shown} % |")), "{}", of(objective));
    }
}

#[test]
fn counts_that_cannot_be_are_a_report_all_the_same() {
    let totals = Totals { requests: 1, client_errors: 2, server_errors: 3, ..Totals::default() };
    let report = Report { totals, timeline: vec![data::Point { at: 1_795_662_000, totals }], ..empty() };
    for format in [Format::Html, Format::Json, Format::Csv, Format::Markdown] {
        assert!(!report.write(format).contains("18,446,744"), "less than nothing is nothing");
    }
}
