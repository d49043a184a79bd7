//! What a forwarder chooses is what the upstream lists. Anything else is refused, and fails the forwarder that insists on it.

use plugway_harness::ca::{Authority, Issued};
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::{Settings, Upstream};

use crate::common::{BINARY, HEAD, metric};
use crate::guest::{assert_problem, get, guest, report, route, seen};

/// An upstream that asks for certificates, and what it needs of the gateway.
struct Scene {
    authority: Authority,
    gateways: Issued,
    upstream: Upstream,
}

impl Scene {
    fn new() -> Self {
        let authority = Authority::new("internal").unwrap();
        let server = authority.server(&["localhost", "orders.internal", "foreign.example"]).unwrap();
        let settings = Settings { identity: Some(&server), clients: Some(&authority), ..Settings::new("up") };
        let upstream = Upstream::start(&settings).unwrap();
        Self { gateways: authority.client("gateway").unwrap(), authority, upstream }
    }

    /// A gateway whose upstream `up` lists the profile `mutual` and the name `orders.internal`. Another upstream lists what is foreign to this one.
    fn start(&self, plugin: &str) -> Gateway {
        let launch = Launch::new(BINARY).unwrap();
        launch.file("ca.pem", self.authority.pem()).unwrap();
        self.gateways.write(launch.directory(), "gateway").unwrap();
        let certificate = "client_certificate = { certificate = \"gateway.pem\", key = \"gateway.key\" }";
        let upstreams = [("up", "mutual", "orders.internal"), ("other", "foreign", "foreign.example")].map(|(upstream, profile, name)| {
            format!(
                "[upstreams.{upstream}]\nendpoints = [\"https://localhost:{}\"]\nserver_names = [\"{name}\"]\n\
                 tls = {{ ca = \"ca.pem\", {certificate} }}\n\
                 [upstreams.{upstream}.tls_profiles.{profile}]\nca = \"ca.pem\"\n{certificate}\n",
                self.upstream.address().port()
            )
        });
        let other =
            "[[routes]]\nname = \"other\"\nmatch = { path = \"/other/*\" }\npublic = true\nupstream = \"other\"\nforwarder = \"plans\"\n";
        let text = format!("{HEAD}{}{plugin}{}{other}", upstreams.concat(), route("public = true\nforwarder = \"plans\""));
        launch.start(&text).unwrap()
    }
}

#[test]
fn a_forwarder_that_insists_on_what_the_upstream_does_not_list_fails() {
    for (key, foreign, own) in [("tls_profile", "foreign", "mutual"), ("server_name", "foreign.example", "orders.internal")] {
        let scene = Scene::new();
        let with = |value: &str| {
            let part = format!("[plugins.plans]\nsource = \"builtin:tls-forward\"\nconfig = {{ {key} = \"{value}\" }}\n");
            scene.start(&part)
        };
        let gateway = with(foreign);
        let address = gateway.address("web").unwrap();
        for failures in [1.0, 2.0] {
            assert_problem(&get(address, "/", &[]), 500, "plugin-failed");
            let labels = ["hook=\"forwarder\"", "kind=\"refused\"", "plugin=\"plans\""];
            assert_eq!(metric(&gateway, "plugway_hook_failures_total", &labels), failures, "{key}");
        }
        assert_eq!(metric(&gateway, "plugway_faults_total", &["fault=\"plugin-failed\""]), 2.0, "{key}");
        let line = gateway.log().wait(crate::common::LOGGED, |line| line.text.contains(&format!("`{key}` = {foreign}: ")));
        assert!(line.is_some_and(|line| line.text.contains(&format!("add it to the upstream's `{key}s`"))), "{}", gateway.log().text());
        assert_eq!((scene.upstream.connections(), scene.upstream.bytes()), (0, 0), "{key}: nothing was sent anywhere");
        // The same plan is good where it is listed, which is what makes it a matter of the upstream.
        assert_eq!(report(&get(address, "/other/a", &[]))["tls"], true, "{key}");

        let gateway = with(own);
        assert_eq!(report(&get(gateway.address("web").unwrap(), "/", &[]))["tls"], true, "{key}");
        assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0, "{key}");
    }
}

#[test]
fn a_forwarder_that_is_refused_and_goes_on_gets_the_upstreams_own() {
    let scene = Scene::new();
    let gateway = scene.start(&guest("plans", "mode = \"by-header\", hook = \"forwarder\"", ""));
    let address = gateway.address("web").unwrap();
    for mode in ["foreign-profile", "foreign-name"] {
        let own = get(address, "/", &[("x-misbehave", mode)]);
        assert_eq!(seen(&own, "x-result").as_deref(), Some("forbidden"), "{mode}");
        let own = report(&own);
        assert_eq!((&own["sni"], &own["client_certificate"]), (&"localhost".into(), &scene.gateways.fingerprint().into()), "{mode}");
        assert_eq!(seen(&get(address, "/other/a", &[("x-misbehave", mode)]), "x-result").as_deref(), Some("ok"), "{mode}");
    }
    assert_eq!(metric(&gateway, "plugway_hook_failures_total", &[]), 0.0);
}
