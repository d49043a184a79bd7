//! [`export!`](crate::export): from traits to a component's exports.

/// Makes a component of a plugin: one export for each hook named, and the configuration interface.
///
/// ```
/// # use plugway_sdk::*;
/// # struct Hello;
/// # impl Plugin for Hello { type Config = NoConfig; fn configure(_: NoConfig) -> Result<Self, Error> { Ok(Hello) } }
/// # impl RequestFilter for Hello { fn on_request(&self, _: &mut Request) -> Result<Flow, Error> { Ok(Flow::Next) } }
/// # impl ResponseFilter for Hello { fn on_response(&self, _: &Request, _: &mut Response) -> Result<Flow, Error> { Ok(Flow::Next) } }
/// plugway_sdk::export!(Hello: RequestFilter, ResponseFilter);
/// # fn main() {}
/// ```
///
/// Hooks are `Authorizer`, `RequestFilter`, `Router`, `OutcomeObserver` (beside `Router`), `Forwarder`, `ResponseFilter`,
/// `Observer`, `BatchObserver` and `Timer`. Use it once in a crate.
/// Natively it only checks that the traits are implemented.
#[macro_export]
macro_rules! export {
    ($plugin:ty: $($hook:ident),+ $(,)?) => {
        #[cfg(not(target_family = "wasm"))]
        const _: () = {
            const fn implements<P: $crate::Plugin $(+ $crate::$hook)+>() {}
            implements::<$plugin>()
        };

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Exports;

            ::std::thread_local! {
                static PLACES: $crate::__private::Places<$plugin> = const { $crate::__private::Places::new() };
            }

            impl $crate::__private::Exported for Exports {
                type Plugin = $plugin;

                fn places<R>(hook: impl FnOnce(&$crate::__private::Places<$plugin>) -> R) -> R {
                    PLACES.with(hook)
                }
            }

            $crate::__private::lifecycle::__export_lifecycle!(Exports with_types_in $crate::__private::lifecycle);
            $($crate::__export_hook!($hook);)+
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __export_hook {
    (Authorizer) => {
        $crate::__private::authorizer::__export_authorizer!(Exports with_types_in $crate::__private::authorizer);
    };
    (RequestFilter) => {
        $crate::__private::request_filter::__export_request_filter!(Exports with_types_in $crate::__private::request_filter);
    };
    (Router) => {
        $crate::__private::router::__export_router!(Exports with_types_in $crate::__private::router);
    };
    (OutcomeObserver) => {
        $crate::__private::outcome_observer::__export_outcome_observer!(Exports with_types_in $crate::__private::outcome_observer);
    };
    (Forwarder) => {
        $crate::__private::forwarder::__export_forwarder!(Exports with_types_in $crate::__private::forwarder);
    };
    (ResponseFilter) => {
        $crate::__private::response_filter::__export_response_filter!(Exports with_types_in $crate::__private::response_filter);
    };
    (Timer) => {
        $crate::__private::timer::__export_timer!(Exports with_types_in $crate::__private::timer);
    };
    (BatchObserver) => {
        $crate::__private::batch_observer::__export_batch_observer!(Exports with_types_in $crate::__private::batch_observer);
    };
    (Observer) => {
        $crate::__private::observer::__export_observer!(Exports with_types_in $crate::__private::observer);
    };
}
