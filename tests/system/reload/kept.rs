//! What outlives a reload, and what is read anew by one: buckets, entries, secrets, timers.

use std::path::Path;
use std::time::Instant;

use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;

use super::{LOOKED, meanwhile, post_reload, replace, until};
use crate::common::{BINARY, json, metric};
use crate::guest::{confidant, config, get, keeper, route, ticking};

/// A gateway with one plugin in `plugins.d`.
fn with(name: &str, component: &Path, settings: &str, grants: &str, more: &str) -> (Gateway, Upstream) {
    let (launch, upstream) = (Launch::new(BINARY).unwrap(), Upstream::plain("up").unwrap());
    std::fs::create_dir(launch.directory().join("plugins.d")).unwrap();
    std::fs::copy(component, launch.directory().join(format!("plugins.d/{name}.wasm"))).unwrap();
    launch.file("key", "the first key").unwrap();
    let plugin = format!("[plugins.{name}]\nsource = \"{name}.wasm\"\nconfig = {{ {settings} }}\ngrants = {grants}\n");
    let text = config(&upstream, &[&plugin, &route(&format!("public = true\nplugins = [\"{name}\"]")), more]);
    (launch.start(&text).unwrap(), upstream)
}

/// The same component in other bytes: a section without meaning goes at its end.
fn swap(gateway: &Gateway, name: &str) {
    let file = gateway.directory().join(format!("plugins.d/{name}.wasm"));
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend_from_slice(b"\0\x05\x04note");
    let before = swapped(gateway);
    replace(&file, bytes);
    until("the swap", || swapped(gateway) > before);
}

fn swapped(gateway: &Gateway) -> f64 {
    metric(gateway, "plugway_reloads_total", &["result=\"swapped\""])
}

fn ask(gateway: &Gateway, told: &str) -> String {
    let response = get(gateway.address("web").unwrap(), "/", &[("x-do", told)]);
    assert_eq!(response.status, 200, "{told}: {}", response.text());
    response.text()
}

#[test]
fn entries_outlive_a_swap_of_the_plugin() {
    let (gateway, _upstream) = with("keeper", keeper(), "", "{ kv = {} }", "");
    assert_eq!(ask(&gateway, "add visits 41 -"), "41");
    swap(&gateway, "keeper");
    assert_eq!(ask(&gateway, "add visits 1 -"), "42");
    assert_eq!(metric(&gateway, "plugway_kv_entries", &["plugin=\"keeper\""]), 1.0);
}

#[test]
fn buckets_outlive_a_reload_of_the_configuration() {
    let (launch, upstream) = (Launch::new(BINARY).unwrap(), Upstream::plain("up").unwrap());
    let limit = |max_keys: usize, level: &str| {
        let plugin = format!(
            "[plugins.limit]\nsource = \"builtin:rate-limit\"\ngrants = {{ rate-limit = {{ max_keys = {max_keys} }} }}\n\
             config.limits = [{{ name = \"all\", key = \"route\", requests = 2, period = \"1h\" }}]\n"
        );
        config(&upstream, &[&plugin, &route(&format!("public = true\nplugins = [\"limit\"]\nmax_body_bytes = \"{level}\"")), ""])
    };
    let gateway = launch.start(&limit(100, "1MiB")).unwrap();
    let file = gateway.directory().join("plugway.toml");
    let statuses = || [(); 3].map(|()| get(gateway.address("web").unwrap(), "/", &[]).status);
    assert_eq!(statuses(), [200, 200, 429]);
    let reload = |text: &str| {
        // With the ports the gateway has, as the harness wrote them.
        let now = std::fs::read_to_string(&file).unwrap();
        let head = now.split("[upstreams.up]").next().unwrap();
        let tail = text.split_once("[upstreams.up]").unwrap().1;
        let before = swapped(&gateway);
        replace(&file, format!("{head}[upstreams.up]{tail}"));
        until("the reload", || swapped(&gateway) > before);
    };
    reload(&limit(100, "2MiB"));
    assert_eq!(statuses(), [429; 3]);
    // Another grant is another set of buckets.
    reload(&limit(200, "2MiB"));
    assert_eq!(statuses(), [200, 200, 429]);
    let keys = || metric(&gateway, "plugway_rate_limit_keys", &["plugin=\"limit\""]);
    until("the earlier ones to be gone with their generation", || keys() == 1.0);
}

#[test]
fn a_secret_is_read_anew_by_a_reload_and_a_bad_one_changes_nothing() {
    let (gateway, _upstream) = with("confidant", confidant(), "", "{ secrets = [\"key\"] }", "[secrets.key]\nfile = \"key\"");
    let key = gateway.directory().join("key");
    // The first look at files comes without a change to them.
    meanwhile(LOOKED, || assert_eq!(ask(&gateway, "show key"), "the first key"));
    replace(&key, "the second key\n");
    // Not by itself: a reload is asked for.
    meanwhile(LOOKED, || assert_eq!(ask(&gateway, "show key"), "the first key"));
    assert_eq!(json(&post_reload(&gateway, ""))["result"], "swapped");
    assert_eq!(ask(&gateway, "show key"), "the second key");
    assert_eq!(json(&post_reload(&gateway, ""))["result"], "unchanged");

    replace(&key, "");
    let refused = post_reload(&gateway, "");
    assert_eq!(refused.status, 422);
    let refused = json(&refused);
    assert!(refused.to_string().contains("it is empty") && !refused.to_string().contains("second"), "{refused}");
    assert_eq!(ask(&gateway, "show key"), "the second key");

    replace(&key, "the third key");
    // On a busy machine the first look at files may come just now, and be the reload.
    assert_eq!(post_reload(&gateway, "").status, 200);
    assert_eq!(ask(&gateway, "show key"), "the third key");
}

#[test]
fn a_timer_goes_on_after_a_swap_and_the_old_one_does_not() {
    let began = Instant::now();
    let (gateway, _upstream) = with("ticking", ticking(), "period_ms = 100", "{ kv = {} }", "");
    let ticks = || ask(&gateway, "ticks").parse::<u64>().unwrap();
    for _ in 0..2 {
        swap(&gateway, "ticking");
    }
    let before = ticks();
    until("ticks after two swaps", || ticks() >= before + 8);
    // One on each beat, and one more as each of the three generations began.
    let (ticks, most) = (ticks(), began.elapsed().as_millis() as u64 / 100 + 3);
    assert!(ticks <= most, "{ticks} ticks, at most {most}");
    until("one generation to be left", || metric(&gateway, "plugway_instances", &["plugin=\"ticking\""]) == 2.0);
}
