//! Tries every change there is in hooks that may make none of them, and says in the log what it was told. Written without the SDK, whose types would
//! not let it: a router has no request to write on, an observer has none at all.

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
    reason = "the most of it is generated code"
)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package test:trespasser@0.1.0;
            world trespasser {
                import plugway:gateway/request@0.1.0;
                import plugway:gateway/response@0.1.0;
                import plugway:gateway/forward-plan@0.1.0;
                import plugway:gateway/log@0.1.0;
                export plugway:gateway/lifecycle@0.1.0;
                export plugway:gateway/router@0.1.0;
                export plugway:gateway/outcome-observer@0.1.0;
                export plugway:gateway/forwarder@0.1.0;
                export plugway:gateway/response-filter@0.1.0;
                export plugway:gateway/observer@0.1.0;
                export plugway:gateway/batch-observer@0.1.0;
            }",
        world: "test:trespasser/trespasser",
        generate_all,
    });
}

use bindings::exports::plugway::gateway::{batch_observer, forwarder, lifecycle, observer, outcome_observer, response_filter, router};
use bindings::plugway::gateway::types::{ChangeError, Failure, Flow, HeaderName, Prefetched, Value};
use bindings::plugway::gateway::{forward_plan, log, request, response};

/// Whatever is not configured with a request, and shares nothing else.
struct Trespasser;

/// The only member of the upstream.
static ENDPOINT: AtomicU64 = AtomicU64::new(0);

fn change(error: Result<(), ChangeError>) -> &'static str {
    match error {
        Ok(()) => "ok",
        Err(ChangeError::Forbidden) => "forbidden",
        Err(ChangeError::Immutable) => "immutable",
        Err(ChangeError::Invalid(_)) => "invalid",
        Err(ChangeError::TooLarge) => "too-large",
    }
}

fn planned(error: Result<(), forward_plan::PlanError>) -> &'static str {
    match error {
        Ok(()) => "ok",
        Err(forward_plan::PlanError::Weaker) => "weaker",
        Err(forward_plan::PlanError::NotAllowed) => "not-allowed",
        Err(forward_plan::PlanError::Invalid(_)) => "invalid",
    }
}

fn told(hook: &str, tried: &[(&str, &str)]) {
    let words: Vec<String> = tried.iter().map(|(what, said)| format!("{what}={said}")).collect();
    log::write(log::Level::Info, &format!("{hook} tried: {}", words.join(" ")));
}

fn changes_the_request(hook: &str) {
    let name = HeaderName::Text("x-tenant-id".to_owned());
    let of_requests = [
        ("set-header", change(request::set_header(&name, b"stolen"))),
        ("append-header", change(request::append_header(&name, b"stolen"))),
        ("remove-header", change(request::remove_header(&name))),
        ("set-method", change(request::set_method("DELETE"))),
        ("set-path", change(request::set_path("/stolen"))),
        ("set-query", change(request::set_query(Some("stolen=1")))),
        ("append-response-header", change(request::append_response_header(&name, b"stolen"))),
    ];
    told(&format!("{hook} request"), &of_requests);
}

fn changes_the_response(hook: &str) {
    let name = HeaderName::Text("x-tenant-id".to_owned());
    let of_responses = [
        ("set-status", change(response::set_status(299))),
        ("set-header", change(response::set_header(&name, b"stolen"))),
        ("append-header", change(response::append_header(&name, b"stolen"))),
        ("remove-header", change(response::remove_header(&HeaderName::Text("content-type".to_owned())))),
    ];
    told(&format!("{hook} response"), &of_responses);
}

fn changes_the_plan(hook: &str) {
    let name = HeaderName::Text("x-tenant-id".to_owned());
    let of_plans = [
        ("set-scheme", planned(forward_plan::set_scheme("http"))),
        ("set-tls-profile", planned(forward_plan::set_tls_profile("other"))),
        ("set-server-name", planned(forward_plan::set_server_name("other.example"))),
        ("set-protocol", planned(forward_plan::set_protocol(forward_plan::Protocol::Http2))),
        ("set-connect-timeout-ms", planned(forward_plan::set_connect_timeout_ms(1))),
        ("set-response-timeout-ms", planned(forward_plan::set_response_timeout_ms(1))),
        ("set-max-attempts", planned(forward_plan::set_max_attempts(1))),
        ("set-retry-on", planned(forward_plan::set_retry_on(&[]))),
        ("set-path", planned(forward_plan::set_path("/stolen"))),
        ("set-host", planned(forward_plan::set_host("stolen.example"))),
        ("set-header", change(forward_plan::set_header(&name, b"stolen"))),
        ("remove-header", change(forward_plan::remove_header(&name))),
    ];
    told(&format!("{hook} plan"), &of_plans);
}

/// Where there is no request.
fn everything(hook: &str) {
    told(&format!("{hook} attribute"), &[("set-attribute", change(request::set_attribute("left", &Value::Boolean(true))))]);
    changes_the_request(hook);
    changes_the_response(hook);
    changes_the_plan(hook);
}

impl lifecycle::Guest for Trespasser {
    fn configure(_: u32, _: String) -> Result<(), String> {
        everything("configure");
        Ok(())
    }

    fn unconfigure(_: u32) {}
}

impl router::Guest for Trespasser {
    fn on_endpoints(_: u32, _: u64, endpoints: Vec<router::Endpoint>) -> Result<(), String> {
        endpoints.iter().for_each(|endpoint| ENDPOINT.store(endpoint.id, Relaxed));
        Ok(())
    }

    fn route(_: u32, _: u32, _: Prefetched) -> Result<u64, router::RouteError> {
        changes_the_request("router");
        changes_the_response("router");
        changes_the_plan("router");
        Ok(ENDPOINT.load(Relaxed))
    }
}

impl outcome_observer::Guest for Trespasser {
    fn on_outcomes(_: Vec<outcome_observer::EndpointOutcome>) -> Result<(), Failure> {
        everything("outcome-observer");
        Ok(())
    }
}

impl forwarder::Guest for Trespasser {
    fn forward(_: u32, _: u64) -> Result<(), forwarder::ForwardError> {
        changes_the_request("forwarder");
        changes_the_response("forwarder");
        Ok(())
    }
}

impl response_filter::Guest for Trespasser {
    fn on_response(_: u32) -> Result<Flow, Failure> {
        changes_the_request("response-filter");
        changes_the_plan("response-filter");
        Ok(Flow::Next)
    }
}

impl observer::Guest for Trespasser {
    fn on_complete(_: Vec<observer::ExchangeRecord>) -> Result<(), Failure> {
        everything("observer");
        Ok(())
    }
}

impl batch_observer::Guest for Trespasser {
    fn on_batch(_: u32, _: u32) -> Result<(), Failure> {
        everything("batch-observer");
        Ok(())
    }
}

bindings::export!(Trespasser with_types_in bindings);
