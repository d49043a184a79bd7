//! Builds the shipped plugins and hands their components to the gateway, which embeds them: a built-in is the same bytes
//! as its file.
//!
//! Guests build into a target directory of their own: a nested cargo in the shared one would wait for the cargo that runs
//! this.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const TARGET: &str = "wasm32-wasip2";
const PLUGINS: [&str; 6] = ["api-key", "hash-router", "tls-forward", "oauth2", "rate-limit", "metrics"];

fn main() {
    // Where the tree is now: it may have been moved, with what was built of it.
    let host = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
    let root = host.parent().map(Path::to_path_buf).unwrap_or_default();
    for input in ["plugins", "sdk/src", "sdk/Cargo.toml", "wit", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo::rerun-if-env-changed=PLUGWAY_GUEST_TARGET_DIR");
    let target = env::var_os("PLUGWAY_GUEST_TARGET_DIR").map_or_else(|| root.join("target").join("guests"), PathBuf::from);
    build(&root, &target);

    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    for plugin in PLUGINS {
        let name = format!("plugway_plugin_{}.wasm", plugin.replace('-', "_"));
        let built = target.join(TARGET).join("release").join(&name);
        if let Err(error) = std::fs::copy(&built, out.join(format!("{plugin}.wasm"))) {
            fail(&format!("{} was not built: {error}", built.display()));
        }
    }
}

fn build(root: &Path, target: &Path) {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(["build", "--release", "--target", TARGET, "--target-dir"]).arg(target);
    for plugin in PLUGINS {
        command.args(["--package", &format!("plugway-plugin-{plugin}")]);
    }
    // Settings of the outer build are for the host's target.
    for name in [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTC_WRAPPER",
        "CARGO_TARGET_DIR",
        "CLIPPY_ARGS",
    ] {
        command.env_remove(name);
    }
    match command.output() {
        Ok(output) if output.status.success() => {}
        Ok(output) => {
            let messages = String::from_utf8_lossy(&output.stderr);
            if messages.contains("can't find crate for `core`") || messages.contains("target may not be installed") {
                fail(&format!(
                    "the target {TARGET} is not installed; run:\n\n    rustup target add {TARGET}\n\nor `cargo xtask setup`, which does"
                ));
            }
            fail(&format!("the shipped plugins did not build:\n{messages}"));
        }
        Err(error) => fail(&format!("cargo could not be run for the shipped plugins: {error}")),
    }
}

fn fail(message: &str) -> ! {
    for line in message.lines() {
        println!("cargo::error={line}");
    }
    exit(1);
}
