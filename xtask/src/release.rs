//! `cargo xtask release`: the gateway as it is meant to be shipped. It is built, watched for a minute of work, built again by what was counted, watched
//! once more, and put into the order of what it does.
//!
//! What each step gives and costs: docs/adr/0025 and docs/adr/0026.

mod layout;
mod profile;

pub(crate) use self::profile::build as by_profile;

use std::path::PathBuf;

use plugway_harness::Result;
use plugway_harness::error::Context;

use crate::{setup, workspace};

/// Builds it and says where it is.
///
/// # Errors
/// When it does not build, or does not do its work while it is watched.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    layout::install()?;
    let compiled = profile::gateway()?;
    let shipped = shipped();
    std::fs::create_dir_all(shipped.parent().unwrap_or(&shipped)).context(shipped.display())?;
    layout::arrange(&compiled, &shipped)?;
    println!("{}", shipped.strip_prefix(workspace::root()).unwrap_or(&shipped).display());
    Ok(())
}

/// Where it is left.
pub(crate) fn shipped() -> PathBuf {
    workspace::target_directory().join("dist").join("plugway")
}

/// Everything but the gateway that comes of it.
fn directory() -> PathBuf {
    workspace::target_directory().join("profiled")
}
