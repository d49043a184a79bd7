//! Calls that are not made, because the plugin said that there is nothing to ask.

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::RawResponse;
use plugway_harness::upstream::Upstream;

use crate::common::{HEAD, metric, start};
use crate::guest::{config, get, guest, report, route, seen, with_guest};

fn calls(gateway: &Gateway, plugin: &str, hook: &str) -> f64 {
    metric(gateway, "plugway_hook_calls_total", &[&format!("plugin=\"{plugin}\""), &format!("hook=\"{hook}\"")])
}

fn ask(gateway: &Gateway, path: &str, tenant: &str) -> RawResponse {
    let response = get(gateway.address("web").unwrap(), path, &[("x-tenant-id", tenant)]);
    report(&response);
    response
}

#[test]
fn a_plan_that_is_kept_is_asked_for_once_for_an_endpoint() {
    let (one, two) = (Upstream::plain("one").unwrap(), Upstream::plain("two").unwrap());
    let part = guest("plans", "mode = \"keep-plan\", hook = \"forwarder\"", "");
    let text = format!(
        "{HEAD}\n[upstreams.up]\nendpoints = [\"{}\", \"{}\"]\n{part}{}",
        one.url(),
        two.url(),
        route("public = true\nforwarder = \"plans\"")
    );
    let gateway = start(&text);
    let plans: Vec<_> = (0..10).map(|number| seen(&ask(&gateway, "/", &format!("t{number}")), "x-plan").unwrap()).collect();
    // Round robin: each endpoint has the plan of the first request that went there.
    assert_eq!(plans, ["t0", "t1"].repeat(5));
    assert_eq!((one.requests(), two.requests()), (5, 5));
    assert_eq!(calls(&gateway, "plans", "forwarder"), 2.0);
}

#[test]
fn a_plan_is_kept_for_one_configuration() {
    let upstream = Upstream::plain("up").unwrap();
    let part = guest("plans", "", "");
    let place = |name: &str, mode: &str| {
        let forwarder = format!("{{ plugin = \"plans\", config = {{ mode = \"{mode}\", hook = \"forwarder\" }} }}");
        format!(
            "[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}\" }}\nupstream = \"up\"\npublic = true\nforwarder = {forwarder}\n"
        )
    };
    let gateway = start(&config(&upstream, &[&part, &place("kept", "keep-plan"), &place("asked", "mark")]));
    for (number, path) in ["/kept", "/asked", "/kept", "/asked", "/kept"].into_iter().enumerate() {
        let response = ask(&gateway, path, &number.to_string());
        let expected = if path == "/kept" { (Some("0".to_owned()), None) } else { (None, Some("on".to_owned())) };
        assert_eq!((seen(&response, "x-plan"), seen(&response, "x-plugin")), expected, "{number}");
    }
    assert_eq!(calls(&gateway, "plans", "forwarder"), 3.0, "once, and for each that is asked");
}

#[test]
fn filters_that_have_nothing_to_do_with_a_configuration_are_not_called_for_it() {
    let upstream = Upstream::plain("up").unwrap();
    let place = |name: &str, mode: &str| {
        let used = format!("{{ plugin = \"filters\", config = {{ mode = \"{mode}\" }} }}");
        format!("[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}\" }}\nupstream = \"up\"\npublic = true\nplugins = [{used}]\n")
    };
    let part = crate::guest::plugin("filters", crate::guest::filters(), "", "");
    let gateway = start(&config(&upstream, &[&part, &place("idle", "leave-out"), &place("busy", "mark")]));
    let filters = || ["request-filter", "response-filter"].map(|hook| calls(&gateway, "filters", hook));
    for _ in 0..5 {
        assert_eq!(seen(&ask(&gateway, "/idle", "a"), "x-plugin"), None);
    }
    assert_eq!(filters(), [0.0, 0.0]);
    assert_eq!(seen(&ask(&gateway, "/busy", "a"), "x-plugin").as_deref(), Some("on"));
    assert_eq!(filters(), [1.0, 1.0]);
}

#[test]
fn an_authorizer_is_asked_whatever_its_filters_have_to_do() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_guest(&upstream, "mode = \"leave-out\"", "");
    ask(&gateway, "/", "a");
    let called = ["authorizer", "request-filter", "response-filter"].map(|hook| calls(&gateway, "misbehaving", hook));
    assert_eq!(called, [1.0, 0.0, 0.0]);
}

#[test]
fn what_a_plugin_said_does_not_outlive_the_instance_that_said_it() {
    let upstream = Upstream::plain("up").unwrap();
    // Of both places one instance is asked; the other one's trap ends it.
    let place = |name: &str, mode: &str| {
        let forwarder = format!("{{ plugin = \"plans\", config = {{ mode = \"{mode}\", hook = \"forwarder\" }} }}");
        format!(
            "[[routes]]\nname = \"{name}\"\nmatch = {{ path = \"/{name}\" }}\nupstream = \"up\"\npublic = true\nforwarder = {forwarder}\n"
        )
    };
    let gateway = start(&config(&upstream, &[&guest("plans", "", ""), &place("kept", "keep-plan"), &place("traps", "trap")]));
    let plan = |tenant: &str| seen(&ask(&gateway, "/kept", tenant), "x-plan").unwrap();
    assert_eq!((plan("a"), plan("b")), ("a".to_owned(), "a".to_owned()));
    assert_eq!(get(gateway.address("web").unwrap(), "/traps", &[]).status, 500);
    assert_eq!((plan("c"), plan("d")), ("c".to_owned(), "c".to_owned()));
}

#[test]
fn where_each_request_has_an_instance_of_its_own_no_plan_is_kept() {
    let upstream = Upstream::plain("up").unwrap();
    let part = guest("plans", "mode = \"keep-plan\", hook = \"forwarder\"", "isolation = \"request\"");
    let gateway = start(&config(&upstream, &[&part, &route("public = true\nforwarder = \"plans\"")]));
    for tenant in ["a", "b", "c"] {
        assert_eq!(seen(&ask(&gateway, "/", tenant), "x-plan").as_deref(), Some(tenant));
    }
    assert_eq!(calls(&gateway, "plans", "forwarder"), 3.0);
}
