//! Peers that run in Node: a folder of `tests` with a script, and packages of npm that a lock file names. The script is told what to do by JSON
//! on its standard input, an object a line, each with a `number`, and says what happened on its standard output in the same way; what answers an
//! order has its number, and `done`.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use crate::error::{Context, Error, Result};
use crate::gateway::{Line, Log};
use crate::guests::root;
use crate::peers::{NODE, NPM};
use crate::process;

/// Longest wait for what one has to say: a busy machine takes seconds to start Node.
const PATIENCE: Duration = Duration::from_secs(60);

/// Installs the packages of `tests/NAME` where they are missing, or not what the lock file says, and gives a module of theirs. Tests of other
/// processes wait meanwhile.
///
/// # Errors
/// When Node or npm is missing, or `npm ci` fails, with what it printed.
pub fn install(name: &str, module: &str) -> Result<PathBuf> {
    let (source, target) = (root().join("tests").join(name), root().join("target/peers").join(name));
    fs::create_dir_all(&target).context(target.display())?;
    let lock = File::create(target.join(".installing")).context(target.display())?;
    lock.lock().context(target.display())?;
    let wanted = fs::read(source.join("package-lock.json")).context(source.display())?;
    // Written last, so that what was broken off is done again.
    let installed = target.join("installed-lock.json");
    if fs::read(&installed).ok().as_ref() != Some(&wanted) {
        for file in ["package.json", "package-lock.json"] {
            fs::copy(source.join(file), target.join(file)).context(file)?;
        }
        let mut npm = Command::new(NPM.find()?);
        npm.args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"]).current_dir(&target).stdin(Stdio::null());
        let output = npm.output().context("npm")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Error::new(format!(
                "the packages of tests/{name}, which tests of oauth2 need, could not be installed; run `cargo xtask setup` where the network \
                 is reachable: npm ci ended with {}:\n{said}",
                output.status
            )));
        }
        fs::write(&installed, wanted).context(installed.display())?;
    }
    let module = target.join("node_modules").join(module);
    if module.is_file() { Ok(module) } else { Err(Error::new(format!("npm ci installed no {}", module.display()))) }
}

/// A running script; it ends with its owner.
#[derive(Debug)]
pub(crate) struct Script {
    child: Child,
    orders: Mutex<Orders>,
    log: Arc<Log>,
}

/// Where orders go, and how many did.
#[derive(Debug)]
struct Orders {
    input: ChildStdin,
    given: u64,
}

impl Script {
    /// Starts `tests/NAME/FILE` with these variables.
    pub(crate) fn start(name: &str, file: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let mut node = Command::new(NODE.find()?);
        node.arg(root().join("tests").join(name).join(file)).env("NO_COLOR", "1").envs(environment.iter().copied());
        node.current_dir(root()).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = node.spawn().context("node")?;
        let log = Arc::new(Log::default());
        log.follow(child.stdout.take());
        log.follow(child.stderr.take());
        let orders = Mutex::new(Orders { input: child.stdin.take().context("standard input")?, given: 0 });
        Ok(Self { child, orders, log })
    }

    /// Waits for a line it says.
    pub(crate) fn wait(&self, wanted: impl Fn(&Line) -> bool) -> Result<Line> {
        self.log
            .wait(PATIENCE, wanted)
            .ok_or_else(|| Error::new(format!("a script of Node does not say what it should:\n{}", self.log.text())))
    }

    /// Orders something and waits until it is done.
    pub(crate) fn order(&self, mut order: Value) -> Result<Line> {
        let number = {
            let mut orders = self.orders.lock().unwrap_or_else(PoisonError::into_inner);
            orders.given += 1;
            let number = json!(orders.given);
            if let Some(members) = order.as_object_mut() {
                members.insert("number".to_owned(), number.clone());
            }
            writeln!(orders.input, "{order}").context("a script of Node")?;
            number
        };
        self.wait(|line| line.field("done").is_some() && line.value("number") == Some(&number))
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    /// Kills it, as a machine that goes down would.
    pub(crate) fn kill(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        process::end(&mut self.child, Duration::from_secs(5));
    }
}
