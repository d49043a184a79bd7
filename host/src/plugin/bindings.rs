//! Generated from `wit/`; nothing else lives here. Imports are synchronous, save the one that waits: a hook
//! runs to its end on the worker it was called on.

#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "generated code"
)]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "every-hook",
    imports: { "plugway:gateway/http-client.send": async | trappable, default: trappable },
    with: {
        "plugway:gateway/types.identity": super::guest::IdentityHandle,
        "plugway:gateway/types.pass": super::guest::PassHandle,
        "plugway:gateway/types.local-response": super::guest::LocalResponseHandle,
        "plugway:gateway/types.failure": super::guest::FailureHandle,
        "plugway:gateway/http-client.outgoing-request": super::guest::OutgoingRequestHandle,
        "plugway:gateway/http-client.incoming-response": super::guest::IncomingResponseHandle,
        "plugway:gateway/crypto.public-key": super::guest::PublicKeyHandle,
    },
});
