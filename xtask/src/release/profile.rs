//! Profile-guided optimisation (<https://doc.rust-lang.org/rustc/profile-guided-optimization.html>): the compiler is told which way branches went.

use std::path::{Path, PathBuf};
use std::process::Command;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

use super::directory;
use crate::bench;
use crate::workspace::{self, cargo, command, said};

/// What builds the gateway.
const BUILD: [&str; 5] = ["build", "--release", "--locked", "--package", "plugway"];

/// Leaves in the program where it refers to what, for [`super::layout`] to move it.
const RELOCATABLE: &str = "-Clink-arg=-Wl,--emit-relocs";

/// The gateway, built by a profile.
pub(super) fn gateway() -> Result<PathBuf> {
    let host = host()?;
    let merger = merger(&host)?;
    let counts = workspace::emptied(directory().join("counts"))?;
    let counting = directory().join("counting");
    workspace::run(&mut flagged(&host, &counting, &format!("-Cprofile-generate={}", counts.display()), &BUILD))?;
    bench::exercise(&program(&host, &counting))?;
    workspace::run(command(merger, ["merge", "--output"]).arg(profile()).arg(&counts))?;
    workspace::run(&mut build(&BUILD)?)?;
    Ok(program(&host, &built()))
}

/// Cargo with the profile that [`gateway`] left, for what is to be measured as it is shipped: in the release's own directory, so that what both need is
/// compiled once.
///
/// # Errors
/// When there is no profile.
pub(crate) fn build(words: &[&str]) -> Result<Command> {
    let profile = profile();
    if !profile.is_file() {
        return Err(Error::new(format!("there is no {}: `cargo xtask release` makes it", profile.display())));
    }
    Ok(flagged(&host()?, &built(), &format!("-Cprofile-use={} {RELOCATABLE}", profile.display()), words))
}

/// What was counted, merged.
fn profile() -> PathBuf {
    directory().join("profile")
}

/// Where cargo builds with it.
fn built() -> PathBuf {
    directory().join("built")
}

/// Cargo with flags of the compiler. With `--target` they are not for build scripts and macros, which are programs of this machine too.
fn flagged(host: &str, directory: &Path, more: &str, words: &[&str]) -> Command {
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    let mut cargo = cargo(words);
    cargo.args(["--target", host, "--target-dir"]).arg(directory).env("RUSTFLAGS", format!("{flags} {more}").trim());
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
