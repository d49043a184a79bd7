//! Metrics that are pushed.

use opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use plugway_harness::gateway::Launch;
use plugway_harness::otlp::{Receiver, integer, text};
use plugway_harness::upstream::Upstream;

use super::{PARENT, TRACE, hex, otlp, traced};
use crate::common::{BINARY, ask, one_route, until};

#[test]
fn metrics_are_pushed_as_they_are_shown_with_exemplars_of_sampled_requests() {
    let (receiver, upstream) = (Receiver::start().unwrap(), Upstream::plain("up").unwrap());
    let launch = Launch::new(BINARY).unwrap().env("OTLP_TOKEN", "Bearer s3cret-token");
    let more = "metrics_interval = \"200ms\"\nheaders = { authorization = { secret = \"otlp\" }, x-scope = \"edge\" }\nresource = { \"service.name\" = \"edge\" }";
    let text_of = format!("{}[secrets.otlp]\nenv = \"OTLP_TOKEN\"\n", otlp(&receiver, more).replace("\"\nmetrics", "/base/\"\nmetrics"));
    let gateway = launch.start(&one_route(&upstream, &text_of)).unwrap();
    for _ in 0..7 {
        assert_eq!(traced(&gateway, "/").status, 200);
    }
    let requests = |data: &Option<Data>| match data {
        Some(Data::Sum(sum)) => sum.data_points.iter().map(|point| format!("{:?}", point.value)).collect::<Vec<_>>().join(","),
        _ => String::new(),
    };
    let find = |name: &str| receiver.metrics().into_iter().find(|metric| metric.name == name);
    until("seven requests were pushed", || find("plugway.requests").is_some_and(|metric| requests(&metric.data) == "Some(AsDouble(7.0))"));
    let Some(Data::Sum(sum)) = find("plugway.requests").unwrap().data else { panic!("requests are a sum") };
    assert!(sum.is_monotonic && sum.aggregation_temporality == 2, "{sum:#?}");
    let attributes = &sum.data_points[0].attributes;
    assert_eq!((text(attributes, "http.route"), integer(attributes, "http.response.status_code")), (Some("all"), Some(200)));
    let duration = find("http.server.request.duration").unwrap();
    assert_eq!(duration.unit, "s");
    let Some(Data::Histogram(histogram)) = duration.data else { panic!("durations are a histogram") };
    let point = histogram.data_points.iter().find(|point| text(&point.attributes, "http.route") == Some("all")).unwrap();
    assert_eq!((point.count, point.bucket_counts.iter().sum::<u64>()), (7, 7));
    let said = ["http.request.method", "url.scheme", "error.type"].map(|name| text(&point.attributes, name));
    assert_eq!((said, integer(&point.attributes, "http.response.status_code")), ([Some("GET"), Some("http"), None], Some(200)));
    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1);
    let Some(Data::Sum(active)) = find("http.server.active_requests").unwrap().data else { panic!("what is in flight is a sum") };
    assert!(!active.is_monotonic, "{active:#?}");
    let untraced = |line: &str| ask(&gateway, &format!("{line} HTTP/1.1\nhost: a\ntraceparent: 00-{TRACE}-{PARENT}-00\n\n"));
    // Another method and status are another series, whatever the client calls its method.
    assert_eq!(untraced("BREW /").status, 200);
    assert_eq!(untraced("GET /status/503").status, 503);
    let series = || {
        let Some(Data::Histogram(histogram)) = find("http.server.request.duration").and_then(|metric| metric.data) else {
            return Vec::new();
        };
        let of = |point: &HistogramDataPoint| {
            let text = |name| text(&point.attributes, name).unwrap_or_default().to_owned();
            (text("http.request.method"), integer(&point.attributes, "http.response.status_code"), text("error.type"), point.count)
        };
        histogram.data_points.iter().filter(|point| text(&point.attributes, "http.route") == Some("all")).map(of).collect()
    };
    let expected = |method: &str, status, error: &str, count| (method.to_owned(), Some(status), error.to_owned(), count);
    until("each has its series", || {
        let mut told = series();
        told.sort();
        told == [expected("GET", 200, "", 7), expected("GET", 503, "503", 1), expected("_OTHER", 200, "", 1)]
    });
    let headers = receiver.headers();
    assert!(headers.iter().all(|headers| headers["authorization"] == "Bearer s3cret-token" && headers["x-scope"] == "edge"));
    until("the spans came", || receiver.spans().len() == 14);
    // An exemplar goes with the first push after its request; the drain's is the last.
    for _ in 0..3 {
        traced(&gateway, "/");
    }
    until("an exemplar of the trace came", || {
        let Some(Data::Histogram(histogram)) = find("http.server.request.duration").and_then(|metric| metric.data) else { return false };
        let exemplars = histogram.data_points.iter().flat_map(|point| &point.exemplars);
        exemplars.into_iter().any(|exemplar| hex(&exemplar.trace_id) == TRACE)
    });
    assert!(!gateway.stop().unwrap().iter().any(|line| line.text.contains("s3cret-token")));
}
