//! An authorization server for a scene, and what a client gets from it.

use std::sync::Arc;

use plugway_harness::ca::{Authority, Issued};
use plugway_harness::client::{Answer, Client, request};
use plugway_harness::gateway::{Gateway, Launch};
use plugway_harness::oidc::Provider;
use plugway_harness::upstream::Upstream;
use plugway_harness::{body, client};
use serde_json::{Value, json};

use crate::common::{BINARY, run, two_workers};
use crate::guest::{config, route};
use crate::issuer::Issuer;

/// Every client has this secret.
pub(super) const SECRET: &str = "correct horse battery staple, and 32 bytes";

/// A client that gets tokens for itself.
pub(super) fn machine(id: &str) -> Value {
    json!({
        "client_id": id, "client_secret": SECRET, "grant_types": ["client_credentials"], "redirect_uris": [], "response_types": [],
        "scope": "orders:read orders:write",
    })
}

/// The same with more of RFC 7591; null takes a member away.
pub(super) fn machine_with(id: &str, more: Value) -> Value {
    let mut client = machine(id);
    let members = client.as_object_mut().unwrap();
    members.extend(more.as_object().unwrap().clone());
    members.retain(|_, value| !value.is_null());
    client
}

/// The gateway as a client of the server, and how it proves to be it (RFC 7591, section 2).
pub(super) fn known_by(method: &str, mut more: Value) -> Value {
    more["token_endpoint_auth_method"] = method.into();
    machine_with("gateway", more)
}

/// A provider that is asked as a client would ask it.
pub(super) struct Server {
    pub(super) provider: Provider,
    authority: Option<Arc<Authority>>,
}

impl Server {
    /// Over plain HTTP.
    pub(super) fn start(clients: &[Value]) -> Self {
        Self::start_with(clients, 600)
    }

    /// The same, whose access tokens end after so many seconds.
    pub(super) fn start_with(clients: &[Value], ttl: u64) -> Self {
        Self { provider: Provider::start(&json!({ "clients": clients, "ttl": ttl })).unwrap(), authority: None }
    }

    /// The same, whose issuer ends in a slash.
    pub(super) fn with_slash(clients: &[Value]) -> Self {
        Self { provider: Provider::start(&json!({ "clients": clients, "slash": true })).unwrap(), authority: None }
    }

    /// The same, whose JWTs are signed by this algorithm.
    pub(super) fn signing_by(clients: &[Value], algorithm: &str) -> Self {
        Self { provider: Provider::start(&json!({ "clients": clients, "alg": algorithm })).unwrap(), authority: None }
    }

    /// Over TLS, with certificates of clients.
    pub(super) fn over_tls(clients: &[Value]) -> Self {
        Self::over_tls_with(clients, 600)
    }

    /// The same, whose access tokens end after so many seconds.
    pub(super) fn over_tls_with(clients: &[Value], ttl: u64) -> Self {
        Self::over_tls_as(&json!({ "clients": clients, "ttl": ttl }))
    }

    /// The same, where clients have to show certificates at an address of its own, and are asked for none elsewhere (RFC 8705, section 5).
    pub(super) fn with_aliases(clients: &[Value]) -> Self {
        Self::over_tls_as(&json!({ "clients": clients, "aliases": true }))
    }

    fn over_tls_as(settings: &Value) -> Self {
        let authority = Authority::new("id").unwrap();
        let identity = authority.server(&["localhost", "127.0.0.1"]).unwrap();
        let provider = Provider::over_tls(settings, &identity, &authority).unwrap();
        Self { provider, authority: Some(Arc::new(authority)) }
    }

    /// Who signed its certificate, and signs those of clients.
    pub(super) fn authority(&self) -> &Authority {
        self.authority.as_ref().unwrap()
    }

    /// The same for who may meet one without TLS.
    pub(super) fn authority_of_tls(&self) -> Option<Arc<Authority>> {
        self.authority.clone()
    }

    /// The grant `http-client` for it.
    pub(super) fn grant(&self) -> String {
        match (&self.authority, self.provider.alias()) {
            (None, _) => format!("{{ hosts = [\"{}\"], addresses = [\"127.0.0.1/32\"] }}", self.provider.origin()),
            (Some(_), None) => "{ upstreams = [\"id\"] }".to_owned(),
            (Some(_), Some(_)) => "{ upstreams = [\"id\", \"alias\"] }".to_owned(),
        }
    }

    /// `[upstreams.id]`, where it speaks TLS, and `[upstreams.alias]`, where it has one; the certificate of a client is that of the last.
    pub(super) fn upstream(&self) -> String {
        let upstream = |name: &str, origin: &str, certificate: &str| {
            format!("[upstreams.{name}]\nendpoints = [\"{origin}\"]\ntls = {{ ca = \"id.pem\"{certificate} }}\n")
        };
        let certificate = ", client_certificate = { certificate = \"gateway.pem\", key = \"gateway.key\" }";
        let origin = self.provider.origin();
        match (&self.authority, self.provider.alias()) {
            (None, _) => String::new(),
            (Some(_), None) => upstream("id", origin, certificate),
            (Some(_), Some(alias)) => upstream("id", origin, "") + &upstream("alias", alias, certificate),
        }
    }

    /// A gateway of two workers whose route is for bearers of its tokens. The gateway is its client `gateway`, with the secret of all.
    pub(super) fn gateway(&self, upstream: &Upstream, plugin: &str, more: &str) -> Gateway {
        self.gateway_as("id = \"gateway\", secret = \"gateway\"", self.launch(&Issuer::new()), upstream, plugin, more)
    }

    /// The same, as the client that `client` says it is.
    pub(super) fn gateway_as(&self, client: &str, launch: Launch, upstream: &Upstream, plugin: &str, more: &str) -> Gateway {
        let auth = format!(
            "[secrets.gateway]\nfile = \"secret\"\n[secrets.signing]\nfile = \"signing\"\n\
             [plugins.auth]\nsource = \"builtin:oauth2\"\n\
             grants = {{ crypto = {{}}, kv = {{}}, secrets = [\"gateway\"], keys = [\"signing\"], http-client = {} }}\n\
             [plugins.auth.config]\nissuer = \"{}\"\nclient = {{ {client} }}\n{plugin}\n",
            self.grant(),
            self.provider.issuer()
        );
        let parts = [&auth, &route("plugins = [\"auth\"]"), more, &self.upstream()];
        launch.start(&two_workers(&config(upstream, &parts))).unwrap()
    }

    /// Where a gateway finds what it proves with to be a client of this server: the secret `gateway`, the key `signing`, and, where the server
    /// speaks TLS, a certificate.
    pub(super) fn launch(&self, key: &Issuer) -> Launch {
        let launch = Launch::new(BINARY).unwrap();
        launch.file("secret", SECRET).unwrap();
        launch.file("signing", key.pem()).unwrap();
        if let Some(authority) = &self.authority {
            launch.file("id.pem", authority.pem()).unwrap();
            authority.client("gateway").unwrap().write(launch.directory(), "gateway").unwrap();
        }
        launch
    }

    /// Its key set, as it publishes it.
    pub(super) fn jwks(&self) -> String {
        let answer = run(async { self.client().get("/jwks").await.unwrap() });
        assert_eq!(answer.status, 200);
        answer.text()
    }

    /// An access token for a machine, by client credentials.
    pub(super) fn token(&self, id: &str, more: &str) -> String {
        self.token_with(id, more, &[], None)
    }

    /// Likewise with headers, and with a certificate on the connection.
    pub(super) fn token_with(&self, id: &str, more: &str, headers: &[(&str, &str)], identity: Option<&Issued>) -> String {
        let form =
            format!("grant_type=client_credentials&client_id={id}&client_secret={}&{more}", SECRET.replace(' ', "+").replace(',', "%2C"));
        let answer = self.post("/token", &form, headers, identity);
        let answer_json = answer.json().unwrap();
        let token = answer_json["access_token"].as_str();
        token.unwrap_or_else(|| panic!("no token: {}\n{}", answer.text(), self.provider.said())).to_owned()
    }

    /// Whether the provider itself found nothing to complain of in what it was asked, by its event log.
    pub(super) fn assert_content(&self) {
        const TROUBLES: [&str; 8] = [
            "authorization.error",
            "discovery.error",
            "end_session.error",
            "grant.error",
            "introspection.error",
            "jwks.error",
            "revocation.error",
            "server_error",
        ];
        let count = TROUBLES.map(|event| self.provider.events(event));
        assert_eq!(count, [0; TROUBLES.len()], "{TROUBLES:?}:\n{}", self.provider.said());
    }

    /// Asserts that so many JWTs and so many opaque tokens were issued to machines, by the provider's event log.
    pub(super) fn assert_issued(&self, jwt: usize, opaque: usize) {
        let issued = ["issued", "saved"].map(|how| self.provider.events(&format!("client_credentials.{how}")));
        assert_eq!(issued, [jwt, opaque], "{}", self.provider.said());
    }

    /// Takes a token back, as the client it was given to.
    pub(super) fn revoke(&self, id: &str, token: &str) {
        let form = format!("client_id={id}&client_secret={}&token={token}", SECRET.replace(' ', "+").replace(',', "%2C"));
        assert_eq!(self.post("/token/revocation", &form, &[], None).status, 200);
    }

    fn post(&self, path: &str, form: &str, headers: &[(&str, &str)], identity: Option<&Issued>) -> Answer {
        run(async {
            let mut asked = request(http::Method::POST, path, body::full(form.to_owned())).unwrap();
            asked.headers_mut().insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
            for (name, value) in headers {
                asked.headers_mut().insert(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
            }
            let mut client = self.client();
            if let Some(identity) = identity {
                client = client.identity(identity);
            }
            client.connect().await.unwrap().request(asked).await.unwrap()
        })
    }

    fn client(&self) -> Client<'_> {
        let address = self.provider.address();
        match &self.authority {
            None => client::Client::http(address, address.to_string()),
            Some(authority) => client::Client::https(address, "localhost", authority),
        }
    }
}
