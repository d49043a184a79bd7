//! `cargo xtask release`: the gateway as it is meant to be shipped. It is built, watched for a minute of work, built again by what was counted, watched
//! once more, and put into the order of what it does.
//!
//! What each step gives and costs: docs/adr/0025 and docs/adr/0026.

mod layout;
mod profile;

pub(crate) use self::profile::build as by_profile;

use std::io::ErrorKind;
use std::path::PathBuf;

use plugway_harness::error::Context;
use plugway_harness::{Error, Result};

use crate::{setup, workspace};

/// What the gateway is made of, and how.
const SOURCES: [&str; 11] = [
    ".cargo",
    "Cargo.lock",
    "Cargo.toml",
    "examples/quickstart",
    "host",
    "plugins",
    "sdk",
    "wit",
    "xtask/src/bench/exercise.rs",
    "xtask/src/release",
    "xtask/src/release.rs",
];

/// Builds it and says where it is.
///
/// # Errors
/// When it does not build, or does not do its work while it is watched.
pub(crate) fn run() -> Result<()> {
    setup::run()?;
    layout::install()?;
    let before = sources()?;
    forget()?;
    let compiled = profile::gateway()?;
    let shipped = shipped();
    std::fs::create_dir_all(shipped.parent().unwrap_or(&shipped)).context(shipped.display())?;
    layout::arrange(&compiled, &shipped)?;
    // Of sources that changed meanwhile nobody knows what the compiler saw.
    if let Some(sources) = before.filter(|before| sources().is_ok_and(|after| after.as_ref() == Some(before))) {
        std::fs::write(made_of(), sources).context(made_of().display())?;
    }
    println!("{}", shipped.strip_prefix(workspace::root()).unwrap_or(&shipped).display());
    Ok(())
}

/// Where it is left.
pub(crate) fn shipped() -> PathBuf {
    workspace::target_directory().join("dist").join("plugway")
}

/// What there is of the sources as they are now.
#[derive(Debug)]
pub(crate) enum Standing {
    /// The gateway as it is shipped, made of them.
    Ready(PathBuf),
    /// It can be made of them.
    Missing,
    /// They are not as they were committed, or git does not know them: whatever is made of them would be made again the next time.
    Uncommitted,
}

/// Whether the one that was left was made of the sources as they are now.
///
/// # Errors
/// When `git` cannot be run.
pub(crate) fn standing() -> Result<Standing> {
    let made_of = std::fs::read_to_string(made_of()).ok();
    Ok(match sources()? {
        None => Standing::Uncommitted,
        sources if sources == made_of && shipped().is_file() => Standing::Ready(shipped()),
        Some(_) => Standing::Missing,
    })
}

/// What it was made of, beside it.
fn made_of() -> PathBuf {
    shipped().with_file_name("made-of")
}

fn forget() -> Result<()> {
    match std::fs::remove_file(made_of()) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::new(format!("{}: {error}", made_of().display()))),
        _ => Ok(()),
    }
}

/// The compiler, and what git calls the sources as they are; nothing where some were changed since they were committed, or git does not know them.
fn sources() -> Result<Option<String>> {
    let git = |words: &[&str]| workspace::said("git", &[words, &["--"], &SOURCES].concat());
    let known = git(&["ls-tree", "HEAD"])?;
    let is_as_committed = git(&["status", "--porcelain"])?.is_empty();
    let compiler = workspace::said("rustc", &["-vV"])?;
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    Ok((is_as_committed && known.lines().count() == SOURCES.len()).then(|| format!("{known}\n{compiler}\n{flags}\n")))
}

/// Everything but the gateway that comes of it.
fn directory() -> PathBuf {
    workspace::target_directory().join("profiled")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_there() {
        for source in SOURCES {
            assert!(workspace::root().join(source).exists(), "{source}");
        }
        // Where they are as committed they are known by what is in them.
        if let Some(sources) = sources().unwrap() {
            let known = sources.lines().take(SOURCES.len());
            assert!({ known }.all(|line| line.split_whitespace().nth(2).is_some_and(|hash| hash.len() >= 40)), "{sources}");
            assert!(sources.contains("rustc "), "{sources}");
        }
    }
}
