//! Where in a request the key is: in a header or in a parameter of the query.

use percent_encoding::percent_decode_str;
use plugway_sdk::{ChangeError, HeaderName, Request};

/// Where to look.
#[derive(Debug)]
pub(crate) enum Place {
    Header(HeaderName<'static>),
    /// In the query, where logs of others see it: for clients that can do nothing else.
    Query(String),
}

/// What was there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Nothing,
    /// Who reads which is anyone's guess.
    Several,
    Key(Vec<u8>),
}

impl Place {
    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Header(name) => name.as_str(),
            Self::Query(name) => name,
        }
    }

    /// The key of a request. An empty one is a wrong one, and not none.
    pub(crate) fn read(&self, request: &Request<'_>) -> Read {
        match self {
            Self::Header(name) => match request.only_header(name.clone()) {
                Ok(key) => key.map_or(Read::Nothing, Read::Key),
                Err(_) => Read::Several,
            },
            Self::Query(name) => {
                let query = request.query().unwrap_or_default();
                match parameters(&query).filter(|parameter| is(parameter, name)).count() {
                    0 => Read::Nothing,
                    1 => Read::Key(request.query_parameter(name).unwrap_or_default().into_bytes()),
                    _ => Read::Several,
                }
            }
        }
    }

    /// Takes it away from a request that goes on. In a filter: an authorizer may not change the query.
    pub(crate) fn remove(&self, request: &mut Request<'_>) -> Result<(), ChangeError> {
        match self {
            Self::Header(name) => request.remove_header(name.clone()),
            Self::Query(name) => {
                let Some(query) = request.query() else { return Ok(()) };
                let kept: Vec<_> = parameters(&query).filter(|parameter| !is(parameter, name)).collect();
                if kept.len() == parameters(&query).count() {
                    return Ok(());
                }
                request.set_query((!kept.is_empty()).then(|| kept.join("&")).as_deref())
            }
        }
    }
}

fn parameters(query: &str) -> impl Iterator<Item = &str> {
    query.split('&')
}

/// Whether a parameter has that name, which is made of characters that mean themselves, however a client wrote it.
fn is(parameter: &str, name: &str) -> bool {
    let written = parameter.split_once('=').map_or(parameter, |(written, _)| written);
    percent_decode_str(written).eq(name.bytes())
}
