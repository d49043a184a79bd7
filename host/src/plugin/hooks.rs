//! The hooks a component exports, found once when it is loaded and looked up once per instance: no call pays for a name,
//! and a hook that is not exported has nothing to call.
//!
//! A component that cannot wait is called straight away. One that can (it imports `send` of `http-client`, and was granted it) can only be called
//! on a stack of its own, which `in_turns` does; those of its hooks that have no time to wait run to their end all the same.

mod in_turns;

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use wasmtime::Store;
use wasmtime::component::{Component, ComponentExportIndex, Func, Instance, InstancePre, TypedFunc};

use super::bindings::exports::plugway::gateway as exports;
use super::bindings::plugway::gateway::routing::Endpoint;
use super::guest::Guest;
use super::record::ToldRecord;
use super::rights::{Hook, Rights};

use in_turns::{InTurnsHooks, InTurnsIndices};

pub(super) use in_turns::{Answered, Decided, Ticked};

macro_rules! hooks {
    ($($field:ident: $module:ident = $hook:ident,)*) => {
        /// Where a component's hooks are.
        pub(super) struct HookIndices {
            $($field: Option<exports::$module::GuestIndices>,)*
            on_complete: Option<ComponentExportIndex>,
            in_turns: InTurnsIndices,
        }

        /// An instance's hooks, those of a request's way first.
        #[repr(C)]
        pub(super) struct Hooks {
            $(pub(super) $field: Option<exports::$module::Guest>,)*
            on_complete: Option<Func>,
            in_turns: Option<Box<InTurnsHooks>>,
        }

        impl HookIndices {
            /// Finds every hook the component exports.
            pub(super) fn find(pre: &InstancePre<Guest>, component: &Component, rights: &Rights, waits: bool) -> wasmtime::Result<Self> {
                // What waits is never called by these.
                let has = |hook| !waits && rights.hooks.contains(&hook);
                Ok(Self {
                    $($field: if has(Hook::$hook) { Some(exports::$module::GuestIndices::new(pre)?) } else { None },)*
                    on_complete: in_turns::index(component, "observer", "on-complete"),
                    in_turns: InTurnsIndices::find(component),
                })
            }

            /// Looks them up in an instance; `in_turns` for one whose calls may run so.
            pub(super) fn load(&self, store: &mut Store<Guest>, instance: &Instance, in_turns: bool) -> wasmtime::Result<Hooks> {
                Ok(Hooks {
                    $($field: match &self.$field {
                        Some(indices) => Some(indices.load(&mut *store, instance)?),
                        None => None,
                    },)*
                    on_complete: self.on_complete.as_ref().and_then(|index| instance.get_func(&mut *store, index)),
                    in_turns: if in_turns { Some(Box::new(self.in_turns.load(&mut *store, instance)?)) } else { None },
                })
            }
        }
    };
}

hooks! {
    request_filter: request_filter = RequestFilter,
    response_filter: response_filter = ResponseFilter,
    authorizer: authorizer = Authorizer,
    router: router = Router,
    forwarder: forwarder = Forwarder,
    lifecycle: lifecycle = Lifecycle,
    outcome_observer: outcome_observer = OutcomeObserver,
    batch_observer: batch_observer = BatchObserver,
    timer: timer = Timer,
}

type Called<T> = wasmtime::Result<T>;

/// Hooks that run to their end in one go, whether or not others of the component can wait.
impl Hooks {
    /// `lifecycle.configure`; without the interface only an empty configuration is taken.
    pub(super) fn configure(&self, store: &mut Store<Guest>, id: u32, json: &str) -> Called<Result<(), String>> {
        match (&self.lifecycle, self.in_turns().and_then(|hooks| hooks.configure.as_ref())) {
            (Some(lifecycle), _) => lifecycle.call_configure(store, id, json),
            (None, Some(configure)) => at_once(store, configure, (id, json.to_owned())),
            (None, None) if *json == *"{}" => Ok(Ok(())),
            (None, None) => Ok(Err("it takes no configuration: it does not export `lifecycle`".to_owned())),
        }
    }

    /// `lifecycle.unconfigure`, where it takes configuration.
    pub(super) fn unconfigure(&self, store: &mut Store<Guest>, id: u32) -> Called<()> {
        match (&self.lifecycle, self.in_turns().and_then(|hooks| hooks.unconfigure.as_ref())) {
            (Some(lifecycle), _) => lifecycle.call_unconfigure(store, id),
            (None, Some(unconfigure)) => now(unconfigure.call_async(store, (id,))),
            (None, None) => Ok(()),
        }
    }

    /// `router.on-endpoints`, where there is a router.
    pub(super) fn on_endpoints(&self, store: &mut Store<Guest>, id: u32, version: u64, members: &[Endpoint]) -> Called<Result<(), String>> {
        match (&self.router, self.in_turns().and_then(|hooks| hooks.on_endpoints.as_ref())) {
            (Some(router), _) => router.call_on_endpoints(store, id, version, members),
            (None, Some(on_endpoints)) => at_once(store, on_endpoints, (id, version, members.to_vec())),
            (None, None) => Ok(Ok(())),
        }
    }

    /// `router.route`
    pub(super) fn route(&self, store: &mut Store<Guest>, id: u32) -> Called<Result<u64, exports::router::RouteError>> {
        let number = store.data().exchange.as_ref().map_or(1, |exchange| exchange.attempts.number);
        let prefetched = store.data().prefetched(id);
        match (&self.router, self.in_turns()) {
            (Some(router), _) => router.call_route(store, id, number, prefetched),
            (None, hooks) => at_once(store, there(hooks.and_then(|hooks| hooks.route.as_ref()), Hook::Router)?, (id, number, prefetched)),
        }
    }

    /// `outcome-observer.on-outcomes`
    pub(super) fn on_outcomes(&self, store: &mut Store<Guest>, outcomes: &[exports::outcome_observer::EndpointOutcome]) -> Called<Ticked> {
        match (&self.outcome_observer, self.in_turns()) {
            (Some(observer), _) => observer.call_on_outcomes(store, outcomes),
            (None, hooks) => {
                at_once(store, there(hooks.and_then(|hooks| hooks.on_outcomes.as_ref()), Hook::OutcomeObserver)?, (outcomes.to_vec(),))
            }
        }
    }

    /// `forwarder.forward`
    pub(super) fn forward(&self, store: &mut Store<Guest>, id: u32, endpoint: u64) -> Called<Result<(), exports::forwarder::ForwardError>> {
        match (&self.forwarder, self.in_turns()) {
            (Some(forwarder), _) => forwarder.call_forward(store, id, endpoint),
            (None, hooks) => at_once(store, there(hooks.and_then(|hooks| hooks.forward.as_ref()), Hook::Forwarder)?, (id, endpoint)),
        }
    }

    /// `observer.on-complete`. What it takes is borrowed, so its type is looked up for each batch.
    pub(super) fn on_complete(&self, store: &mut Store<Guest>, records: &[ToldRecord<'_>]) -> Called<Ticked> {
        let on_complete = there(self.on_complete, Hook::Observer)?.typed::<(&[ToldRecord<'_>],), (Ticked,)>(&*store)?;
        match self.in_turns() {
            None => on_complete.call(store, (records,)).map(|(answer,)| answer),
            Some(_) => at_once(store, &on_complete, (records,)),
        }
    }

    /// `batch-observer.on-batch`
    pub(super) fn on_batch(&self, store: &mut Store<Guest>, id: u32, count: u32) -> Called<Ticked> {
        match (&self.batch_observer, self.in_turns()) {
            (Some(observer), _) => observer.call_on_batch(store, id, count),
            (None, hooks) => at_once(store, there(hooks.and_then(|hooks| hooks.on_batch.as_ref()), Hook::BatchObserver)?, (id, count)),
        }
    }

    /// `timer.period`, where there is a timer.
    pub(super) fn period(&self, store: &mut Store<Guest>, id: u32) -> Called<Option<u64>> {
        match (&self.timer, self.in_turns().and_then(|hooks| hooks.period.as_ref())) {
            (Some(timer), _) => timer.call_period(store, id),
            (None, Some(period)) => at_once(store, period, (id,)),
            (None, None) => Ok(None),
        }
    }
}

/// Hooks that can wait, called in turns.
impl Hooks {
    /// `authorizer.authorize`
    pub(super) async fn authorize_in_turns(&self, store: &mut Store<Guest>, id: u32) -> Called<Decided> {
        let authorize = there(self.in_turns().and_then(|hooks| hooks.authorize.as_ref()), Hook::Authorizer)?;
        authorize.call_async(store, (id,)).await.map(|(answer,)| answer)
    }

    /// `request-filter.on-request`
    pub(super) async fn on_request_in_turns(&self, store: &mut Store<Guest>, id: u32) -> Called<Answered> {
        let on_request = there(self.in_turns().and_then(|hooks| hooks.on_request.as_ref()), Hook::RequestFilter)?;
        let prefetched = store.data().prefetched(id);
        on_request.call_async(store, (id, prefetched)).await.map(|(answer,)| answer)
    }

    /// `response-filter.on-response`
    pub(super) async fn on_response_in_turns(&self, store: &mut Store<Guest>, id: u32) -> Called<Answered> {
        let on_response = there(self.in_turns().and_then(|hooks| hooks.on_response.as_ref()), Hook::ResponseFilter)?;
        on_response.call_async(store, (id,)).await.map(|(answer,)| answer)
    }

    /// `timer.on-tick`
    pub(super) async fn on_tick_in_turns(&self, store: &mut Store<Guest>, id: u32) -> Called<Ticked> {
        let on_tick = there(self.in_turns().and_then(|hooks| hooks.on_tick.as_ref()), Hook::Timer)?;
        on_tick.call_async(store, (id,)).await.map(|(answer,)| answer)
    }

    fn in_turns(&self) -> Option<&InTurnsHooks> {
        self.in_turns.as_deref()
    }
}

/// A hook is called only where the component exports it, so this is a fault of ours, and still no panic.
pub(super) fn there<F>(function: Option<F>, hook: Hook) -> wasmtime::Result<F> {
    function.ok_or_else(|| wasmtime::Error::msg(format!("the component does not export {hook}")))
}

/// Calls what has nothing to wait for: `http-client` answers at once where a hook cannot wait.
fn at_once<P, R>(store: &mut Store<Guest>, function: &TypedFunc<P, (R,)>, parameters: P) -> Called<R>
where
    P: wasmtime::component::ComponentNamedList + wasmtime::component::Lower + Send + Sync,
    R: Send + Sync + 'static,
    (R,): wasmtime::component::ComponentNamedList + wasmtime::component::Lift + Send + Sync + 'static,
{
    now(function.call_async(store, parameters)).map(|(answer,)| answer)
}

/// Runs to its end what does not wait.
pub(super) fn now<R>(call: impl Future<Output = wasmtime::Result<R>>) -> wasmtime::Result<R> {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        // The store is lost with the call, and whoever made it ends the instance.
        Poll::Pending => Err(wasmtime::Error::msg("waited where nothing can")),
    }
}
