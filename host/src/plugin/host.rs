//! The contract's imports, each adapted to plain Rust of the rows below.

mod attempt;
mod basics;
mod batch;
mod configuring;
mod crypto;
mod forward_plan;
mod given;
mod granted;
mod http_client;
mod identity;
mod keys;
mod kv;
mod lines;
mod names;
mod pass;
mod rate_limit;
mod request;
mod response;
mod secrets;
mod trace;

pub(super) use http_client::refuse_to_send;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::bindings::plugway::gateway::types;
use super::names::Names;
use crate::exchange::{ChangeError, Value};

/// The name a guest means, if it is one.
fn header_name(names: &Names, name: &types::HeaderName) -> Option<HeaderName> {
    match name {
        types::HeaderName::Known(number) => names.numbered(*number).cloned(),
        types::HeaderName::Text(text) => HeaderName::from_bytes(text.as_bytes()).ok(),
    }
}

/// A name and value a guest wants to write.
fn header_line(names: &mut Names, name: &types::HeaderName, value: Vec<u8>) -> Result<(HeaderName, HeaderValue), types::ChangeError> {
    let name = match name {
        types::HeaderName::Known(number) => names.numbered(*number).cloned(),
        types::HeaderName::Text(text) => names.written(text),
    };
    let name = name.ok_or_else(|| types::ChangeError::Invalid("not a header name".into()))?;
    let value = HeaderValue::from_maybe_shared(bytes::Bytes::from(value));
    Ok((name, value.map_err(|_| types::ChangeError::Invalid("the value holds a control character".into()))?))
}

/// The values of a header, if its name is one.
fn values<'a>(headers: &'a HeaderMap, names: &Names, name: &types::HeaderName) -> Option<impl Iterator<Item = &'a HeaderValue>> {
    Some(match name {
        types::HeaderName::Known(number) => headers.get_all(names.numbered(*number)?).into_iter(),
        types::HeaderName::Text(text) => headers.get_all(text.as_str()).into_iter(),
    })
}

fn first(headers: &HeaderMap, names: &Names, name: &types::HeaderName) -> Option<Vec<u8>> {
    let value = match name {
        types::HeaderName::Known(number) => headers.get(names.numbered(*number)?),
        types::HeaderName::Text(text) => headers.get(text.as_str()),
    };
    value.map(|value| value.as_bytes().to_vec())
}

fn every(headers: &HeaderMap, names: &Names, name: &types::HeaderName) -> Vec<Vec<u8>> {
    values(headers, names, name).into_iter().flatten().map(|value| value.as_bytes().to_vec()).collect()
}

fn only(headers: &HeaderMap, names: &Names, name: &types::HeaderName) -> Result<Option<Vec<u8>>, ()> {
    let mut values = values(headers, names, name).into_iter().flatten();
    let first = values.next().map(|value| value.as_bytes().to_vec());
    if values.next().is_none() { Ok(first) } else { Err(()) }
}

fn all(headers: &HeaderMap) -> Vec<types::HeaderLine> {
    headers.iter().map(|(name, value)| types::HeaderLine { name: name.as_str().to_owned(), value: value.as_bytes().to_vec() }).collect()
}

/// Why a change was refused, for the log.
pub(super) fn why(refused: types::ChangeError) -> String {
    match refused {
        types::ChangeError::Forbidden => "only the gateway sets this header".into(),
        types::ChangeError::Immutable => "there is nothing to set it in".into(),
        types::ChangeError::Invalid(why) => why,
        types::ChangeError::TooLarge => "the plugin has used up `max_headers` or `max_header_bytes`".into(),
    }
}

impl From<ChangeError> for types::ChangeError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::Forbidden => Self::Forbidden,
            ChangeError::Immutable => Self::Immutable,
            ChangeError::Invalid(why) => Self::Invalid(why.to_owned()),
            ChangeError::TooLarge => Self::TooLarge,
        }
    }
}

impl From<types::Value> for Value {
    fn from(value: types::Value) -> Self {
        match value {
            types::Value::Text(text) => Self::Text(text),
            types::Value::Integer(integer) => Self::Integer(integer),
            types::Value::Number(number) => Self::Number(number),
            types::Value::Boolean(boolean) => Self::Boolean(boolean),
            types::Value::Bytes(bytes) => Self::Bytes(bytes),
        }
    }
}

impl From<&Value> for types::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.clone()),
            Value::Integer(integer) => Self::Integer(*integer),
            Value::Number(number) => Self::Number(*number),
            Value::Boolean(boolean) => Self::Boolean(*boolean),
            Value::Bytes(bytes) => Self::Bytes(bytes.clone()),
        }
    }
}
