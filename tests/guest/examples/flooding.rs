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
use bindings::plugway::gateway::types::{Failure, Flow, HeaderLine, HeaderName, LocalResponse, Prefetched};
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
    fn on_request(_: u32, _: Prefetched) -> Result<Flow, Failure> {
        let Some(told) = request::header(&HeaderName::Text("x-flood".to_owned())) else { return Ok(Flow::Next) };
        let told = String::from_utf8(told).unwrap();
        let mut words = told.split(' ');
        let (call, count) = (words.next().unwrap(), words.next().unwrap().parse::<usize>().unwrap());
        // All that takes but the call: `CALL COUNT withheld` traps where it would be.
        let is_withheld = words.next().is_some();
        let ready = || assert!(!is_withheld);
        let lines = || {
            let lines = vec![b'\n'; count];
            ready();
            lines
        };
        match call {
            "random" => {
                ready();
                drop(random::get_random_bytes(count as u64));
            }
            "insecure-random" => {
                ready();
                drop(insecure::get_insecure_random_bytes(count as u64));
            }
            "write" => drop(stdout::get_stdout().write(&lines())),
            "blocking-write" => drop(stdout::get_stdout().blocking_write_and_flush(&lines())),
            "zeroes" => {
                ready();
                drop(stdout::get_stdout().write_zeroes(count as u64));
            }
            "log" => {
                let line = "l".repeat(count);
                ready();
                log::write(log::Level::Info, &line);
            }
            "amounts" => {
                let amounts = vec![0.5; count];
                ready();
                metrics::record_all(COUNTER.load(Relaxed), &amounts, &["many".to_owned()]);
            }
            "labels" => {
                let texts = vec![String::new(); count];
                ready();
                metrics::record_all(COUNTER.load(Relaxed), &[0.5], &texts);
            }
            "equal" => {
                let (one, other) = (vec![b'\n'; count], lines());
                crypto::equal(&one, &other);
            }
            "digest" => drop(crypto::digest(crypto::DigestAlgorithm::Sha256, &lines())),
            "headers" => {
                let header = HeaderLine { name: "x".to_owned(), value: Vec::new() };
                let headers = vec![header; count];
                ready();
                return Ok(Flow::Respond(LocalResponse::new(200, &headers, &[])));
            }
            "body" => return Ok(Flow::Respond(LocalResponse::new(200, &[], &lines()))),
            "failure" => {
                let why = "f".repeat(count);
                ready();
                return Err(Failure::new(&why));
            }
            "set-header" => drop(request::set_header(&HeaderName::Text("x-long".to_owned()), &lines())),
            "set-path" => {
                let path = "/".repeat(count);
                ready();
                drop(request::set_path(&path));
            }
            _ => panic!("{told}"),
        }
        Ok(Flow::Next)
    }
}

bindings::export!(Flooding with_types_in bindings);
