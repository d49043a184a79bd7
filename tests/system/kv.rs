//! `kv`, asked by a guest over real sockets on two workers.

use plugway_harness::client::{self, Client};
use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use crate::common::{metric, run, start, two_workers, until};
use crate::guest::{config, get, keeper, plugin, refused, route};

fn with_kv(upstream: &Upstream, grant: &str) -> Gateway {
    let part = plugin("keeper", keeper(), "", &format!("grants = {{ kv = {grant} }}"));
    start(&two_workers(&config(upstream, &[&part, &route("public = true\nplugins = [\"keeper\"]")])))
}

/// Asks on a connection of its own, so that now one worker answers and now the other.
fn ask(gateway: &Gateway, told: &str) -> String {
    let response = get(gateway.address("web").unwrap(), "/", &[("x-do", told)]);
    assert_eq!(response.status, 200, "{told}: {}", response.text());
    response.text()
}

#[test]
fn an_entry_is_the_same_on_every_worker() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_kv(&upstream, "{}");
    assert_eq!(ask(&gateway, "get greeting"), "-");
    assert_eq!(ask(&gateway, "set greeting hello -"), "ok");
    (0..20).for_each(|_| assert_eq!(ask(&gateway, "get greeting"), "hello"));
    assert_eq!(ask(&gateway, "swap greeting other hi"), "Mismatch");
    assert_eq!(ask(&gateway, "swap greeting hello hi"), "ok");
    assert_eq!(ask(&gateway, "get greeting"), "hi");
    assert_eq!(ask(&gateway, "swap greeting hi -"), "ok");
    assert_eq!(ask(&gateway, "swap greeting - again"), "ok");
    assert_eq!(ask(&gateway, "add greeting 1 -"), "NotANumber");
    assert_eq!(ask(&gateway, "delete greeting"), "true");
    assert_eq!(ask(&gateway, "delete greeting"), "false");
}

#[test]
fn four_thousand_increments_over_two_workers_are_four_thousand() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_kv(&upstream, "{}");
    let address = gateway.address("web").unwrap();
    run(async {
        let clients = (0..20).map(|_| {
            tokio::task::spawn_local(async move {
                let mut connection = Client::http(address, "example.com").connect().await.unwrap();
                for _ in 0..200 {
                    let mut request = client::get("/").unwrap();
                    request.headers_mut().insert("x-do", "add visits 1 -".parse().unwrap());
                    assert_eq!(connection.request(request).await.unwrap().status.as_u16(), 200);
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
    });
    assert_eq!(ask(&gateway, "get visits"), "4000");
    for worker in ["worker=\"0\"", "worker=\"1\""] {
        assert!(metric(&gateway, "plugway_worker_requests_total", &[worker]) > 0.0, "{worker} counted nothing");
    }
}

#[test]
fn an_entry_ends_when_its_time_is_over() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_kv(&upstream, "{}");
    assert_eq!(ask(&gateway, "set short here 50"), "ok");
    assert_eq!(ask(&gateway, "set long here 3600000"), "ok");
    assert_eq!(ask(&gateway, "set never here 0"), "InvalidTtl");
    until("the entry to end", || ask(&gateway, "get short") == "-");
    assert_eq!(ask(&gateway, "get long"), "here");
    // Counting on from one that ended begins anew.
    assert_eq!(ask(&gateway, "add short 5 -"), "5");
}

#[test]
fn what_is_too_large_is_refused_and_what_there_is_no_room_for_goes() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_kv(&upstream, "{ scope = \"node\", max_entries = 3, max_bytes = \"1MiB\" }");
    assert_eq!(ask(&gateway, "fill large 65536"), "ok");
    assert_eq!(ask(&gateway, "fill large 65537"), "TooLarge");
    assert_eq!(ask(&gateway, &format!("get {}", "k".repeat(1_025))), "TooLarge");
    for key in ["a", "b", "c", "d"] {
        assert_eq!(ask(&gateway, &format!("set {key} here -")), "ok");
        // Used again and again, it is never what was not used for longest.
        assert_eq!(ask(&gateway, "get a"), "here");
    }
    assert_eq!(["a", "b", "c", "d"].map(|key| ask(&gateway, &format!("get {key}"))), ["here", "-", "here", "here"]);
    assert_eq!(metric(&gateway, "plugway_kv_entries", &["plugin=\"keeper\""]), 3.0);
    assert_eq!(metric(&gateway, "plugway_kv_bytes", &["plugin=\"keeper\""]), 3.0 * (1.0 + 4.0 + 128.0));
    assert_eq!(metric(&gateway, "plugway_kv_evicted_total", &["plugin=\"keeper\""]), 2.0);
}

#[test]
fn what_is_pinned_stays_on_every_worker_while_others_go() {
    let upstream = Upstream::plain("up").unwrap();
    let gateway = with_kv(&upstream, "{ max_entries = 4, max_bytes = \"1MiB\" }");
    for key in ["a", "b", "c"] {
        assert_eq!(ask(&gateway, &format!("pin {key} used 3600000")), "ok");
    }
    assert_eq!(ask(&gateway, "pin d used 3600000"), "Full");
    for number in 0..50 {
        assert_eq!(ask(&gateway, &format!("set {number} here -")), "ok");
        assert_eq!(ask(&gateway, &format!("pin {} again 50", ["a", "b", "c"][number % 3])), "Mismatch");
    }
    assert_eq!(metric(&gateway, "plugway_kv_entries", &["plugin=\"keeper\""]), 4.0);
    assert_eq!(ask(&gateway, "delete a"), "true");
    assert_eq!(ask(&gateway, "pin d used 50"), "ok");
    // It makes room by its end.
    until("the short one to end", || ask(&gateway, "pin a again 3600000") == "ok");
}

#[test]
fn a_plugin_that_floods_its_store_pushes_nothing_out_of_anothers() {
    let upstream = Upstream::plain("up").unwrap();
    // The same file twice, and each its own.
    let keeping = plugin("keeping", keeper(), "", "grants = { kv = { max_entries = 4, max_bytes = \"1MiB\" } }");
    let flooding = plugin("flooding", keeper(), "", "grants = { kv = { max_entries = 4, max_bytes = \"1MiB\" } }");
    let flood = "[[routes]]\nname = \"flood\"\nmatch = { path = \"/flood\" }\nupstream = \"up\"\npublic = true\nplugins = [\"flooding\"]";
    let gateway = start(&two_workers(&config(&upstream, &[&keeping, &flooding, &route("public = true\nplugins = [\"keeping\"]"), flood])));
    let flooded = |told: &str| get(gateway.address("web").unwrap(), "/flood", &[("x-do", told)]).text();
    for key in ["a", "b", "c", "d"] {
        assert_eq!(ask(&gateway, &format!("set {key} mine -")), "ok");
    }
    // Neither by reading, nor by as many and as large entries as it likes, under the same names or others.
    assert_eq!(flooded("get a"), "-");
    for number in 0..200 {
        assert_eq!(flooded(&format!("fill {number} 60000")), "ok");
        assert_eq!(flooded("set a theirs -"), "ok");
    }
    assert_eq!(flooded("delete b"), "false");
    assert_eq!(["a", "b", "c", "d"].map(|key| ask(&gateway, &format!("get {key}"))), ["mine"; 4]);
    let evicted = |name: &str| metric(&gateway, "plugway_kv_evicted_total", &[&format!("plugin=\"{name}\"")]);
    assert!(evicted("flooding") >= 190.0 && evicted("keeping") == 0.0, "{} and {}", evicted("flooding"), evicted("keeping"));
    assert!(metric(&gateway, "plugway_kv_bytes", &["plugin=\"flooding\""]) <= f64::from(1 << 20));
}

#[test]
fn it_needs_its_grant_which_has_bounds() {
    let upstream = Upstream::plain("up").unwrap();
    let parts =
        |grants: &str| config(&upstream, &[&plugin("keeper", keeper(), "", grants), &route("public = true\nplugins = [\"keeper\"]")]);
    let text = refused(&parts(""));
    assert!(text.contains("`kv`, which was not granted") && text.contains("`grants = { kv = {} }`"), "{text}");
    let text = refused(&parts("grants = { kv = { max_bytes = \"1KiB\" } }"));
    assert!(text.contains("plugins.keeper.grants.kv.max_bytes"), "{text}");
    let text = refused(&parts("grants = { kv = { scope = \"cluster\" } }"));
    assert!(text.contains("plugins.keeper.grants.kv.scope") && text.contains("node"), "{text}");
}
