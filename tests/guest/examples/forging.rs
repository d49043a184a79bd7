//! Answers by numbers that are none of its own, and keeps as many passes as it may: does what `x-forge: WHAT NUMBER` says. Written without the SDK, which makes no
//! such numbers.

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

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package test:forging@0.1.0;
            world forging {
                import plugway:gateway/request@0.1.0;
                export plugway:gateway/lifecycle@0.1.0;
                export plugway:gateway/authorizer@0.1.0;
                export plugway:gateway/request-filter@0.1.0;
            }",
        world: "test:forging/forging",
        generate_all,
    });
}

use bindings::exports::plugway::gateway::authorizer::{self, AuthError, Decision};
use bindings::exports::plugway::gateway::{lifecycle, request_filter};
use bindings::plugway::gateway::request;
use bindings::plugway::gateway::types::{Failure, Flow, HeaderName, Identity, LocalResponse, Pass, Prefetched};

struct Forging;

fn told() -> Option<(String, u32)> {
    let told = String::from_utf8(request::header(&HeaderName::Text("x-forge".to_owned()))?).unwrap();
    let (what, number) = told.split_once(' ').unwrap();
    Some((what.to_owned(), number.parse().unwrap()))
}

fn pass(bytes: usize) -> Result<Pass, bindings::plugway::gateway::types::ChangeError> {
    Pass::of(Identity::new("forger"), &[], &[(HeaderName::Text("x-by".to_owned()), vec![b'f'; bytes])])
}

impl lifecycle::Guest for Forging {
    fn configure(_: u32, _: String) -> Result<(), String> {
        Ok(())
    }

    fn unconfigure(_: u32) {}
}

impl authorizer::Guest for Forging {
    fn authorize(_: u32) -> Result<Decision, AuthError> {
        let Some((what, number)) = told() else { return Ok(Decision::Abstain) };
        Ok(match &*what {
            // Beside it there is something of another kind, which may have any number.
            "pass" => {
                std::mem::forget(Identity::new("other"));
                Decision::AllowBy(number)
            }
            "dropped" => {
                let dropped = pass(1).unwrap().number();
                Decision::AllowBy(dropped)
            }
            "many" => {
                let mut kept = Vec::new();
                while let Ok(one) = pass(number as usize) {
                    kept.push(one);
                }
                Decision::Respond(LocalResponse::new(200, &[], kept.len().to_string().as_bytes()))
            }
            _ => Decision::Abstain,
        })
    }
}

impl request_filter::Guest for Forging {
    fn on_request(_: u32, _: Prefetched) -> Result<Flow, Failure> {
        Ok(match told() {
            Some((what, number)) if what == "line" => Flow::NextWith(number.try_into().unwrap()),
            _ => Flow::Next,
        })
    }
}

bindings::export!(Forging with_types_in bindings);
