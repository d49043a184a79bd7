//! Finished exchanges by columns, as a [`BatchObserver`](crate::BatchObserver) asks for them.

use std::fmt;
use std::marker::PhantomData;

pub use crate::bindings::imports::plugway::gateway::batch::Texts;
use crate::sys;

/// The finished exchanges of one place. Each method is one call into the gateway and gives one column, with an entry for each
/// exchange, in the order in which they ended.
pub struct Batch<'a> {
    count: usize,
    /// The columns are there as long as the hook runs.
    while_it_runs: PhantomData<&'a ()>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(count: usize, while_it_runs: PhantomData<&'a ()>) -> Self {
        Self { count, while_it_runs }
    }

    /// How many exchanges.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Never so in a gateway.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Names of the matched routes.
    pub fn routes(&self) -> Texts {
        sys::batch::routes()
    }

    /// The routes' `api`; empty without.
    pub fn apis(&self) -> Texts {
        sys::batch::apis()
    }

    /// The routes' `version`; empty without.
    pub fn api_versions(&self) -> Texts {
        sys::batch::api_versions()
    }

    /// Hosts asked for, without port.
    pub fn hosts(&self) -> Texts {
        sys::batch::hosts()
    }

    /// Methods, as received.
    pub fn methods(&self) -> Texts {
        sys::batch::methods()
    }

    /// `http/1.0`, `http/1.1` or `h2`.
    pub fn protocols(&self) -> Texts {
        sys::batch::protocols()
    }

    /// Final statuses.
    pub fn statuses(&self) -> Vec<u16> {
        sys::batch::statuses()
    }

    /// Stable fault codes: the gateway's own; `upstream-status` or `plugin-status` where an upstream or a plugin answered with 4xx or 5xx;
    /// empty where nothing went wrong.
    pub fn faults(&self) -> Texts {
        sys::batch::faults()
    }

    /// Whose fault it was: `client`, `gateway`, `plugin` or `upstream`; empty without a fault.
    pub fn blames(&self) -> Texts {
        sys::batch::blames()
    }

    /// Subjects of the callers' identities; empty where nobody knows.
    pub fn consumers(&self) -> Texts {
        sys::batch::consumers()
    }

    /// `scheme://host:port` of the endpoints that answered; empty where none did.
    pub fn endpoints(&self) -> Texts {
        sys::batch::endpoints()
    }

    /// Upstream attempts made.
    pub fn attempts(&self) -> Vec<u32> {
        sys::batch::attempts()
    }

    /// When heads were complete, nanoseconds since the Unix epoch.
    pub fn received_at(&self) -> Vec<u64> {
        sys::batch::received_at()
    }

    /// From the complete head to the end of the response body, microseconds.
    pub fn durations_us(&self) -> Vec<u64> {
        sys::batch::durations_us()
    }

    /// From sending the request to the complete response head, microseconds, of the last attempt; `None` where none was answered.
    pub fn upstream_durations_us(&self) -> Vec<Option<u64>> {
        sys::batch::upstream_durations_us()
    }

    /// Body bytes received from clients.
    pub fn request_bytes(&self) -> Vec<u64> {
        sys::batch::request_bytes()
    }

    /// Body bytes sent to clients.
    pub fn response_bytes(&self) -> Vec<u64> {
        sys::batch::response_bytes()
    }
}

impl fmt::Debug for Batch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Texts {
    /// The text of each exchange, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> + '_ {
        self.places.iter().map(|place| self.value(*place))
    }

    /// The text at a place of `values`.
    pub fn value(&self, place: u32) -> &str {
        usize::try_from(place).ok().and_then(|place| self.values.get(place)).map_or("", String::as_str)
    }
}
