//! What hooks are told beside the message: who made an answer, what plugins before them left, what was tried, and how often they are configured.

use std::time::Instant;

use plugway_harness::client::reported;
use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::Upstream;

use crate::common::{HEAD, Refusing, metric, one_upstream, start, until};
use crate::guest::{config, get, guest, plugin, report, route, seen, witness};
use crate::reload::replace;

fn text(response: &RawResponse, name: &str) -> String {
    String::from_utf8_lossy(response.header(name).unwrap_or(b"(absent)")).into_owned()
}

#[test]
fn a_response_filter_knows_who_made_the_response() {
    let (refusing, upstream) = (Refusing::new(), Upstream::plain("up").unwrap());
    let parts = [
        plugin("witness", witness(), "", ""),
        plugin("other", witness(), "", ""),
        guest("trapping", "mode = \"by-header\", hook = \"request-filter\"", ""),
        format!("[upstreams.away]\nendpoints = [{:?}]", refusing.url()),
        "[[routes]]\nname = \"away\"\nmatch = { path = \"/away\" }\npublic = true\nplugins = [\"witness\"]\nupstream = \"away\"".to_owned(),
        "[[routes]]\nname = \"closed\"\nmatch = { path = \"/closed\" }\nplugins = [\"witness\"]\nupstream = \"up\"".to_owned(),
        route("public = true\nplugins = [\"witness\", \"trapping\", \"other\"]"),
    ];
    let gateway = start(&config(&upstream, &parts.each_ref().map(String::as_str)));
    for (path, headers, status, origin) in [
        ("/", ["x-none", "-"], 200, "upstream"),
        // An answer of the upstream's stays one, whatever its status.
        ("/", ["x-behave", "/status/502"], 502, "upstream"),
        ("/", ["x-behave", "/close"], 502, "gateway upstream-reset"),
        ("/away", ["x-none", "-"], 502, "gateway upstream-connect-failed"),
        ("/closed", ["x-none", "-"], 401, "gateway denied"),
        ("/", ["x-misbehave", "trap"], 500, "gateway plugin-failed"),
        ("/", ["x-misbehave", "respond:4"], 200, "plugin trapping"),
        ("/away", ["x-ask", "respond"], 201, "plugin witness"),
    ] {
        let response = get(gateway.address("web").unwrap(), path, &[(headers[0], headers[1])]);
        assert_eq!(text(&response, "x-origin"), origin, "{path} {headers:?}: {}", response.text());
        if headers[0] != "x-misbehave" {
            assert_eq!(response.status, status, "{path} {headers:?}");
        }
    }
}

/// What the witness leaves, as it shows it.
fn left(name: &str) -> [(&'static str, String); 8] {
    [
        ("text", format!("text:{name}")),
        ("least", "integer:-9223372036854775808".to_owned()),
        ("most", "integer:9223372036854775807".to_owned()),
        ("tenth", format!("number:{:016x}", 0.1_f64.to_bits())),
        ("minus-zero", "number:8000000000000000".to_owned()),
        ("yes", "boolean:true".to_owned()),
        ("bytes", "bytes:00ff61".to_owned()),
        ("empty", "bytes:".to_owned()),
    ]
}

#[test]
fn attributes_cross_the_border_as_they_are_and_stay_with_who_left_them() {
    let upstream = Upstream::plain("up").unwrap();
    let parts = [
        plugin("first", witness(), "name = \"one\"", ""),
        plugin("second", witness(), "name = \"two\"", ""),
        plugin("reader", witness(), "reads = [\"first\", \"second\", \"nobody\"]", ""),
        route("public = true\nplugins = [\"first\", \"second\", \"reader\"]"),
    ];
    let gateway = start(&config(&upstream, &parts.each_ref().map(String::as_str)));
    let response = get(gateway.address("web").unwrap(), "/", &[("x-ask", "attributes"), ("x-request-id", "of-a-stranger")]);
    let told = report(&response);
    for (plugin, name) in [("first", "one"), ("second", "two")] {
        for (attribute, value) in left(name) {
            assert_eq!(reported(&told, &format!("x-read-{plugin}-{attribute}")), [&*value], "{plugin} {attribute}");
            assert_eq!(reported(&told, &format!("x-read-nobody-{attribute}")), ["none"]);
        }
        // It is one of their own with a name that looks like another's.
        assert_eq!(reported(&told, &format!("x-read-{plugin}-first.text")), ["text:stolen"]);
    }
    // The observer has all of them, under the names of who left them.
    let id = reported(&told, "x-request-id")[0];
    crate::common::until_logged(&gateway, &format!("left by {id}: "));
    let lines = gateway.log().lines();
    let line = lines.iter().find(|line| line.message().starts_with(&format!("left by {id}: "))).unwrap().message();
    for (plugin, name) in [("first", "one"), ("second", "two")] {
        for (attribute, value) in left(name) {
            let expected = format!("{plugin}.{attribute}={value}");
            assert_eq!(line.split(' ').filter(|word| *word == expected).count(), 1, "{expected} in {line}");
        }
        assert!(line.contains(&format!("{plugin}.first.text=text:stolen")), "{line}");
    }
    assert!(!line.contains("reader."), "{line}");
}

#[test]
fn a_router_knows_what_was_tried_and_how_it_ended() {
    let (refusing, upstream) = (Refusing::new(), Upstream::plain("up").unwrap());
    let (away, there) = (refusing.url(), upstream.url());
    let routed = |endpoints: [&String; 2]| {
        let part = plugin("witness", witness(), "", "");
        let upstream = "max_attempts = 3\nretry_on = [\"connect\", \"503\"]";
        let text = one_upstream(&endpoints.map(String::clone), upstream, "plugins = [\"witness\"]\nrouter = \"witness\"");
        start(&format!("{text}\n{part}"))
    };
    let gateway = routed([&away, &there]);
    let response = get(gateway.address("web").unwrap(), "/", &[]);
    assert_eq!(response.status, 200, "{}", response.text());
    assert_eq!(text(&response, "x-attempt-1"), "1 tried= last=none");
    assert_eq!(text(&response, "x-attempt-2"), format!("2 tried={away} last={away},none,upstream-connect-failed"));
    assert_eq!(text(&response, "x-attempt-3"), "(absent)");

    // An answer that is dropped for another has a status and is no fault.
    let gateway = routed([&there, &away]);
    let response = get(gateway.address("web").unwrap(), "/", &[("x-behave", "/status/503")]);
    assert_eq!(text(&response, "x-attempt-2"), format!("2 tried={there} last={there},503,none"));
    assert_eq!(text(&response, "x-attempt-3"), format!("3 tried={there},{away} last={away},none,upstream-connect-failed"));
}

#[test]
fn a_router_knows_how_long_an_endpoint_takes() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("witness", witness(), "", "");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nplugins = [\"witness\"]\nrouter = \"witness\"")]));
    let address = gateway.address("web").unwrap();
    let began = Instant::now();
    let first = get(address, "/", &[("x-behave", "/slow/500")]);
    let took = began.elapsed().as_micros();
    assert_eq!(text(&first, "x-latency"), "0", "nothing is known before the first answer");
    let latency: u128 = text(&get(address, "/", &[]), "x-latency").parse().unwrap();
    assert!((500_000..=took).contains(&latency), "{latency} after an answer in {took}");
    // It follows what comes after.
    let later: u128 = text(&get(address, "/", &[]), "x-latency").parse().unwrap();
    assert!(later < latency, "{later} is not less than {latency}");
}

#[test]
fn configure_is_called_once_for_each_distinct_configuration() {
    let upstream = Upstream::plain("up").unwrap();
    let routes: String = (0..50)
        .map(|number| {
            let name = ["even", "odd"][number % 2];
            format!(
                "[[routes]]\nname = \"r{number}\"\nmatch = {{ path = \"/r{number}\" }}\npublic = true\nupstream = \"up\"\n\
                 plugins = [{{ plugin = \"witness\", config = {{ name = \"{name}\" }} }}]\n"
            )
        })
        .collect();
    let gateway =
        start(&format!("{HEAD}[upstreams.up]\nendpoints = [{:?}]\n{}{routes}", upstream.url(), plugin("witness", witness(), "", "")));
    for number in 0..50 {
        let response = get(gateway.address("web").unwrap(), &format!("/r{number}"), &[]);
        assert_eq!(seen(&response, "x-name").as_deref(), Some(["even", "odd"][number % 2]), "r{number}");
        assert_eq!(seen(&response, "x-configured").as_deref(), Some("2"), "r{number}");
    }
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0);
}

#[test]
fn a_router_is_told_another_version_of_its_members_when_they_change() {
    let upstream = Upstream::plain("up").unwrap();
    let part = plugin("witness", witness(), "", "");
    let weighing = |weight: u32, attempts: u32| {
        let up = format!("[upstreams.up]\nendpoints = [{{ url = {:?}, weight = {weight} }}]\nmax_attempts = {attempts}\n", upstream.url());
        format!("{HEAD}{up}{part}{}", route("public = true\nplugins = [\"witness\"]\nrouter = \"witness\""))
    };
    let gateway = start(&weighing(1, 1));
    let version = || text(&get(gateway.address("web").unwrap(), "/", &[]), "x-version");
    assert_eq!(version(), "1");
    replace(&gateway.directory().join("plugway.toml"), weighing(2, 1));
    until("the other weight", || version() == "2");
    replace(&gateway.directory().join("plugway.toml"), weighing(3, 2));
    until("both changes", || version() == "3");
}
