//! What any hook can do wrong, whatever it is for.

use std::time::Duration;

use plugway_sdk::{ChangeError, Error, LocalResponse, clock, header, log, trace};

use crate::Guest;
use crate::mode::Mode;

impl Guest {
    /// Does what needs nothing of the hook's own; `Err` where the hook is told to fail.
    pub(crate) fn misbehave(&self, mode: Mode) -> Result<(), Error> {
        match mode {
            Mode::Trap => trap(),
            Mode::Panic => boom(),
            Mode::Fail => return Err("failed as told".into()),
            Mode::Print => {
                println!("a line on stdout");
                eprintln!("a line on stderr");
            }
            Mode::Loop => while std::hint::black_box(true) {},
            Mode::SpinMs(milliseconds) => spin(milliseconds),
            Mode::Memory(bytes) => {
                self.hoard.replace(vec![1; bytes]);
            }
            Mode::LogFlood(lines) => (0..lines).for_each(|line| log::info!("line {line}")),
            Mode::LogBytes(bytes) => log::write(log::Level::Info, &"l".repeat(bytes)),
            Mode::Notes(count) => (0..count).for_each(|number| {
                trace::set_attribute(&format!("note.{number}"), number as i64);
                trace::add_event(&format!("event {number}"), [("recording", trace::recording().into())]);
            }),
            Mode::Series(count) => (0..count).for_each(|series| self.observed.add(1.0, [&format!("series-{series}")])),
            Mode::Sleep => std::thread::sleep(Duration::from_millis(50)),
            _ => {}
        }
        Ok(())
    }
}

/// What the operating system's doors answer; `None` for other modes.
pub(crate) fn knock(mode: Mode) -> Option<String> {
    let outcome = match mode {
        Mode::ReadFile => std::fs::read("/etc/hostname").map(|bytes| format!("read {} bytes", bytes.len())),
        Mode::OpenSocket => std::net::TcpStream::connect(("127.0.0.1", 9)).map(|_| "connected".to_owned()),
        Mode::Environment => Ok(format!("{} variables", std::env::vars().count())),
        _ => return None,
    };
    Some(outcome.unwrap_or_else(|error| format!("denied: {:?}", error.kind())))
}

/// An answer in the upstream's place; `None` for other modes.
pub(crate) fn answer(mode: Mode) -> Option<LocalResponse> {
    Some(match mode {
        Mode::Respond(bytes) => LocalResponse::text(200, "x".repeat(bytes)),
        Mode::BadStatus => LocalResponse::new(99),
        Mode::RespondFraming => LocalResponse::text(200, "two").with_header(header::CONTENT_LENGTH, "999"),
        Mode::RespondHeaders(count) => {
            (0..count).fold(LocalResponse::text(200, "ok"), |answer, number| answer.with_header(&*format!("x-many-{number}"), "1"))
        }
        _ => return None,
    })
}

/// Which build this is. Tests write another one of the same length into the file.
static VERSION: &[u8; 14] = b"version-000000";

/// What stands in this file now.
pub(crate) fn version() -> String {
    String::from_utf8_lossy(std::hint::black_box(VERSION)).into_owned()
}

/// What versions from 990001 on do while they are made ready; all others are good.
pub(crate) fn made_ready() -> Result<(), Error> {
    match version().as_str() {
        "version-990001" => trap(),
        "version-990002" => while std::hint::black_box(true) {},
        "version-990003" => drop(std::hint::black_box(vec![1_u8; 1 << 30])),
        "version-990004" => return Err("this version takes no configuration".into()),
        _ => {}
    }
    Ok(())
}

/// What became of a change, for `x-result` and the log.
pub(crate) fn outcome(result: &Result<(), ChangeError>) -> &'static str {
    let outcome = match result {
        Ok(()) => "ok",
        Err(ChangeError::Forbidden) => "forbidden",
        Err(ChangeError::Immutable) => "immutable",
        Err(ChangeError::Invalid(_)) => "invalid",
        Err(ChangeError::TooLarge) => "too-large",
    };
    log::info!("change: {outcome}");
    outcome
}

/// Burns CPU time, by the clock.
pub(crate) fn spin(milliseconds: usize) {
    let end = clock::monotonic() + Duration::from_millis(u64::try_from(milliseconds).unwrap_or(u64::MAX));
    while clock::monotonic() < end {
        std::hint::black_box((0..1_000_u64).fold(0, u64::wrapping_add));
    }
}

/// Executes `unreachable`, without a word.
pub(crate) fn trap() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort()
}

#[expect(clippy::panic, reason = "a guest that panics is what the test needs")]
fn boom() {
    panic!("panicked as told");
}
