//! Versions that served, by digest, in the state directory: what there is to go back to, and what an operator went back to.
//!
//! A folder for each plugin, with `DIGEST.wasm` for each version, its signature file beside it, and `rolled-back` while a version
//! serves that is not the one in the plugin's file. Nothing here is believed: a version is taken only when its bytes have the
//! digest it is named by, and where signatures are required, its own counts as the file's would.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::assembly::Bytes;
use crate::plugin::SignatureFile;

/// The state directory's versions.
#[derive(Debug)]
pub(super) struct Versions(PathBuf);

/// What an operator went back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rollback {
    /// The version that serves instead.
    pub(super) digest: String,
    /// What the file held then. Once it holds something else, that is newer than the operator's decision.
    pub(super) instead_of: String,
}

/// Length of a digest in hexadecimal.
const DIGEST: usize = 64;

impl Versions {
    pub(super) fn new(state_directory: &Path) -> Self {
        Self(state_directory.join("versions"))
    }

    /// Versions of a plugin, the one that began to serve last first.
    pub(super) fn of(&self, plugin: &str) -> Vec<String> {
        let entries = fs::read_dir(self.0.join(plugin)).into_iter().flatten().filter_map(Result::ok);
        let version = |entry: fs::DirEntry| {
            let name = entry.file_name();
            let digest = name.to_str()?.strip_suffix(".wasm").filter(|digest| is_digest(digest))?.to_owned();
            Some((entry.metadata().ok()?.modified().ok()?, digest))
        };
        let mut versions: Vec<_> = entries.filter_map(version).collect();
        versions.sort();
        versions.into_iter().rev().map(|(_, digest)| digest).collect()
    }

    /// Keeps a version that began to serve, and as many of those before it as there may be. `file` is where it came from.
    ///
    /// # Errors
    /// As the system reports it.
    pub(super) fn keep(&self, plugin: &str, file: &Path, bytes: &Bytes, at_most: usize) -> io::Result<()> {
        let kept = self.path(plugin, &bytes.digest);
        if fs::read(&kept).is_ok_and(|known| known == bytes.all()) {
            fs::File::options().write(true).open(&kept)?.set_modified(SystemTime::now())?;
        } else {
            write(&kept, bytes.all())?;
        }
        // Of what was gone back to, it is here already.
        if let (None, Ok(signature)) = (&bytes.kept, fs::read(SignatureFile::beside(file))) {
            write(&SignatureFile::beside(&kept), &signature)?;
        }
        for old in self.of(plugin).iter().skip(at_most.max(1)) {
            let old = self.path(plugin, old);
            fs::remove_file(&old)?;
            match fs::remove_file(SignatureFile::beside(&old)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// A version's bytes.
    ///
    /// # Errors
    /// It is not kept, cannot be read, or is not what it was.
    pub(super) fn read(&self, plugin: &str, digest: &str) -> io::Result<Bytes> {
        let path = self.path(plugin, digest);
        let bytes = Bytes::read(&path)?;
        if bytes.digest != digest {
            return Err(io::Error::other(format!("{} was changed", path.display())));
        }
        Ok(Bytes { kept: Some(path), ..bytes })
    }

    /// What was gone back to.
    pub(super) fn rollback(&self, plugin: &str) -> Option<Rollback> {
        let text = fs::read_to_string(self.rolled_back(plugin)).ok()?;
        let mut digests = text.lines().filter(|digest| is_digest(digest)).map(str::to_owned);
        Some(Rollback { digest: digests.next()?, instead_of: digests.next()? })
    }

    /// Remembers what was gone back to; `None` when the file counts again.
    ///
    /// # Errors
    /// As the system reports it.
    pub(super) fn set_rollback(&self, plugin: &str, rollback: Option<&Rollback>) -> io::Result<()> {
        let path = self.rolled_back(plugin);
        match rollback {
            Some(Rollback { digest, instead_of }) => {
                write(&path, format!("{digest}\n{instead_of}\n").as_bytes())?;
                // Versions prove themselves by their digest; this has to be there after a power cut.
                fs::File::open(&path)?.sync_all()
            }
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        }
    }

    /// Where what was gone back to is written.
    pub(super) fn rolled_back(&self, plugin: &str) -> PathBuf {
        self.0.join(plugin).join("rolled-back")
    }

    fn path(&self, plugin: &str, digest: &str) -> PathBuf {
        self.0.join(plugin).join(format!("{digest}.wasm"))
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == DIGEST && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Written beside and renamed, so that nobody ever reads half of it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let partial = path.with_extension("partial");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(bytes)?;
    fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assembly::Content;

    fn bytes(text: &str) -> Bytes {
        Bytes::of(Content::Read(text.as_bytes().to_vec()))
    }

    #[test]
    fn the_last_versions_are_kept_and_what_was_changed_is_not_one() {
        let directory = std::env::temp_dir().join(format!("plugway-versions-{}", std::process::id()));
        let (versions, file) = (Versions::new(&directory), directory.join("auth.wasm"));
        for text in ["one", "two", "three", "two"] {
            versions.keep("auth", &file, &bytes(text), 2).unwrap();
        }
        assert_eq!(versions.of("auth"), [bytes("two").digest, bytes("three").digest]);
        assert_eq!(versions.read("auth", &bytes("three").digest).unwrap().all(), b"three");
        assert!(versions.read("auth", &bytes("one").digest).is_err());
        fs::write(versions.path("auth", &bytes("three").digest), "four").unwrap();
        assert!(versions.read("auth", &bytes("three").digest).unwrap_err().to_string().ends_with("was changed"));

        let rollback = Rollback { digest: bytes("three").digest, instead_of: bytes("two").digest };
        versions.set_rollback("auth", Some(&rollback)).unwrap();
        assert_eq!(versions.rollback("auth"), Some(rollback));
        versions.set_rollback("auth", None).unwrap();
        versions.set_rollback("auth", None).unwrap();
        assert_eq!(versions.rollback("auth"), None);
        fs::remove_dir_all(&directory).unwrap();
    }
}
