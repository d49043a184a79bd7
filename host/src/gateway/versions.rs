//! Versions that served, by digest, in the state directory: what there is to go back to, and what an operator went back to.
//!
//! A folder for each plugin, with `DIGEST.wasm` for each version, its signature file beside it, `DIGEST.left` where it is not to be gone
//! back to, `serves` with the version that serves and where its file is, and `rolled-back` while that is not the one in the plugin's file for good. Of the versions nothing
//! is believed: one is taken only when its bytes have the digest it is named by, and where signatures are required, its own counts
//! as the file's would. The two records are the operator's decisions, so a folder that others can write is not used at all.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::assembly::Bytes;
use crate::config::read_file;
use crate::plugin::{SignatureFile, guard};

/// The state directory's versions.
#[derive(Debug)]
pub(super) struct Versions(PathBuf);

/// What was gone back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rollback {
    /// The version that serves instead.
    pub(super) digest: String,
    /// What the file held then. Once it holds something else, that is newer than the operator's decision.
    pub(super) instead_of: String,
    /// Why, where no operator did it.
    pub(super) reason: Option<String>,
}

/// The file that says which version serves.
const SERVES: &str = "serves";

/// Largest signature file that is kept, bytes; more than one that counts can have.
const LARGEST_SIGNATURE: u64 = 64 << 10;

/// Length of a digest in hexadecimal.
const DIGEST: usize = 64;

impl Versions {
    /// The versions in a state directory, which is made if need be.
    ///
    /// # Errors
    /// It cannot be made, or others could write into it.
    pub(super) fn open(state_directory: &Path) -> io::Result<Self> {
        let versions = state_directory.join("versions");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&versions)?;
        // A link to a folder is as good as the folder; what it leads to is what is guarded.
        guard(&state_directory.canonicalize()?)?;
        guard(&versions)?;
        Ok(Self(versions))
    }

    /// Versions of a plugin, the newest first: by when each first served what the plugin's file held.
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

    /// Those to go back to from the version that serves, the nearest first. What was left is passed over: nobody who goes back
    /// wants what somebody went back from, or a canary that was taken back.
    pub(super) fn before(&self, plugin: &str, serving: Option<&str>) -> Vec<String> {
        let mut kept = self.of(plugin);
        let from = kept.iter().position(|kept| Some(kept.as_str()) == serving).map_or(0, |serving| serving + 1);
        kept.drain(..from);
        kept.retain(|digest| !self.left(plugin, digest).exists());
        kept
    }

    /// Remembers that a version is not to be gone back to: it was gone back from, or is only tried.
    ///
    /// # Errors
    /// As the system reports it.
    pub(super) fn leave(&self, plugin: &str, digest: &str) -> io::Result<()> {
        if self.path(plugin, digest).exists() { write(&self.left(plugin, digest), &[]) } else { Ok(()) }
    }

    /// Keeps a version that begins to serve, or to be tried. `file` is where it came from. One that was gone back to is as old as
    /// it was: going back once more leads to what was before it.
    ///
    /// # Errors
    /// As the system reports it.
    pub(super) fn keep(&self, plugin: &str, file: &Path, bytes: &Bytes) -> io::Result<()> {
        if bytes.kept.is_some() {
            return Ok(());
        }
        let kept = self.path(plugin, &bytes.digest);
        if fs::read(&kept).is_ok_and(|known| known == bytes.all()) {
            fs::File::options().write(true).open(&kept)?.set_modified(SystemTime::now())?;
        } else {
            write(&kept, bytes.all())?;
        }
        match read_file(&SignatureFile::beside(file), LARGEST_SIGNATURE) {
            Ok(signature) => write(&SignatureFile::beside(&kept), &signature),
            Err(_) => Ok(()),
        }
    }

    /// Forgets the oldest versions of a plugin, save those that are in use.
    ///
    /// # Errors
    /// As the system reports it.
    pub(super) fn forget(&self, plugin: &str, at_most: usize, in_use: &[&str]) -> io::Result<()> {
        for old in self.of(plugin).iter().skip(at_most.max(1)).filter(|old| !in_use.contains(&old.as_str())) {
            let (left, old) = (self.left(plugin, old), self.path(plugin, old));
            fs::remove_file(&old)?;
            remove(&SignatureFile::beside(&old))?;
            remove(&left)?;
        }
        Ok(())
    }

    /// Keeps a signature that came after the version it is for. `counts` tells whether the signature beside a file does.
    ///
    /// # Errors
    /// As the system reports it.
    pub(super) fn keep_signature(&self, plugin: &str, file: &Path, digest: &str, counts: impl Fn(&Path) -> bool) -> io::Result<()> {
        let (kept, beside) = (self.path(plugin, digest), SignatureFile::beside(file));
        let own = SignatureFile::beside(&kept);
        let Ok(signature) = read_file(&beside, LARGEST_SIGNATURE) else { return Ok(()) };
        if !kept.exists() || fs::read(&own).is_ok_and(|known| known == signature) {
            return Ok(());
        }
        // What does not count must not take the place of what may.
        if counts(file) || !own.exists() { write(&own, &signature) } else { Ok(()) }
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
        let mut lines = text.lines();
        let mut digest = || lines.next().filter(|digest| is_digest(digest)).map(str::to_owned);
        let (digest, instead_of) = (digest()?, digest()?);
        Some(Rollback { digest, instead_of, reason: lines.next().map(str::to_owned) })
    }

    /// Remembers what was gone back to; `None` when the file counts again.
    ///
    /// # Errors
    /// As the system reports it.
    pub(super) fn set_rollback(&self, plugin: &str, rollback: Option<&Rollback>) -> io::Result<()> {
        let path = self.rolled_back(plugin);
        match rollback {
            Some(Rollback { digest, instead_of, reason }) => {
                let reason = reason.as_ref().map(|reason| format!("{}\n", reason.replace('\n', " "))).unwrap_or_default();
                write(&path, format!("{digest}\n{instead_of}\n{reason}").as_bytes())
            }
            None => remove(&path),
        }
    }

    /// The version of a plugin that served last, if it came from that file.
    pub(super) fn served(&self, plugin: &str, file: &Path) -> Option<String> {
        let text = fs::read_to_string(self.0.join(plugin).join(SERVES)).ok()?;
        let (digest, of) = text.trim_end_matches('\n').split_once('\n')?;
        (is_digest(digest) && of == file.display().to_string()).then(|| digest.to_owned())
    }

    /// Remembers which version serves. Whatever it was before, it can be gone back to.
    ///
    /// # Errors
    /// As the system reports it.
    pub(super) fn set_served(&self, plugin: &str, file: &Path, digest: &str) -> io::Result<()> {
        remove(&self.left(plugin, digest))?;
        if self.served(plugin, file).as_deref() == Some(digest) {
            return Ok(());
        }
        write(&self.0.join(plugin).join(SERVES), format!("{digest}\n{}\n", file.display()).as_bytes())
    }

    /// Where what was gone back to is written.
    pub(super) fn rolled_back(&self, plugin: &str) -> PathBuf {
        self.0.join(plugin).join("rolled-back")
    }

    fn left(&self, plugin: &str, digest: &str) -> PathBuf {
        self.path(plugin, digest).with_extension("left")
    }

    fn path(&self, plugin: &str, digest: &str) -> PathBuf {
        self.0.join(plugin).join(format!("{digest}.wasm"))
    }
}

fn is_digest(text: &str) -> bool {
    text.len() == DIGEST && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Written beside and renamed, so that nobody ever reads half of it; and on the disk before anything is built on it.
fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let partial = path.with_extension("partial");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    fs::File::open(directory)?.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::assembly::Content;

    fn bytes(text: &str) -> Bytes {
        Bytes::of(Content::Read(text.as_bytes().to_vec()))
    }

    fn folder(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("plugway-versions-{name}-{}", std::process::id()))
    }

    #[test]
    fn the_last_versions_are_kept_and_what_was_changed_is_not_one() {
        let directory = folder("kept");
        let (versions, file) = (Versions::open(&directory).unwrap(), directory.join("auth.wasm"));
        for text in ["one", "two", "three", "two"] {
            versions.keep("auth", &file, &bytes(text)).unwrap();
            versions.forget("auth", 2, &[]).unwrap();
        }
        assert_eq!(versions.of("auth"), [bytes("two").digest, bytes("three").digest]);
        let three = versions.read("auth", &bytes("three").digest).unwrap();
        assert_eq!(three.all(), b"three");
        assert!(versions.read("auth", &bytes("one").digest).is_err());
        // Going back makes nothing younger, and what is in use is not forgotten.
        versions.keep("auth", &file, &three).unwrap();
        versions.forget("auth", 1, &[&three.digest]).unwrap();
        assert_eq!(versions.of("auth"), [bytes("two").digest, bytes("three").digest]);
        fs::write(versions.path("auth", &bytes("three").digest), "four").unwrap();
        assert!(versions.read("auth", &bytes("three").digest).unwrap_err().to_string().ends_with("was changed"));
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_was_left_is_passed_over_until_it_serves_again() {
        let directory = folder("left");
        let (versions, file) = (Versions::open(&directory).unwrap(), directory.join("auth.wasm"));
        let [one, two, three] = ["one", "two", "three"].map(bytes);
        for version in [&one, &two, &three] {
            versions.keep("auth", &file, version).unwrap();
        }
        let before = |serving: &Bytes| versions.before("auth", Some(&serving.digest));
        assert_eq!(before(&three), [two.digest.clone(), one.digest.clone()]);
        versions.leave("auth", &two.digest).unwrap();
        assert_eq!(before(&three), std::slice::from_ref(&one.digest));
        assert_eq!(versions.of("auth").len(), 3);
        versions.set_served("auth", &file, &two.digest).unwrap();
        assert_eq!(before(&three), [two.digest.clone(), one.digest.clone()]);
        // Nothing stays of what is forgotten, or never was.
        versions.leave("auth", &one.digest).unwrap();
        versions.leave("auth", &bytes("four").digest).unwrap();
        versions.forget("auth", 1, &[]).unwrap();
        assert_eq!(fs::read_dir(directory.join("versions/auth")).unwrap().count(), 2, "the version and what serves");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn what_was_decided_is_remembered() {
        let directory = folder("decided");
        let versions = Versions::open(&directory).unwrap();
        for reason in [None, Some("it failed".to_owned())] {
            let rollback = Rollback { digest: bytes("three").digest, instead_of: bytes("two").digest, reason };
            versions.set_rollback("auth", Some(&rollback)).unwrap();
            assert_eq!(versions.rollback("auth"), Some(rollback));
        }
        versions.set_rollback("auth", None).unwrap();
        versions.set_rollback("auth", None).unwrap();
        assert_eq!(versions.rollback("auth"), None);

        let (file, digest) = (Path::new("/p/auth.wasm"), bytes("one").digest);
        assert_eq!(versions.served("auth", file), None);
        versions.set_served("auth", file, &digest).unwrap();
        assert_eq!(versions.served("auth", file), Some(digest));
        assert_eq!(versions.served("auth", Path::new("/p/other.wasm")), None, "another file's versions are another plugin's");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_signature_that_does_not_count_takes_no_place() {
        let directory = folder("signatures");
        let (versions, file) = (Versions::open(&directory).unwrap(), directory.join("auth.wasm"));
        let digest = bytes("one").digest;
        versions.keep("auth", &file, &bytes("one")).unwrap();
        let kept = || fs::read_to_string(SignatureFile::beside(&versions.path("auth", &digest))).ok();
        assert_eq!(kept(), None);
        for (text, counts, expected) in [("good", true, "good"), ("bad", false, "good"), ("better", true, "better")] {
            fs::write(SignatureFile::beside(&file), text).unwrap();
            versions.keep_signature("auth", &file, &digest, |_| counts).unwrap();
            assert_eq!(kept().as_deref(), Some(expected));
        }
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_folder_that_others_can_write_is_not_used() {
        let directory = folder("open");
        let versions = Versions::open(&directory).unwrap();
        for open in [directory.clone(), versions.0] {
            fs::set_permissions(&open, fs::Permissions::from_mode(0o770)).unwrap();
            let error = Versions::open(&directory).unwrap_err().to_string();
            assert!(error.contains("can be written by others"), "{error}");
            fs::set_permissions(&open, fs::Permissions::from_mode(0o700)).unwrap();
            Versions::open(&directory).unwrap();
        }
        fs::remove_dir_all(&directory).unwrap();
    }
}
