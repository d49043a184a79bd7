//! One request to the receiver, and what its answer means: OTLP/HTTP with binary protobuf, or OTLP/gRPC
//! (OpenTelemetry Protocol 1.x), over the same connections that upstreams have.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, RETRY_AFTER, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use prost::Message;
use tokio::time::{Instant, timeout};

use super::Settings;
use crate::upstream::{Plan, Pool};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// What says in a status when it may be sent again.
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
/// The largest answer that is read: it has a count and a message.
const MAX_ANSWER: usize = 64 << 10;

/// What is sent, and by which names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Spans.
    Traces,
    /// Metrics.
    Metrics,
}

/// Why something was not taken.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: String,
    /// Whether it may be taken another time, and how long the receiver wants to be left alone.
    pub(super) again: Option<Duration>,
}

/// The receiver.
pub(super) struct Client<'a> {
    settings: &'a Settings,
    pool: Pool<Full<Bytes>>,
}

impl Signal {
    fn path(self, grpc: bool) -> &'static str {
        match (self, grpc) {
            (Self::Traces, false) => "/v1/traces",
            (Self::Traces, true) => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            (Self::Metrics, false) => "/v1/metrics",
            (Self::Metrics, true) => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        }
    }
}

impl<'a> Client<'a> {
    pub(super) fn new(settings: &'a Settings) -> Self {
        Self { settings, pool: Pool::new() }
    }

    /// Closes connections that are not used any more.
    pub(super) fn reap(&self) {
        self.pool.reap(Instant::now());
    }

    /// Sends a message; its answer, as bytes of protobuf.
    pub(super) async fn send(&self, signal: Signal, message: &impl Message) -> Result<Bytes, Refusal> {
        let upstream = &self.settings.receiver;
        let endpoint = upstream.endpoints.first().ok_or_else(|| Refusal::for_good("there is no receiver"))?;
        let plan = Plan::default_for(upstream, endpoint);
        let request = self.request(signal, message, &endpoint.authority);
        let mut request = Some(request.ok_or_else(|| Refusal::for_good("its URL or headers cannot be sent"))?);
        let sent = self.pool.send(&plan, &mut request, Instant::now()).await;
        let response = sent.map_err(|error| {
            let why =
                error.source.as_ref().map_or_else(|| error.fault.code().to_owned(), |source| format!("{}: {source}", error.fault.code()));
            Refusal { why, again: Some(Duration::ZERO) }
        })?;
        let (parts, body) = response.into_parts();
        let collected = timeout(upstream.response_timeout, Limited::new(body, MAX_ANSWER).collect()).await;
        let collected = collected.map_err(|_| Refusal::passing("its answer broke off"))?;
        let collected = collected.map_err(|error| Refusal::passing(format!("its answer cannot be read: {error}")))?;
        let trailers = collected.trailers().cloned();
        let body = collected.to_bytes();
        if self.settings.grpc {
            grpc(parts.status, &parts.headers, trailers.as_ref(), &body)
        } else {
            http(parts.status, &parts.headers, body)
        }
    }

    fn request(&self, signal: Signal, message: &impl Message, authority: &HeaderValue) -> Option<Request<Full<Bytes>>> {
        let grpc = self.settings.grpc;
        let size = message.encoded_len();
        let mut body = BytesMut::with_capacity(size + 5);
        if grpc {
            // Not compressed, and how long it is (gRPC over HTTP/2, Length-Prefixed-Message).
            body.put_u8(0);
            body.put_u32(u32::try_from(size).ok()?);
        }
        message.encode(&mut body).ok()?;
        let uri: Uri = format!("{}{}", self.settings.path, signal.path(grpc)).parse().ok()?;
        let length = body.len();
        let mut request = Request::new(Full::new(body.freeze()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        let headers = request.headers_mut();
        for (name, value) in &self.settings.headers {
            headers.insert(name.clone(), value.clone());
        }
        headers.insert(HOST, authority.clone());
        headers.insert(CONTENT_LENGTH, length.into());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(if grpc { "application/grpc" } else { "application/x-protobuf" }));
        if grpc {
            headers.insert(TE, HeaderValue::from_static("trailers"));
            let millis = self.settings.receiver.response_timeout.as_millis().min(99_999_999);
            headers.insert(GRPC_TIMEOUT, HeaderValue::from_str(&format!("{millis}m")).ok()?);
        }
        Some(request)
    }
}

impl Refusal {
    fn for_good(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: None }
    }

    fn passing(why: impl Into<String>) -> Self {
        Self { why: why.into(), again: Some(Duration::ZERO) }
    }
}

/// What may be sent again is told by the status (OTLP/HTTP, Failures).
fn http(status: http::StatusCode, headers: &HeaderMap, body: Bytes) -> Result<Bytes, Refusal> {
    if status.is_success() {
        return Ok(body);
    }
    let pause = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok()).map_or(Duration::ZERO, Duration::from_secs);
    let again = matches!(status.as_u16(), 429 | 502 | 503 | 504).then_some(pause);
    Err(Refusal { why: format!("it answered {status}"), again })
}

/// The status is in the trailers, or in the head of an answer that has nothing else. What may be sent again is told by it (OTLP/gRPC,
/// Failures).
fn grpc(status: http::StatusCode, headers: &HeaderMap, trailers: Option<&HeaderMap>, body: &Bytes) -> Result<Bytes, Refusal> {
    let of = |name: &HeaderName| trailers.and_then(|trailers| trailers.get(name)).or_else(|| headers.get(name));
    let code: Option<u32> = of(&GRPC_STATUS).and_then(|code| code.to_str().ok()?.parse().ok());
    let message = of(&GRPC_MESSAGE).map(|message| String::from_utf8_lossy(message.as_bytes()).into_owned()).unwrap_or_default();
    let wanted = || of(&GRPC_DETAILS).and_then(retry_delay);
    match code {
        Some(0) => Ok(body.get(5..).map(|message| body.slice_ref(message)).unwrap_or_default()),
        // Resource exhausted: what is too large stays so. A receiver that will have room again says when.
        Some(code @ 8) => Err(Refusal { why: format!("gRPC status {code} {message}"), again: wanted() }),
        // Cancelled, deadline exceeded, aborted, out of range, unavailable, data loss.
        Some(code @ (1 | 4 | 10 | 11 | 14 | 15)) => {
            Err(Refusal { why: format!("gRPC status {code} {message}"), again: Some(wanted().unwrap_or_default()) })
        }
        Some(code) => Err(Refusal::for_good(format!("gRPC status {code} {message}"))),
        None => {
            let why = format!("it answered {status} without a gRPC status");
            Err(if matches!(status.as_u16(), 429 | 502 | 503 | 504) { Refusal::passing(why) } else { Refusal::for_good(why) })
        }
    }
}

/// How long a receiver wants to be left alone: the `google.rpc.RetryInfo` among what it says of a status.
fn retry_delay(details: &HeaderValue) -> Option<Duration> {
    // With padding or without (gRPC over HTTP/2, Custom-Metadata).
    let bytes = STANDARD_NO_PAD.decode(details.to_str().ok()?.trim_end_matches('=')).ok()?;
    let info = Details::decode(&*bytes).ok()?.details.into_iter().find(|detail| detail.kind == RETRY_INFO)?;
    let delay = RetryInfo::decode(&*info.value).ok()?.delay.unwrap_or_default();
    Some(Duration::new(u64::try_from(delay.seconds).unwrap_or(0), u32::try_from(delay.nanos).unwrap_or(0).min(999_999_999)))
}

/// `google.rpc.Status`, as much of it as is asked for here.
#[derive(Clone, PartialEq, prost::Message)]
struct Details {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Detail {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    fn again(code: &str, details: Option<&str>) -> Option<Duration> {
        let mut trailers = HeaderMap::new();
        trailers.insert(GRPC_STATUS, code.parse().unwrap());
        if let Some(details) = details {
            trailers.insert(GRPC_DETAILS, details.parse().unwrap());
        }
        grpc(http::StatusCode::OK, &HeaderMap::new(), Some(&trailers), &Bytes::new()).unwrap_err().again
    }

    #[test]
    fn what_exhausts_a_receiver_is_sent_again_only_where_it_says_when() {
        let info = RetryInfo { delay: Some(Delay { seconds: 7, nanos: 500_000_000 }) };
        let other = Detail { kind: "type.googleapis.com/google.rpc.ErrorInfo".to_owned(), value: vec![1, 2, 3] };
        let details = |details| STANDARD.encode(Details { details }.encode_to_vec());
        let told = details(vec![other.clone(), Detail { kind: RETRY_INFO.to_owned(), value: info.encode_to_vec() }]);
        let wanted = Some(Duration::from_millis(7_500));
        assert_eq!(again("8", Some(&told)), wanted);
        assert_eq!(again("8", Some(told.trim_end_matches('='))), wanted);
        assert_eq!(again("14", Some(&told)), wanted);
        for nothing in [None, Some(&*details(vec![other])), Some("!"), Some("AAAA"), Some("")] {
            assert_eq!((again("8", nothing), again("14", nothing)), (None, Some(Duration::ZERO)), "{nothing:?}");
        }
        assert_eq!(again("3", Some(&told)), None);
    }
}
