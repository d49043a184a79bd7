//! Whether the grant lets a URL be asked, told before anybody asks: where a request is served, and where a configuration is checked.

use plugway_harness::temp::TempDir;
use plugway_harness::upstream::Upstream;

use super::{LOOPBACK, World};
use crate::common::{assert_problem, metric, start, until};
use crate::guest::{asking, check, config, get, looking, plugin, refused, route};
use crate::inspect;

#[test]
fn what_may_be_asked_is_told_and_nobody_is_asked() {
    let world = World::new(LOOPBACK, "");
    let may = |url: &str| world.ask(&format!("may {url}"));
    assert_eq!(may(&world.url("/a?b")), "may");
    for (url, error) in [
        (format!("{}/", world.up.url()), "NotAllowed("),
        (world.url("/").replace("http://", "https://"), "NotAllowed("),
        ("https://id.example/".to_owned(), "NotAllowed("),
        ("/no-url".to_owned(), "Invalid("),
        ("ftp://127.0.0.1/".to_owned(), "Invalid("),
        (world.url("/").replace("http://", "http://ann:secret@"), "Invalid("),
    ] {
        assert!(may(&url).starts_with(error), "{url}: {}", may(&url));
        assert_eq!(world.ask(&format!("GET {url}")), may(&url), "a request is told the same");
    }
    // Where it cannot wait it can look.
    assert_eq!(world.ask("configured"), "NotHere, NotAllowed(\"http://127.0.0.1 at port 9\")");
    assert_eq!((world.server.connections(), world.up.connections()), (0, 0));
    assert_eq!(metric(&world.gateway, "plugway_http_client_requests_total", &["outcome=\"server\""]), 0.0);

    // Its host is named, and the address that is written there is not.
    let world = World::new("", "");
    let told = world.ask(&format!("may {}", world.url("/")));
    assert!(told.starts_with("NotAllowed(") && told.contains("loopback; `addresses` of the grant has it not"), "{told}");
    assert_eq!(world.ask(&format!("GET {}", world.url("/"))), told);
}

#[test]
fn who_was_not_granted_it_cannot_look_either() {
    let up = Upstream::plain("up").unwrap();
    let gateway = start(&config(&up, &[&plugin("asking", asking(), "", ""), &route("public = true\nplugins = [\"asking\"]")]));
    let ask = |told: &str| get(gateway.address("web").unwrap(), "/", &[("x-ask", told)]);
    assert_problem(&ask("may http://127.0.0.1:9/"), 500, "plugin-failed");
    until("the one instance is replaced", || metric(&gateway, "plugway_instances", &["plugin=\"asking\""]) == 1.0);
    assert_eq!(ask("spin 1").text(), "spun");
}

#[test]
fn a_plugin_that_only_looks_needs_the_grant_tells_the_operator_and_is_called_as_one_that_cannot_wait() {
    let (server, up) = (Upstream::plain("server").unwrap(), Upstream::plain("up").unwrap());
    let folder = TempDir::new().unwrap();
    let (code, shown, _) = inspect::plugin(folder.path(), &["inspect", looking().to_str().unwrap()]);
    assert!(code == 0 && shown.contains("to load it    grants = { http-client = { hosts = [\"HOST\"] } }"), "{shown}");
    let with = |file, its_config: &str, hosts: &str| {
        let grant = format!("grants = {{ http-client = {{ hosts = [{hosts}], addresses = [\"127.0.0.0/8\"] }} }}");
        // More than there is room for, if it could have as many.
        let table = format!("{grant}\nbudget = {{ instances = 65 }}");
        let room = "[limits]\nmax_plugin_instances = 64\n";
        config(&up, &[&plugin("looking", file, its_config, &table), room, &route("public = true\nplugins = [\"looking\"]")])
    };
    let (url, host) = (format!("url = \"{}/keys\"", server.url()), format!("\"{}\"", server.url()));

    let text = refused(&config(&up, &[&plugin("looking", looking(), &url, ""), &route("public = true\nplugins = [\"looking\"]")]));
    assert!(text.contains("it imports the capability `http-client`, which was not granted"), "{text}");
    let text = refused(&with(looking(), &url, "\"id.example.com\""));
    assert!(text.contains("plugin `looking` does not take its configuration: `url` = "), "{text}");
    assert!(text.contains("the grant does not allow it: http://127.0.0.1 at port "), "{text}");

    let (output, text) = check(&with(looking(), &url, &host));
    assert!(output.status.success() && !text.contains("max_plugin_instances"), "{text}");
    let (output, text) = check(&with(asking(), "", &host));
    assert!(output.status.success() && text.contains("plugins may ask for 65 instances"), "{text}");

    let gateway = start(&with(looking(), &url, &host));
    let ask = |url: &str| get(gateway.address("web").unwrap(), "/", &[("x-ask", url)]).text();
    assert_eq!(ask(&format!("{}/", server.url())), "Ok(())");
    assert!(ask(&format!("{}/", up.url())).starts_with("Err(NotAllowed("));
    assert_eq!((server.connections(), up.connections()), (0, 0));
}
