//! What a protected resource says of itself (RFC 9728): which servers issue tokens for it, and how they are sent.

use plugway_sdk::{LocalResponse, Request, Status, header};
use serde::Deserialize;
use serde_json::json;

use crate::url::{Url, is_same_path};

/// Between the origin and the path of the resource (RFC 9728, section 3.1).
const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// `resource = { … }`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResourceConfig {
    url: String,
    name: Option<String>,
    documentation: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
}

/// What else it says.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) issuers: Vec<&'a str>,
    /// Names of algorithms of DPoP proofs, where those are taken.
    pub(crate) proofs: Option<Vec<&'static str>>,
    pub(crate) proofs_required: bool,
    pub(crate) certificates_required: bool,
}

/// The document, and where it is.
#[derive(Debug)]
pub(crate) struct Metadata {
    path: String,
    /// For challenges (RFC 9728, section 5.1).
    pub(crate) url: String,
    document: serde_json::Value,
}

impl Metadata {
    pub(crate) fn new(config: ResourceConfig, facts: &Facts<'_>) -> Result<Self, String> {
        let url = Url::parse(&config.url).filter(|url| url.is_safe() && !url.has_query && !url.has_fragment);
        let url = url.ok_or_else(|| {
            format!("`url` = {:?}: write an https URL without query or fragment, such as \"https://api.example.com\"", config.url)
        })?;
        let path = format!("{WELL_KNOWN}{}", if url.path == "/" { "" } else { url.path });
        let mut document = json!({
            "resource": config.url,
            "authorization_servers": facts.issuers,
            "bearer_methods_supported": ["header"],
            "tls_client_certificate_bound_access_tokens": facts.certificates_required,
            "dpop_bound_access_tokens_required": facts.proofs_required,
        });
        if let Some(members) = document.as_object_mut() {
            let optional = [
                ("scopes_supported", (!config.scopes.is_empty()).then(|| json!(config.scopes))),
                ("resource_name", config.name.map(Into::into)),
                ("resource_documentation", config.documentation.map(Into::into)),
                ("dpop_signing_alg_values_supported", facts.proofs.as_ref().map(|names| json!(names))),
            ];
            members.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
        }
        Ok(Self { url: format!("{}{path}", url.origin()), path, document })
    }

    /// The answer, if it is what the request asks for.
    pub(crate) fn answer(&self, request: &Request<'_>) -> Option<LocalResponse> {
        if !is_same_path(&request.path(), &self.path) || !matches!(request.method().as_str(), "GET" | "HEAD") {
            return None;
        }
        // Clients in browsers read it from other origins, and it is no secret.
        let answer = LocalResponse::json(Status::OK, &self.document).with_header(header::CACHE_CONTROL, "public, max-age=300");
        Some(answer.with_header("access-control-allow-origin", "*"))
    }
}
