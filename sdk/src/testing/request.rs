//! Requests of the double.

use std::cell::RefCell;
use std::time::Duration;

use super::capabilities::header_lines;
use super::handle::Handle;
use super::headers::Headers;
use super::identity::{FakeIdentity, IdentityFacts};
use super::path;
use super::rules::{self, MAX_ATTRIBUTE_BYTES};
use crate::bindings::imports::plugway::gateway::types::ChangeError;
use crate::header::{self, HeaderLine, HeaderName};
use crate::identity::Identity;
use crate::value::Value;

/// Builds a request: `testing::Request::get("/orders/1?full").header("x-tenant-id", "acme").build()`.
#[derive(Debug, Clone)]
pub struct Request {
    facts: RequestFacts,
}

/// Everything a request can be asked for.
#[derive(Debug, Clone)]
pub(crate) struct RequestFacts {
    method: String,
    scheme: String,
    authority: String,
    path: String,
    raw_path: String,
    query: Option<String>,
    pub(crate) headers: Headers,
    path_parameters: Vec<(String, String)>,
    peer_address: String,
    client_address: String,
    tls: Option<Tls>,
    certificate: Option<Vec<u8>>,
    id: String,
    trace_parent: String,
    received_at: u64,
    route: String,
    api: Option<String>,
    api_version: Option<String>,
    pub(crate) identity: Option<IdentityFacts>,
    attributes: Vec<(String, String, Value)>,
    pub(crate) response_headers: Vec<HeaderLine>,
}

#[derive(Debug, Clone)]
struct Tls {
    version: String,
    server_name: Option<String>,
    alpn: Option<String>,
}

impl Request {
    /// A GET request for a path with an optional query, over TLS from 192.0.2.1 to `gateway.example`.
    pub fn get(target: &str) -> Self {
        Self::new("GET", target)
    }

    /// A POST request.
    pub fn post(target: &str) -> Self {
        Self::new("POST", target)
    }

    /// A request with any method.
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        Self {
            facts: RequestFacts {
                method: method.to_owned(),
                scheme: "https".to_owned(),
                authority: "gateway.example".to_owned(),
                path: path.to_owned(),
                raw_path: path.to_owned(),
                query,
                headers: Headers::default(),
                path_parameters: Vec::new(),
                peer_address: "192.0.2.1".to_owned(),
                client_address: "192.0.2.1".to_owned(),
                tls: Some(Tls {
                    version: "TLSv1.3".to_owned(),
                    server_name: Some("gateway.example".to_owned()),
                    alpn: Some("http/1.1".to_owned()),
                }),
                certificate: None,
                id: "request-1".to_owned(),
                trace_parent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned(),
                received_at: u64::try_from(crate::clock::now().as_nanos()).unwrap_or(u64::MAX),
                route: "route".to_owned(),
                api: None,
                api_version: None,
                identity: None,
                attributes: Vec::new(),
                response_headers: Vec::new(),
            },
        }
    }

    /// Adds a header, any at all: what a client can send.
    #[must_use]
    pub fn header<'n>(mut self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Self {
        self.facts.headers.append(name.into().as_str().to_owned(), value.as_ref());
        self
    }

    /// Sets the authority asked for.
    #[must_use]
    pub fn authority(mut self, authority: &str) -> Self {
        self.facts.authority = authority.to_owned();
        self
    }

    /// Sets the path as it arrived, where it differs from the normalised one.
    #[must_use]
    pub fn raw_path(mut self, path: &str) -> Self {
        self.facts.raw_path = path.to_owned();
        self
    }

    /// Adds a `{name}` segment of the matched route, percent-encoded as in the path.
    #[must_use]
    pub fn path_parameter(mut self, name: &str, segment: &str) -> Self {
        self.facts.path_parameters.push((name.to_owned(), rules::decode_segment(segment)));
        self
    }

    /// Sets the address of the connection's other end.
    #[must_use]
    pub fn peer_address(mut self, address: &str) -> Self {
        self.facts.peer_address = address.to_owned();
        self
    }

    /// Sets the client's address after the trust rules.
    #[must_use]
    pub fn client_address(mut self, address: &str) -> Self {
        self.facts.client_address = address.to_owned();
        self
    }

    /// Takes TLS away: plain `http`.
    #[must_use]
    pub fn plaintext(mut self) -> Self {
        self.facts.tls = None;
        self.facts.scheme = "http".to_owned();
        self
    }

    /// Sets version, server name and application protocol of the TLS connection.
    #[must_use]
    pub fn tls(mut self, version: &str, server_name: Option<&str>, alpn: Option<&str>) -> Self {
        self.facts.scheme = "https".to_owned();
        self.facts.tls =
            Some(Tls { version: version.to_owned(), server_name: server_name.map(str::to_owned), alpn: alpn.map(str::to_owned) });
        self
    }

    /// Sets the verified client certificate, DER.
    #[must_use]
    pub fn client_certificate(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.facts.certificate = Some(der.into());
        self
    }

    /// Sets the request id.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.facts.id = id.to_owned();
        self
    }

    /// Sets `traceparent`.
    #[must_use]
    pub fn trace_parent(mut self, value: &str) -> Self {
        self.facts.trace_parent = value.to_owned();
        self
    }

    /// Sets when the head was complete, since the Unix epoch; otherwise the double's clock.
    #[must_use]
    pub fn received_at(mut self, time: Duration) -> Self {
        self.facts.received_at = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self
    }

    /// Sets the name of the matched route.
    #[must_use]
    pub fn route(mut self, name: &str) -> Self {
        self.facts.route = name.to_owned();
        self
    }

    /// Sets the route's `api` and `version`.
    #[must_use]
    pub fn api(mut self, api: &str, version: Option<&str>) -> Self {
        self.facts.api = Some(api.to_owned());
        self.facts.api_version = version.map(str::to_owned);
        self
    }

    /// Sets who is calling, as if an authorizer had said so.
    #[must_use]
    pub fn identity(mut self, identity: Identity) -> Self {
        self.facts.identity = Some(identity.fake().facts());
        self
    }

    /// Adds an attribute left by a plugin; [`super::PLUGIN`] is the one under test.
    #[must_use]
    pub fn attribute(mut self, plugin: &str, name: &str, value: impl Into<Value>) -> Self {
        self.facts.attributes.push((plugin.to_owned(), name.to_owned(), value.into()));
        self
    }

    /// The request as a hook gets it.
    pub fn build(self) -> crate::Request<'static> {
        crate::Request::new(Handle::new(FakeRequest { facts: RefCell::new(self.facts) }))
    }
}

/// What stands in for the gateway's request. Its methods have the shape of the generated ones.
#[derive(Debug)]
pub(crate) struct FakeRequest {
    facts: RefCell<RequestFacts>,
}

macro_rules! facts {
    ($($name:ident: $type:ty;)*) => {
        $(pub(crate) fn $name(&self) -> $type {
            self.facts.borrow().$name.clone()
        })*
    };
}

type Changed = Result<(), ChangeError>;

impl FakeRequest {
    facts! {
        method: String; scheme: String; authority: String; path: String; raw_path: String; query: Option<String>;
        peer_address: String; client_address: String; id: String; trace_parent: String; received_at: u64;
        route: String; api: Option<String>; api_version: Option<String>; response_headers: Vec<HeaderLine>;
    }

    /// Everything, to put it back when a hook fails.
    pub(crate) fn save(&self) -> RequestFacts {
        self.facts.borrow().clone()
    }

    pub(crate) fn restore(&self, facts: RequestFacts) {
        self.facts.replace(facts);
    }

    pub(crate) fn set_identity(&self, identity: IdentityFacts) {
        self.facts.borrow_mut().identity = Some(identity);
    }

    pub(crate) fn query_parameter(&self, name: &str) -> Option<String> {
        rules::query_parameter(self.facts.borrow().query.as_deref()?, name)
    }

    pub(crate) fn path_parameter(&self, name: &str) -> Option<String> {
        self.facts.borrow().path_parameters.iter().find(|(known, _)| known == name).map(|(_, segment)| segment.clone())
    }

    pub(crate) fn header(&self, name: HeaderName<'_>) -> Option<Vec<u8>> {
        self.facts.borrow().headers.get(&name)
    }

    pub(crate) fn header_values(&self, name: HeaderName<'_>) -> Vec<Vec<u8>> {
        self.facts.borrow().headers.values(&name)
    }

    pub(crate) fn only_header(&self, name: HeaderName<'_>) -> Result<Option<Vec<u8>>, ()> {
        self.facts.borrow().headers.only(&name)
    }

    pub(crate) fn headers(&self) -> Vec<HeaderLine> {
        self.facts.borrow().headers.all()
    }

    pub(crate) fn set_header(&self, name: HeaderName<'_>, value: &[u8]) -> Changed {
        rules::request_headers_change()?;
        let name = rules::header_line(name.as_str(), value, header::is_reserved)?;
        self.facts.borrow_mut().headers.set(name, value);
        Ok(())
    }

    pub(crate) fn set_line(&self, line: u16) -> Changed {
        header_lines::line(line).and_then(|(name, value)| self.set_header(HeaderName::Text(&name), &value))
    }

    pub(crate) fn append_header(&self, name: HeaderName<'_>, value: &[u8]) -> Changed {
        rules::request_headers_change()?;
        let name = rules::header_line(name.as_str(), value, header::is_reserved)?;
        self.facts.borrow_mut().headers.append(name, value);
        Ok(())
    }

    pub(crate) fn remove_header(&self, name: HeaderName<'_>) -> Changed {
        rules::request_headers_change()?;
        let name = rules::header_name(name.as_str(), header::is_reserved)?;
        self.facts.borrow_mut().headers.remove(&name);
        Ok(())
    }

    pub(crate) fn set_method(&self, method: &str) -> Changed {
        rules::request_line_changes()?;
        if !rules::is_token(method) {
            return Err(ChangeError::Invalid("not a method".to_owned()));
        }
        if matches!(method, "CONNECT" | "TRACE") {
            return Err(ChangeError::Forbidden);
        }
        self.facts.borrow_mut().method = method.to_owned();
        Ok(())
    }

    pub(crate) fn set_path(&self, path: &str) -> Changed {
        rules::request_line_changes()?;
        if path.len() > path::LONGEST_PATH {
            return Err(ChangeError::TooLarge);
        }
        if !path::is_normal_path(path) {
            return Err(ChangeError::Invalid("the path is not in normal form".to_owned()));
        }
        self.facts.borrow_mut().path = path.to_owned();
        Ok(())
    }

    pub(crate) fn set_query(&self, query: Option<&str>) -> Changed {
        rules::request_line_changes()?;
        if query.is_some_and(|query| query.len() > path::LONGEST_PATH) {
            return Err(ChangeError::TooLarge);
        }
        if query.is_some_and(|query| !path::may_be_query(query)) {
            return Err(ChangeError::Invalid("the query holds a byte that must be percent-encoded".to_owned()));
        }
        self.facts.borrow_mut().query = query.map(str::to_owned);
        Ok(())
    }

    pub(crate) fn append_response_header(&self, name: HeaderName<'_>, value: &[u8]) -> Changed {
        rules::request_headers_change()?;
        let name = rules::header_line(name.as_str(), value, header::is_reserved_in_response)?;
        self.facts.borrow_mut().response_headers.push(HeaderLine { name, value: value.to_vec() });
        Ok(())
    }

    pub(crate) fn tls_version(&self) -> Option<String> {
        self.facts.borrow().tls.as_ref().map(|tls| tls.version.clone())
    }

    pub(crate) fn tls_server_name(&self) -> Option<String> {
        self.facts.borrow().tls.as_ref().and_then(|tls| tls.server_name.clone())
    }

    pub(crate) fn tls_alpn(&self) -> Option<String> {
        self.facts.borrow().tls.as_ref().and_then(|tls| tls.alpn.clone())
    }

    pub(crate) fn client_certificate(&self) -> Option<Vec<u8>> {
        self.facts.borrow().certificate.clone()
    }

    pub(crate) fn client_certificate_sha256(&self) -> Option<Vec<u8>> {
        self.client_certificate().map(|der| ring::digest::digest(&ring::digest::SHA256, &der).as_ref().to_vec())
    }

    pub(crate) fn caller(&self) -> Option<FakeIdentity> {
        self.facts.borrow().identity.clone().map(FakeIdentity::from_facts)
    }

    pub(crate) fn optional_caller(&self) -> Option<FakeIdentity> {
        self.caller()
    }

    pub(crate) fn attribute(&self, plugin: &str, name: &str) -> Option<Value> {
        let facts = self.facts.borrow();
        let plugin = if plugin.is_empty() { super::PLUGIN } else { plugin };
        facts.attributes.iter().find(|(owner, known, _)| owner == plugin && known == name).map(|(_, _, value)| value.clone())
    }

    pub(crate) fn set_attribute(&self, name: &str, value: &Value) -> Changed {
        let mut facts = self.facts.borrow_mut();
        // What it replaces makes room.
        let own = facts.attributes.iter().filter(|(owner, known, _)| owner == super::PLUGIN && known != name);
        let held: usize = own.map(|(_, name, value)| name.len() + rules::value_size(value)).sum();
        if held + name.len() + rules::value_size(value) > MAX_ATTRIBUTE_BYTES {
            return Err(ChangeError::TooLarge);
        }
        facts.attributes.retain(|(owner, known, _)| owner != super::PLUGIN || known != name);
        facts.attributes.push((super::PLUGIN.to_owned(), name.to_owned(), value.clone()));
        Ok(())
    }
}
