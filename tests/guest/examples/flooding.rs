//! Has the gateway work for it: one call with as much as `x-flood: CALL COUNT` says. Written without the SDK and without the standard library's own ways to the
//! system, which ask for no more than they may.

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

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

mod bindings {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package test:flooding@0.1.0;
            world flooding {
                import plugway:gateway/request@0.1.0;
                import plugway:gateway/log@0.1.0;
                import plugway:gateway/metrics@0.1.0;
                import plugway:gateway/crypto@0.1.0;
                import wasi:random/random@0.2.3;
                import wasi:random/insecure@0.2.3;
                import wasi:cli/stdout@0.2.3;
                export plugway:gateway/lifecycle@0.1.0;
                export plugway:gateway/request-filter@0.1.0;
            }
            package wasi:random@0.2.3 {
                interface random { get-random-bytes: func(len: u64) -> list<u8>; }
                interface insecure { get-insecure-random-bytes: func(len: u64) -> list<u8>; }
            }
            package wasi:io@0.2.3 {
                interface error { resource error; }
                interface streams {
                    use error.{error};
                    variant stream-error { last-operation-failed(error), closed }
                    resource output-stream {
                        write: func(contents: list<u8>) -> result<_, stream-error>;
                        blocking-write-and-flush: func(contents: list<u8>) -> result<_, stream-error>;
                        write-zeroes: func(len: u64) -> result<_, stream-error>;
                    }
                }
            }
            package wasi:cli@0.2.3 {
                interface stdout {
                    use wasi:io/streams@0.2.3.{output-stream};
                    get-stdout: func() -> output-stream;
                }
            }",
        world: "test:flooding/flooding",
        generate_all,
    });
}

use bindings::exports::plugway::gateway::{lifecycle, request_filter};
use bindings::plugway::gateway::types::{Failure, Flow, HeaderLine, HeaderName, LocalResponse};
use bindings::plugway::gateway::{crypto, log, metrics, request};
use bindings::wasi::cli::stdout;
use bindings::wasi::random::{insecure, random};

struct Flooding;

static COUNTER: AtomicU32 = AtomicU32::new(0);

impl lifecycle::Guest for Flooding {
    fn configure(_: u32, _: String) -> Result<(), String> {
        let labels = ["by".to_owned()];
        COUNTER.store(metrics::declare(metrics::Kind::Histogram, "floods", "Floods.", "1", &labels, &[]).unwrap(), Relaxed);
        Ok(())
    }

    fn unconfigure(_: u32) {}
}

impl request_filter::Guest for Flooding {
    fn on_request(_: u32) -> Result<Flow, Failure> {
        let Some(told) = request::header(&HeaderName::Text("x-flood".to_owned())) else { return Ok(Flow::Next) };
        let told = String::from_utf8(told).unwrap();
        let (call, count) = told.split_once(' ').unwrap();
        let count: usize = count.parse().unwrap();
        let lines = || vec![b'\n'; count];
        let texts = || vec![String::new(); count];
        match call {
            "random" => drop(random::get_random_bytes(count as u64)),
            "insecure-random" => drop(insecure::get_insecure_random_bytes(count as u64)),
            "write" => drop(stdout::get_stdout().write(&lines())),
            "blocking-write" => drop(stdout::get_stdout().blocking_write_and_flush(&lines())),
            "zeroes" => drop(stdout::get_stdout().write_zeroes(count as u64)),
            "log" => log::write(log::Level::Info, &"l".repeat(count)),
            "amounts" => metrics::record_all(COUNTER.load(Relaxed), &vec![0.5; count], &["many".to_owned()]),
            "labels" => metrics::record_all(COUNTER.load(Relaxed), &[0.5], &texts()),
            "equal" => {
                crypto::equal(&lines(), &lines());
            }
            "digest" => drop(crypto::digest(crypto::DigestAlgorithm::Sha256, &lines())),
            "headers" => {
                let header = HeaderLine { name: "x".to_owned(), value: Vec::new() };
                return Ok(Flow::Respond(LocalResponse::new(200, &vec![header; count], &[])));
            }
            "body" => return Ok(Flow::Respond(LocalResponse::new(200, &[], &lines()))),
            "failure" => return Err(Failure::new(&"f".repeat(count))),
            "set-header" => drop(request::set_header(&HeaderName::Text("x-long".to_owned()), &lines())),
            "set-path" => drop(request::set_path(&"/".repeat(count))),
            _ => panic!("{told}"),
        }
        Ok(Flow::Next)
    }
}

bindings::export!(Flooding with_types_in bindings);
