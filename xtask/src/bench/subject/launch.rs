//! A program started from templates, in a folder and on a port of its own.

use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use plugway_harness::error::Context;
use plugway_harness::nginx::free_address;
use plugway_harness::temp::{TempDir, write_private};
use plugway_harness::{Error, Result, process};
use rustix::process::Signal;

use super::recipe::Recipe;
use crate::bench::template::{self, Values};

/// Longest wait until it accepts connections, and until it has ended.
const BOUND: Duration = Duration::from_secs(20);

/// Ports are tried this often: another process may take the one that was free a moment ago.
const TRIES: usize = 3;

/// A running program; it and its children end on drop.
pub(in crate::bench) struct Running {
    child: Child,
    address: SocketAddr,
    directory: TempDir,
}

/// Starts a program on a core and waits until it accepts connections. `values` is given a free port of 127.0.0.1, at which the
/// program must listen; the folder and the user are filled in here.
///
/// # Errors
/// When it is not installed or does not start, with what it printed.
pub(in crate::bench) fn start(recipe: &Recipe, core: &[&str], mut values: impl FnMut(u16) -> Result<Values>) -> Result<Running> {
    let program = (recipe.program)()?;
    let mut last = Error::new("no port was tried");
    for _ in 0..TRIES {
        let address = free_address()?;
        let directory = TempDir::new()?;
        // Started by root, nginx would run its worker as another user, who may not enter the folder.
        let user = if rustix::process::getuid().is_root() { "root" } else { "nobody" };
        let values = values(address.port())?.word("port", address.port()).word("directory", directory.path().display()).word("user", user);
        prepare(recipe, &values, directory.path())?;
        let child = spawn(&program, &(recipe.arguments)(directory.path(), &values), core, directory.path())?;
        let mut running = Running { child, address, directory };
        match running.until_ready() {
            Ok(()) => return Ok(running),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Puts everything a program needs into its folder.
fn prepare(recipe: &Recipe, values: &Values, directory: &Path) -> Result<()> {
    for name in recipe.files.iter().chain(recipe.links).map(|(name, _)| name) {
        if let Some(folder) = directory.join(name).parent() {
            std::fs::create_dir_all(folder).context(folder.display())?;
        }
    }
    for (name, template) in recipe.files {
        write_private(&directory.join(name), template::fill(template, values).context(name)?.as_bytes())?;
    }
    for (name, word) in recipe.links {
        if let Some(file) = values.get(word).filter(|file| !file.is_empty()) {
            std::os::unix::fs::symlink(file, directory.join(name)).context(name)?;
        }
    }
    Ok(())
}

fn spawn(program: &Path, arguments: &[String], core: &[&str], directory: &Path) -> Result<Child> {
    let name = program.to_string_lossy();
    let mut words = core.iter().copied().chain([name.as_ref()]);
    let output = File::create(directory.join("output")).context("output")?;
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).args(arguments).current_dir(directory).stdin(Stdio::null());
    command.stdout(output.try_clone().context("output")?).stderr(output).spawn().context(program.display())
}

impl Running {
    fn until_ready(&mut self) -> Result<()> {
        process::until_accepting(&mut self.child, self.address, BOUND).map_err(|error| Error::new(format!("it {error}: {}", self.output())))
    }

    pub(in crate::bench) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(in crate::bench) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed and logged so far.
    pub(in crate::bench) fn output(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default();
        read("output") + &read("error.log")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that is stopped would not see SIGTERM, and killing a master leaves its workers.
        drop(signal_tree(self.pid(), Signal::CONT));
        process::end(&mut self.child, BOUND);
    }
}

/// Signals a process that was started here, and its descendants.
///
/// # Errors
/// When it is gone.
pub(super) fn signal_tree(pid: u32, signal: Signal) -> Result<()> {
    for pid in process::tree(pid)? {
        if let Some(pid) = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw) {
            // A helper of the program may end in this moment.
            _ = rustix::process::kill_process(pid, signal);
        }
    }
    Ok(())
}
