//! Whom a token is of, told to everybody who asks: a later plugin, metrics, the access log, the upstream. On routes with rules of their own, and
//! issuers with keys of their own.

use plugway_harness::upstream::Upstream;
use serde_json::json;

use crate::common::{metric, start, until, until_logged};
use crate::guest::{config, get, seen};
use crate::issuer::Issuer;

/// Who else is told whose token it is, and a route with all of them.
pub(super) const TOLD: &str = r#"
[plugins.limit]
source = "builtin:rate-limit"
grants = { rate-limit = {} }
config = { limits = [{ name = "tenant", key = { claim = "tenant" }, requests = 2, period = "1h" }] }
[plugins.counts]
source = "builtin:metrics"
config = { consumer = true }
[access_log]
fields = ["path", "consumer", "status"]
[[routes]]
name = "limited"
match = { path = "/limited" }
upstream = "up"
plugins = ["auth", "limit", "counts"]
"#;

const ROUTES: &str = r#"
[[routes]]
name = "buyers"
match = { path = "/buyers" }
upstream = "up"
plugins = [{ plugin = "auth", config = { require = [{ claim = "roles", contains = "buyer" }] } }, "counts"]
[[routes]]
name = "bills"
match = { path = "/bills" }
upstream = "up"
plugins = [{ plugin = "auth", config = { audience = "billing" } }]
[[routes]]
name = "open"
match = { path = "/open" }
upstream = "up"
public = true
[[routes]]
name = "lists"
match = { path = "/lists" }
upstream = "up"
plugins = [{ plugin = "auth", config = { scopes = [], anonymous = { scopes = ["orders:list"] } } }, "counts"]
"#;

#[test]
fn everybody_is_told_whose_token_it_is_and_every_route_has_its_own_rules() {
    let (issuer, other, stranger, upstream) = (Issuer::new(), Issuer::new(), Issuer::new(), Upstream::plain("up").unwrap());
    let auth = format!(
        "[plugins.auth]\nsource = \"builtin:oauth2\"\ngrants = {{ crypto = {{}} }}\n[plugins.auth.config]\naudience = \"orders\"\n\
         scopes = [\"orders:read\"]\nclaims = [\"tenant\"]\nclaims_as_headers = {{ \"x-user\" = \"sub\" }}\n\
         issuers = [{{ issuer = \"https://id.example.com\", jwks = '{}' }}, {{ issuer = \"https://other.example.com\", jwks = '{}' }}]\n",
        issuer.jwks(),
        other.jwks()
    );
    let gateway = start(&config(&upstream, &[&auth, TOLD, ROUTES]));
    let address = gateway.address("web").unwrap();
    let ask = |path: &str, token: &str| {
        get(address, path, &[("authorization", &format!("Bearer {token}")), ("x-user", "root"), ("X_User", "root")])
    };
    let of = |issuer: &Issuer, name: &str, subject: &str, tenant: &str, roles: &[&str]| {
        let claims = json!({ "iss": name, "sub": subject, "tenant": tenant, "roles": roles, "scope": "orders:read" });
        issuer.token_with(claims)
    };
    let ann = of(&issuer, "https://id.example.com", "ann", "acme", &["buyer"]);
    let bob = of(&other, "https://other.example.com", "bob", "acme", &["seller"]);
    let eve = of(&other, "https://other.example.com", "eve", "evil", &[]);

    // The later plugin counts by the claim, whoever issued it.
    assert_eq!(seen(&ask("/limited", &ann), "x-user").as_deref(), Some("ann"));
    assert_eq!(seen(&ask("/limited", &bob), "x-user").as_deref(), Some("bob"));
    assert_eq!(ask("/limited", &ann).status, 429);
    assert_eq!(seen(&ask("/limited", &eve), "x-user").as_deref(), Some("eve"));
    // Each route asks for what it says, of a token that another let pass before.
    assert_eq!((ask("/buyers", &ann).status, ask("/buyers", &bob).status), (200, 403));
    // And of a token for somebody else.
    let bills = issuer.token_with(json!({ "iss": "https://id.example.com", "sub": "ann", "aud": "billing", "scope": "orders:read" }));
    let told = ask("/bills", &bills);
    assert_eq!((told.status, seen(&told, "x-user").as_deref(), seen(&told, "x_user")), (200, Some("ann"), None));
    assert_eq!((ask("/bills", &ann).status, ask("/buyers", &bills).status), (401, 401));
    // An issuer's keys are good for its own name alone.
    for forged in [
        of(&other, "https://id.example.com", "ann", "acme", &["buyer"]),
        of(&stranger, "https://id.example.com", "ann", "acme", &["buyer"]),
    ] {
        assert_eq!(ask("/buyers", &forged).status, 401);
    }
    // Nobody passes where nobody is asked, and is nobody to the upstream.
    let nobody = get(address, "/lists", &[("x-user", "root")]);
    assert_eq!((nobody.status, seen(&nobody, "x-user")), (200, None));
    // Nor anybody else there where nobody is asked at all, on a route that has no plugin.
    let open = ask("/open", &ann);
    assert_eq!((open.status, seen(&open, "x-user"), seen(&open, "x_user")), (200, None, None));
    assert_eq!((get(address, "/limited", &[]).status, ask("/lists", "no.such.token").status), (401, 401));

    for (consumer, requests) in [("ann", 3.0), ("bob", 1.0), ("eve", 1.0), ("anonymous", 1.0)] {
        let label = format!("consumer=\"{consumer}\"");
        until(consumer, || metric(&gateway, "plugway_plugin_requests_total", &[&label]) == requests);
        until_logged(&gateway, &format!("\"consumer\":\"{consumer}\""));
    }
}
