//! Tells what came with its calls, and what was said when it asked for that: of the names in its configuration, one after the other, `path` for the path. Its
//! router goes to the endpoint whose number the value begins with. Written without the SDK, which asks where nothing came and shows no difference.

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
        inline: "package test:prefetched@0.1.0;
            world prefetched {
                import plugway:gateway/configuring@0.1.0;
                import plugway:gateway/request@0.1.0;
                export plugway:gateway/lifecycle@0.1.0;
                export plugway:gateway/request-filter@0.1.0;
                export plugway:gateway/router@0.1.0;
            }",
        world: "test:prefetched/prefetched",
        generate_all,
    });
}

use std::cell::RefCell;
use std::collections::BTreeMap;

use bindings::exports::plugway::gateway::router::{self, Endpoint, EndpointId, RouteError};
use bindings::exports::plugway::gateway::{lifecycle, request_filter};
use bindings::plugway::gateway::types::{ChangeError, Failure, Flow, HeaderName, Prefetched};
use bindings::plugway::gateway::{configuring, request};

struct Telling;

thread_local! {
    /// What was said in `configure`, by configuration.
    static SAID: RefCell<BTreeMap<u32, String>> = const { RefCell::new(BTreeMap::new()) };
    static ENDPOINTS: RefCell<Vec<EndpointId>> = const { RefCell::new(Vec::new()) };
}

impl lifecycle::Guest for Telling {
    fn configure(id: u32, config: String) -> Result<(), String> {
        // `{"names":["x-one","path"]}`
        let names = config.split('"').skip(3).step_by(2);
        let said: Vec<&str> = names
            .map(|name| {
                let named = match name {
                    "path" => configuring::prefetch_path(),
                    name => configuring::prefetch_header(&HeaderName::Text(name.to_owned())),
                };
                match named {
                    Ok(()) => "ok",
                    Err(ChangeError::TooLarge) => "too-large",
                    Err(ChangeError::Invalid(_)) => "invalid",
                    Err(_) => "other",
                }
            })
            .collect();
        SAID.with_borrow_mut(|all| all.insert(id, said.join(" ")));
        Ok(())
    }

    fn unconfigure(_: u32) {}
}

/// The bytes, as their documentation has them.
fn text(prefetched: Prefetched) -> String {
    match prefetched {
        Prefetched::Unknown => "unknown".to_owned(),
        Prefetched::Absent => "absent".to_owned(),
        Prefetched::Value(value) => {
            let (first, second, third, fourth, fifth) = value.words;
            let bytes: Vec<u8> = [first, second, third, fourth, fifth].iter().flat_map(|word| word.to_le_bytes()).collect();
            let (said, rest) = bytes.split_at(usize::from(value.length));
            assert!(rest.iter().all(|byte| *byte == 0));
            format!("={}", String::from_utf8_lossy(said))
        }
    }
}

impl request_filter::Guest for Telling {
    fn on_request(id: u32, prefetched: Prefetched) -> Result<Flow, Failure> {
        let said = SAID.with_borrow(|all| all[&id].clone());
        for (name, value) in [("x-said", said), ("x-came", text(prefetched))] {
            request::set_header(&HeaderName::Text(name.to_owned()), value.as_bytes()).unwrap();
        }
        Ok(Flow::Next)
    }
}

impl router::Guest for Telling {
    fn on_endpoints(_: u32, _: u64, endpoints: Vec<Endpoint>) -> Result<(), String> {
        ENDPOINTS.set(endpoints.iter().map(|endpoint| endpoint.id).collect());
        Ok(())
    }

    fn route(_: u32, _: u32, prefetched: Prefetched) -> Result<EndpointId, RouteError> {
        let number = text(prefetched).as_bytes().get(1).and_then(|digit| digit.checked_sub(b'0'));
        let endpoints = ENDPOINTS.with_borrow(Clone::clone);
        number.and_then(|number| endpoints.get(usize::from(number)).copied()).ok_or(RouteError::NoEndpoint)
    }
}

bindings::export!(Telling with_types_in bindings);
