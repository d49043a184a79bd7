//! `bounded_load` of the shipped `hash-router`, over two workers: a key that everybody wants fills its endpoint up to the bound and no further, and
//! no other key notices.

use std::collections::BTreeMap;

use plugway_harness::gateway::Gateway;
use plugway_harness::raw::Raw;
use plugway_harness::upstream::Upstream;

use crate::common::{HEAD, start, status, two_workers, until, web};
use crate::guest::{route, send};

const FACTOR: f64 = 1.25;
const HELD: usize = 12;

struct Scene {
    upstreams: [Upstream; 3],
    gateway: Gateway,
}

impl Scene {
    fn start(bound: &str) -> Self {
        let upstreams = ["one", "two", "three"].map(|name| Upstream::plain(name).unwrap());
        let urls = upstreams.each_ref().map(Upstream::url);
        let plugin =
            format!("[plugins.by-user]\nsource = \"builtin:hash-router\"\nconfig = {{ key = {{ header = \"x-user\" }}{bound} }}\n");
        let text = format!("{HEAD}[upstreams.up]\nendpoints = {urls:?}\n{plugin}{}", route("public = true\nrouter = \"by-user\""));
        Self { gateway: start(&two_workers(&text)), upstreams }
    }

    /// Where a key goes now. Nothing else begins before its request is over for the gateway, too.
    fn home(&self, key: &str, held: usize) -> String {
        let response = send(&mut web(&self.gateway), "/", &[("x-user", key)]);
        assert_eq!(response.status, 200);
        until("only held requests are in flight", || in_flight(&self.gateway) == held as u64);
        String::from_utf8(response.header("x-upstream").unwrap().to_vec()).unwrap()
    }

    fn homes(&self, held: usize) -> BTreeMap<String, String> {
        (0..40).map(|user| format!("user-{user}")).map(|key| (key.clone(), self.home(&key, held))).collect()
    }

    fn requests(&self) -> [u64; 3] {
        self.upstreams.each_ref().map(Upstream::requests)
    }

    /// Sends one request that is not answered, and gives the endpoint that has it.
    fn hold(&self, key: &str) -> (Raw, usize) {
        let before = self.requests();
        let mut client = web(&self.gateway);
        client.send(format!("GET /held HTTP/1.1\r\nhost: a\r\nx-user: {key}\r\n\r\n")).unwrap();
        until("it is with an endpoint", || self.requests() != before);
        let after = self.requests();
        (client, (0..3).find(|at| after[*at] > before[*at]).unwrap())
    }
}

/// Requests that are being answered, by `/status`.
fn in_flight(gateway: &Gateway) -> u64 {
    let status = status(gateway);
    status["upstreams"][0]["endpoints"].as_array().unwrap().iter().map(|endpoint| endpoint["in_flight"].as_u64().unwrap()).sum()
}

#[test]
fn a_key_that_everybody_wants_fills_its_endpoint_to_the_bound_and_moves_no_other_key() {
    let scene = Scene::start(&format!(", bounded_load = {FACTOR}"));
    let homes = scene.homes(0);
    let used: std::collections::BTreeSet<_> = homes.values().collect();
    assert_eq!(used.len(), 3, "{homes:?}");
    let home = scene.upstreams.iter().position(|upstream| upstream.name() == homes["user-0"]).unwrap();

    let (mut clients, mut held) = (Vec::new(), [0_usize; 3]);
    for number in 1..=HELD {
        // `docs/plugins/hash-router.md`: this one included.
        let bound = (FACTOR * number as f64 / 3.0).ceil() as usize;
        let (client, endpoint) = scene.hold("user-0");
        assert_eq!(endpoint == home, held[home] < bound, "request {number} of {held:?} went to {endpoint}, not to {home}");
        held[endpoint] += 1;
        assert!(held[endpoint] <= bound, "request {number}: {held:?}");
        clients.push(client);
    }
    // Twelve requests and a quarter above a third of them.
    assert_eq!((held[home], held.iter().max(), held.iter().sum::<usize>()), (5, Some(&5), HELD), "{held:?}");
    // With one more, an endpoint may have six: every other key, and this one, finds room where it belongs.
    assert_eq!(scene.homes(HELD), homes);

    scene.upstreams.iter().for_each(Upstream::release);
    for client in &mut clients {
        assert_eq!(client.response().unwrap().status, 200);
    }
    until("nothing is in flight", || in_flight(&scene.gateway) == 0);
    assert_eq!(scene.homes(0), homes);
}

#[test]
fn without_a_bound_an_endpoint_gets_all_of_its_keys() {
    let scene = Scene::start("");
    let home = scene.home("user-0", 0);
    let held: Vec<_> = (0..HELD).map(|_| scene.hold("user-0")).collect();
    assert!(held.iter().all(|(_, endpoint)| scene.upstreams[*endpoint].name() == home));
}
