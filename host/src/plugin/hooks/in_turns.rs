//! The exports of an instance whose calls run on a stack of their own.

use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, Instance, Resource, TypedFunc};

use crate::plugin::bindings::exports::plugway::gateway as exports;
use crate::plugin::bindings::plugway::gateway::{routing, types};
use crate::plugin::guest::{FailureHandle, Guest};
use crate::plugin::rights::VERSIONS;

/// What a filter answers.
pub(in crate::plugin) type Answered = Result<types::Flow, Resource<FailureHandle>>;
/// What an authorizer answers.
pub(in crate::plugin) type Decided = Result<exports::authorizer::Decision, exports::authorizer::AuthError>;
/// What is answered where there is nothing to say.
pub(in crate::plugin) type Ticked = Result<(), Resource<FailureHandle>>;

macro_rules! in_turns {
    ($($field:ident: $interface:literal, $function:literal, ($($parameter:ty),*) $(-> $answer:ty)?;)*) => {
        /// Where a component has them.
        pub(super) struct InTurnsIndices { $($field: Option<ComponentExportIndex>,)* }

        /// An instance's.
        pub(super) struct InTurnsHooks { $(pub(super) $field: Option<TypedFunc<($($parameter,)*), ($($answer,)?)>>,)* }

        impl InTurnsIndices {
            pub(super) fn find(component: &Component) -> Self {
                Self { $($field: index(component, $interface, $function),)* }
            }

            pub(super) fn load(&self, store: &mut Store<Guest>, instance: &Instance) -> wasmtime::Result<InTurnsHooks> {
                Ok(InTurnsHooks {
                    $($field: match &self.$field {
                        Some(index) => Some(instance.get_typed_func(&mut *store, index)?),
                        None => None,
                    },)*
                })
            }
        }
    };
}

in_turns! {
    configure: "lifecycle", "configure", (u32, String) -> Result<(), String>;
    unconfigure: "lifecycle", "unconfigure", (u32);
    authorize: "authorizer", "authorize", (u32) -> Decided;
    on_request: "request-filter", "on-request", (u32, types::Prefetched) -> Answered;
    on_endpoints: "router", "on-endpoints", (u32, u64, Vec<routing::Endpoint>) -> Result<(), String>;
    route: "router", "route", (u32, u32, types::Prefetched) -> Result<u64, exports::router::RouteError>;
    on_outcomes: "outcome-observer", "on-outcomes", (Vec<exports::outcome_observer::EndpointOutcome>) -> Ticked;
    forward: "forwarder", "forward", (u32, u64) -> Result<(), exports::forwarder::ForwardError>;
    on_response: "response-filter", "on-response", (u32) -> Answered;
    on_batch: "batch-observer", "on-batch", (u32, u32) -> Ticked;
    period: "timer", "period", (u32) -> Option<u64>;
    on_tick: "timer", "on-tick", (u32) -> Ticked;
}

pub(super) fn index(component: &Component, interface: &str, function: &str) -> Option<ComponentExportIndex> {
    VERSIONS.iter().find_map(|version| {
        let interface = component.get_export_index(None, format!("plugway:gateway/{interface}@{version}"))?;
        component.get_export_index(Some(&interface), function)
    })
}
