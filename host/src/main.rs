//! The `plugway` program.

mod cli;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: plugway::allocator::Allocator = plugway::allocator::Allocator;

fn main() -> ExitCode {
    no_huge_pages();
    cli::run(cli::Cli::parse())
}

/// A heap of small things that lies in pages of 2 MiB is many times as large, and dearer to touch (docs/adr/0020-no-huge-pages.md). Where systems
/// give such pages to whoever does not refuse, every instance of a plugin would have one of its own.
fn no_huge_pages() {
    #[cfg(target_os = "linux")]
    // Old kernels cannot refuse; they serve as well with more memory.
    rustix::thread::disable_transparent_huge_pages(true).unwrap_or_default();
}
