//! The gateway as a client of an authorization server, and how it proves to be that client: by a secret (RFC 6749, section 2.3.1), by a
//! signed assertion (RFC 7523, section 2.2), or by the certificate of its connection (RFC 8705, section 2).

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use plugway_sdk::http_client::OutgoingRequest;
use plugway_sdk::secrets::Secret;
use plugway_sdk::{header, keys, random};
use serde::Deserialize;
use serde_json::json;

use crate::form::{Form, encoded};
use crate::granted_keys;

/// How long an assertion counts, seconds: as long as it takes to get there.
const ASSERTION_SECONDS: u64 = 60;

/// `client = { … }`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientConfig {
    id: String,
    method: Option<Method>,
    secret: Option<String>,
    key: Option<String>,
    key_id: Option<String>,
}

/// Their names in the registry of OpenID Connect and OAuth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Method {
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
    /// Also for a certificate that the server knows itself: what is sent is the same (RFC 8705, section 2.2).
    #[serde(alias = "self_signed_tls_client_auth")]
    TlsClientAuth,
}

/// A client, checked.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) id: String,
    proof: Proof,
}

enum Proof {
    Basic(Secret),
    Post(Secret),
    Assertion {
        key: String,
        algorithm: String,
        key_id: Option<String>,
    },
    /// The connection's, which is that of the upstream the grant names.
    Certificate,
}

impl ClientConfig {
    /// Checks every key. The error is for the operator.
    pub(crate) fn check(self) -> Result<Client, String> {
        if self.id.is_empty() {
            return Err("`id` is empty: write the name that the authorization server knows the gateway by".to_owned());
        }
        let method = match (self.method, &self.secret, &self.key) {
            (Some(method), ..) => method,
            (None, Some(_), None) => Method::ClientSecretBasic,
            (None, None, Some(_)) => Method::PrivateKeyJwt,
            _ => return Err("write one of `secret`, `key` and `method = \"tls_client_auth\"`".to_owned()),
        };
        let proof = match (method, self.secret, self.key) {
            (Method::ClientSecretBasic, Some(name), None) => Proof::Basic(granted_keys::secret("secret", &name)?),
            (Method::ClientSecretPost, Some(name), None) => Proof::Post(granted_keys::secret("secret", &name)?),
            (Method::PrivateKeyJwt, None, Some(name)) => assertion(name, self.key_id.clone())?,
            (Method::TlsClientAuth, None, None) => Proof::Certificate,
            (Method::ClientSecretBasic | Method::ClientSecretPost, ..) => {
                return Err("this `method` needs `secret`, and no `key`".to_owned());
            }
            (Method::PrivateKeyJwt, ..) => return Err("`private_key_jwt` needs `key`, and no `secret`".to_owned()),
            (Method::TlsClientAuth, ..) => {
                return Err("`tls_client_auth` needs neither `secret` nor `key`: the certificate is that of an upstream in the grant \
                            `http-client = { upstreams = [\"NAME\"] }`"
                    .to_owned());
            }
        };
        if self.key_id.is_some() && !matches!(proof, Proof::Assertion { .. }) {
            return Err("`key_id` is the name of a `key`".to_owned());
        }
        Ok(Client { id: self.id, proof })
    }
}

fn assertion(key: String, key_id: Option<String>) -> Result<Proof, String> {
    let algorithm = granted_keys::algorithm("key", &key)?;
    Ok(Proof::Assertion { key, algorithm, key_id })
}

impl Client {
    /// Whether it shows a certificate, which some servers take at endpoints of their own.
    pub(crate) fn has_certificate(&self) -> bool {
        matches!(self.proof, Proof::Certificate)
    }

    /// A request to the server of an issuer, with the proof and this form. `now` is since the Unix epoch.
    pub(crate) fn request(&self, issuer: &str, url: &str, mut form: Form, now: Duration) -> Result<OutgoingRequest, String> {
        let mut request = OutgoingRequest::post(url)
            .with_header(header::ACCEPT, "application/json")
            .with_header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            // What is sent is for this address and no other.
            .with_max_redirects(0);
        match &self.proof {
            Proof::Basic(secret) => {
                let secret = secret.text().map_err(|error| error.to_string())?;
                let pair = STANDARD.encode(format!("{}:{}", encoded(&self.id), encoded(secret)));
                request = request.with_header(header::AUTHORIZATION, format!("Basic {pair}"));
            }
            Proof::Post(secret) => {
                form.add("client_id", &self.id);
                form.add("client_secret", secret.text().map_err(|error| error.to_string())?);
            }
            Proof::Assertion { key, algorithm, key_id } => {
                // Each assertion is another: without this, no two requests would be made once for those who ask the same.
                request = request.with_shared_as(format!("{}\n{issuer}\n{}", self.id, form.as_str()));
                let assertion = self.assertion(issuer, (key, algorithm, key_id.as_deref()), now)?;
                form.add("client_id", &self.id);
                form.add("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
                form.add("client_assertion", &assertion);
            }
            Proof::Certificate => form.add("client_id", &self.id),
        }
        Ok(request.with_body(form.as_str()))
    }

    /// For one server, once, now (RFC 7523, section 3; its `aud` is the issuer, as RFC 7523bis has it).
    fn assertion(&self, issuer: &str, (key, algorithm, key_id): (&str, &str, Option<&str>), now: Duration) -> Result<String, String> {
        let mut head = json!({ "alg": algorithm, "typ": "JWT" });
        if let (Some(id), Some(members)) = (key_id, head.as_object_mut()) {
            members.insert("kid".to_owned(), id.into());
        }
        let claims = json!({
            "iss": self.id,
            "sub": self.id,
            "aud": issuer,
            "iat": now.as_secs(),
            "exp": now.as_secs() + ASSERTION_SECONDS,
            "jti": URL_SAFE_NO_PAD.encode(random::bytes(16)),
        });
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(head.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = keys::sign(key, algorithm, signed.as_bytes()).map_err(|error| error.to_string())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Basic(_) => "client_secret_basic",
            Self::Post(_) => "client_secret_post",
            Self::Assertion { .. } => "private_key_jwt",
            Self::Certificate => "tls_client_auth",
        })
    }
}
