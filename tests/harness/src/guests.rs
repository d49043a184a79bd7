//! Components the tests need, built as their authors would build them, into a target directory of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use crate::error::{Context, Error, Result};

/// One build at a time: two would wait for each other's lock and say so in the middle of a test's output.
static BUILDING: Mutex<()> = Mutex::new(());

/// The top of this checkout: as cargo says that runs this, since it may have been moved with what was built of it.
pub fn root() -> PathBuf {
    let here = std::env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    here.ancestors().find(|directory| directory.join("Cargo.lock").is_file()).unwrap_or(&here).to_path_buf()
}

/// Where guests are built, the shipped plugins by the gateway's build script and those of tests beside them: a nested cargo in the shared directory would
/// wait for the cargo around it.
pub fn target() -> PathBuf {
    std::env::var_os("PLUGWAY_GUEST_TARGET_DIR").map_or_else(|| root().join("target").join("guests"), PathBuf::from)
}

/// Builds the misbehaving guest of `tests/guest` and gives its component.
///
/// # Errors
/// When it does not build, with cargo's message.
pub fn misbehaving() -> Result<PathBuf> {
    component(&root(), "plugway-test-guest")
}

/// Builds a crate of the workspace at `directory` for `wasm32-wasip2` and gives its component.
///
/// # Errors
/// When it does not build, with cargo's message.
pub fn component(directory: &Path, package: &str) -> Result<PathBuf> {
    let release = build(directory, package, &[])?;
    Ok(release.join(format!("{}.wasm", package.replace('-', "_"))))
}

/// Builds an example of a crate of this checkout's workspace, likewise.
///
/// # Errors
/// When it does not build, with cargo's message.
pub fn example(package: &str, name: &str) -> Result<PathBuf> {
    let release = build(&root(), package, &["--example", name])?;
    Ok(release.join("examples").join(format!("{name}.wasm")))
}

/// Runs cargo and gives the folder that it builds into.
fn build(directory: &Path, package: &str, more: &[&str]) -> Result<PathBuf> {
    let _one_at_a_time = BUILDING.lock();
    let target = target();
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(directory).args(["build", "--release", "--target", "wasm32-wasip2", "--package", package]).args(more);
    command.arg("--target-dir").arg(&target);
    // Settings of the outer cargo are for the host's target.
    for name in ["CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    let output = command.output().context("cargo")?;
    if !output.status.success() {
        return Err(Error::new(format!(
            "{package} does not build; `cargo xtask setup` installs what it needs:\n{}",
            String::from_utf8_lossy(&output.stderr)
        )));
    }
    Ok(target.join("wasm32-wasip2").join("release"))
}
