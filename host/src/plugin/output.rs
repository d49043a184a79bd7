//! What plugins answer, checked: a plugin's mistake becomes a counted failure, never a broken message.

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderName, HeaderValue};

use super::bindings::plugway::gateway::types;
use super::failure::Failure;
use crate::config::model::Budget;
use crate::exchange::{LocalResponse, final_status, has_no_body};
use crate::http::connection_headers::is_connection_header;
use crate::telemetry::BudgetKey;

/// Checks an answer a plugin made itself.
pub(super) fn local_response(
    status: u16,
    headers: Vec<types::HeaderLine>,
    body: Vec<u8>,
    budget: &Budget,
) -> Result<LocalResponse, Failure> {
    let said = status;
    let status =
        final_status(said).ok_or_else(|| Failure::output(format!("answered with status {}, which is not one of 200 to 599", said)))?;
    if body.len() > budget.max_local_body_bytes {
        let message = format!("answered with a body of {} bytes; max_local_body_bytes is {}", body.len(), budget.max_local_body_bytes);
        return Err(Failure::over(BudgetKey::MaxLocalBodyBytes, message));
    }
    if has_no_body(status) && !body.is_empty() {
        return Err(Failure::output(format!("answered status {} with a body", said)));
    }
    if headers.len() > budget.max_headers {
        let message = format!("answered with {} headers; max_headers is {}", headers.len(), budget.max_headers);
        return Err(Failure::over(BudgetKey::MaxHeaders, message));
    }
    let bytes: usize = headers.iter().map(|header| header.name.len() + header.value.len()).sum();
    if bytes > budget.max_header_bytes {
        let message = format!("answered with {bytes} bytes of headers; max_header_bytes is {}", budget.max_header_bytes);
        return Err(Failure::over(BudgetKey::MaxHeaderBytes, message));
    }
    let headers = headers.into_iter().map(header).collect::<Result<_, _>>()?;
    Ok(LocalResponse { status, headers, body: Bytes::from(body) })
}

fn header(header: types::HeaderLine) -> Result<(HeaderName, HeaderValue), Failure> {
    let name = HeaderName::from_bytes(header.name.as_bytes())
        .map_err(|_| Failure::output(format!("answered with the illegal header name {:?}", header.name)))?;
    if name == CONTENT_LENGTH || is_connection_header(&name) {
        return Err(Failure::output(format!("answered with the header {name}, which only the gateway sets")));
    }
    let value = HeaderValue::from_bytes(&header.value)
        .map_err(|_| Failure::output(format!("answered with an illegal value for the header {name}")))?;
    Ok((name, value))
}
