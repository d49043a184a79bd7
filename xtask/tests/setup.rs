//! What `cargo xtask setup` says where it cannot install the target that plugins are built for. The real program runs on a `PATH` of its own,
//! where `rustc` has no such target, and `rustup` is whatever a test makes it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends")]

use std::process::Command;

use plugway_harness::temp::TempDir;

/// Says of every target that its library is in a folder that is not there, as `rustc` does of a target that is not installed.
const RUSTC: &str = "echo /nowhere/lib/rustlib/wasm32-wasip2/lib";
const ADD: &str = "\n\n    rustup target add wasm32-wasip2\n\n";

/// Runs `setup` with these programs; gives whether it succeeded, and what it said.
fn setup(programs: &[(&str, &str)]) -> (bool, String, String) {
    let path = TempDir::new().unwrap();
    for (name, script) in programs {
        path.program(name, script).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("setup").env("PATH", path.path()).env_remove("RUSTC").output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn where_rustup_fails_it_is_said_what_to_run() {
    let fails = "[ \"$1\" = --version ] && exit 0\necho 'error: could not download file' >&2\nexit 7";
    let (done, tried, said) = setup(&[("rustc", RUSTC), ("rustup", fails)]);
    assert!(!done);
    assert_eq!(tried, "$ rustup target add wasm32-wasip2\n", "what was tried, and nothing after it");
    assert!(said.contains("error: could not download file\n"), "rustup's own words stay: {said}");
    assert!(said.contains("`rustup target add wasm32-wasip2` ended with exit status: 7\n"), "{said}");
    assert!(said.contains(ADD), "{said}");
}

#[test]
fn where_there_is_no_rustup_it_is_said_what_to_run_and_what_does_without() {
    let (done, tried, said) = setup(&[("rustc", RUSTC)]);
    assert!(!done);
    assert_eq!(tried, "");
    assert!(said.contains("there is no rustup in PATH\n"), "{said}");
    assert!(said.contains(ADD), "{said}");
    assert!(said.contains("Without rustup, install your distribution's package of Rust's standard library for wasm32-wasip2."), "{said}");
}

/// The same command again would add it to the same toolchain again.
#[test]
fn where_rustup_adds_it_to_a_toolchain_that_does_not_run_this_another_command_is_named() {
    let (done, tried, said) = setup(&[("rustc", RUSTC), ("rustup", "exit 0")]);
    assert!(!done);
    assert_eq!(tried, "$ rustup target add wasm32-wasip2\n");
    assert!(said.contains("\n\n    rustup run stable cargo xtask setup\n\n"), "{said}");
    assert!(!said.contains(ADD), "{said}");
}
