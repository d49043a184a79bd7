//! What stands behind the SDK's types: the gateway inside a component, the test double natively. Both have the shape of
//! the generated imports, so everything above this file is the same code in a test and in production.

#[cfg(target_family = "wasm")]
mod gateway {
    use std::marker::PhantomData;

    pub(crate) use crate::bindings::imports::plugway::gateway::{
        attempt, batch, clock, configuring, crypto, endpoints, forward_plan, granted, header_lines, header_names, http_client, keys, kv,
        log, metrics, random, rate_limit, request, response, secrets, trace, types,
    };

    /// There is only one request a hook can mean, so all there is to hold is how long it may be used, and what came with the call.
    pub(crate) struct RequestHandle<'a> {
        pub(crate) prefetched: types::Prefetched,
        pub(crate) configuration: u32,
        borrow: PhantomData<&'a ()>,
    }

    impl RequestHandle<'_> {
        pub(crate) const fn new(configuration: u32, prefetched: types::Prefetched) -> Self {
            Self { prefetched, configuration, borrow: PhantomData }
        }
    }

    // For the others there is nothing else to hold.
    pub(crate) type ResponseHandle<'a> = PhantomData<&'a ()>;
    pub(crate) type AttemptHandle<'a> = PhantomData<&'a ()>;
    pub(crate) type PlanHandle<'a> = PhantomData<&'a ()>;

    /// Asks the gateway about the exchange of the running hook.
    macro_rules! ask {
        ($this:expr, $interface:ident::$function:ident($($argument:expr),*)) => {
            $crate::sys::$interface::$function($($argument),*)
        };
    }
    pub(crate) use ask;
}

#[cfg(target_family = "wasm")]
pub(crate) use gateway::*;

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::gateway::*;
