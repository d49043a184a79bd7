//! The `plugway` program as an operator runs it: a configuration file, a process, its sockets and its log.

mod log;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::error::{Context, Error, Result};
use crate::process;
use crate::temp::TempDir;

pub use log::{Line, Log};

/// Longest wait for readiness: a debug build may compile every plugin first.
const READY: Duration = Duration::from_secs(120);

/// Longest wait for the end after SIGTERM: the default drain is 30 s.
const STOP: Duration = Duration::from_secs(40);

/// How to start a gateway.
#[derive(Debug)]
pub struct Launch {
    binary: PathBuf,
    wrapper: Vec<String>,
    environment: Vec<(String, String)>,
    patience: Duration,
    directory: TempDir,
}

impl Launch {
    /// With this program: tests pass `env!("CARGO_BIN_EXE_plugway")`.
    ///
    /// # Errors
    /// When no temporary folder can be made.
    pub fn new(binary: impl Into<PathBuf>) -> Result<Self> {
        let directory = TempDir::new()?;
        Ok(Self { binary: binary.into(), wrapper: Vec::new(), environment: Vec::new(), patience: READY, directory })
    }

    /// The folder of the configuration file: relative paths in it start here.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Writes a file that the configuration names, mode 0600.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        self.directory.write(name, content)
    }

    /// A command that runs the program, such as `taskset -c 0`; it must become the program and not its parent.
    #[must_use]
    pub fn wrapper<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.wrapper = words.into_iter().map(Into::into).collect();
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// How long it may take until it serves; default 120 s. An interpreter takes longer to compile.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut line = self.wrapper.iter().map(String::as_str).chain(self.binary.to_str());
        let mut command = Command::new(line.next().unwrap_or_default());
        command.args(line).args(words).current_dir(self.directory()).stdin(Stdio::null());
        // Compiled plugins are kept beside the program, not in the home of whoever runs the tests.
        if let Some(cache) = self.binary.parent() {
            command.env("XDG_CACHE_HOME", cache.join("plugway-cache"));
        }
        command.env("XDG_STATE_HOME", self.directory().join("state"));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs another subcommand with this configuration to its end: `check`, for example.
    ///
    /// # Errors
    /// When the program cannot be run.
    pub fn run(&self, subcommand: &str, config: &str) -> Result<std::process::Output> {
        let file = self.file("plugway.toml", config)?;
        let file = file.to_string_lossy();
        self.command(&[subcommand, "--config", &file]).output().context(self.binary.display())
    }

    /// Starts the gateway with this configuration and waits until it serves. Its listeners should have port 0.
    ///
    /// # Errors
    /// When it ends or does not serve in time, with what it printed.
    pub fn start(self, config: &str) -> Result<Gateway> {
        let file = self.file("plugway.toml", config)?;
        let file = file.to_string_lossy();
        let mut command = self.command(&["run", "--config", &file]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context(self.binary.display())?;
        let log = Arc::new(Log::default());
        log.follow(child.stdout.take());
        log.follow(child.stderr.take());
        let mut gateway = Gateway { child, log, addresses: Vec::new(), admin: None, launch: self };
        gateway.until_ready()?;
        Ok(gateway)
    }
}

/// A running gateway; it is ended on drop.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    log: Arc<Log>,
    addresses: Vec<(String, SocketAddr)>,
    admin: Option<SocketAddr>,
    launch: Launch,
}

impl Gateway {
    /// Starts a gateway with nothing but a configuration; [`Launch`] gives more choice.
    ///
    /// # Errors
    /// As [`Launch::start`].
    pub fn start(binary: impl Into<PathBuf>, config: &str) -> Result<Self> {
        Launch::new(binary)?.start(config)
    }

    fn until_ready(&mut self) -> Result<()> {
        let patience = self.launch.patience;
        let deadline = Instant::now() + patience;
        loop {
            if self.log.wait(Duration::from_millis(50), |line| line.message() == "Serving").is_some() {
                break;
            }
            if let Some(status) = self.child.try_wait().context("wait")? {
                self.log.settle();
                return Err(Error::new(format!("the gateway ended with {status}:\n{}", self.log.text())));
            }
            if Instant::now() >= deadline {
                return Err(Error::new(format!("the gateway does not serve after {patience:?}:\n{}", self.log.text())));
            }
        }
        for line in self.log.lines() {
            let address = line.field("address").and_then(|address| address.parse().ok());
            match (line.message(), address) {
                ("Listening", Some(address)) => self.addresses.push((line.field("listener").unwrap_or_default().to_owned(), address)),
                ("Admin listening", Some(address)) => self.admin = Some(address),
                _ => {}
            }
        }
        Ok(())
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where `[listen.NAME]` listens.
    ///
    /// # Errors
    /// When it has no such listener.
    pub fn address(&self, name: &str) -> Result<SocketAddr> {
        let found = self.addresses.iter().find(|(known, _)| known == name);
        found.map(|(_, address)| *address).context(format!("no listener {name} in {:?}", self.addresses))
    }

    /// Where the admin listener is.
    ///
    /// # Errors
    /// When it has none.
    pub fn admin(&self) -> Result<SocketAddr> {
        self.admin.context("the gateway announced no admin listener")
    }

    /// The folder of its configuration file.
    pub fn directory(&self) -> &Path {
        self.launch.directory()
    }

    /// Its log so far.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Resident memory, bytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn rss_bytes(&self) -> Result<u64> {
        process::rss_bytes(self.pid())
    }

    /// Memory of its own and no file's, bytes: how much of the program's file is mapped at once is the kernel's choice, by megabytes.
    ///
    /// # Errors
    /// When it has ended.
    pub fn own_bytes(&self) -> Result<u64> {
        process::own_bytes(self.pid())
    }

    /// CPU time used, to 10 ms.
    ///
    /// # Errors
    /// When it has ended.
    pub fn cpu_time(&self) -> Result<Duration> {
        process::cpu_time(self.pid())
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal and returns at once; SIGTERM drains, a second one ends.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        process::signal(&self.child, signal)
    }

    /// Waits for its end after a signal.
    ///
    /// # Errors
    /// When it still runs after `bound`.
    pub fn wait(&mut self, bound: Duration) -> Result<ExitStatus> {
        let status = process::wait(&mut self.child, bound)?;
        self.log.settle();
        Ok(status)
    }

    /// Drains it and waits for its end.
    ///
    /// # Errors
    /// When it does not end in time (it is then killed), or not successfully.
    pub fn stop(mut self) -> Result<Vec<Line>> {
        self.signal(Signal::TERM)?;
        let status = self.wait(STOP)?;
        if !status.success() {
            return Err(Error::new(format!("the gateway ended with {status}:\n{}", self.log.text())));
        }
        Ok(self.log.lines())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // No drain: whoever wants one calls `stop`.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
