//! Signatures that were found good are known to all workers and to whatever comes after a reload; what they are worth is judged anew each time.

use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use super::auth;
use crate::common::{metric, start, two_workers, until};
use crate::guest::{config, get, route};
use crate::issuer::Issuer;
use crate::reload::replace;

fn written(upstream: &Upstream, issuer: &Issuer, parameters: &str, more: &str) -> String {
    let plugin = auth(issuer, "", more).replace("crypto = {}", &format!("crypto = {{ {parameters} }}"));
    two_workers(&config(upstream, &[&plugin, &route("plugins = [\"auth\"]")]))
}

fn status(gateway: &Gateway, token: &str) -> u16 {
    get(gateway.address("web").unwrap(), "/", &[("authorization", &format!("Bearer {token}"))]).status
}

/// Checks that instances asked for and passed, and those of them that needed no computing.
fn checks(gateway: &Gateway) -> (f64, f64) {
    let passed = metric(gateway, "plugway_plugin_token_checks_total", &["result=\"passed\""]);
    (passed, metric(gateway, "plugway_signatures_found_total", &["plugin=\"auth\""]))
}

#[test]
fn a_signature_is_computed_once_for_all_workers_and_reloads_and_is_worth_nothing_once_its_key_is_gone() {
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let token = issuer.token("orders:read", 600);
    let gateway = start(&written(&upstream, &issuer, "", ""));
    until("both workers have met it", || status(&gateway, &token) == 200 && checks(&gateway) == (2.0, 1.0));
    assert_eq!(metric(&gateway, "plugway_signatures", &["plugin=\"auth\""]), 1.0);
    assert!(metric(&gateway, "plugway_signature_bytes", &["plugin=\"auth\""]) > token.len() as f64);
    let reload = |text: &str| replace(&gateway.directory().join("plugway.toml"), text);
    // What an instance keeps ends with its configuration; this does not.
    reload(&written(&upstream, &issuer, "", "leeway = \"1s\""));
    until("both have met it again", || status(&gateway, &token) == 200 && checks(&gateway) == (4.0, 3.0));
    // Another rule, and the same good signature.
    reload(&written(&upstream, &issuer, "", "leeway = \"1s\"\nscopes = [\"orders:write\"]"));
    until("the scope is asked for", || status(&gateway, &token) == 403);
    // Another issuer's keys under the same `kid`.
    reload(&written(&upstream, &Issuer::new(), "", "leeway = \"1s\""));
    until("its key is gone", || status(&gateway, &token) == 401);
    assert!((0..20).all(|_| status(&gateway, &token) == 401));
}

#[test]
fn nothing_is_remembered_where_the_grant_says_so() {
    let (issuer, upstream) = (Issuer::new(), Upstream::plain("up").unwrap());
    let gateway = start(&written(&upstream, &issuer, "max_signatures = 0", ""));
    let token = issuer.token("orders:read", 600);
    until("both workers have met it", || status(&gateway, &token) == 200 && checks(&gateway) == (2.0, 0.0));
    assert!((0..20).all(|_| status(&gateway, &issuer.token("orders:read", 600)) == 200));
    assert_eq!(checks(&gateway).1, 0.0);
}
