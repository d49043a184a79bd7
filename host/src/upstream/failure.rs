//! Why a try got no response.

use std::error::Error;
use std::fmt;
use std::io;

use super::connect::ConnectError;
use super::http1::Http1Error;
use crate::fault::Fault;

/// A try that got no response.
#[derive(Debug)]
pub struct SendError {
    /// What the client gets, unless another try is made.
    pub fault: Fault,
    /// It went out on a connection that had been used before and ended without one byte of a response: most likely the
    /// upstream closed it at the same moment, so an idempotent request may be made again (RFC 9110, section 9.2.2).
    pub reused: bool,
    /// For the log, never for the client.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl SendError {
    /// Nothing of the request was used.
    pub(super) fn unused(fault: Fault) -> Box<Self> {
        Box::new(Self { fault, reused: false, source: None })
    }

    /// No connection to send it on.
    pub(super) fn unconnected(error: ConnectError) -> Box<Self> {
        Box::new(Self { fault: error.fault, reused: false, source: error.source })
    }

    /// The request is gone.
    pub(super) fn lost(fault: Fault, reused: bool, source: Option<Box<dyn Error + Send + Sync>>) -> Box<Self> {
        Box::new(Self { fault, reused, source })
    }

    /// Its HTTP/1.1 connection came to nothing; `reused` where that had been used before, and nothing of a response had come.
    pub(super) fn broken(error: Http1Error, reused: bool) -> Box<Self> {
        let fault = match &error {
            // TLS 1.3 refuses a client certificate only after the handshake has ended on this side.
            Http1Error::Io(error) if chain(error).any(is_tls) => Fault::UpstreamTlsFailed,
            // That comes from the client.
            Http1Error::Request(_) => Fault::ClientGone,
            error if error.is_malformed() => Fault::UpstreamMalformed,
            _ => Fault::UpstreamReset,
        };
        Box::new(Self { fault, reused: reused && fault == Fault::UpstreamReset, source: Some(Box::new(error)) })
    }

    /// hyper gave up on its stream of an HTTP/2 connection.
    pub(super) fn reset(error: hyper::Error, reused: bool) -> Box<Self> {
        let fault = fault_of(&error);
        Box::new(Self { fault, reused: reused && fault == Fault::UpstreamReset, source: Some(Box::new(error)) })
    }
}

/// What an error before the response head means.
fn fault_of(error: &hyper::Error) -> Fault {
    if chain(error).any(is_tls) {
        Fault::UpstreamTlsFailed
    } else if error.is_user() {
        // The request's body failed, and that comes from the client.
        Fault::ClientGone
    } else if error.is_parse()
        || h2_error(error).is_some_and(|error| error.is_library() && error.reason() == Some(h2::Reason::PROTOCOL_ERROR))
    {
        Fault::UpstreamMalformed
    } else {
        Fault::UpstreamReset
    }
}

fn h2_error(error: &hyper::Error) -> Option<&h2::Error> {
    chain(error).find_map(|error| error.downcast_ref())
}

fn chain<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| {
        let error: &'e (dyn Error + 'static) = *error;
        match error.downcast_ref::<io::Error>() {
            // What an I/O error wraps is not its source but itself.
            Some(io) => io.get_ref().map(|inner| inner as &(dyn Error + 'static)),
            None => error.source(),
        }
    })
}

fn is_tls(error: &(dyn Error + 'static)) -> bool {
    error.is::<rustls::Error>()
}

/// The stable code, then every cause.
impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.fault.code())?;
        let mut cause = self.source.as_deref().map(|source| source as &(dyn Error + 'static));
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl Error for SendError {}
