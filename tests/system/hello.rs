//! The example plugin does what its README says, command by command.

use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plugway_harness::guests::root;
use plugway_harness::process;

use crate::common::{BINARY, until};

/// Ports the README writes, and ones that are free here.
struct Ports(Vec<(&'static str, String)>);

impl Ports {
    fn new() -> Self {
        // Held together, so that no two are the same.
        let held: Vec<TcpListener> = (0..3).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let free = held.iter().map(|listener| listener.local_addr().unwrap().port().to_string());
        Self(["8080", "9450", "9901"].into_iter().zip(free).collect())
    }

    fn put_in(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (written, free)| text.replace(written, free))
    }

    fn is_open(&self, written: &str) -> bool {
        let port = &self.0.iter().find(|(known, _)| *known == written).unwrap().1;
        let address: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
    }
}

/// A command, and what the README says it prints.
#[derive(Debug, Default)]
struct Step {
    command: String,
    output: String,
}

/// The commands of `console` blocks, which stand behind `$`, with the lines after them.
fn steps(readme: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in readme.lines() {
        if let Some(language) = line.strip_prefix("```") {
            inside = !inside && language == "console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            steps.push(Step { command: command.to_owned(), ..Step::default() });
        } else if inside {
            let step = steps.last_mut().expect("a block begins with a command");
            step.output.push_str(line);
            step.output.push('\n');
        }
    }
    steps
}

/// What the README leaves running; ended with the test.
struct Background(Vec<Child>);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|child| process::end(child, Duration::from_secs(5)));
    }
}

/// The folder as a reader copies it, with the SDK where it is. It stays for the next run, so that little is built again.
fn copied(ports: &Ports) -> PathBuf {
    let (from, to) = (root().join("examples/hello-plugin"), root().join("target/hello"));
    fs::create_dir_all(to.join("src")).unwrap();
    for file in ["Cargo.toml", "Cargo.lock", "src/lib.rs", "README.md"] {
        // Only what changed gets a new time, or cargo builds it again.
        let text = fs::read_to_string(from.join(file)).unwrap().replace("\"../../sdk\"", &format!("{:?}", root().join("sdk")));
        if fs::read_to_string(to.join(file)).ok().as_ref() != Some(&text) {
            fs::write(to.join(file), text).unwrap();
        }
    }
    for file in ["plugway.toml", "upstream.py"] {
        fs::write(to.join(file), ports.put_in(&fs::read_to_string(from.join(file)).unwrap())).unwrap();
    }
    to
}

fn shell(line: &str, folder: &Path) -> Command {
    let binaries = Path::new(BINARY).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([binaries.to_path_buf()].into_iter().chain(std::env::split_paths(&path))).unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(folder)
        .env("PATH", path)
        .env("XDG_CACHE_HOME", binaries.join("plugway-cache"))
        .stdin(Stdio::null());
    // What the outer cargo set is not the reader's.
    for name in ["CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS", "CARGO_BUILD_TARGET"] {
        command.env_remove(name);
    }
    command
}

#[test]
fn the_readme_of_the_example_is_true() {
    let ports = Ports::new();
    let folder = copied(&ports);
    let steps = steps(&fs::read_to_string(folder.join("README.md")).unwrap());
    let begins = ["cargo test", "cargo build", "plugway check", "python3", "plugway run", "curl", "curl", "sed"];
    assert_eq!(steps.len(), begins.len(), "{steps:#?}");
    let mut background = Background(Vec::new());
    for (step, begin) in steps.iter().zip(begins) {
        assert!(step.command.starts_with(begin), "{step:?} instead of {begin}");
        let line = ports.put_in(&step.command);
        if let Some(line) = line.strip_suffix(" &") {
            let child = shell(&format!("exec {line}"), &folder).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            background.0.push(child);
            let port = if begin == "python3" { "9450" } else { "8080" };
            until(&format!("`{line}`"), || ports.is_open(port));
            continue;
        }
        let output = shell(&line, &folder).output().unwrap();
        let printed = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let wrong = line.contains("wrong.toml");
        assert_eq!(output.status.success(), !wrong, "{line}\n{printed}");
        if begin.starts_with("cargo") {
            // What cargo prints is different each time.
            let passed = begin == "cargo build" || printed.contains("test result: ok. 2 passed");
            assert!(passed && step.output.is_empty(), "{line}\n{printed}");
        } else {
            assert_eq!(printed, step.output, "`{line}` prints something else than the README says");
        }
    }
    assert!(folder.join("target/wasm32-wasip2/release/hello_plugin.wasm").is_file());
}
