//! What the demo is made of: a throw-away CA, four upstreams and a stranger, and the gateway between them and the client.

use std::path::{Path, PathBuf};

use plugway_harness::ca::{Authority, hex};
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::upstream::Upstream;
use plugway_harness::{Error, Result};

use crate::token::{AUDIENCE, ISSUER, Provider, SCOPE};

/// What clients ask for, and what the gateway's certificate says.
pub(super) const HOST: &str = "shop.example.com";
/// The key of a partner, and who that is. Public, so worth nothing to anybody.
pub(super) const KEY: &str = "sk-demo-2f8d1c";
pub(super) const PARTNER: &str = "partner";
/// Requests that a partner may make in an hour.
pub(super) const PARTNER_REQUESTS: usize = 5;
/// What the TLS upstreams' certificates say; nothing but `tls-forward` tells the gateway to ask for it.
pub(super) const INTERNAL: &str = "orders.internal";

/// Where the gateway listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ports {
    /// 8443 and 9901, as a person would type.
    Fixed,
    /// Whatever is free.
    Free,
}

/// Everything that runs. Dropping it ends it.
pub(super) struct World {
    pub(super) ca: Authority,
    pub(super) provider: Provider,
    /// Three TLS upstreams behind `/orders/*`.
    pub(super) orders: Vec<Upstream>,
    /// A plain one behind `/hello` and `/partners`.
    pub(super) hello: Upstream,
    /// A TLS upstream whose certificate is of a CA that the gateway does not trust.
    pub(super) stranger: Upstream,
    pub(super) gateway: Gateway,
    /// The program.
    pub(super) binary: PathBuf,
}

impl World {
    pub(super) fn start(binary: &Path, ports: Ports) -> Result<Self> {
        let ca = Authority::new("plugway demo CA")?;
        let certificate = ca.server(&[INTERNAL])?;
        let orders =
            ["orders-1", "orders-2", "orders-3"].iter().map(|name| Upstream::tls(name, &certificate)).collect::<Result<Vec<_>>>()?;
        let hello = Upstream::plain("hello")?;
        let stranger = Upstream::tls("stranger", &Authority::new("another CA")?.server(&[INTERNAL])?)?;
        let provider = Provider::new()?;

        let launch = Launch::new(binary)?;
        ca.write(launch.directory(), "ca")?;
        ca.server(&[HOST])?.write(launch.directory(), "gateway")?;
        launch.file("jwks.json", provider.jwks()?)?;
        let config = configuration(&orders, &hello, &stranger, ports);
        let gateway = launch.start(&config).map_err(|error| Error::new(format!("its configuration was:\n{config}\n{error}")))?;
        Ok(Self { ca, provider, orders, hello, stranger, gateway, binary: binary.to_owned() })
    }

    /// Endpoints of the orders upstream as the configuration writes them, with their names.
    pub(super) fn endpoints(&self) -> impl Iterator<Item = &Upstream> {
        self.orders.iter()
    }
}

/// Keys are configured by their digests.
fn digest(key: &str) -> String {
    format!("sha256:{}", hex(ring::digest::digest(&ring::digest::SHA256, key.as_bytes()).as_ref()))
}

fn configuration(orders: &[Upstream], hello: &Upstream, stranger: &Upstream, ports: Ports) -> String {
    let (web, admin) = if ports == Ports::Fixed { (8443, 9901) } else { (0, 0) };
    let endpoints = orders.iter().map(|upstream| format!("{:?}", upstream.url())).collect::<Vec<_>>().join(", ");
    let (hello, stranger, key) = (hello.url(), stranger.url(), digest(KEY));
    format!(
        r#"workers = 2

[listen.web]
address = "127.0.0.1:{web}"
tls = {{ certificate = "gateway.pem", key = "gateway.key" }}

[admin]
address = "127.0.0.1:{admin}"

[access_log]
enabled = false

[plugins.auth]
source = "builtin:oauth2"
grants = {{ crypto = {{}} }}
config = {{ issuer = "{ISSUER}", audience = "{AUDIENCE}", jwks = {{ file = "jwks.json" }} }}

[plugins.by-path]
source = "builtin:hash-router"
config = {{ key = "path", hash = "sha1", placement = "maglev" }}

[plugins.forward]
source = "builtin:tls-forward"
config = {{ scheme = "https", server_name = "{INTERNAL}", headers = {{ set = {{ x-demo = "through tls-forward" }} }} }}

[plugins.keys]
source = "builtin:api-key"
grants = {{ crypto = {{}} }}
config = {{ consumers = [{{ name = "{PARTNER}", keys = ["{key}"] }}], consumer_header = "x-consumer" }}

[plugins.limit]
source = "builtin:rate-limit"
grants = {{ rate-limit = {{}} }}
config = {{ limits = [{{ name = "per-partner", key = "identity", requests = {PARTNER_REQUESTS}, period = "1h" }}] }}

[plugins.metrics]
source = "builtin:metrics"

[upstreams.orders]
endpoints = [{endpoints}]
tls = {{ ca = "ca.pem" }}
server_names = ["{INTERNAL}"]

[upstreams.hello]
endpoints = ["{hello}"]

[upstreams.stranger]
endpoints = ["{stranger}"]
tls = {{ ca = "ca.pem", server_name = "{INTERNAL}" }}

[defaults]
plugins = ["metrics"]

[[routes]]
name = "orders"
api = "orders"
version = "v1"
match = {{ host = "{HOST}", path = "/orders/*" }}
plugins = [{{ plugin = "auth", config = {{ scopes = ["{SCOPE}"] }} }}]
router = "by-path"
forwarder = "forward"
upstream = "orders"

[[routes]]
name = "hello"
match = {{ host = "{HOST}", path = "/hello" }}
public = true
upstream = "hello"

[[routes]]
name = "partners"
match = {{ host = "{HOST}", path = "/partners" }}
plugins = ["keys", "limit"]
upstream = "hello"

[[routes]]
name = "stranger"
match = {{ host = "{HOST}", path = "/stranger" }}
public = true
upstream = "stranger"
"#
    )
}
