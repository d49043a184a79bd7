//! Installs what is missing and nothing else: a second run changes nothing. Services of the machine are left alone.

use std::path::PathBuf;
use std::process::Command;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result, browser, oauth_client, oidc, peers};

use crate::workspace::{self, GUEST_TARGET, command};

/// The Python toolchain that the tests build a component with, to show that other toolchains' components load.
const COMPONENTIZE_PY: &str = "componentize-py==0.25.*";

/// Installs packages as root. Debian starts a service when its package is installed; a policy that says no (101, see
/// invoke-rc.d(8)) keeps nginx from taking port 80. A policy that is there already is the administrator's and stays.
const INSTALL: &str = r#"set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l RUNLEVEL=1
apt-get install -y --no-install-recommends "$@" || { apt-get update && apt-get install -y --no-install-recommends "$@"; }
"#;

/// `cargo xtask setup`
pub(crate) fn run() -> Result<()> {
    guest_target()?;
    debian_packages()?;
    componentize_py()?;
    oidc::install()?;
    browser::install()?;
    oauth_client::install()?;
    println!("everything is there");
    Ok(())
}

/// The standard library for guests.
pub(crate) fn guest_target() -> Result<()> {
    target(GUEST_TARGET)
}

/// The standard library for another target.
pub(crate) fn target(name: &str) -> Result<()> {
    if has_target(name)? {
        return Ok(());
    }
    if command("rustup", ["--version"]).output().is_err() {
        return Err(cannot_add(name, "there is no rustup in PATH"));
    }
    let added = workspace::run(&mut command("rustup", ["target", "add", name]));
    match added {
        Ok(()) if has_target(name)? => Ok(()),
        Ok(()) => Err(in_another_toolchain(name)),
        Err(error) => Err(cannot_add(name, &error.to_string())),
    }
}

fn cannot_add(name: &str, why: &str) -> Error {
    Error::new(format!(
        "the Rust target {name}, which plugins are built for, could not be installed: {why}\n\
         Run this where the network is reachable, then start again:\n\n    rustup target add {name}\n\n\
         Without rustup, install your distribution's package of Rust's standard library for {name}."
    ))
}

/// A distribution's cargo runs this, and asking rustup again would change nothing.
fn in_another_toolchain(name: &str) -> Error {
    Error::new(format!(
        "rustup has the Rust target {name}, which plugins are built for, and the toolchain that runs this is not rustup's. \
         Run this with rustup's:\n\n    rustup run stable cargo xtask setup\n\n\
         Or install your distribution's package of Rust's standard library for {name}."
    ))
}

fn has_target(name: &str) -> Result<bool> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = command(rustc, ["--print", "target-libdir", "--target", name]).output().context("rustc")?;
    let directory = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    // The path is printed whether or not it is there.
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    Ok(entries.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().starts_with("libcore-")))
}

fn debian_packages() -> Result<()> {
    let mut missing: Vec<&str> = peers::ALL.iter().filter(|peer| peer.find().is_err()).map(|peer| peer.package).collect();
    if !can_make_environments() && environment_program().is_none() {
        missing.extend(["python3", "python3-venv"]);
    }
    install(&missing)
}

/// Installs Debian's packages.
pub(crate) fn install(missing: &[&str]) -> Result<()> {
    if missing.is_empty() {
        return Ok(());
    }
    let script = ["sh", "-c", INSTALL, "sh"];
    let is_root = command("id", ["-u"]).output().is_ok_and(|output| output.stdout.trim_ascii() == b"0");
    let mut install = if is_root { command("env", script) } else { command("sudo", script) };
    println!("$ apt-get install {}", missing.join(" "));
    let done = install.args(missing).status();
    match done {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(not_installed(missing, &status.to_string())),
        Err(error) => Err(not_installed(missing, &error.to_string())),
    }
}

fn not_installed(missing: &[&str], why: &str) -> Error {
    let packages = missing.join(" ");
    Error::new(format!(
        "Debian's packages {packages} could not be installed ({why}); run this as root:\n\n    apt-get install {packages}\n"
    ))
}

fn can_make_environments() -> bool {
    let asked = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    asked.is_ok_and(|output| output.status.success())
}

/// The Python environment of the tests, which look for it here wherever cargo builds.
fn environment() -> PathBuf {
    workspace::root().join("target").join("peers").join("python")
}

fn environment_program() -> Option<PathBuf> {
    let program = environment().join("bin").join("componentize-py");
    let works = Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
    works.then_some(program)
}

fn componentize_py() -> Result<()> {
    if environment_program().is_some() {
        return Ok(());
    }
    let directory = environment();
    workspace::run(command("python3", ["-m", "venv", "--clear"]).arg(&directory))?;
    let pip = directory.join("bin").join("pip");
    workspace::run(&mut command(pip, ["install", "--quiet", "--disable-pip-version-check", COMPONENTIZE_PY]))?;
    environment_program().map(drop).context("componentize-py was installed and does not run")
}
