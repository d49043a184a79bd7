//! `cargo xtask release`: the gateway as it is meant to be shipped. It is built, given a minute of work while it counts which way its branches
//! go, and built again by what was counted (profile-guided optimisation, <https://doc.rust-lang.org/rustc/profile-guided-optimization.html>).
//!
//! What that gives and what it costs: docs/adr/0025.

use std::path::{Path, PathBuf};
use std::process::Command;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

use crate::workspace::{self, cargo, command, said};
use crate::{bench, setup};

/// Builds it and says where it is.
///
/// # Errors
/// When it does not build, or does not do its work while it is watched.
pub(crate) fn run() -> Result<()> {
    let file = build()?;
    println!("{}", file.strip_prefix(workspace::root()).unwrap_or(&file).display());
    Ok(())
}

/// The gateway, built by a profile.
fn build() -> Result<PathBuf> {
    setup::run()?;
    let host = host()?;
    let merger = merger(&host)?;
    let directory = directory();
    let counts = directory.join("counts");
    // Counts of another build would be taken for this one's.
    if counts.exists() {
        std::fs::remove_dir_all(&counts).context(counts.display())?;
    }
    std::fs::create_dir_all(&counts).context(counts.display())?;

    let counting = directory.join("counting");
    workspace::run(&mut flagged(&host, &counting, &format!("-Cprofile-generate={}", counts.display()), &BUILD))?;
    bench::exercise(&program(&host, &counting))?;
    workspace::run(command(&merger, ["merge", "--output"]).arg(profile()).arg(&counts))?;
    workspace::run(&mut by_profile(&BUILD)?)?;
    let built = program(&host, &directory.join("built"));

    let shipped = workspace::target_directory().join("dist").join("plugway");
    std::fs::create_dir_all(shipped.parent().unwrap_or(&shipped)).context(shipped.display())?;
    std::fs::copy(&built, &shipped).context(built.display())?;
    Ok(shipped)
}

/// Cargo with the profile that [`run`] left, for what is to be measured as it is shipped: in the release's own directory, so that what both need is
/// compiled once.
///
/// # Errors
/// When there is no profile.
pub(crate) fn by_profile(words: &[&str]) -> Result<Command> {
    let profile = profile();
    if !profile.is_file() {
        return Err(Error::new(format!("there is no {}: `cargo xtask release` makes it", profile.display())));
    }
    Ok(flagged(&host()?, &directory().join("built"), &format!("-Cprofile-use={}", profile.display()), words))
}

/// Everything but the gateway that comes of it.
fn directory() -> PathBuf {
    workspace::target_directory().join("profiled")
}

/// What was counted, merged.
fn profile() -> PathBuf {
    directory().join("profile")
}

/// What builds the gateway.
const BUILD: [&str; 5] = ["build", "--release", "--locked", "--package", "plugway"];

/// Cargo with a flag of the compiler. With `--target` it is not for build scripts and macros, which are programs of this machine too.
fn flagged(host: &str, directory: &Path, flag: &str, words: &[&str]) -> Command {
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let mut cargo = cargo(words);
    cargo.args(["--target", host, "--target-dir"]).arg(directory).env("RUSTFLAGS", format!("{flags} {flag}").trim());
    cargo
}

/// The gateway that was built into that directory.
fn program(host: &str, directory: &Path) -> PathBuf {
    directory.join(host).join("release").join("plugway")
}

/// What this machine is to the compiler.
fn host() -> Result<String> {
    let said = said("rustc", &["--version", "--verbose"])?;
    said.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned).context("rustc does not say what it is for")
}

/// `llvm-profdata` of the compiler's own version: another one may not read what this one counted.
fn merger(host: &str) -> Result<PathBuf> {
    let root = PathBuf::from(said("rustc", &["--print", "sysroot"])?);
    let program = root.join("lib").join("rustlib").join(host).join("bin").join("llvm-profdata");
    if !program.is_file() {
        let added = workspace::run(&mut command("rustup", ["component", "add", "llvm-tools"]));
        added.map_err(|error| Error::new(format!("{error}; the profile is read by LLVM's tools: `rustup component add llvm-tools`")))?;
    }
    program.is_file().then_some(program).context("rustup's llvm-tools have no llvm-profdata")
}
