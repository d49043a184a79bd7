//! `http-client`. A component that can do without it is linked without the one function that waits where it was not granted.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::Result;
use wasmtime::component::{Linker, Resource};

use super::{all, first, header_name};
use crate::http_client;
use crate::plugin::bindings::plugway::gateway::http_client::{AnswerSource, Host, HostIncomingResponse, HostOutgoingRequest, HttpError};
use crate::plugin::bindings::plugway::gateway::types::{HeaderLine, HeaderName};
use crate::plugin::guest::{Guest, IncomingResponseHandle, OutgoingRequestHandle};
use crate::plugin::rights::VERSIONS;
use crate::telemetry::BudgetKey;
use crate::trace::{Asked, Parent};

type Request = Resource<OutgoingRequestHandle>;
type Response = Resource<IncomingResponseHandle>;
type Sent = std::result::Result<Response, HttpError>;

/// Requests and answers a guest may hold at a time: each can be large.
const MOST_MESSAGES: usize = 16;
/// Bytes of a URL that are recorded.
const MOST_SHOWN: usize = 1024;
/// Why a function traps that is nothing without the grant.
const NOT_GRANTED: &str = "`http-client` was not granted; `granted.http-client` says so";

impl Guest {
    fn outgoing(&mut self, request: &Request) -> Result<&mut http_client::OutgoingRequest> {
        Ok(&mut self.wasi.table.get_mut(request)?.0)
    }

    fn incoming(&mut self, response: &Response) -> Result<&http_client::IncomingResponse> {
        Ok(&self.wasi.table.get(response)?.0)
    }

    /// Makes a request part of the trace of the one it is made for. Where that is recorded, it has a span of its own in that of the hook.
    fn begin_to_ask(&mut self, request: &mut http_client::OutgoingRequest) -> Option<Asked> {
        let exchange = self.exchange.as_deref()?;
        let Some(recording) = exchange.steps.recording() else {
            request.set_trace_parent(exchange.trace_parent.clone());
            return None;
        };
        let asked = Asked::begin(request.method().as_str(), self.secrets.shown(&request.place(), MOST_SHOWN).into_owned());
        request.set_trace_parent(Parent { span: asked.span, ..recording.span }.header());
        Some(asked)
    }

    fn asked(&mut self, asked: Option<Asked>, sent: &std::result::Result<http_client::IncomingResponse, http_client::HttpError>) {
        let notes = self.exchange.as_mut().and_then(|exchange| exchange.steps.recording_mut()?.notes());
        if let (Some(asked), Some(notes)) = (asked, notes) {
            notes.request(asked.ended(match sent {
                Ok(response) => Ok((response.status.as_u16(), response.source.as_str())),
                Err(error) => Err(error.as_str()),
            }));
        }
    }

    /// Room for one more message.
    fn one_more_message(&mut self) -> Result<()> {
        if self.messages == MOST_MESSAGES {
            return Err(wasmtime::Error::msg(format!("holds more than {MOST_MESSAGES} requests and answers of `http-client`")));
        }
        self.messages += 1;
        Ok(())
    }
}

/// Links `send` as a trap in the place of what waits.
pub(in crate::plugin) fn refuse_to_send(linker: &mut Linker<Guest>) -> Result<()> {
    linker.allow_shadowing(true);
    for version in VERSIONS {
        linker
            .instance(&format!("plugway:gateway/http-client@{version}"))?
            .func_wrap("send", |_, (_,): (Request,)| -> Result<(Sent,)> { Err(wasmtime::Error::msg(NOT_GRANTED)) })?;
    }
    linker.allow_shadowing(false);
    Ok(())
}

impl Host for Guest {
    async fn send(&mut self, request: Request) -> Result<Sent> {
        let OutgoingRequestHandle(mut request) = self.wasi.table.delete(request)?;
        self.messages -= 1;
        let client = match &self.http_client {
            Some(client) if self.cpu.is_in_turns() => Arc::clone(client),
            _ => return Ok(Err(HttpError::NotHere)),
        };
        let waits = self.reserve.wait();
        if waits.is_none() {
            self.hits.count(BudgetKey::Instances, 1);
            request.must_not_wait();
        }
        // Others of the plugin may compute meanwhile.
        self.place.leave();
        let asked = self.begin_to_ask(&mut request);
        let sent = client.send(request).await;
        drop(waits);
        self.asked(asked, &sent);
        match sent {
            Ok(response) => {
                self.one_more_message()?;
                Ok(Ok(self.wasi.table.push(IncomingResponseHandle(response))?))
            }
            Err(error) => Ok(Err(error.into())),
        }
    }

    fn may_ask(&mut self, url: String) -> Result<std::result::Result<(), HttpError>> {
        let client = self.http_client.as_deref().ok_or_else(|| wasmtime::Error::msg(NOT_GRANTED))?;
        Ok(client.may_ask(&url).map_err(Into::into))
    }
}

impl HostOutgoingRequest for Guest {
    fn new(&mut self, method: String, url: String) -> Result<Request> {
        self.one_more_message()?;
        Ok(self.wasi.table.push(OutgoingRequestHandle(http_client::OutgoingRequest::new(&method, &url)))?)
    }

    fn append_header(&mut self, request: Request, name: HeaderName, value: Vec<u8>) -> Result<()> {
        let name = header_name(&self.names, &name);
        self.outgoing(&request)?.append_header(name, value);
        Ok(())
    }

    fn set_body(&mut self, request: Request, body: Vec<u8>) -> Result<()> {
        self.outgoing(&request)?.set_body(body);
        Ok(())
    }

    fn set_timeout_ms(&mut self, request: Request, milliseconds: u32) -> Result<()> {
        self.outgoing(&request)?.set_timeout(Duration::from_millis(milliseconds.into()));
        Ok(())
    }

    fn set_max_body_bytes(&mut self, request: Request, bytes: u64) -> Result<()> {
        self.outgoing(&request)?.set_max_body_bytes(bytes);
        Ok(())
    }

    fn set_max_redirects(&mut self, request: Request, redirects: u32) -> Result<()> {
        self.outgoing(&request)?.set_max_redirects(redirects);
        Ok(())
    }

    fn set_shared(&mut self, request: Request, shared: bool) -> Result<()> {
        self.outgoing(&request)?.set_shared(shared);
        Ok(())
    }

    fn set_shared_as(&mut self, request: Request, name: Vec<u8>) -> Result<()> {
        self.outgoing(&request)?.set_shared_as(name);
        Ok(())
    }

    fn set_max_age_s(&mut self, request: Request, seconds: u32) -> Result<()> {
        self.outgoing(&request)?.set_max_age(Duration::from_secs(seconds.into()));
        Ok(())
    }

    fn set_default_freshness_s(&mut self, request: Request, seconds: u32) -> Result<()> {
        self.outgoing(&request)?.set_default_freshness(Duration::from_secs(seconds.into()));
        Ok(())
    }

    fn set_stale_if_error_s(&mut self, request: Request, seconds: u32) -> Result<()> {
        self.outgoing(&request)?.set_stale_if_error(Duration::from_secs(seconds.into()));
        Ok(())
    }

    fn drop(&mut self, request: Request) -> Result<()> {
        self.wasi.table.delete(request)?;
        self.messages -= 1;
        Ok(())
    }
}

impl HostIncomingResponse for Guest {
    fn status(&mut self, response: Response) -> Result<u16> {
        Ok(self.incoming(&response)?.status.as_u16())
    }

    fn header(&mut self, response: Response, name: HeaderName) -> Result<Option<Vec<u8>>> {
        Ok(first(&self.wasi.table.get(&response)?.0.headers, &self.names, &name))
    }

    fn headers(&mut self, response: Response) -> Result<Vec<HeaderLine>> {
        Ok(all(&self.incoming(&response)?.headers))
    }

    fn body(&mut self, response: Response) -> Result<Vec<u8>> {
        Ok(self.incoming(&response)?.body.to_vec())
    }

    fn url(&mut self, response: Response) -> Result<String> {
        Ok(self.incoming(&response)?.url.to_string())
    }

    fn source(&mut self, response: Response) -> Result<AnswerSource> {
        Ok(self.incoming(&response)?.source.into())
    }

    fn age_s(&mut self, response: Response) -> Result<u32> {
        Ok(seconds(self.incoming(&response)?.age))
    }

    fn fresh_for_s(&mut self, response: Response) -> Result<u32> {
        Ok(seconds(self.incoming(&response)?.fresh_for))
    }

    fn drop(&mut self, response: Response) -> Result<()> {
        self.wasi.table.delete(response)?;
        self.messages -= 1;
        Ok(())
    }
}

fn seconds(time: Duration) -> u32 {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX)
}

impl From<http_client::AnswerSource> for AnswerSource {
    fn from(source: http_client::AnswerSource) -> Self {
        match source {
            http_client::AnswerSource::Server => Self::Server,
            http_client::AnswerSource::Cache => Self::Cache,
            http_client::AnswerSource::Validated => Self::Validated,
            http_client::AnswerSource::Stale => Self::Stale,
        }
    }
}

impl From<http_client::HttpError> for HttpError {
    fn from(error: http_client::HttpError) -> Self {
        match error {
            http_client::HttpError::NotHere => Self::NotHere,
            http_client::HttpError::NotAllowed(what) => Self::NotAllowed(what),
            http_client::HttpError::Invalid(why) => Self::Invalid(why),
            http_client::HttpError::Unresolved(why) => Self::Unresolved(why),
            http_client::HttpError::NotConnected(why) => Self::NotConnected(why),
            http_client::HttpError::Tls(why) => Self::Tls(why),
            http_client::HttpError::Timeout => Self::Timeout,
            http_client::HttpError::TooLarge => Self::TooLarge,
            http_client::HttpError::TooManyRedirects => Self::TooManyRedirects,
            http_client::HttpError::TooManyCalls => Self::TooManyCalls,
            http_client::HttpError::Protocol(why) => Self::Protocol(why),
        }
    }
}
