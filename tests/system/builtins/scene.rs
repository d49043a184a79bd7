//! Three upstreams that ask for client certificates, a route for callers with tokens, one for callers with keys, and all shipped plugins on them.

use std::rc::Rc;

use plugway_harness::ca::{Authority, Issued, hex};
use plugway_harness::client::{Answer, Client, get};
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::{Settings as UpstreamSettings, Upstream};

use crate::issuer::Issuer;

/// Configured names, and the names of the plugins.
pub(super) const PLUGINS: [(&str, &str); 6] = [
    ("auth", "oauth2"),
    ("by-tenant", "hash-router"),
    ("forward", "tls-forward"),
    ("metrics", "metrics"),
    ("keys", "api-key"),
    ("limited", "rate-limit"),
];

/// A key of the one consumer that the route for keys knows, who may ask twice a day.
pub(super) const KEY: &str = "sk-2f8d1c";

/// What scenes with other sources share.
pub(super) struct Settings {
    authority: Rc<Authority>,
    server: Issued,
    client: Issued,
    issuer: Rc<Issuer>,
    addresses: Vec<String>,
}

pub(super) struct Scene {
    pub(super) gateway: Gateway,
    pub(super) upstreams: Rc<Vec<Upstream>>,
    pub(super) client_fingerprint: String,
    pub(super) settings: Kept,
    authority: Rc<Authority>,
    issuer: Rc<Issuer>,
}

/// Settings with the upstreams they name.
pub(super) struct Kept {
    settings: Rc<Settings>,
    upstreams: Rc<Vec<Upstream>>,
}

impl Scene {
    /// A gateway whose plugins come from these sources.
    pub(super) fn start(source: impl Fn(&str) -> String) -> Self {
        let authority = Rc::new(Authority::new("test").unwrap());
        let server = authority.server(&["localhost", "orders.internal"]).unwrap();
        let client = authority.client("gateway").unwrap();
        let upstream = |name| {
            Upstream::start(&UpstreamSettings { identity: Some(&server), clients: Some(&authority), ..UpstreamSettings::new(name) })
                .unwrap()
        };
        let upstreams = Rc::new(["one", "two", "three"].map(upstream).into_iter().collect::<Vec<_>>());
        let addresses = upstreams.iter().map(Upstream::url).collect();
        let settings = Rc::new(Settings { authority, server, client, issuer: Rc::new(Issuer::new()), addresses });
        Kept { settings, upstreams }.start(source)
    }

    /// A token of the issuer the gateway believes.
    pub(super) fn token(&self, scope: &str, seconds: i64) -> String {
        self.issuer.token(scope, seconds)
    }

    /// One GET over TLS, with the header that says who is calling.
    pub(super) async fn get(&self, path: &str, caller: Option<(&'static str, String)>, tenant: &str) -> Answer {
        let client = Client::https(self.gateway.address("web").unwrap(), "localhost", &self.authority);
        let mut request = get(path).unwrap();
        request.headers_mut().insert("x-tenant-id", tenant.parse().unwrap());
        request.headers_mut().insert("cookie", "session=secret".parse().unwrap());
        if let Some((name, value)) = caller {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        client.connect().await.unwrap().request(request).await.unwrap()
    }
}

impl Kept {
    /// A gateway with the same keys and upstreams, and plugins from these sources.
    pub(super) fn start(self, source: impl Fn(&str) -> String) -> Scene {
        let Self { settings, upstreams } = self;
        let launch = Launch::new(crate::common::BINARY).unwrap();
        launch.file("ca.pem", settings.authority.pem()).unwrap();
        launch.file("jwks.json", settings.issuer.jwks()).unwrap();
        settings.server.write(launch.directory(), "web").unwrap();
        settings.client.write(launch.directory(), "gateway").unwrap();
        let [auth, router, forwarder, metrics, keys, limited] =
            PLUGINS.map(|(name, plugin)| format!("[plugins.{name}]\nsource = {:?}", source(plugin)));
        let digest = hex(ring::digest::digest(&ring::digest::SHA256, KEY.as_bytes()).as_ref());
        let text = format!(
            r#"workers = 1
[listen.web]
address = "127.0.0.1:0"
tls = {{ certificate = "web.pem", key = "web.key" }}
[admin]
address = "127.0.0.1:0"
{auth}
grants = {{ crypto = {{}} }}
[plugins.auth.config]
issuer = "https://id.example.com"
audience = "orders"
jwks = {{ file = "jwks.json" }}
claims_as_headers = {{ "x-user" = "sub" }}
{router}
config = {{ key = {{ header = "x-tenant-id" }} }}
{forwarder}
[plugins.forward.config]
tls_profile = "mutual"
server_name = "orders.internal"
path = {{ strip_prefix = "/v1", add_prefix = "/api" }}
headers = {{ set = {{ "x-gateway" = "plugway" }}, remove = ["cookie"] }}
{metrics}
config = {{ labels = ["route", "status"] }}
{keys}
grants = {{ crypto = {{}} }}
[plugins.keys.config]
consumers = [{{ name = "shop", keys = ["sha256:{digest}"] }}]
consumer_header = "x-user"
{limited}
grants = {{ rate-limit = {{}} }}
config = {{ limits = [{{ name = "each", key = "identity", requests = 2, period = "1d" }}] }}
[upstreams.orders]
endpoints = {:?}
server_names = ["orders.internal"]
tls = {{ ca = "ca.pem" }}
[upstreams.orders.tls_profiles.mutual]
ca = "ca.pem"
client_certificate = {{ certificate = "gateway.pem", key = "gateway.key" }}
[[routes]]
name = "orders"
match = {{ path = "/v1/*" }}
plugins = [{{ plugin = "auth", config = {{ scopes = ["orders:read"] }} }}, "metrics"]
router = "by-tenant"
forwarder = "forward"
upstream = "orders"
[[routes]]
name = "keyed"
match = {{ path = "/keyed/*" }}
plugins = ["keys", "limited"]
router = "by-tenant"
forwarder = "forward"
upstream = "orders"
"#,
            settings.addresses
        );
        let gateway = launch.start(&text).unwrap();
        Scene {
            gateway,
            client_fingerprint: settings.client.fingerprint(),
            authority: Rc::clone(&settings.authority),
            issuer: Rc::clone(&settings.issuer),
            upstreams: Rc::clone(&upstreams),
            settings: Self { settings, upstreams },
        }
    }
}
