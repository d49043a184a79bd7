//! What stands behind the SDK's types: the gateway inside a component, the test double natively. Both have the shape of
//! the generated imports, so everything above this file is the same code in a test and in production.

#[cfg(target_family = "wasm")]
mod gateway {
    pub(crate) use crate::bindings::imports::plugway::gateway::{
        clock, crypto, endpoints, forwarding, log, metrics, random, routing, types,
    };

    pub(crate) type RequestHandle<'a> = &'a types::Request;
    pub(crate) type ResponseHandle<'a> = &'a types::Response;
    pub(crate) type AttemptHandle<'a> = &'a routing::Attempt;
    pub(crate) type PlanHandle<'a> = &'a forwarding::ForwardPlan;
}

#[cfg(target_family = "wasm")]
pub(crate) use gateway::*;

#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::testing::gateway::*;
