//! Write plugins for the plugway API gateway in Rust. A whole one:
//!
//! ```
//! use plugway_sdk::{Error, Flow, LocalResponse, NoConfig, Plugin, Request, RequestFilter, Status, header};
//!
//! struct Hello;
//!
//! impl Plugin for Hello {
//!     type Config = NoConfig;
//!     fn configure(_: NoConfig) -> Result<Self, Error> { Ok(Self) }
//! }
//!
//! impl RequestFilter for Hello {
//!     fn on_request(&self, request: &mut Request) -> Result<Flow, Error> {
//!         let Some(tenant) = request.header_str(header::X_TENANT_ID) else {
//!             return Ok(Flow::respond(LocalResponse::problem(Status::BAD_REQUEST, "Which tenant?")));
//!         };
//!         request.set_header("x-hello", format!("Hello {tenant}"))?;
//!         Ok(Flow::Next)
//!     }
//! }
//!
//! plugway_sdk::export!(Hello: RequestFilter);
//! # let hello = plugway_sdk::testing::configure::<Hello>(plugway_sdk::testing::json!({})).unwrap();
//! # let mut request = plugway_sdk::testing::Request::get("/").header(header::X_TENANT_ID, "acme").build();
//! # assert_eq!(hello.on_request(&mut request).unwrap(), Flow::Next);
//! # assert_eq!(request.header_str("x-hello").as_deref(), Some("Hello acme"));
//! ```
//!
//! With `crate-type = ["cdylib", "rlib"]` in its manifest, `cargo build --release --target wasm32-wasip2` makes the component,
//! and nothing else is needed. `examples/hello-plugin` is this plugin with configuration, unit tests and a gateway to run
//! it in.
//!
//! # What a plugin is
//!
//! A component *exports* the hooks it implements and *imports* the capabilities it calls; both can be read from the file.
//! [`export!`] makes the exports, one for each trait named:
//!
//! | trait | when | may change |
//! |---|---|---|
//! | [`Authorizer`] | where it stands in the route's chain | request headers; who is calling |
//! | [`RequestFilter`] | where it stands in the route's chain | request headers, method, path, query |
//! | [`Router`] | once per attempt | which endpoint |
//! | [`OutcomeObserver`] | after attempts of a [`Router`], in batches | what the router knows |
//! | [`Forwarder`] | once per attempt, after the router | the [`Plan`]: TLS, timeouts, path, host, headers |
//! | [`ResponseFilter`] | on the final response, in reverse order | status, response headers |
//! | [`Observer`] | after the response, in batches | nothing |
//! | [`BatchObserver`] | the same, by columns: for what adds up | nothing |
//! | [`Timer`] | by the clock, off every request's path | nothing |
//!
//! Capabilities are modules: [`log`], [`clock`], [`random`], [`metrics`], [`endpoints`] and [`trace`] are there for every plugin;
//! [`crypto`], [`kv`], [`rate_limit`], [`secrets`], [`keys`] and [`http_client`] must be granted in the gateway's configuration. Calling
//! one is what imports it; what a plugin can do without it asks for in [`granted`].
//!
//! What need not be asked each time is not: [`Plan::keep`] says that a plan is the same for every request to its endpoint, [`Plugin::leaves_out`] that a filter
//! has nothing to do in a place configured like this, [`Plugin::kept_from_clients`] which headers clients may not say to its upstream.
//!
//! A component built with this crate has an allocator that keeps blocks of up to 128 bytes for the next who needs as much, in front of its toolchain's. A plugin that brings its own turns that off:
//! `default-features = false`.
//!
//! # What to rely on
//!
//! - **One object per place.** The gateway configures one instance for many places; [`Plugin::configure`] makes one object
//!   for each, and a hook gets the one of its place. Several instances exist at once and any may vanish: memory is a cache.
//! - **Changes are transactional.** A hook sees its own changes at once, everyone else when it returns normally.
//! - **Errors are values.** A refused change is a [`ChangeError`]. A failure from a hook fails that call, takes its changes back,
//!   goes to the log, and touches nothing else; [`AuthError::Unavailable`], [`RouteError::NoEndpoint`], [`ForwardError::Refused`] and
//!   [`ForwardError::UriTooLong`] are answers, and what was changed of the request before them stays. A panic ends the instance too, and a plugin that keeps
//!   panicking is left alone for a while.
//! - **Budgets.** CPU time, memory, sizes and log lines are bounded; past a bound the call ends, never the gateway.
//! - **Cost.** Every method of a request is one call into the gateway, about 0.1 µs. Names in [`header`] cross as numbers, and
//!   so do those [`HeaderName::numbered`] gave one; other names cross as text. A [`NumberedLine`] crosses as one number, and
//!   a [`Prefetch`] comes with the call. Prepare in `configure` what
//!   does not depend on the request.
//!
//! # Testing
//!
//! Natively the same types are backed by [`testing`], a stand-in for the gateway, so a plugin's tests are plain `cargo test`.

pub mod clock;
pub mod crypto;
pub mod endpoints;
pub mod granted;
pub mod header;
pub mod http_client;
pub mod keys;
pub mod kv;
pub mod log;
pub mod metrics;
pub mod random;
pub mod rate_limit;
pub mod secrets;
pub mod trace;

#[cfg(any(test, all(target_family = "wasm", feature = "allocator")))]
mod allocator;
mod answer;
mod batch;
mod bindings;
mod config;
mod cookie;
#[cfg(target_family = "wasm")]
mod dispatch;
mod error;
mod export;
mod flow;
mod forwarding;
mod identity;
mod pass;
#[cfg(any(target_family = "wasm", test))]
mod places;
mod plugin;
mod prefetch;
mod record;
mod request;
mod response;
mod routing;
mod status;
mod sys;
mod value;

#[cfg(not(target_family = "wasm"))]
pub mod testing;

pub use answer::{LocalResponse, Problem};
pub use batch::{Batch, Texts};
pub use config::one_or_many;
pub use error::{
    ChangeError, CryptoError, Error, HttpError, JwsError, KeyError, KvError, MetricError, PlanError, RateLimitError, SecretError,
};
pub use flow::Flow;
pub use forwarding::{Plan, Protocol, RetryCondition};
pub use header::{HeaderLine, HeaderName, LineNumber, NumberedLine};
pub use identity::Identity;
pub use pass::Pass;
pub use plugin::{
    AuthError, Authorizer, BatchObserver, Decision, Filter, ForwardError, Forwarder, NoConfig, Observer, OutcomeObserver, Plugin,
    RequestFilter, ResponseFilter, RouteError, Router, Timer,
};
pub use prefetch::{Prefetch, Prefetched};
pub use record::ExchangeRecord;
pub use request::Request;
pub use response::{Response, ResponseOrigin};
pub use routing::{Attempt, Endpoint, EndpointId, EndpointOutcome, Outcome};
pub use status::Status;
pub use value::Value;

/// What [`export!`] expands to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::bindings::{
        authorizer, batch_observer, forwarder, lifecycle, observer, outcome_observer, request_filter, response_filter, router, timer,
    };
    #[cfg(target_family = "wasm")]
    pub use crate::dispatch::Exported;
    #[cfg(any(target_family = "wasm", test))]
    pub use crate::places::Places;
}
