//! Compiling processes that are none: shell scripts stand in for this program.

use std::time::{Duration, Instant};

use super::frame::{self, HEADER, Kind};
use super::*;
use crate::plugin::engine;

/// Longer than any answer here takes, shorter than a test may.
const WITHIN: Duration = Duration::from_secs(20);
/// The shortest component: it has nothing.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fn shell(script: &str) -> Program {
    Program { file: "/bin/sh".into(), arguments: vec!["-c".into(), script.into()] }
}

fn converse(script: &str, bytes: &[u8], within: Duration) -> Result<Vec<u8>, CompileError> {
    parent::converse(shell(script).start().unwrap(), bytes, within).map(|artefact| artefact.0)
}

/// Why it failed.
fn failed(script: &str) -> String {
    match converse(script, COMPONENT, WITHIN) {
        Err(CompileError::Failed(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// A script that prints these bytes.
fn printing(bytes: &[u8]) -> String {
    let octal: String = bytes.iter().map(|byte| format!("\\{byte:03o}")).collect();
    format!("printf '{octal}'")
}

fn framed(kind: Kind, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame::write(&mut bytes, kind, content).unwrap();
    bytes
}

#[test]
fn a_frame_is_read_as_it_was_written() {
    for content in [&b""[..], b"\0asm", &[7; 100_000]] {
        let bytes = framed(Kind::Component, content);
        assert_eq!(bytes.len(), HEADER + content.len());
        assert_eq!(frame::read(&mut bytes.as_slice(), Kind::Component).unwrap(), content);
        assert!(frame::read(&mut bytes.as_slice(), Kind::Compiled).is_err(), "another kind");
    }
}

#[test]
fn what_is_no_whole_frame_is_none() {
    let bytes = framed(Kind::Component, b"content");
    for length in 0..bytes.len() {
        assert!(frame::read(&mut &bytes[..length], Kind::Component).is_err(), "{length} bytes");
    }
    assert!(frame::read(&mut &[b'x'; 100][..], Kind::Component).is_err());
    // A length nobody has room for is refused before room is made.
    let mut endless = frame::header(Kind::Component, 0);
    endless[9..].copy_from_slice(&u64::MAX.to_le_bytes());
    assert_eq!(frame::parse(&endless), None);
    let mut unknown = frame::header(Kind::Component, 0);
    unknown[8] = 9;
    assert_eq!(frame::parse(&unknown), None);
}

#[test]
fn an_answer_is_taken_whole_and_as_what_it_says_it_is() {
    let answer = printing(&framed(Kind::Compiled, b"native code"));
    assert_eq!(converse(&answer, COMPONENT, WITHIN).unwrap(), b"native code");
    let refusal = printing(&framed(Kind::Refused, b"it begins well, but"));
    match converse(&refusal, COMPONENT, WITHIN) {
        Err(CompileError::Refused(why)) => assert_eq!(why, "it begins well, but"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn components_and_answers_larger_than_a_pipe_pass() {
    // What it is sent comes back: the frame with another kind, after all of it was read.
    let large: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let header = printing(&frame::header(Kind::Compiled, large.len()));
    let script = format!("{header}; dd bs=1 count={HEADER} of=/dev/null 2>/dev/null; exec head -c {}", large.len());
    let before = Instant::now();
    assert!(converse(&script, &large, WITHIN).unwrap() == large);
    assert!(before.elapsed() < WITHIN);
}

#[test]
fn a_child_that_dies_says_how() {
    assert_eq!(failed("kill -9 $$"), "the compiling process ended with signal: 9 (SIGKILL)");
    assert_eq!(failed("exit 3"), "the compiling process ended with exit status: 3");
    assert_eq!(failed("echo 'out of' >&2; echo memory >&2; exit 1"), "the compiling process ended with exit status: 1: out of memory");
    // A whole answer before it is none: who fails afterwards did not mean it.
    let answer = printing(&framed(Kind::Compiled, b"native code"));
    assert_eq!(failed(&format!("{answer}; exit 1")), "the compiling process ended with exit status: 1");
}

#[test]
fn an_answer_that_is_none_never_becomes_code() {
    let whole = framed(Kind::Compiled, b"native code");
    let mut longer = whole.clone();
    longer.push(0);
    let echo = framed(Kind::Component, COMPONENT);
    for garbage in [&b""[..], b"hello, I am no compiler", &whole[..5], &whole[..HEADER], &whole[..whole.len() - 1], &longer, &echo] {
        let why = failed(&printing(garbage));
        assert_eq!(why, "the compiling process answered with something else than a compiled component", "{garbage:?}");
    }
    assert!(failed("exec cat /bin/sh").contains("something else than a compiled component"));
}

#[test]
fn only_the_beginning_of_what_it_says_is_kept() {
    let why = failed("head -c 1000000 /dev/zero | tr '\\0' x >&2; exit 1");
    assert!(why.starts_with("the compiling process ended with exit status: 1: xxx") && why.len() < 5000, "{} bytes", why.len());
}

#[test]
fn nothing_it_does_outlasts_the_deadline() {
    let within = Duration::from_millis(300);
    let answer = printing(&framed(Kind::Compiled, b"native code"));
    for script in [
        "exec sleep 60",
        // Talks without end, on either end.
        "exec yes",
        "exec yes >&2",
        // Has answered, and stays; has closed everything, and stays; has left somebody behind who holds the pipes.
        &format!("{answer}; exec sleep 60"),
        "exec sleep 60 >&- 2>&- <&-",
        "sleep 5 & exit 0",
    ] {
        let began = Instant::now();
        // More than the pipe holds, and nobody reads it.
        match converse(script, &[0; 1 << 20], within) {
            Err(CompileError::Failed(why)) => assert!(why.starts_with("the compiling process took longer than 300ms"), "{script}: {why}"),
            other => panic!("{script}: {other:?}"),
        }
        assert!(began.elapsed() < Duration::from_secs(4), "{script}: {:?}", began.elapsed());
    }
}

#[test]
fn what_cannot_be_started_is_done_here() {
    let nobody = Compiler(Place::Child(Program { file: "/no/such/program".into(), arguments: Vec::new() }));
    let engine = engine::build(16).unwrap();
    let here = Compiler::in_process().compile(&engine, COMPONENT).unwrap();
    assert!(nobody.compile(&engine, COMPONENT).unwrap().code() == here.code());
    assert!(super::super::cache::adopt(&engine, &here).is_ok());
}

#[test]
fn the_compilers_own_words_are_passed_on() {
    let engine = engine::build(16).unwrap();
    let broken = b"\0asm\x0d\0\x01\0\xff";
    let here = wasmtime::component::Component::from_binary(&engine, broken).map(drop).unwrap_err();
    match Compiler::in_process().compile(&engine, broken) {
        Err(CompileError::Refused(why)) => assert_eq!(why, format!("{here:#}")),
        other => panic!("{other:?}"),
    }
}
