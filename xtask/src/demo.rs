//! `cargo xtask demo`: every shipped plugin at work on real traffic, with nothing installed but Rust.

mod live;
mod once;
mod report;
mod traffic;
mod world;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

use crate::{setup, workspace};
use world::{Ports, World};

/// Runs until Ctrl-C.
pub(crate) fn run() -> Result<()> {
    let world = build(Ports::Fixed)?;
    runtime()?.block_on(live::run(&world))
}

/// Sends some hundred requests and judges what happened.
pub(crate) fn once() -> Result<()> {
    let world = build(Ports::Free)?;
    let verdict = runtime()?.block_on(once::run(&world))?;
    drop(world);
    if verdict { Ok(()) } else { Err(Error::new("the demo did not do what it should; see the lines above")) }
}

fn build(ports: Ports) -> Result<World> {
    setup::guest_target()?;
    let gateway = workspace::release_gateway()?;
    World::start(&gateway, ports)
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("runtime")
}
