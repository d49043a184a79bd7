//! `cargo xtask demo`: every shipped plugin at work on real traffic, with nothing installed but Rust.

mod live;
mod once;
mod report;
mod traffic;
mod world;

use std::path::PathBuf;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

use crate::{setup, workspace};
use world::{Ports, World};

/// What it is told.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    /// Judge some hundred requests, and end.
    once: bool,
    ports: Ports,
    /// A gateway that is built already.
    gateway: Option<PathBuf>,
}

/// Runs until Ctrl-C, or sends some hundred requests and judges what happened.
pub(crate) fn run(words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    let gateway = match options.gateway {
        Some(gateway) => gateway,
        None => {
            setup::guest_target()?;
            workspace::release_gateway()?
        }
    };
    let world = World::start(&gateway, options.ports)?;
    if !options.once {
        return runtime()?.block_on(live::run(&world));
    }
    let verdict = runtime()?.block_on(once::run(&world))?;
    drop(world);
    if verdict { Ok(()) } else { Err(Error::new("the demo did not do what it should; see the lines above")) }
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self> {
        let (mut once, mut ports, mut gateway, mut words) = (false, Ports::Fixed, None, words.iter());
        while let Some(word) = words.next() {
            match *word {
                "--once" => (once, ports) = (true, Ports::Free),
                "--free-ports" => ports = Ports::Free,
                "--gateway" => gateway = Some(std::path::absolute(words.next().context("--gateway needs a file")?).context("--gateway")?),
                _ => {
                    return Err(Error::new(format!(
                        "`cargo xtask demo` has no option {word}; it has --once, --free-ports and --gateway FILE"
                    )));
                }
            }
        }
        Ok(Self { once, ports, gateway })
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")
}
