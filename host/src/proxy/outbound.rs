//! The request as it leaves for one attempt.

use http::header::{CONNECTION, HOST, TE, TRAILER};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Uri};

use super::request_body::RequestBody;
use crate::config::model::Protocol;
use crate::exchange::Exchange;
use crate::fault::Fault;
use crate::http::connection_headers::Trailers;
use crate::http::path::LONGEST_TARGET;
use crate::plugin::PlanEdits;
use crate::trace::TRACEPARENT;
use crate::upstream::{Endpoint, HostHeader};

/// What of a request stays the same over its attempts.
pub(super) struct Outbound<'a> {
    /// Which `Host` is sent, unless the plan says otherwise.
    pub(super) host: &'a HostHeader,
    /// The client's authority.
    pub(super) client_host: &'a HeaderValue,
    /// Whether the client's headers have that very `Host`.
    pub(super) has_host: bool,
    /// What the client said of trailers.
    pub(super) trailers: &'a Trailers,
}

/// Where an attempt's headers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Headers {
    /// The exchange keeps its own: another attempt may need them, or a response filter may read them.
    Copied,
    /// The exchange's own; they come back with a request that was not used, where [`Outbound::take_back`] makes of them what they were.
    Lent,
}

impl Outbound<'_> {
    /// The `Host` this attempt sends, before the forwarder.
    pub(super) fn host_for<'a>(&'a self, endpoint: &'a Endpoint) -> &'a HeaderValue {
        match self.host {
            HostHeader::Client => self.client_host,
            HostHeader::Endpoint => &endpoint.authority,
            HostHeader::Fixed(host) => host,
        }
    }

    /// The `Host` to set for an attempt of that number; none where the request came with it.
    fn host_to_set<'a>(&'a self, endpoint: &'a Endpoint, edited: Option<&'a HeaderValue>, attempt: u32) -> Option<&'a HeaderValue> {
        // Headers that come back from an attempt may have another.
        let is_there = edited.is_none() && self.has_host && attempt == 1 && matches!(self.host, HostHeader::Client);
        (!is_there).then(|| edited.unwrap_or_else(|| self.host_for(endpoint)))
    }

    /// Whether all that an attempt writes stands beside what the exchange's headers say, so that it can be taken out of them again.
    pub(super) fn only_adds(&self, exchange: &Exchange, endpoint: &Endpoint, edits: Option<&PlanEdits>) -> bool {
        let host = edits.and_then(|edits| edits.host.as_ref());
        self.host_to_set(endpoint, host, exchange.attempts.number).is_none() && are_new(&exchange.request.headers, edits)
    }

    /// The exchange's headers as plugins may see them, of an attempt that only [added](Self::only_adds) to them and was not made.
    pub(super) fn take_back(exchange: &mut Exchange, mut headers: HeaderMap, edits: Option<&PlanEdits>) {
        // The connection's, of which there was none, and the plan's.
        for name in [TE, CONNECTION, TRAILER] {
            headers.remove(name);
        }
        for (name, _) in edits.map(|edits| edits.headers.as_slice()).unwrap_or_default() {
            headers.remove(name);
        }
        headers.insert(TRACEPARENT, exchange.trace_parent.clone());
        exchange.request.headers = headers;
    }

    /// Builds the request. The exchange keeps its headers: later attempts and response filters read them.
    ///
    /// # Errors
    /// `UriTooLong`, or `Internal` when the parts make no URI, which a normal path and a checked authority never do.
    pub(super) fn request(
        &self,
        exchange: &mut Exchange,
        headers: Headers,
        endpoint: &Endpoint,
        edits: Option<&PlanEdits>,
        protocol: Protocol,
        body: RequestBody,
    ) -> Result<Request<RequestBody>, (Fault, RequestBody)> {
        let head = &mut exchange.request;
        let path = edits.and_then(|edits| edits.path.as_deref());
        let host = self.host_to_set(endpoint, edits.and_then(|edits| edits.host.as_ref()), exchange.attempts.number);
        let uri = match head.target.unchanged().filter(|_| path.is_none()) {
            Some(received) => Uri::from(received.clone()),
            None => match target(path.unwrap_or(head.path()), head.query()) {
                Ok(uri) => uri,
                Err(fault) => return Err((fault, body)),
            },
        };

        let mut request = Request::new(body);
        *request.method_mut() = head.method.clone();
        *request.uri_mut() = uri;
        let mut headers = match headers {
            Headers::Copied => head.headers.clone(),
            Headers::Lent => std::mem::take(&mut head.headers),
        };
        if let Some(host) = host {
            headers.insert(HOST, host.clone());
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
        let edited = edits.map(|edits| edits.headers.as_slice()).unwrap_or_default();
        if !edited.is_empty() {
            request.body().bar(edited.iter().map(|(name, _)| name));
        }
        for (name, value) in edited {
            match value {
                Some(value) => drop(headers.insert(name.clone(), value.clone())),
                None => drop(headers.remove(name)),
            }
        }
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Whether a plan changes no header that is there.
fn are_new(headers: &HeaderMap, edits: Option<&PlanEdits>) -> bool {
    let edited = edits.map(|edits| edits.headers.as_slice()).unwrap_or_default();
    edited.iter().all(|(name, value)| value.is_some() && !headers.contains_key(name))
}

/// The target in origin form; the pool makes of it and `Host` what HTTP/2 wants.
fn target(path: &str, query: Option<&str>) -> Result<Uri, Fault> {
    if path.len() + query.map_or(0, |query| query.len() + 1) > LONGEST_TARGET {
        return Err(Fault::UriTooLong);
    }
    let target = match query {
        Some(query) => {
            let mut target = String::with_capacity(path.len() + 1 + query.len());
            target.push_str(path);
            target.push('?');
            target.push_str(query);
            PathAndQuery::from_maybe_shared(bytes::Bytes::from(target))
        }
        None => PathAndQuery::try_from(path),
    };
    target.map(Uri::from).map_err(|_| Fault::Internal)
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn edits(headers: &[(&'static str, Option<&'static str>)]) -> PlanEdits {
        let edit =
            |(name, value): &(&'static str, Option<&'static str>)| (HeaderName::from_static(name), value.map(HeaderValue::from_static));
        PlanEdits { headers: headers.iter().map(edit).collect(), ..PlanEdits::default() }
    }

    #[test]
    fn what_an_attempt_added_is_taken_back() {
        let mut exchange = Exchange::sample([(HOST, HeaderValue::from_static("a.example"))].into_iter().collect());
        exchange.request.headers.insert(TRACEPARENT, exchange.trace_parent.clone());
        let before = exchange.request.headers.clone();
        let mut sent = std::mem::take(&mut exchange.request.headers);
        let more = edits(&[("x-tier", Some("gold"))]);
        assert!(are_new(&before, Some(&more)) && are_new(&before, None));
        for (name, value) in [("te", "trailers"), ("connection", "te"), ("trailer", "x-sum")] {
            sent.insert(name, HeaderValue::from_static(value));
        }
        sent.insert("x-tier", HeaderValue::from_static("gold"));
        sent.insert(TRACEPARENT, HeaderValue::from_static("00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01"));
        Outbound::take_back(&mut exchange, sent, Some(&more));
        assert_eq!(exchange.request.headers, before);
    }

    #[test]
    fn what_a_plan_changes_or_removes_could_not_be_taken_back() {
        let there: HeaderMap = [(HeaderName::from_static("x-tier"), HeaderValue::from_static("tin"))].into_iter().collect();
        assert!(!are_new(&there, Some(&edits(&[("x-new", Some("1")), ("x-tier", Some("gold"))]))));
        assert!(!are_new(&there, Some(&edits(&[("x-absent", None)]))));
    }

    #[test]
    fn a_target_is_as_long_as_a_uri_can_be() {
        let path = |bytes: usize| format!("/{}", "a".repeat(bytes - 1));
        assert_eq!(target(&path(LONGEST_TARGET), None).map(|uri| uri.path().len()), Ok(LONGEST_TARGET));
        assert_eq!(target(&path(LONGEST_TARGET + 1), None), Err(Fault::UriTooLong));
        let query = "q".repeat(LONGEST_TARGET - 101);
        assert_eq!(target(&path(100), Some(&query)).map(|uri| uri.query().map(str::len)), Ok(Some(query.len())));
        assert_eq!(target(&path(101), Some(&query)), Err(Fault::UriTooLong));
    }
}
