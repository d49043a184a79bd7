//! The compiling process: reads one component, writes it compiled, ends.

use std::io::{self, Read};
use std::process;

use super::frame::{self, Kind};
use super::{CompileError, compile};
use crate::plugin::engine;

/// How much the compiling process steps back, as `nice` counts: half of what there is.
const NICE: i32 = 10;

/// Compiles the component that comes by standard input, for the gateway that started this process, and writes it to
/// standard output. The engine is built as the gateway's is, so what comes out fits it.
///
/// # Errors
/// When nobody speaks as the gateway does, or no engine can be made.
pub fn serve() -> io::Result<()> {
    let bytes = frame::read(&mut io::stdin().lock(), Kind::Component)?;
    end_with_the_parent()?;
    // A gateway may be serving meanwhile, and its workers come first. Where the system refuses, it compiles all the same.
    let _ = rustix::process::nice(NICE);
    let engine = engine::build(16).map_err(io::Error::other)?;
    match compile(&engine, &bytes) {
        Ok(compiled) => frame::write(&mut io::stdout().lock(), Kind::Compiled, compiled.code()),
        Err(CompileError::Refused(why) | CompileError::Failed(why)) => {
            frame::write(&mut io::stdout().lock(), Kind::Refused, why.as_bytes())
        }
    }
}

/// The gateway keeps its end of standard input open for as long as it wants an answer. The system closes it when the gateway
/// dies, however it dies, and nobody is left to compile for.
fn end_with_the_parent() -> io::Result<()> {
    let watch = || {
        let mut more = [0];
        while io::stdin().read(&mut more).is_err_and(|error| error.kind() == io::ErrorKind::Interrupted) {}
        process::exit(1);
    };
    std::thread::Builder::new().name("plugway-watch".into()).spawn(watch).map(drop)
}
