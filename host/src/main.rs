//! The `plugway` program.

mod cli;

use std::process::ExitCode;

use clap::Parser;

/// Instances, headers and buffers are small and many; the system's allocator costs a tenth more per request.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    cli::run(cli::Cli::parse())
}
