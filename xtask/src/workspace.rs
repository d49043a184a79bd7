//! Where things are in this repository, and how commands are run from its root.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::LazyLock;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result, guests};

/// What guests are built for.
pub(crate) const GUEST_TARGET: &str = "wasm32-wasip2";

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(guests::root);
    &ROOT
}

/// Where cargo builds for this machine.
pub(crate) fn target_directory() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |directory| root().join(directory))
}

/// Where benches leave what they found.
pub(crate) fn bench_directory() -> PathBuf {
    root().join("target").join("bench")
}

/// A folder without what an earlier run left in it, which would be taken for this one's.
///
/// # Errors
/// When it cannot be emptied or made.
pub(crate) fn emptied(folder: PathBuf) -> Result<PathBuf> {
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context(folder.display())?;
    }
    std::fs::create_dir_all(&folder).context(folder.display())?;
    Ok(folder)
}

/// A command that runs in the root.
pub(crate) fn command<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, words: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).args(words);
    command
}

/// Cargo, the one that runs this, as if it were run by hand: build scripts (ring's) watch what cargo tells a program of the package
/// it runs, and would build everything again whenever this program and a hand take turns.
pub(crate) fn cargo<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Command {
    let mut command = command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()), words);
    let of_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_package)) {
        command.env_remove(name);
    }
    command
}

/// What a program says, without white space around it.
///
/// # Errors
/// When it cannot be run.
pub(crate) fn said(program: &str, words: &[&str]) -> Result<String> {
    let output = command(program, words).output().context(program)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Shows a command and runs it.
///
/// # Errors
/// When it cannot be run or fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = shown(command);
    println!("$ {line}");
    let status = command.status().context(&line)?;
    well(&line, status)
}

/// The same, without a text that it says over and over at its standard error.
///
/// # Errors
/// When it cannot be run or fails.
pub(crate) fn run_without(noise: &str, command: &mut Command) -> Result<()> {
    let line = shown(command);
    println!("$ {line}");
    let output = command.stdout(Stdio::inherit()).output().context(&line)?;
    eprint!("{}", String::from_utf8_lossy(&output.stderr).replace(noise, ""));
    well(&line, output.status)
}

fn well(line: &str, status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(Error::new(format!("`{line}` ended with {status}"))) }
}

/// A command as one would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_else(|| command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// Builds the gateway in release mode, plugins embedded, and returns where it is.
///
/// # Errors
/// When it does not build.
pub(crate) fn release_gateway() -> Result<PathBuf> {
    run(&mut cargo(["build", "--release", "--locked", "--package", "plugway"]))?;
    Ok(target_directory().join("release").join("plugway"))
}
