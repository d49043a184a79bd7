//! Builds `tests/python-guest`: a virtual environment with componentize-py in `target/peers`, made where it is missing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use plugway_harness::guests::root;

const PACKAGE: &str = "componentize-py==0.25.1";
const HELP: &str = "the test of components from other toolchains needs python3 (3.10 or newer, with the module venv: Debian's packages \
                    python3 and python3-venv) and componentize-py from PyPI; `cargo xtask setup` installs it into target/peers/python";

/// The component.
pub(crate) fn component() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(build)
}

/// Built again when anything it is made from is newer.
fn build() -> PathBuf {
    let peers = root().join("target/peers");
    let component = peers.join("python-guest.wasm");
    let sources = [root().join("tests/python-guest"), root().join("tests/python-guest/wit"), root().join("wit")];
    let newest =
        sources.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|entry| modified(&entry.unwrap().path())).max().unwrap();
    if component.exists() && modified(&component) > newest {
        return component;
    }
    let tool = tool(&peers);
    let partial = peers.join("python-guest.wasm.partial");
    let mut command = Command::new(&tool);
    command.current_dir(root().join("tests/python-guest")).env("VIRTUAL_ENV", peers.join("python"));
    command.args(["-d", "../../wit", "-d", "wit", "-w", "plugway:python-guest/filters", "componentize", "app", "-o"]).arg(&partial);
    run(command, "the Python guest does not build");
    fs::rename(&partial, &component).unwrap();
    component
}

fn tool(peers: &Path) -> PathBuf {
    let environment = peers.join("python");
    let tool = environment.join("bin/componentize-py");
    if !tool.exists() {
        fs::create_dir_all(peers).unwrap();
        let mut command = Command::new("python3");
        command.args(["-m", "venv"]).arg(&environment);
        run(command, HELP);
        let mut command = Command::new(environment.join("bin/pip"));
        command.args(["install", "--quiet", "--disable-pip-version-check", PACKAGE]);
        run(command, HELP);
    }
    tool
}

fn modified(path: &Path) -> std::time::SystemTime {
    fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap()
}

fn run(mut command: Command, help: &str) {
    match command.output() {
        Ok(output) => assert!(
            output.status.success(),
            "{help}\n{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        ),
        Err(error) => panic!("{help}\n{:?}: {error}", command.get_program()),
    }
}
