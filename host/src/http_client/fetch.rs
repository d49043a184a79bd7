//! One request, with its redirects, each hop held against the grant and looked up in the cache.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use tokio::time::Instant;

use super::cache::{Cache, Look, Use};
use super::hosts::Hosts;
use super::message::{HttpError, IncomingResponse, OutgoingRequest, is_of_connection};
use super::place::{self, Origin, Place};
use crate::config::model::HttpClientGrant;
use crate::fault::Fault;
use crate::trace::TRACEPARENT;
use crate::upstream::{Plan, Pool, SendError, Upstream};

/// What a fetch works with.
pub(super) struct Fetch<'a> {
    pub(super) grant: &'a HttpClientGrant,
    pub(super) upstreams: &'a [Arc<Upstream>],
    pub(super) cache: &'a RefCell<Cache>,
    pub(super) hosts: &'a Hosts,
    /// Connections to endpoints of upstreams.
    pub(super) pool: &'a Pool<Full<Bytes>>,
    /// All of it, redirects included, is over by then.
    pub(super) deadline: Instant,
    /// Whether a server may be asked.
    pub(super) may_wait: bool,
}

/// A request as it goes from one hop to the next.
struct Hop {
    head: Request<()>,
    body: Bytes,
    trace_parent: Option<HeaderValue>,
}

impl Fetch<'_> {
    /// Makes it.
    pub(super) async fn run(&self, request: OutgoingRequest) -> Result<IncomingResponse, HttpError> {
        let wanted = request.takes;
        let most = self.grant.max_body_bytes as u64;
        let max_body = request.max_body_bytes.map_or(most, |bytes| bytes.min(most));
        let mut redirects = request.max_redirects.unwrap_or(u32::MAX).min(self.grant.max_redirects);
        let follows = redirects > 0;
        let mut head = Request::new(());
        (*head.method_mut(), *head.uri_mut(), *head.headers_mut()) = (request.method, request.url, request.headers);
        let mut hop = Hop { head, body: request.body, trace_parent: request.trace_parent };
        loop {
            let answer = self.hop(&hop, wanted, max_body).await?;
            let Some(location) = redirect(&answer).filter(|_| follows) else { return Ok(answer) };
            if redirects == 0 {
                return Err(HttpError::TooManyRedirects);
            }
            redirects -= 1;
            hop = hop.redirected(answer.status, &location)?;
        }
    }

    async fn hop(&self, hop: &Hop, wanted: Use, max_body: u64) -> Result<IncomingResponse, HttpError> {
        // Before the cache: what was granted once may not be any more.
        let place = place::find(self.grant, self.upstreams, hop.head.uri())?;
        if !Cache::concerns(hop.head.method(), hop.head.headers()) || !hop.body.is_empty() {
            if !self.may_wait {
                return Err(HttpError::TooManyCalls);
            }
            let response = self.in_time(&place, hop, &HeaderMap::new(), max_body).await?;
            if !hop.head.method().is_safe() && (response.status().is_success() || response.status().is_redirection()) {
                self.cache.borrow_mut().invalidate(hop.head.uri());
            }
            return Ok(self.cache_less(hop, response));
        }
        let look = self.cache.borrow_mut().look(&hop.head, wanted, SystemTime::now());
        let validators = match look {
            Look::Fresh(answer) if answer.body.len() as u64 <= max_body => return Ok(answer),
            Look::Fresh(_) => return Err(HttpError::TooLarge),
            Look::Ask(_) if !self.may_wait => {
                let stale = self.cache.borrow_mut().past_its_time(&hop.head, wanted, SystemTime::now());
                return stale.ok_or(HttpError::TooManyCalls);
            }
            Look::Ask(validators) => validators,
        };
        let is_conditional = !validators.is_empty();
        let mut sent = self.in_time(&place, hop, &validators, max_body).await;
        if let Ok(response) = &sent
            && is_conditional
            && response.status() == StatusCode::NOT_MODIFIED
        {
            let validated = self.cache.borrow_mut().validated(&hop.head, &validators, response, wanted, SystemTime::now());
            if let Some(answer) = validated {
                return Ok(answer);
            }
            // Not the same as what is here: whatever it is, the plugin did not ask on a condition and gets a whole answer.
            sent = self.in_time(&place, hop, &HeaderMap::new(), max_body).await;
        }
        let mut cache = self.cache.borrow_mut();
        let now = SystemTime::now();
        let is_away = match &sent {
            Ok(response) => response.status().is_server_error(),
            Err(error) => error.is_of_the_server(),
        };
        if is_away && let Some(answer) = cache.stale(&hop.head, wanted, now) {
            return Ok(answer);
        }
        Ok(cache.answered(&hop.head, sent?, wanted, now))
    }

    fn cache_less(&self, hop: &Hop, response: Response<Bytes>) -> IncomingResponse {
        Cache::new(0).answered(&hop.head, response, Use::nothing(), SystemTime::now())
    }

    /// Sends, for as long as there is time: what is late may have a stale answer in its place.
    async fn in_time(&self, place: &Place, hop: &Hop, validators: &HeaderMap, max_body: u64) -> Result<Response<Bytes>, HttpError> {
        let sent = tokio::time::timeout_at(self.deadline, self.send(place, hop, validators, max_body)).await;
        sent.unwrap_or(Err(HttpError::Timeout))
    }

    /// Sends one request to where it may go and reads the whole answer.
    async fn send(&self, place: &Place, hop: &Hop, validators: &HeaderMap, max_body: u64) -> Result<Response<Bytes>, HttpError> {
        match place {
            Place::Endpoint(upstream, endpoint) => {
                self.send_to(Plan::default_for(upstream, endpoint), self.pool, hop, validators, max_body).await
            }
            Place::Host(origin) => {
                let mut last = HttpError::Unresolved(origin.host.clone());
                for address in self.hosts.addresses(origin, &self.grant.addresses).await? {
                    let (upstream, pool): (_, Rc<Pool<_>>) = self.hosts.at(origin, address)?;
                    let Some(endpoint) = upstream.endpoints.first() else { continue };
                    match self.send_to(Plan::default_for(&upstream, endpoint), &pool, hop, validators, max_body).await {
                        Err(error @ HttpError::NotConnected(_)) => last = error,
                        sent => return sent,
                    }
                }
                Err(last)
            }
        }
    }

    async fn send_to(
        &self,
        plan: Plan<'_>,
        pool: &Pool<Full<Bytes>>,
        hop: &Hop,
        validators: &HeaderMap,
        max_body: u64,
    ) -> Result<Response<Bytes>, HttpError> {
        let is_idempotent = matches!(*hop.head.method(), Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE);
        let mut request = Some(message(hop, validators)?);
        let response = match pool.send(&plan, &mut request, Instant::now()).await {
            // Most likely the server closed an unused connection at that moment (RFC 9110, section 9.2.2).
            Err(error) if error.reused && is_idempotent => {
                request = Some(message(hop, validators)?);
                pool.send(&plan, &mut request, Instant::now()).await
            }
            sent => sent,
        };
        let response = response.map_err(|error| failed(&error))?;
        let (mut parts, mut body) = response.into_parts();
        let says = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if says.is_some_and(|length| length > max_body) && *hop.head.method() != Method::HEAD {
            return Err(HttpError::TooLarge);
        }
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| HttpError::Protocol(format!("the body broke off: {error}")))?;
            if let Ok(data) = frame.into_data() {
                if (read.len() + data.len()) as u64 > max_body {
                    return Err(HttpError::TooLarge);
                }
                read.extend_from_slice(&data);
            }
        }
        let of_connection: Vec<_> = parts.headers.keys().filter(|name| is_of_connection(name)).cloned().collect();
        of_connection.iter().for_each(|name| drop(parts.headers.remove(name)));
        Ok(Response::from_parts(parts, read.freeze()))
    }
}

impl Hop {
    /// What goes to where a redirect leads (RFC 9110, section 15.4).
    fn redirected(mut self, status: StatusCode, location: &str) -> Result<Self, HttpError> {
        let from = self.head.uri().clone();
        let to = place::redirected(&from, location)?;
        let (before, after) = (Origin::of(&from), Origin::of(&to));
        if before.as_ref().is_some_and(|origin| origin.tls) && after.as_ref().is_some_and(|origin| !origin.tls) {
            return Err(HttpError::NotAllowed("a redirect from `https` to `http`".to_owned()));
        }
        if before != after {
            // What opens doors is meant for the one it was sent to.
            for name in [AUTHORIZATION, PROXY_AUTHORIZATION, COOKIE] {
                self.head.headers_mut().remove(name);
            }
        }
        let becomes_get = match status {
            StatusCode::SEE_OTHER => *self.head.method() != Method::HEAD,
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *self.head.method() == Method::POST,
            _ => false,
        };
        if becomes_get {
            *self.head.method_mut() = Method::GET;
            self.body = Bytes::new();
            for name in [CONTENT_TYPE, CONTENT_ENCODING] {
                self.head.headers_mut().remove(name);
            }
        }
        *self.head.uri_mut() = to;
        Ok(self)
    }
}

/// Where an answer sends on to, if it does.
fn redirect(answer: &IncomingResponse) -> Option<String> {
    let is_redirect = matches!(answer.status.as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = answer.headers.get(LOCATION)?;
    is_redirect.then(|| location.to_str().ok().map(str::to_owned)).flatten()
}

/// The message in origin form, as the pool wants it.
fn message(hop: &Hop, validators: &HeaderMap) -> Result<Request<Full<Bytes>>, HttpError> {
    let url = hop.head.uri();
    let mut request = Request::new(Full::new(hop.body.clone()));
    *request.method_mut() = hop.head.method().clone();
    *request.uri_mut() = Uri::from(url.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
    let mut headers = hop.head.headers().clone();
    headers.extend(validators.iter().map(|(name, value)| (name.clone(), value.clone())));
    let has_body = !hop.body.is_empty() || matches!(*hop.head.method(), Method::POST | Method::PUT | Method::PATCH);
    if has_body {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(hop.body.len()));
    }
    headers.insert(HOST, host(url)?);
    if let Some(parent) = &hop.trace_parent {
        headers.insert(TRACEPARENT, parent.clone());
    }
    *request.headers_mut() = headers;
    Ok(request)
}

/// RFC 9110, section 7.2: the scheme's own port is left out.
fn host(url: &Uri) -> Result<HeaderValue, HttpError> {
    let own = if url.scheme_str() == Some("https") { 443 } else { 80 };
    let host = url.host().unwrap_or_default();
    let text = match url.port_u16().filter(|port| *port != own) {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    HeaderValue::try_from(text).map_err(|_| HttpError::Invalid("the URL's host cannot stand in a header".to_owned()))
}

fn failed(error: &SendError) -> HttpError {
    let why = error.to_string();
    match error.fault {
        Fault::UpstreamUnresolved => HttpError::Unresolved(why),
        Fault::UpstreamConnectFailed | Fault::UpstreamConnectTimeout | Fault::UpstreamSaturated | Fault::Overloaded => {
            HttpError::NotConnected(why)
        }
        Fault::UpstreamTlsFailed => HttpError::Tls(why),
        Fault::UpstreamTimeout => HttpError::Timeout,
        _ => HttpError::Protocol(why),
    }
}
