//! Folders that vanish with their owner.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Context, Error, Result};

/// A folder of this process alone (mode 0700), removed with everything in it on drop.
#[derive(Debug)]
pub struct TempDir(PathBuf);

impl TempDir {
    /// Makes one in the system's folder for temporary files.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let base = std::env::temp_dir();
        // A number may be taken by an earlier process of the same id that was killed.
        for _ in 0..1_000 {
            let path = base.join(format!("plugway-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error).context(path.display()),
            }
        }
        Err("all names are taken").context(base.display())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file of mode 0600 in it and returns where.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<PathBuf> {
        let path = self.0.join(name);
        write_private(&path, content.as_ref())?;
        Ok(path)
    }

    /// Writes a script for `/bin/sh` as a program of mode 0700 and returns where.
    ///
    /// Another process writes it: a file that this one has open to write is open in every child that another thread is just starting too, and
    /// until that one has become its program nobody can run the file ("Text file busy").
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn program(&self, name: &str, script: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", "umask 077; printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$0\" && chmod 700 \"$0\""]).arg(&path).arg(script);
        let status = shell.status().context("/bin/sh")?;
        if !status.success() {
            return Err(Error::new(format!("{} cannot be written", path.display())));
        }
        Ok(path)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        // A test that failed already has something better to say.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// Writes a file that only its owner reads, as a private key must be; an existing one is replaced.
///
/// # Errors
/// When it cannot be written.
pub fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    use std::io::Write;
    drop(fs::remove_file(path));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).context(path.display())?;
    file.write_all(content).context(path.display())
}
