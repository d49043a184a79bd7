//! Generated from `wit/`; nothing else lives here. One small world per hook, so that a component exports exactly the hooks
//! it implements; every world shares the imported types of `imports`.

#![allow(
    unsafe_code,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::allow_attributes_without_reason,
    reason = "generated code"
)]

/// Every capability and type a plugin can import. A component keeps only what it calls.
pub mod imports {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package plugway:sdk@0.1.0; world imports { include plugway:gateway/capabilities@0.1.0; }",
        world: "plugway:sdk/imports",
        // Names and values are lent to the host: setting a header copies nothing inside the plugin.
        ownership: Borrowing { duplicate_if_necessary: false },
        additional_derives: [PartialEq],
        // It holds a handle, and handles have nothing to compare.
        additional_derives_ignore: ["flow"],
        generate_all,
    });
}

/// A world with nothing but the `lifecycle` export.
pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package plugway:sdk@0.1.0; world lifecycle { export plugway:gateway/lifecycle@0.1.0; }",
        world: "plugway:sdk/lifecycle",
        with: {
            "plugway:gateway/types@0.1.0": crate::bindings::imports::plugway::gateway::types,
        },
        generate_all,
        pub_export_macro: true,
        export_macro_name: "__export_lifecycle",
    });
}

/// A world with nothing but the `authorizer` export.
pub mod authorizer {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package plugway:sdk@0.1.0; world authorizer { export plugway:gateway/authorizer@0.1.0; }",
        world: "plugway:sdk/authorizer",
        with: {
            "plugway:gateway/types@0.1.0": crate::bindings::imports::plugway::gateway::types,
        },
        generate_all,
        // `configure` has come before.
        disable_run_ctors_once_workaround: true,
        pub_export_macro: true,
        export_macro_name: "__export_authorizer",
    });
}

/// A world with nothing but the `request-filter` export.
pub mod request_filter {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package plugway:sdk@0.1.0; world request-filter { export plugway:gateway/request-filter@0.1.0; }",
        world: "plugway:sdk/request-filter",
        with: {
            "plugway:gateway/types@0.1.0": crate::bindings::imports::plugway::gateway::types,
        },
        generate_all,
        // `configure` has come before.
        disable_run_ctors_once_workaround: true,
        pub_export_macro: true,
        export_macro_name: "__export_request_filter",
    });
}

/// A world with nothing but the `router` export.
pub mod router {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package plugway:sdk@0.1.0; world router { export plugway:gateway/router@0.1.0; }",
        world: "plugway:sdk/router",
        with: {
            "plugway:gateway/types@0.1.0": crate::bindings::imports::plugway::gateway::types,
            "plugway:gateway/routing@0.1.0": crate::bindings::imports::plugway::gateway::routing,
        },
        generate_all,
        // `configure` has come before.
        disable_run_ctors_once_workaround: true,
        pub_export_macro: true,
        export_macro_name: "__export_router",
    });
}

/// A world with nothing but the `outcome-observer` export.
pub mod outcome_observer {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package plugway:sdk@0.1.0; world outcome-observer { export plugway:gateway/outcome-observer@0.1.0; }",
        world: "plugway:sdk/outcome-observer",
        with: {
            "plugway:gateway/types@0.1.0": crate::bindings::imports::plugway::gateway::types,
            "plugway:gateway/routing@0.1.0": crate::bindings::imports::plugway::gateway::routing,
        },
        additional_derives: [PartialEq],
        generate_all,
        // `configure` has come before.
        disable_run_ctors_once_workaround: true,
        pub_export_macro: true,
        export_macro_name: "__export_outcome_observer",
    });
}

/// A world with nothing but the `forwarder` export.
pub mod forwarder {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package plugway:sdk@0.1.0; world forwarder { export plugway:gateway/forwarder@0.1.0; }",
        world: "plugway:sdk/forwarder",
        with: {
            "plugway:gateway/types@0.1.0": crate::bindings::imports::plugway::gateway::types,
        },
        generate_all,
        // `configure` has come before.
        disable_run_ctors_once_workaround: true,
        pub_export_macro: true,
        export_macro_name: "__export_forwarder",
    });
}

/// A world with nothing but the `response-filter` export.
pub mod response_filter {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package plugway:sdk@0.1.0; world response-filter { export plugway:gateway/response-filter@0.1.0; }",
        world: "plugway:sdk/response-filter",
        with: {
            "plugway:gateway/types@0.1.0": crate::bindings::imports::plugway::gateway::types,
        },
        generate_all,
        // `configure` has come before.
        disable_run_ctors_once_workaround: true,
        pub_export_macro: true,
        export_macro_name: "__export_response_filter",
    });
}

/// A world with nothing but the `batch-observer` export.
pub mod batch_observer {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package plugway:sdk@0.1.0; world batch-observer { export plugway:gateway/batch-observer@0.1.0; }",
        world: "plugway:sdk/batch-observer",
        with: {
            "plugway:gateway/types@0.1.0": crate::bindings::imports::plugway::gateway::types,
        },
        generate_all,
        // `configure` has come before.
        disable_run_ctors_once_workaround: true,
        pub_export_macro: true,
        export_macro_name: "__export_batch_observer",
    });
}

/// A world with nothing but the `timer` export.
pub mod timer {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package plugway:sdk@0.1.0; world timer { export plugway:gateway/timer@0.1.0; }",
        world: "plugway:sdk/timer",
        with: {
            "plugway:gateway/types@0.1.0": crate::bindings::imports::plugway::gateway::types,
        },
        generate_all,
        // `configure` has come before.
        disable_run_ctors_once_workaround: true,
        pub_export_macro: true,
        export_macro_name: "__export_timer",
    });
}

/// A world with nothing but the `observer` export.
pub mod observer {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "package plugway:sdk@0.1.0; world observer { export plugway:gateway/observer@0.1.0; }",
        world: "plugway:sdk/observer",
        with: {
            "plugway:gateway/types@0.1.0": crate::bindings::imports::plugway::gateway::types,
        },
        additional_derives: [PartialEq],
        generate_all,
        // `configure` has come before.
        disable_run_ctors_once_workaround: true,
        pub_export_macro: true,
        export_macro_name: "__export_observer",
    });
}
