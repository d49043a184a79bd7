//! `[listen.NAME]` and `[admin]` as written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::List;

/// A listening socket.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Listener {
    /// IP address and port. Port 0 picks a free one.
    #[schemars(required, example = &"0.0.0.0:8443")]
    pub(in crate::config) address: Option<String>,
    /// TLS termination. Default: plain text.
    pub(in crate::config) tls: Option<ListenerTls>,
}

/// TLS towards clients: either `certificate` and `key`, or `certificates`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ListenerTls {
    /// PEM file of a certificate chain, leaf first.
    #[schemars(example = &"certs/web.pem")]
    pub(in crate::config) certificate: Option<String>,
    /// PEM file of its private key: PKCS#8, PKCS#1 or SEC1.
    #[schemars(example = &"certs/web.key")]
    pub(in crate::config) key: Option<String>,
    /// Several certificates, chosen from by the name a client asks for (SNI). The first serves clients that ask for none.
    #[schemars(length(min = 1))]
    pub(in crate::config) certificates: Option<List<CertificateFiles>>,
    /// Whether clients show a certificate: `"none"`, or a table with `mode` and `ca`. Default: `"none"`.
    pub(in crate::config) client_auth: Option<ClientAuth>,
    /// Whether HTTP/2 is offered. Default: true.
    pub(in crate::config) http2: Option<bool>,
}

/// A certificate chain and its private key.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct CertificateFiles {
    /// PEM file of a certificate chain, leaf first.
    #[schemars(example = &"certs/web.pem")]
    pub(in crate::config) certificate: String,
    /// PEM file of its private key: PKCS#8, PKCS#1 or SEC1.
    #[schemars(example = &"certs/web.key")]
    pub(in crate::config) key: String,
}

/// Whether clients show a certificate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(in crate::config) enum ClientAuth {
    /// `"none"`
    Word(NoClientAuth),
    /// `{ mode = "required", ca = "clients.pem" }`
    Rule(ClientAuthRule),
}

/// They show none.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum NoClientAuth {
    None,
}

/// Which certificates clients show.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct ClientAuthRule {
    /// `"optional"`: verified when shown. `"required"`: no connection without a valid one.
    pub(in crate::config) mode: ClientAuthMode,
    /// PEM file of the roots that clients' certificates lead to.
    #[schemars(example = &"certs/clients.pem")]
    pub(in crate::config) ca: String,
}

/// What happens without a client certificate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum ClientAuthMode {
    Optional,
    Required,
}

/// The listener for operators.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Admin {
    /// IP address and port. Default: `127.0.0.1:9901`.
    #[schemars(example = &"127.0.0.1:9901")]
    pub(in crate::config) address: Option<String>,
    /// Whether there is one. Default: true.
    pub(in crate::config) enabled: Option<bool>,
}
