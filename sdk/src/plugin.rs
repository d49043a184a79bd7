//! What a plugin implements: [`Plugin`] for its configuration, and one trait per hook.

use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::answer::LocalResponse;
use crate::batch::Batch;
pub use crate::bindings::imports::plugway::gateway::configuring::Filter;
use crate::error::Error;
use crate::flow::Flow;
use crate::forwarding::Plan;
use crate::header::HeaderName;
use crate::identity::Identity;
use crate::pass::Pass;
use crate::record::ExchangeRecord;
use crate::request::Request;
use crate::response::Response;
use crate::routing::{Attempt, Endpoint, EndpointId, EndpointOutcome};

/// A plugin in one place of one route: what it is configured with.
///
/// One instance of a component serves many places; the SDK keeps one object of this type for each. Every worker has
/// instances of its own and an instance may be replaced at any time, so an object is a cache, never the only copy of
/// anything. WebAssembly is single-threaded: use `Cell` and `RefCell` for what changes between requests. When a reload or a swap
/// has left its configuration behind it is dropped, where the instance lasted as long: `Drop` may hand on what was gathered, to `kv` or `metrics`.
pub trait Plugin: Sized + 'static {
    /// The plugin's own table merged with the place's. Give it `#[serde(deny_unknown_fields)]`, so that a mistyped key
    /// is an error that names it. [`NoConfig`] if there is nothing to configure.
    type Config: DeserializeOwned;

    /// Checks one configuration and prepares everything that does not depend on a request. The error's text is shown to
    /// the operator: name the key and say what to do about it.
    fn configure(config: Self::Config) -> Result<Self, Error>;

    /// Filters that let every request go on as it is in a place configured like this: the gateway does not call them there. None, unless it is written.
    fn leaves_out(&self) -> &'static [Filter] {
        &[]
    }

    /// Whether its request filter lets every request go on as it is that its authorizer has seen: the gateway does not call it where that is the first
    /// authorizer of the chain. Behind another one it is called, since what that one let pass comes here unseen. No, unless it is written.
    fn leaves_out_if_first(&self) -> bool {
        false
    }

    /// Request headers that it says to the upstream in a place configured like this, as who is calling, and no client may. The gateway takes them from
    /// every request to that upstream before any hook sees it, on routes without this plugin too. None, unless it is written. The configuration is refused where
    /// one is no header name, is one of those that clients have to say themselves (`wit/configuring.wit` has them), or is past the 256 names
    /// that an instance can have.
    fn kept_from_clients(&self) -> Vec<HeaderName<'_>> {
        Vec::new()
    }
}

/// The configuration of a plugin that has none: any key is refused.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoConfig {}

/// Decides whether a request may pass.
pub trait Authorizer: Plugin {
    /// Decides about one request. May change request headers and leave response headers. `?` turns any error into
    /// [`AuthError::Failed`].
    fn authorize(&self, request: &mut Request<'_>) -> Result<Decision, AuthError>;
}

/// Sees a request on its way in.
pub trait RequestFilter: Plugin {
    /// May change headers, method, path and query, or answer in the upstream's place. An error is logged and fails the
    /// call: the request is answered with 500, or goes on unchanged under `on_failure = "skip"`.
    fn on_request(&self, request: &mut Request<'_>) -> Result<Flow, Error>;
}

/// Picks the endpoint of a request.
pub trait Router: Plugin {
    /// Learns the members. Called after `configure` and again when membership or weights change, on an instance that is
    /// not serving: the place to build tables. `version` grows with every change.
    fn on_endpoints(&mut self, version: u64, endpoints: Vec<Endpoint>) -> Result<(), Error>;

    /// Picks one endpoint. An id that is no longer a member makes the gateway pick for itself, and is counted.
    fn route(&self, request: &Request<'_>, attempt: &Attempt<'_>) -> Result<EndpointId, RouteError>;
}

/// Learns how the attempts of this router ended, in batches, between requests. Only beside [`Router`]:
/// `export!(Mine: Router, OutcomeObserver)`.
///
/// Each worker tells its own instance of the attempts it made itself, so what is learnt here decides the next
/// [`Router::route`] of that worker. It goes with the instance: start as if nothing were known.
///
/// ```
/// # use plugway_sdk::*;
/// # use std::collections::BTreeSet;
/// #[derive(Default)]
/// struct Careful {
///     endpoints: Vec<Endpoint>,
///     failing: BTreeSet<EndpointId>,
/// }
///
/// impl OutcomeObserver for Careful {
///     fn on_outcomes(&mut self, outcomes: &[EndpointOutcome]) -> Result<(), Error> {
///         for Outcome { endpoint, status, fault } in outcomes.iter().map(|ended| &ended.outcome) {
///             let by_endpoint = fault.as_ref().is_some_and(|fault| fault.starts_with("upstream-"));
///             if by_endpoint || status.is_some_and(|status| status >= 500) {
///                 self.failing.insert(*endpoint);
///             } else if status.is_some() {
///                 self.failing.remove(endpoint);
///             }
///         }
///         Ok(())
///     }
/// }
/// # impl Plugin for Careful {
/// #     type Config = NoConfig;
/// #     fn configure(_: NoConfig) -> Result<Self, Error> { Ok(Self::default()) }
/// # }
/// # impl Router for Careful {
/// #     fn on_endpoints(&mut self, _: u64, endpoints: Vec<Endpoint>) -> Result<(), Error> {
/// #         self.endpoints = endpoints;
/// #         Ok(())
/// #     }
/// #     fn route(&self, _: &Request, _: &Attempt) -> Result<EndpointId, RouteError> {
/// #         let mut ids = self.endpoints.iter().map(|endpoint| endpoint.id);
/// #         ids.find(|id| !self.failing.contains(id)).ok_or(RouteError::NoEndpoint)
/// #     }
/// # }
/// # plugway_sdk::export!(Careful: Router, OutcomeObserver);
/// # let mut careful = testing::configure::<Careful>(testing::json!({})).unwrap();
/// # careful.on_endpoints(1, vec![testing::endpoint(1, "http://a:80"), testing::endpoint(2, "http://b:80")]).unwrap();
/// # let first = |careful: &testing::Configured<Careful>| careful.route(&testing::Request::get("/").build(), &testing::Attempt::first());
/// # assert_eq!(first(&careful), Ok(1));
/// # careful.on_outcomes(&[testing::answered(2, 200), testing::failed(1, "upstream-reset")]).unwrap();
/// # assert_eq!(first(&careful), Ok(2));
/// ```
pub trait OutcomeObserver: Router {
    /// Takes outcomes of this place, oldest first, at most 64. Outcomes can be lost under overload. An error is logged and
    /// fails the call after every other place got its outcomes; no request notices.
    fn on_outcomes(&mut self, outcomes: &[EndpointOutcome]) -> Result<(), Error>;
}

/// Decides how a request travels to its endpoint. Runs once per attempt.
pub trait Forwarder: Plugin {
    /// Writes the plan of one attempt.
    fn forward(&self, request: &Request<'_>, endpoint: EndpointId, plan: &mut Plan<'_>) -> Result<(), ForwardError>;
}

/// Sees the final response on its way out, the gateway's own answers included.
pub trait ResponseFilter: Plugin {
    /// May change status and headers, or put another answer in its place. An error is logged and fails the call.
    fn on_response(&self, request: &Request<'_>, response: &mut Response<'_>) -> Result<Flow, Error>;
}

/// Learns of finished exchanges, in batches, off the request's path.
pub trait Observer: Plugin {
    /// Takes the records of this place, oldest first. Records can be lost under overload; never keep the only copy of a
    /// number here. An error is logged and fails the call after every other place got its records.
    fn on_complete(&self, records: &[ExchangeRecord]) -> Result<(), Error>;
}

/// Learns of finished exchanges as an [`Observer`] does, by columns: for plugins that add up. What it asks of the [`Batch`] costs a
/// tenth of whole records.
///
/// ```
/// # use plugway_sdk::{metrics::Counter, *};
/// /// Counts bytes by route.
/// struct Bytes(Counter<1>);
///
/// impl Plugin for Bytes {
///     type Config = NoConfig;
///     fn configure(_: NoConfig) -> Result<Self, Error> {
///         Ok(Self(Counter::declare("bytes_total", "Body bytes sent.", "By", ["route"])?))
///     }
/// }
///
/// impl BatchObserver for Bytes {
///     fn on_batch(&self, batch: &Batch) -> Result<(), Error> {
///         let (routes, bytes) = (batch.routes(), batch.response_bytes());
///         let mut sums = vec![0; routes.values.len()];
///         for (route, bytes) in routes.places.iter().zip(bytes) {
///             sums[*route as usize] += bytes;
///         }
///         for (route, sum) in routes.values.iter().zip(sums) {
///             self.0.add(sum as f64, [route.as_str()]);
///         }
///         Ok(())
///     }
/// }
///
/// plugway_sdk::export!(Bytes: BatchObserver);
/// # let bytes = testing::configure::<Bytes>(testing::json!({})).unwrap();
/// # bytes.on_batch(&vec![testing::record(); 3]).unwrap();
/// # assert_eq!(testing::instrument("bytes_total").unwrap().sum(&["route"]), 6.0);
/// ```
pub trait BatchObserver: Plugin {
    /// Takes what has ended of this place. Exchanges can be lost under overload; never keep the only copy of a number here. An
    /// error is logged and fails the call.
    fn on_batch(&self, batch: &Batch<'_>) -> Result<(), Error>;
}

/// Is called by the clock, off every request's path, on an instance that serves no request. Where the plugin's calls overlap, as those
/// of one that may wait do, a tick may have another instance each time, and none that an [`Observer`] has. So what it learns is handed
/// on by [`kv`](crate::kv): to the next tick, to observers and to the hooks of requests.
///
/// ```
/// use plugway_sdk::{Error, Flow, LocalResponse, NoConfig, Plugin, Request, RequestFilter, Timer, kv};
/// use std::time::Duration;
///
/// /// Lets nothing pass in the first minute of each hour.
/// struct Maintenance;
///
/// impl Plugin for Maintenance {
///     type Config = NoConfig;
///     fn configure(_: NoConfig) -> Result<Self, Error> { Ok(Self) }
/// }
///
/// impl Timer for Maintenance {
///     fn period(&self) -> Option<Duration> { Some(Duration::from_secs(1)) }
///
///     fn on_tick(&mut self) -> Result<(), Error> {
///         let now = plugway_sdk::clock::now().as_secs() / 60 % 60 == 0;
///         Ok(kv::set("closed", if now { "yes" } else { "no" }, None)?)
///     }
/// }
///
/// impl RequestFilter for Maintenance {
///     fn on_request(&self, _: &mut Request) -> Result<Flow, Error> {
///         match kv::get("closed")?.as_deref() {
///             Some(b"yes") => Ok(Flow::respond(LocalResponse::new(503))),
///             _ => Ok(Flow::Next),
///         }
///     }
/// }
///
/// plugway_sdk::export!(Maintenance: RequestFilter, Timer);
/// # use plugway_sdk::testing;
/// # let mut plugin = testing::configure::<Maintenance>(testing::json!({})).unwrap();
/// # let mut request = testing::Request::get("/").build();
/// # assert_eq!(plugin.on_request(&mut request).unwrap(), Flow::Next);
/// # plugin.on_tick().unwrap();
/// # assert!(matches!(plugin.on_request(&mut request).unwrap(), Flow::Respond(_)));
/// ```
pub trait Timer: Plugin {
    /// From one tick to the next: 100 ms to 30 days, in whole milliseconds. `None`: this place needs no ticks. Asked once, after
    /// [`configure`](Plugin::configure).
    fn period(&self) -> Option<Duration>;

    /// A tick. The first comes as soon as the gateway serves; those that could not be kept are left out. An error is logged, and the next
    /// tick comes in its time.
    fn on_tick(&mut self) -> Result<(), Error>;
}

/// What an authorizer says of a request. The first `Allow` or `Respond` of a chain wins; when every authorizer abstains
/// the request is denied.
#[derive(Debug)]
pub enum Decision {
    /// Let it pass as this identity.
    Allow(Identity),
    /// Let it pass by this, with its identity and its changes of headers, which come after those that the call made.
    AllowBy(Pass),
    /// No credentials of the kind this plugin knows: ask the next authorizer.
    Abstain,
    /// Answer the client instead: a 401 challenge, a 302 to a login page, a callback page.
    Respond(LocalResponse),
}

/// Why no decision could be made. Either way the request does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthError {
    /// A service this plugin depends on is away; seconds until a retry makes sense, if known. Becomes 503.
    Unavailable(Option<u32>),
    /// A fault of the plugin or its configuration; the text goes to the log. Becomes 500.
    Failed(String),
}

/// Why no endpoint was picked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteError {
    /// None is available. Becomes 503.
    NoEndpoint,
    /// A fault of the plugin; the text goes to the log. Becomes 500, or the native default under `skip`.
    Failed(String),
}

/// Why a request cannot be forwarded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ForwardError {
    /// This endpoint must not be used for this request; counts as a failed attempt.
    Refused,
    /// The path it would write is longer than [`Plan::LONGEST_PATH`], as the request's own is so long. Becomes 414; a fault of the client, and no other
    /// endpoint is tried.
    UriTooLong,
    /// A fault of the plugin; the text goes to the log. Becomes 500, or the upstream's own settings under `skip`.
    Failed(String),
}

impl<T: Into<LocalResponse>> From<T> for Decision {
    fn from(answer: T) -> Self {
        Self::Respond(answer.into())
    }
}

impl Decision {
    /// Answer the client with this.
    pub fn respond(answer: impl Into<LocalResponse>) -> Self {
        Self::Respond(answer.into())
    }
}

impl<E: Into<Error>> From<E> for AuthError {
    fn from(error: E) -> Self {
        Self::Failed(error.into().to_string())
    }
}

impl<E: Into<Error>> From<E> for RouteError {
    fn from(error: E) -> Self {
        Self::Failed(error.into().to_string())
    }
}

impl<E: Into<Error>> From<E> for ForwardError {
    fn from(error: E) -> Self {
        Self::Failed(error.into().to_string())
    }
}
