//! A program on a terminal of its own, which `script` of util-linux gives it: Debian is never without. It ends with its owner.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Context, Error, Result};
use crate::process;

/// The program, and all it has written to its terminal.
#[derive(Debug)]
pub struct Terminal {
    script: Child,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Runs a line of shell in a folder, with that folder for the state of programs.
    ///
    /// # Errors
    /// When there is no `script`.
    pub fn start(line: &str, directory: &Path) -> Result<Self> {
        let mut script = Command::new("script");
        script.args(["--quiet", "--flush", "--return", "--command", line, "/dev/null"]).current_dir(directory);
        script.env("XDG_STATE_HOME", directory).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut script = script.spawn().context("script")?;
        let written = Arc::<Mutex<Vec<u8>>>::default();
        if let Some(mut out) = script.stdout.take() {
            let kept = Arc::clone(&written);
            std::thread::spawn(move || {
                let mut bytes = [0; 4096];
                while let Ok(length @ 1..) = out.read(&mut bytes) {
                    kept.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes.get(..length).unwrap_or_default());
                }
            });
        }
        Ok(Self { script, written })
    }

    /// Everything that was written so far.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.written.lock().unwrap_or_else(PoisonError::into_inner)).into_owned()
    }

    /// Everything, once this is among it.
    ///
    /// # Errors
    /// When it is not, within that time.
    pub fn shown(&self, what: &str, bound: Duration) -> Result<String> {
        let deadline = Instant::now() + bound;
        loop {
            let text = self.text();
            if text.contains(what) {
                return Ok(text);
            }
            if Instant::now() > deadline {
                return Err(Error::new(format!("{what:?} was not shown within {bound:?}:\n{text}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends a signal to what runs on the terminal. `script` ends with it; the other way round a program would take the end of its terminal
    /// for a SIGHUP.
    ///
    /// # Errors
    /// When nothing runs there any more.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        for pid in process::tree(self.script.id())?.into_iter().filter(|pid| *pid != self.script.id()) {
            let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process id")?;
            kill_process(pid, signal).context("kill")?;
        }
        Ok(())
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn wait(&mut self) -> Result<ExitStatus> {
        self.script.wait().context("script")
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.signal(Signal::TERM);
        process::end(&mut self.script, Duration::from_secs(10));
    }
}
