//! Builds guests: the shipped plugins as files of their own, and the bench's.

use std::path::{Path, PathBuf};

use plugway_harness::error::Context;
use plugway_harness::{Result, guests};

use crate::setup;
use crate::workspace::{self, GUEST_TARGET, cargo, root};

/// The crates in `plugins/`, by folder.
const SHIPPED: [&str; 6] = ["api-key", "hash-router", "tls-forward", "oauth2", "rate-limit", "metrics"];

/// `cargo xtask plugins`
pub(crate) fn run() -> Result<()> {
    setup::guest_target()?;
    let directory = root().join("target").join("plugins");
    std::fs::create_dir_all(&directory).context(directory.display())?;
    for plugin in SHIPPED {
        let built = build(&format!("plugway-plugin-{plugin}"))?;
        let file = directory.join(format!("{plugin}.wasm"));
        let size = std::fs::copy(&built, &file).context(built.display())?;
        println!("{} ({} KiB)", shown(&file), size.div_ceil(1024));
    }
    Ok(())
}

/// Builds one guest of this workspace and returns its component.
pub(crate) fn build(package: &str) -> Result<PathBuf> {
    let target = guests::target();
    let words = ["build", "--release", "--locked", "--target", GUEST_TARGET, "--package", package, "--target-dir"];
    workspace::run(cargo(words).arg(&target))?;
    Ok(target.join(GUEST_TARGET).join("release").join(format!("{}.wasm", package.replace('-', "_"))))
}

/// Builds an example of a guest's package, which is a component as well, and returns it.
pub(crate) fn build_example(package: &str, example: &str) -> Result<PathBuf> {
    let target = guests::target();
    let words = ["build", "--release", "--locked", "--target", GUEST_TARGET, "--package", package, "--example", example, "--target-dir"];
    workspace::run(cargo(words).arg(&target))?;
    Ok(target.join(GUEST_TARGET).join("release").join("examples").join(format!("{example}.wasm")))
}

fn shown(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}
