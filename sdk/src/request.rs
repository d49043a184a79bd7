//! The request, as the gateway holds it.

use std::fmt;

use crate::cookie;
use crate::error::ChangeError;
use crate::flow::Flow;
use crate::header::{self, HeaderLine, HeaderName, LineNumber, NumberedLine, Repeated};
use crate::identity::Identity;
use crate::prefetch::{Fact, Prefetch, Prefetched};
use crate::sys::{self, ask};
use crate::value::Value;

/// The request: facts are read lazily from the gateway, changes are made there.
///
/// Every method is one call into the gateway, but for [`prefetched`](Self::prefetched), so keep what you need twice. Changes are transactional: this hook sees
/// them at once, everyone else only when it returns normally. An authorizer may change headers; a request filter also
/// method, path and query; every other hook nothing but attributes. A refused change is a [`ChangeError`], never a trap.
pub struct Request<'a> {
    raw: sys::RequestHandle<'a>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(raw: sys::RequestHandle<'a>) -> Self {
        Self { raw }
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn fake(&self) -> &crate::testing::FakeRequest {
        &self.raw
    }
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").finish_non_exhaustive()
    }
}

/// The message: what the client asked for.
impl Request<'_> {
    /// The method, e.g. `GET`.
    pub fn method(&self) -> String {
        ask!(self, request::method())
    }

    /// The scheme the client used: `http` or `https`.
    pub fn scheme(&self) -> String {
        ask!(self, request::scheme())
    }

    /// Host and, where given, port the client asked for, in lower case (RFC 9110, section 7.2).
    pub fn authority(&self) -> String {
        ask!(self, request::authority())
    }

    /// The normalised path: the one form that is matched, authorized, hashed and forwarded.
    pub fn path(&self) -> String {
        ask!(self, request::path())
    }

    /// The path as it arrived, for logging and signatures over it. Never decide on it.
    pub fn raw_path(&self) -> String {
        ask!(self, request::raw_path())
    }

    /// The query without `?`, as received.
    pub fn query(&self) -> Option<String> {
        ask!(self, request::query())
    }

    /// The first query parameter of that name, percent-decoded (`+` is a space).
    pub fn query_parameter(&self, name: &str) -> Option<String> {
        ask!(self, request::query_parameter(name))
    }

    /// A `{name}` segment of the matched route, percent-decoded.
    pub fn path_parameter(&self, name: &str) -> Option<String> {
        ask!(self, request::path_parameter(name))
    }

    /// The first value of a header. HTTP does not promise UTF-8 (RFC 9110, section 5.5), so it is bytes. For the host take
    /// [`authority`](Self::authority): over HTTP/2 there is no header for it.
    #[inline]
    pub fn header<'n>(&self, name: impl Into<HeaderName<'n>>) -> Option<Vec<u8>> {
        ask!(self, request::header(name.into()))
    }

    /// The first value of a header as text; one that is not UTF-8 counts as absent.
    #[inline]
    pub fn header_str<'n>(&self, name: impl Into<HeaderName<'n>>) -> Option<String> {
        self.header(name).and_then(|value| String::from_utf8(value).ok())
    }

    /// What was named in `configure` to come with the call: the first value of a header, or the path, which is always there. As [`header`](Self::header) and
    /// [`path`](Self::path) have it, changes that this hook made before included.
    #[inline]
    pub fn prefetched(&self, prefetch: &Prefetch) -> Option<Prefetched> {
        #[cfg(target_family = "wasm")]
        match self.raw.prefetched {
            sys::types::Prefetched::Absent if prefetch.comes_to(self.raw.configuration) => return None,
            sys::types::Prefetched::Value(value) if prefetch.comes_to(self.raw.configuration) => return Some(Prefetched::short(value)),
            _ => {}
        }
        match prefetch.fact() {
            Fact::Header(name) => self.header(name.clone()).map(Prefetched::from),
            Fact::Path => Some(self.path().into()),
        }
    }

    /// Every value of a header, in order.
    pub fn header_values<'n>(&self, name: impl Into<HeaderName<'n>>) -> Vec<Vec<u8>> {
        ask!(self, request::header_values(name.into()))
    }

    /// The value of a header that a message has once at most (RFC 9110, section 5.5: a singleton field), such as `authorization`.
    ///
    /// # Errors
    /// Where it is there more than once: nobody knows which one somebody else reads.
    #[inline]
    pub fn only_header<'n>(&self, name: impl Into<HeaderName<'n>>) -> Result<Option<Vec<u8>>, Repeated> {
        ask!(self, request::only_header(name.into())).map_err(|()| Repeated)
    }

    /// Every header in one call, names in lower case.
    pub fn headers(&self) -> Vec<HeaderLine> {
        ask!(self, request::headers())
    }

    /// The first cookie of that name (RFC 6265, section 5.4), without quotes around its value.
    pub fn cookie(&self, name: &str) -> Option<String> {
        self.header_values(header::COOKIE).iter().find_map(|line| cookie::find(line, name))
    }

    /// The token of `Authorization: Bearer` (RFC 6750, section 2.1). `None` without one, with another scheme, with
    /// characters a token cannot have, and with more than one `Authorization` header.
    pub fn bearer_token(&self) -> Option<String> {
        match self.header_values(header::AUTHORIZATION).as_slice() {
            [only] => header::bearer_token(only).map(str::to_owned),
            _ => None,
        }
    }
}

/// Changes.
impl Request<'_> {
    /// Sets a header, replacing every value it had.
    #[inline]
    pub fn set_header<'n>(&mut self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Result<(), ChangeError> {
        self.forget_prefetched();
        Ok(ask!(self, request::set_header(name.into(), value.as_ref()))?)
    }

    /// Sets a header by a line that was made in `configure`: what [`set_header`](Self::set_header) does with its name and value, which
    /// are not checked or copied again.
    #[inline]
    pub fn set_line(&mut self, line: &NumberedLine) -> Result<(), ChangeError> {
        match line.number() {
            Some(number) => self.set_numbered(number),
            None => self.set_header(line.name(), line.value()),
        }
    }

    /// What a hook says that does no more than [`set_line`](Self::set_line) of this line and goes on then: the gateway sets it with the answer, which
    /// saves the call. Nothing may come between, and where the gateway may not set it the hook fails, as it does by `set_line(…)?`.
    ///
    /// # Errors
    /// Of a line without a number, which is set at once: those of `set_line`.
    #[inline]
    pub fn next_with(&mut self, line: &NumberedLine) -> Result<Flow, ChangeError> {
        match line.number() {
            Some(number) => Ok(Flow::NextWith(number)),
            None => self.set_header(line.name(), line.value()).map(|()| Flow::Next),
        }
    }

    /// What came with the call is what was before a change.
    #[inline]
    #[cfg_attr(not(target_family = "wasm"), allow(clippy::unused_self, reason = "a test's request is asked each time"))]
    fn forget_prefetched(&mut self) {
        #[cfg(target_family = "wasm")]
        {
            self.raw.prefetched = sys::types::Prefetched::Unknown;
        }
    }

    #[inline]
    pub(crate) fn set_numbered(&mut self, LineNumber(number): LineNumber) -> Result<(), ChangeError> {
        self.forget_prefetched();
        Ok(ask!(self, request::set_line(number))?)
    }

    /// Adds a value to a header, keeping those it had.
    pub fn append_header<'n>(&mut self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Result<(), ChangeError> {
        self.forget_prefetched();
        Ok(ask!(self, request::append_header(name.into(), value.as_ref()))?)
    }

    /// Removes a header; nothing happens when it is absent.
    pub fn remove_header<'n>(&mut self, name: impl Into<HeaderName<'n>>) -> Result<(), ChangeError> {
        self.forget_prefetched();
        Ok(ask!(self, request::remove_header(name.into()))?)
    }

    /// Sets the method.
    pub fn set_method(&mut self, method: &str) -> Result<(), ChangeError> {
        Ok(ask!(self, request::set_method(method))?)
    }

    /// Sets the path sent upstream. It must be in normal form; the route is not matched again.
    pub fn set_path(&mut self, path: &str) -> Result<(), ChangeError> {
        self.forget_prefetched();
        Ok(ask!(self, request::set_path(path))?)
    }

    /// Sets or removes the query. White space, control characters, `"`, `#`, `<`, `>` and what is not ASCII must be percent-encoded.
    pub fn set_query(&mut self, query: Option<&str>) -> Result<(), ChangeError> {
        Ok(ask!(self, request::set_query(query))?)
    }

    /// Leaves a header for the final response, whoever makes it (e.g. `set-cookie`, `dpop-nonce`): also one that a response filter, or its
    /// failure, puts in the place of another. Response filters after that may change it.
    pub fn append_response_header<'n>(&mut self, name: impl Into<HeaderName<'n>>, value: impl AsRef<[u8]>) -> Result<(), ChangeError> {
        Ok(ask!(self, request::append_response_header(name.into(), value.as_ref()))?)
    }
}

/// The connection.
impl Request<'_> {
    /// Address of the connection's other end, without port.
    pub fn peer_address(&self) -> String {
        ask!(self, request::peer_address())
    }

    /// Address of the client after the gateway's `trusted_proxies` rules, without port. Decide on this one.
    pub fn client_address(&self) -> String {
        ask!(self, request::client_address())
    }

    /// `TLSv1.2` or `TLSv1.3`; `None` on a plaintext connection.
    pub fn tls_version(&self) -> Option<String> {
        ask!(self, request::tls_version())
    }

    /// The server name the client sent in the TLS handshake.
    pub fn tls_server_name(&self) -> Option<String> {
        ask!(self, request::tls_server_name())
    }

    /// The application protocol TLS agreed on, `h2` or `http/1.1`.
    pub fn tls_alpn(&self) -> Option<String> {
        ask!(self, request::tls_alpn())
    }

    /// The verified client certificate, DER.
    pub fn client_certificate(&self) -> Option<Vec<u8>> {
        ask!(self, request::client_certificate())
    }

    /// SHA-256 of the client certificate's DER form, 32 bytes (RFC 8705 `x5t#S256` before base64url).
    pub fn client_certificate_sha256(&self) -> Option<Vec<u8>> {
        ask!(self, request::client_certificate_sha256())
    }
}

/// What the gateway and other plugins know of it.
impl Request<'_> {
    /// The request id: accepted from a trusted proxy or made by the gateway.
    pub fn id(&self) -> String {
        ask!(self, request::id())
    }

    /// The `traceparent` value sent upstream (W3C Trace Context).
    pub fn trace_parent(&self) -> String {
        ask!(self, request::trace_parent())
    }

    /// When the head was complete, nanoseconds since the Unix epoch.
    pub fn received_at(&self) -> u64 {
        ask!(self, request::received_at())
    }

    /// Name of the matched route.
    pub fn route(&self) -> String {
        ask!(self, request::route())
    }

    /// The route's `api`, where configured.
    pub fn api(&self) -> Option<String> {
        ask!(self, request::api())
    }

    /// The route's `version`, where configured.
    pub fn api_version(&self) -> Option<String> {
        ask!(self, request::api_version())
    }

    /// Who is calling, if an authorizer said so.
    pub fn identity(&self) -> Option<Identity> {
        ask!(self, request::caller()).map(Identity::from_raw)
    }

    /// The same, for a plugin that has its use without it: `plugway check` warns where a filter that asks for [`identity`](Self::identity)
    /// stands before every authorizer, and not where it asks for this.
    pub fn optional_identity(&self) -> Option<Identity> {
        ask!(self, request::optional_caller()).map(Identity::from_raw)
    }

    /// An attribute some plugin left on this request; `plugin` is the writer's configured name.
    pub fn attribute(&self, plugin: &str, name: &str) -> Option<Value> {
        ask!(self, request::attribute(plugin, name))
    }

    /// An attribute that an earlier hook of this plugin left on this request.
    pub fn own_attribute(&self, name: &str) -> Option<Value> {
        self.attribute("", name)
    }

    /// Leaves an attribute in this plugin's own name space: the only per-request state, since the hooks of one request
    /// may meet different instances. Every hook may.
    pub fn set_attribute(&self, name: &str, value: impl Into<Value>) -> Result<(), ChangeError> {
        Ok(ask!(self, request::set_attribute(name, &value.into()))?)
    }
}
