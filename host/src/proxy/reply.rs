//! The answer to a request, from wherever it came, on its way to the client.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, RETRY_AFTER, TRAILER};
use http::{HeaderValue, Response, Version};

use super::ending::Ending;
use super::ids::X_REQUEST_ID;
use super::response_body::{ResponseBody, UpstreamBody};
use crate::exchange::{Exchange, Origin, ResponseHead};
use crate::fault::Fault;
use crate::http::connection_headers::{self, Trailers};
use crate::pipeline::Finished;
use crate::problem;

/// An answer that no response filter has seen yet.
pub(super) struct Reply {
    head: ResponseHead,
    body: ReplyBody,
    trailers: Trailers,
}

/// What is not its head, which response filters see meanwhile.
pub(super) struct Rest {
    body: ReplyBody,
    trailers: Trailers,
}

enum ReplyBody {
    Own(Bytes),
    Upstream { body: UpstreamBody, longest_pause: Duration },
}

impl Reply {
    /// The gateway's own answer to a fault.
    pub(super) fn fault(fault: Fault, id: &HeaderValue) -> Self {
        Self::own(problem::respond(fault, Some(id)))
    }

    /// An answer made here.
    pub(super) fn own((head, body): (ResponseHead, Bytes)) -> Self {
        Self { head, body: ReplyBody::Own(body), trailers: Trailers::default() }
    }

    /// What came of sending a request: the answer of an endpoint, or the gateway's to a fault.
    pub(super) fn of(sent: Result<u64, Fault>, answer: Option<Response<UpstreamBody>>, id: &HeaderValue, longest_pause: Duration) -> Self {
        match (sent, answer) {
            (Ok(endpoint), Some(response)) => Self::upstream(response, endpoint, longest_pause),
            (Ok(_), None) => Self::fault(Fault::Internal, id),
            (Err(fault), _) => Self::fault(fault, id),
        }
    }

    /// An endpoint's answer, without the headers that belong to its connection.
    fn upstream(response: Response<UpstreamBody>, endpoint: u64, longest_pause: Duration) -> Self {
        let (mut parts, body) = response.into_parts();
        let trailers = connection_headers::strip(&mut parts.headers, body.present());
        let head = ResponseHead { status: parts.status, headers: parts.headers, origin: Origin::Upstream(endpoint) };
        Self { head, body: ReplyBody::Upstream { body, longest_pause }, trailers }
    }

    /// Adds a header, e.g. `Allow`.
    pub(super) fn with_header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.head.headers.insert(name, value);
        self
    }

    /// Gives its head to the exchange, where response filters, if there are any, find it.
    pub(super) fn begin(self, exchange: &mut Exchange, is_filtered: bool) -> Rest {
        let Self { mut head, body, trailers } = self;
        if let (Some(seconds), Origin::Gateway(Fault::AuthorizerUnavailable)) = (exchange.retry_after, &head.origin) {
            head.headers.append(RETRY_AFTER, seconds.into());
        }
        if is_filtered {
            // A filter may put another answer in the place of this one, and what was left is for that one then.
            exchange.answer(head);
        } else {
            for (name, value) in exchange.response_headers.drain(..) {
                head.headers.append(name, value);
            }
            exchange.response = Some(head);
        }
        Rest { body, trailers }
    }
}

impl Rest {
    /// Response filters have seen the head.
    pub(super) fn replace(&mut self, finished: Finished) {
        if let Finished::NewBody(bytes) = finished {
            self.body = ReplyBody::Own(bytes);
        }
    }

    /// Makes it the response the client gets.
    pub(super) fn finish(
        self,
        mut exchange: Box<Exchange>,
        mut ending: Box<Ending>,
        client_reads_trailers: bool,
        version: Version,
    ) -> Response<ResponseBody> {
        let Self { mut body, trailers } = self;
        let Some(mut head) = exchange.response.take() else {
            // Put there above, and filters can only change it.
            let (head, bytes) = problem::respond(Fault::Internal, Some(&exchange.id));
            ending.answer(&head, exchange);
            return assemble(head, ResponseBody::own(bytes, ending));
        };
        head.headers.insert(X_REQUEST_ID, exchange.id.clone());
        // Only here is it known that this is what ends the request: under `skip` it goes on.
        if let (Some(seconds), Origin::Gateway(Fault::PluginUnavailable)) = (exchange.retry_after, &head.origin) {
            head.headers.insert(RETRY_AFTER, seconds.into());
        }
        // HTTP/1.1 sends trailers only to who asked, and hyper only those announced; HTTP/2 needs neither.
        let reads_trailers = client_reads_trailers || version == Version::HTTP_2;
        if let (Some(announced), true, ReplyBody::Upstream { .. }) = (trailers.announced, reads_trailers, &body) {
            head.headers.insert(TRAILER, announced);
        }
        if ending.closes() {
            head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if ending.has_no_body(head.status) {
            // hyper leaves a body out of an answer to HEAD over HTTP/1.1, but not over HTTP/2.
            if let ReplyBody::Own(bytes) = &body
                && !bytes.is_empty()
                && ending.is_head()
            {
                head.headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            }
            body = ReplyBody::Own(Bytes::new());
        }
        ending.answer(&head, exchange);
        let body = match body {
            ReplyBody::Own(bytes) => ResponseBody::own(bytes, ending),
            ReplyBody::Upstream { body, longest_pause } => ResponseBody::upstream(body, longest_pause, ending),
        };
        assemble(head, body)
    }
}

fn assemble(head: ResponseHead, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}
