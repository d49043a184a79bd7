//! The hooks a component exports, found once when it is loaded and looked up once per instance: no call pays for a name,
//! and a hook that is not exported has nothing to call.

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use super::bindings::exports::plugway::gateway as exports;
use super::guest::Guest;
use super::rights::{Hook, Rights};

macro_rules! hooks {
    ($($field:ident: $module:ident = $hook:ident,)*) => {
        /// Where a component's hooks are.
        pub(super) struct HookIndices { $($field: Option<exports::$module::GuestIndices>,)* }

        /// An instance's hooks.
        pub(super) struct Hooks { $(pub(super) $field: Option<exports::$module::Guest>,)* }

        impl HookIndices {
            /// Finds every hook the component exports.
            pub(super) fn find(pre: &InstancePre<Guest>, rights: &Rights) -> wasmtime::Result<Self> {
                Ok(Self {
                    $($field: if rights.hooks.contains(&Hook::$hook) { Some(exports::$module::GuestIndices::new(pre)?) } else { None },)*
                })
            }

            /// Looks them up in an instance.
            pub(super) fn load(&self, store: &mut Store<Guest>, instance: &Instance) -> wasmtime::Result<Hooks> {
                Ok(Hooks {
                    $($field: match &self.$field {
                        Some(indices) => Some(indices.load(&mut *store, instance)?),
                        None => None,
                    },)*
                })
            }
        }
    };
}

hooks! {
    lifecycle: lifecycle = Lifecycle,
    authorizer: authorizer = Authorizer,
    request_filter: request_filter = RequestFilter,
    router: router = Router,
    outcome_observer: outcome_observer = OutcomeObserver,
    forwarder: forwarder = Forwarder,
    response_filter: response_filter = ResponseFilter,
    observer: observer = Observer,
    timer: timer = Timer,
}
