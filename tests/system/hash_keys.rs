//! What `hash-router` takes for a key: the same key meets the same endpoint on every worker, other keys are spread, and what is not the key does not matter.

use std::collections::BTreeSet;

use plugway_harness::ca::hex;
use plugway_harness::gateway::Gateway;
use plugway_harness::upstream::Upstream;

use crate::common::{HEAD, start, two_workers};
use crate::guest::{assert_problem, get};

/// Keys of each test.
const KEYS: usize = 32;
/// Upstreams they are spread over; a label names each of them, so that keys are at home in the same ones in every run.
const UPSTREAMS: [&str; 4] = ["one", "two", "three", "four"];

struct Scene {
    gateway: Gateway,
    _upstreams: Vec<Upstream>,
}

/// A request: path and headers.
struct Asked(String, Vec<(&'static str, String)>);

fn asked(path: impl Into<String>, headers: &[(&'static str, &str)]) -> Asked {
    Asked(path.into(), headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
}

impl Scene {
    /// `path` goes where `key` says; `top` and `more` are more of the file and of the route.
    fn new(top: &str, path: &str, key: &str, more: &str) -> Self {
        let upstreams: Vec<Upstream> = UPSTREAMS.iter().map(|name| Upstream::plain(name).unwrap()).collect();
        let member =
            |upstream: &Upstream| format!("{{ url = \"{}\", labels = {{ hash_name = \"{}\" }} }}", upstream.url(), upstream.name());
        let members = upstreams.iter().map(member).collect::<Vec<_>>().join(", ");
        let gateway = start(&two_workers(&format!(
            r#"{top}{HEAD}
[upstreams.up]
endpoints = [{members}]
[plugins.by-key]
source = "builtin:hash-router"
config = {{ key = {key}, missing_key = "reject" }}
[[routes]]
name = "all"
match = {{ path = "{path}" }}
upstream = "up"
router = "by-key"
{more}
"#
        )));
        Self { gateway, _upstreams: upstreams }
    }

    /// The upstream that answers.
    fn home(&self, Asked(path, headers): &Asked) -> String {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let response = get(self.gateway.address("web").unwrap(), path, &headers);
        assert_eq!(response.status, 200, "{path}, {headers:?}: {}", response.text());
        String::from_utf8(response.header("x-upstream").unwrap().to_vec()).unwrap()
    }

    /// Every upstream that answers one of these.
    fn homes(&self, asked: impl IntoIterator<Item = Asked>) -> BTreeSet<String> {
        asked.into_iter().map(|asked| self.home(&asked)).collect()
    }

    /// Requests with one number have one key, and no two numbers have the same. Each of them is made twice, so that both workers get some.
    fn assert_spread(&self, alike: impl Fn(usize) -> Vec<Asked>) {
        let mut met = BTreeSet::new();
        for number in 0..KEYS {
            let homes = self.homes(alike(number).into_iter().chain(alike(number)));
            assert_eq!(homes.len(), 1, "key {number} is at home at {homes:?}");
            met.extend(homes);
        }
        assert_eq!(met, BTreeSet::from(UPSTREAMS.map(str::to_owned)), "they are spread over all upstreams");
    }

    /// Without a key there is no endpoint.
    fn assert_rejected(&self, Asked(path, headers): &Asked) {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        assert_problem(&get(self.gateway.address("web").unwrap(), path, &headers), 503, "no-endpoint");
    }
}

#[test]
fn a_segment_of_the_path_is_a_key() {
    let scene = Scene::new("", "/orders/{id}/items/*", "{ parameter = \"id\" }", "public = true");
    scene.assert_spread(|number| {
        vec![
            asked(format!("/orders/k{number}/items/1"), &[]),
            asked(format!("/orders/k{number}/items/{number}?id=other"), &[("cookie", "id=other")]),
            asked(format!("/orders/%6B{number}/items/1"), &[("x-forwarded-for", "192.0.2.1")]),
        ]
    });
}

#[test]
fn a_parameter_of_the_query_is_a_key() {
    let scene = Scene::new("", "/*", "{ query = \"q\" }", "public = true");
    scene.assert_spread(|number| {
        vec![
            asked(format!("/?q=k{number}"), &[]),
            asked(format!("/other?a=1&q=k{number}&b=2"), &[("cookie", "q=other")]),
            asked(format!("/?q=%6B{number}&q=other"), &[]),
        ]
    });
    scene.assert_rejected(&asked("/?q=&r=1", &[]));
}

#[test]
fn a_cookie_is_a_key() {
    let scene = Scene::new("", "/*", "{ cookie = \"sid\" }", "public = true");
    scene.assert_spread(|number| {
        vec![
            asked("/", &[("cookie", &format!("sid=k{number}"))]),
            asked(format!("/{number}?sid=other"), &[("cookie", &format!("a=1; sid=k{number}; b=2"))]),
            asked("/", &[("cookie", &format!("sid=\"k{number}\"; sid=other"))]),
        ]
    });
    scene.assert_rejected(&asked("/", &[("cookie", "side=1; sid=")]));
}

#[test]
fn the_clients_address_is_a_key_as_far_as_it_can_be_believed() {
    let behind_proxies = Scene::new("trusted_proxies = [\"127.0.0.1\"]\n", "/*", "\"client-address\"", "public = true");
    behind_proxies.assert_spread(|number| {
        let client = format!("192.0.2.{number}");
        vec![
            asked("/", &[("x-forwarded-for", &client)]),
            asked(format!("/{number}"), &[("x-forwarded-for", &format!("{client}:4711"))]),
            // What stands before the last address is the client's own word.
            asked("/", &[("x-forwarded-for", &format!("198.51.100.{number}, {client}"))]),
            asked("/", &[("x-forwarded-for", &client), ("forwarded", "for=198.51.100.9;proto=https")]),
        ]
    });

    let in_front = Scene::new("", "/*", "\"client-address\"", "public = true");
    let claimed = (0..KEYS).flat_map(|number| {
        let client = format!("192.0.2.{number}");
        [asked("/", &[("x-forwarded-for", &client)]), asked("/", &[("forwarded", &format!("for={client}")), ("x-real-ip", &client)])]
    });
    let homes = in_front.homes(claimed.chain([asked("/", &[])]));
    assert_eq!(homes.len(), 1, "whatever a stranger says of itself, it is one client: {homes:?}");
}

#[test]
fn a_claim_of_the_caller_is_a_key() {
    let key = |number: usize, which: &str| format!("sk-{which}-{number}");
    let consumer = |number: usize, which: &str| {
        let digest = hex(ring::digest::digest(&ring::digest::SHA256, key(number, which).as_bytes()).as_ref());
        format!("{{ name = \"{which}-{number}\", keys = [\"sha256:{digest}\"], claims = {{ tenant = \"k{number}\" }} }}")
    };
    let consumers = (0..KEYS).flat_map(|number| [consumer(number, "a"), consumer(number, "b")]).collect::<Vec<_>>().join(", ");
    let keys = format!(
        "plugins = [\"keys\"]\n[plugins.keys]\nsource = \"builtin:api-key\"\ngrants = {{ crypto = {{}} }}\nconfig = {{ consumers = [{consumers}] }}"
    );
    let scene = Scene::new("", "/*", "{ claim = \"tenant\" }", &keys);
    // Two callers of one tenant, whoever else they say they are.
    scene.assert_spread(|number| {
        vec![
            asked("/", &[("x-api-key", &key(number, "a"))]),
            asked(format!("/{number}?tenant=other"), &[("x-api-key", &key(number, "b")), ("tenant", "other"), ("x-tenant-id", "other")]),
        ]
    });
}

#[test]
fn several_sources_are_one_key() {
    let scene = Scene::new("", "/*", "[{ header = \"x-tenant-id\" }, { cookie = \"sid\" }]", "public = true");
    let pair = |tenant: &str, session: &str| asked("/", &[("x-tenant-id", tenant), ("cookie", &format!("sid={session}"))]);
    // Each of them alone makes a difference.
    scene.assert_spread(|number| vec![pair("acme", &format!("k{number}"))]);
    scene.assert_spread(|number| vec![pair(&format!("k{number}"), "session")]);
    // Where one ends and the other begins does, too.
    let moved = |number: usize| {
        let (left, right) = (pair(&format!("{number}a"), "b"), pair(&number.to_string(), "ab"));
        scene.home(&left) != scene.home(&right)
    };
    assert!((0..KEYS).any(moved), "`a`, `b` and ``, `ab` are one key");
    // One that is not there is an empty one, and without both there is no key.
    scene.assert_spread(|number| vec![asked("/", &[("x-tenant-id", &format!("k{number}"))]), pair(&format!("k{number}"), "")]);
    scene.assert_rejected(&asked("/", &[("cookie", "other=1")]));
}
