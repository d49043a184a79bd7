//! Every way a request can fail, in one table: the status a client gets, whose fault it was, a stable code, and whether
//! another attempt may help. The code stands in the answer, the log, the record and the metrics.

mod cause;

use http::StatusCode;

pub use cause::ErrorCause;

/// Whose fault it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Blame {
    /// Who sent the request.
    Client,
    /// This gateway or its configuration.
    Gateway,
    /// A plugin.
    Plugin,
    /// Who should have answered.
    Upstream,
}

impl Blame {
    /// As it stands in logs, records and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Plugin => "plugin",
            Self::Upstream => "upstream",
        }
    }
}

macro_rules! faults {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $status:ident, $blame:ident, $retry:literal, $title:literal;)*) => {
        /// One row of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Fault { $($(#[$doc])* $name,)* }

        impl Fault {
            /// Every fault, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Stable, kebab case.
            pub fn code(self) -> &'static str { match self { $(Self::$name => $code,)* } }
            /// What the client gets.
            pub fn status(self) -> StatusCode { match self { $(Self::$name => StatusCode::$status,)* } }
            /// Whose fault it was.
            pub fn blame(self) -> Blame { match self { $(Self::$name => Blame::$blame,)* } }
            /// Whether another attempt may help, given that nothing of the request has been used up.
            pub fn retryable(self) -> bool { match self { $(Self::$name => $retry,)* } }
            /// One sentence for the client; names no internals.
            pub fn title(self) -> &'static str { match self { $(Self::$name => $title,)* } }
        }
    };
}

faults! {
    /// Framing that two parsers could read differently.
    AmbiguousFraming = "ambiguous-framing", BAD_REQUEST, Client, false, "The request's framing is ambiguous.";
    /// A head that is no HTTP.
    MalformedRequest = "malformed-request", BAD_REQUEST, Client, false, "The request is malformed.";
    /// A head of more bytes or lines than allowed (RFC 6585, section 5).
    HeadTooLarge = "head-too-large", REQUEST_HEADER_FIELDS_TOO_LARGE, Client, false, "The request's head is too large.";
    /// A path two parsers could read differently.
    AmbiguousPath = "ambiguous-path", BAD_REQUEST, Client, false, "The request's path is ambiguous.";
    /// No host, two hosts, or one that is none.
    InvalidAuthority = "invalid-authority", BAD_REQUEST, Client, false, "The request's host is missing or invalid.";
    /// A method the gateway does not forward (CONNECT, TRACE).
    MethodNotForwarded = "method-not-forwarded", NOT_IMPLEMENTED, Client, false, "This method is not forwarded.";
    /// The authority is not covered by this connection's certificate or client-certificate rule, or the target says `https` where there is no TLS.
    MisdirectedRequest = "misdirected-request", MISDIRECTED_REQUEST, Client, false, "This connection is not for that host.";
    /// No route takes it.
    NoRoute = "no-route", NOT_FOUND, Client, false, "Nothing is published here.";
    /// Routes take the path, but not with this method.
    MethodNotAllowed = "method-not-allowed", METHOD_NOT_ALLOWED, Client, false, "This method is not allowed here.";
    /// No authorizer let it pass.
    Denied = "denied", UNAUTHORIZED, Client, false, "Credentials are required.";
    /// More body than allowed.
    BodyTooLarge = "body-too-large", PAYLOAD_TOO_LARGE, Client, false, "The request's body is too large.";
    /// A target that is longer than can be sent on, once its path is in normal form or rewritten (RFC 9110, section 15.5.15).
    UriTooLong = "uri-too-long", URI_TOO_LONG, Client, false, "The request's target is too long.";
    /// The client paused too long while sending.
    ClientTimeout = "client-timeout", REQUEST_TIMEOUT, Client, false, "The request took too long to arrive.";
    /// The client went away.
    ClientGone = "client-gone", BAD_REQUEST, Client, false, "The client went away.";
    /// The gateway answers as many requests as it may, or has no files left for a connection.
    Overloaded = "overloaded", SERVICE_UNAVAILABLE, Gateway, false, "The gateway is at its limit.";
    /// The gateway ended before the request did: draining took as long as it may.
    GatewayStopped = "gateway-stopped", SERVICE_UNAVAILABLE, Gateway, false, "The gateway is shutting down.";
    /// A plugin trapped, or answered what it must not.
    PluginFailed = "plugin-failed", INTERNAL_SERVER_ERROR, Plugin, false, "The request could not be processed.";
    /// A plugin used up its CPU time.
    PluginCpuExceeded = "plugin-cpu-exceeded", SERVICE_UNAVAILABLE, Plugin, false, "The request could not be processed in time.";
    /// A plugin wanted more memory than it may have.
    PluginMemoryExceeded = "plugin-memory-exceeded", SERVICE_UNAVAILABLE, Plugin, false, "The request could not be processed.";
    /// A plugin did not answer within its deadline.
    PluginDeadlineExceeded = "plugin-deadline-exceeded", SERVICE_UNAVAILABLE, Plugin, false, "The request could not be processed in time.";
    /// A plugin failed too often and is left alone for a while, has no instance free, or its next one is still being made.
    PluginUnavailable = "plugin-unavailable", SERVICE_UNAVAILABLE, Plugin, false, "The request cannot be processed now.";
    /// An authorizer depends on something that is away.
    AuthorizerUnavailable = "authorizer-unavailable", SERVICE_UNAVAILABLE, Plugin, false, "Credentials cannot be checked now.";
    /// No endpoint may be sent to.
    NoEndpoint = "no-endpoint", SERVICE_UNAVAILABLE, Upstream, false, "No upstream is available.";
    /// The forwarder does not want this endpoint for this request.
    EndpointRefused = "endpoint-refused", SERVICE_UNAVAILABLE, Plugin, true, "No upstream is available.";
    /// As many connections as allowed are open to the endpoint.
    UpstreamSaturated = "upstream-saturated", SERVICE_UNAVAILABLE, Upstream, true, "The upstream is at its limit.";
    /// The endpoint's name did not resolve.
    UpstreamUnresolved = "upstream-unresolved", BAD_GATEWAY, Upstream, true, "The upstream could not be found.";
    /// No connection could be made.
    UpstreamConnectFailed = "upstream-connect-failed", BAD_GATEWAY, Upstream, true, "The upstream could not be reached.";
    /// TLS failed: the certificate did not verify, or no common parameters.
    UpstreamTlsFailed = "upstream-tls-failed", BAD_GATEWAY, Upstream, true, "The upstream's identity could not be verified.";
    /// Connecting took too long.
    UpstreamConnectTimeout = "upstream-connect-timeout", GATEWAY_TIMEOUT, Upstream, true, "The upstream took too long to connect.";
    /// No response head in time.
    UpstreamTimeout = "upstream-timeout", GATEWAY_TIMEOUT, Upstream, false, "The upstream took too long to answer.";
    /// The connection ended before the response head.
    UpstreamReset = "upstream-reset", BAD_GATEWAY, Upstream, true, "The upstream closed the connection.";
    /// The response is no HTTP, or its framing is ambiguous.
    UpstreamMalformed = "upstream-malformed", BAD_GATEWAY, Upstream, false, "The upstream's answer is malformed.";
    /// The response broke off after its head.
    UpstreamBodyFailed = "upstream-body-failed", BAD_GATEWAY, Upstream, false, "The upstream's answer broke off.";
    /// A fault of this program.
    Internal = "internal", INTERNAL_SERVER_ERROR, Gateway, false, "Something went wrong.";
}
