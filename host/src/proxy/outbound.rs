//! The request as it leaves for one attempt.

use http::header::{CONNECTION, HOST, TE, TRAILER};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Request, Uri, Version};

use super::request_body::RequestBody;
use super::snapshot::Host;
use crate::config::model::Protocol;
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::http::connection_headers::Trailers;
use crate::plugin::PlanEdits;
use crate::upstream::Endpoint;

/// What of a request stays the same over its attempts.
pub(super) struct Outbound<'a> {
    /// Which `Host` is sent, unless the plan says otherwise.
    pub(super) host: &'a Host,
    /// The client's authority.
    pub(super) client_host: &'a HeaderValue,
    /// What the client said of trailers.
    pub(super) trailers: &'a Trailers,
}

impl Outbound<'_> {
    /// The `Host` this attempt sends, before the forwarder.
    pub(super) fn host_for<'a>(&'a self, endpoint: &'a Endpoint) -> &'a HeaderValue {
        match self.host {
            Host::Client => self.client_host,
            Host::Endpoint => &endpoint.authority,
            Host::Fixed(host) => host,
        }
    }

    /// Builds the request. The exchange keeps its headers: later attempts and response filters read them.
    ///
    /// # Errors
    /// `Internal` when the parts make no URI, which a normal path and a checked authority never do.
    pub(super) fn request(
        &self,
        exchange: &Exchange,
        endpoint: &Endpoint,
        edits: Option<&PlanEdits>,
        protocol: Protocol,
        body: RequestBody,
    ) -> Result<Request<RequestBody>, (Fault, RequestBody)> {
        let head = &exchange.request;
        let path = edits.and_then(|edits| edits.path.as_deref()).unwrap_or(&head.path);
        let host = edits.and_then(|edits| edits.host.as_ref()).unwrap_or_else(|| self.host_for(endpoint));
        let tls = endpoint.tls || edits.is_some_and(|edits| edits.force_tls);
        let Some(uri) = uri(path, head.query.as_deref(), host, tls, protocol) else { return Err((Fault::Internal, body)) };

        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = uri;
        let mut headers = head.headers.clone();
        match protocol {
            Protocol::Http1 => drop(headers.insert(HOST, host.clone())),
            Protocol::Http2 => {
                headers.remove(HOST);
                *request.version_mut() = Version::HTTP_2;
            }
        }
        if self.trailers.accepted {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            if protocol == Protocol::Http1 {
                headers.insert(CONNECTION, HeaderValue::from_static("te"));
            }
        }
        if let Some(announced) = &self.trailers.announced {
            headers.insert(TRAILER, announced.clone());
        }
        for (name, value) in edits.map(|edits| edits.headers.as_slice()).unwrap_or_default() {
            match value {
                Some(value) => drop(headers.insert(name.clone(), value.clone())),
                None => drop(headers.remove(name)),
            }
        }
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn uri(path: &str, query: Option<&str>, host: &HeaderValue, tls: bool, protocol: Protocol) -> Option<Uri> {
    let target = match query {
        Some(query) => {
            let mut target = String::with_capacity(path.len() + 1 + query.len());
            target.push_str(path);
            target.push('?');
            target.push_str(query);
            PathAndQuery::from_maybe_shared(bytes::Bytes::from(target)).ok()?
        }
        None => PathAndQuery::try_from(path).ok()?,
    };
    let mut parts = http::uri::Parts::default();
    parts.path_and_query = Some(target);
    if protocol == Protocol::Http2 {
        parts.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(Authority::try_from(host.as_bytes()).ok()?);
    }
    Uri::from_parts(parts).ok()
}
