//! Faults as responses: the one place where an error becomes something a client sees (RFC 9457).

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::exchange::{Origin, ResponseHead};
use crate::fault::Fault;

/// The response to a fault. It says which fault and which request, and nothing of what is behind the gateway.
pub fn respond(fault: Fault, request_id: Option<&HeaderValue>) -> (ResponseHead, Bytes) {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    // A shared cache must not keep an answer that is about this moment.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let status = fault.status();
    let mut body = serde_json::json!({
        "type": format!("urn:plugway:fault:{}", fault.code()),
        "title": fault.title(),
        "status": status.as_u16(),
        "code": fault.code(),
    });
    if let (Some(id), Some(object)) = (request_id.and_then(|id| id.to_str().ok()), body.as_object_mut()) {
        object.insert("request_id".to_owned(), id.into());
    }
    (ResponseHead { status, headers, origin: Origin::Gateway(fault) }, Bytes::from(body.to_string()))
}
