//! Compiled components on disk, so that a start does not compile again; and the one place where native code becomes a component.
//!
//! The cache is native code, so it is trusted only as far as it is guarded: the folder must belong to this user and be
//! writable by nobody else, every entry carries an HMAC-SHA-256 made with a key kept in that folder, and its name holds
//! the digest of the bytes it was compiled from, which were read in this process. Anything that does not fit is
//! compiled anew and replaced.
//!
//! What was just compiled, [`adopt`] takes without a tag: it was made in this process, or came through a pipe from a child that
//! `compiler` started from this process's own program. A child like that is this user, and who is this user can write into
//! this process's memory without asking; a tag would prove nothing more. What has to be caught is an accident, an answer that
//! broke off, and the pipe's frame and the child's exit status do that. A flaw of the compiler that a hostile component uses
//! harms the child first, but what it then answers is believed, as it would be had the compiler run in here.

use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ring::hmac;
use ring::rand::SecureRandom;
use subtle::ConstantTimeEq;
use wasmtime::Engine;
use wasmtime::component::Component;

use super::compiler::{self, Artefact};
use crate::config::defaults;

/// A folder of compiled components.
#[derive(Debug)]
pub struct CompileCache {
    directory: PathBuf,
    key: hmac::Key,
}

/// Length of the tag in front of every entry.
const TAG: usize = 32;

impl CompileCache {
    /// Opens the folder, making it if needed.
    ///
    /// # Errors
    /// When it cannot be made, or others could write into it.
    pub fn open(directory: &Path) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        guard(directory)?;
        let key = read_or_make_key(&directory.join("key"))?;
        Ok(Self { directory: directory.to_owned(), key: hmac::Key::new(hmac::HMAC_SHA256, &key) })
    }

    /// The compiled form of bytes with that digest, if it is here and untouched.
    pub fn get(&self, engine: &Engine, digest: &str) -> Option<Component> {
        let path = self.path(engine, digest);
        guard(&path).ok()?;
        let entry = fs::read(&path).ok()?;
        let (tag, compiled) = entry.split_at_checked(TAG)?;
        if !bool::from(self.tag(&path, compiled).as_ref().ct_eq(tag)) {
            tracing::warn!(path = %path.display(), "A compiled plugin in the cache was changed from outside; compiling it anew");
            return None;
        }
        // What is used stays longest. That it could not be said is no reason to compile anew.
        drop(fs::File::options().append(true).open(&path).and_then(|file| file.set_modified(SystemTime::now())));
        // The tag proves that whoever wrote the bytes holds the key, which only this user can read: `put` of this program did.
        deserialise(engine, compiled).ok()
    }

    /// Keeps a compiled component. Failing to is not an error: the next start compiles again.
    pub(super) fn put(&self, engine: &Engine, digest: &str, compiled: &Artefact) {
        let path = self.path(engine, digest);
        if let Err(error) = self.write(&path, compiled.code()) {
            tracing::warn!(path = %path.display(), %error, "A compiled plugin could not be kept in the cache");
        }
        if let Err(error) = self.make_room(defaults::MOST_CACHED) {
            tracing::warn!(path = %self.directory.display(), %error, "The cache of compiled plugins could not be kept small");
        }
    }

    /// Deletes what was not used for longest, past so many bytes: every version that is ever tried leaves an entry.
    fn make_room(&self, most: u64) -> io::Result<()> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            // Those that broke off while they were written, too.
            let is_entry = path.extension().is_some_and(|extension| extension == "cwasm" || extension == "partial");
            // Another gateway of this user may have deleted it meanwhile.
            if let (true, Ok(metadata)) = (is_entry, fs::metadata(&path)) {
                entries.push((metadata.modified()?, metadata.len(), path));
            }
        }
        entries.sort_by(|one, other| other.cmp(one));
        let mut bytes = 0;
        for (number, (_, length, path)) in entries.into_iter().enumerate() {
            bytes += length;
            // The newest is what was just compiled.
            if bytes > most && number > 0 {
                match fs::remove_file(path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn write(&self, path: &Path, compiled: &[u8]) -> io::Result<()> {
        // Written beside and renamed, so that nobody ever reads half an entry.
        let partial = path.with_extension(format!("{}.partial", std::process::id()));
        let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
        file.write_all(self.tag(path, compiled).as_ref())?;
        file.write_all(compiled)?;
        fs::rename(&partial, path)
    }

    /// It covers the entry's name too, or one plugin's code could be put in another's place.
    fn tag(&self, path: &Path, compiled: &[u8]) -> hmac::Tag {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(path.file_name().map(OsStr::as_encoded_bytes).unwrap_or_default());
        context.update(&[0]);
        context.update(compiled);
        context.sign()
    }

    /// The name holds everything the compiled form depends on: the bytes, the engine's version and settings, and what the compiler changes.
    fn path(&self, engine: &Engine, digest: &str) -> PathBuf {
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        compiler::VERSION.hash(&mut hasher);
        self.directory.join(format!("{digest}-{:016x}.cwasm", hasher.finish()))
    }
}

/// The component of what was just compiled.
///
/// # Errors
/// When it is no component for this engine, or asks for more than the engine gives any.
pub(super) fn adopt(engine: &Engine, compiled: &Artefact) -> wasmtime::Result<Component> {
    deserialise(engine, compiled.code())
}

/// Called only with what the module's first lines vouch for.
fn deserialise(engine: &Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    #[expect(unsafe_code, reason = "the only way to load compiled code; it is ours")]
    // SAFETY: both callers hold bytes that this program's compiler wrote: `get` by the entry's tag, `adopt` by the type of its
    // argument, which only `compiler` makes. That they are for this engine is checked by wasmtime.
    unsafe {
        Component::deserialize(engine, compiled)
    }
}

fn read_or_make_key(path: &Path) -> io::Result<Vec<u8>> {
    match fs::read(path) {
        Ok(key) if key.len() == 32 => {
            guard(path)?;
            Ok(key)
        }
        Ok(_) => Err(io::Error::other(format!("{} is not a key of 32 bytes; delete it", path.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut key = vec![0; 32];
            ring::rand::SystemRandom::new().fill(&mut key).map_err(|_| io::Error::other("no random bytes"))?;
            let partial = path.with_extension(format!("{}.partial", std::process::id()));
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
            file.write_all(&key)?;
            // Linked, not renamed: of two processes that start at once the second takes the first one's key.
            let linked = fs::hard_link(&partial, path);
            fs::remove_file(&partial)?;
            match linked {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_or_make_key(path),
                Err(error) => Err(error),
                Ok(()) => Ok(key),
            }
        }
        Err(error) => Err(error),
    }
}

/// Refuses what others could have written.
///
/// # Errors
/// It is a link, another user's, or others may write it.
pub fn guard(path: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.file_type().is_symlink() {
        return Err(io::Error::other(format!("{} is a symbolic link", path.display())));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!("{} belongs to another user", path.display())));
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(io::Error::other(format!("{} can be written by others; run `chmod go-w` on it", path.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_was_not_used_for_longest_makes_room_and_nothing_else_does() {
        let directory = std::env::temp_dir().join(format!("plugway-cache-{}", std::process::id()));
        let cache = CompileCache::open(&directory).unwrap();
        let now = SystemTime::now();
        let entry = |name: &str, seconds: u64, bytes: usize| {
            fs::write(directory.join(name), vec![0; bytes]).unwrap();
            let file = fs::File::options().append(true).open(directory.join(name)).unwrap();
            file.set_modified(now - Duration::from_secs(seconds)).unwrap();
        };
        let left = || {
            let mut names: Vec<_> =
                fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        for (name, seconds) in [("a.cwasm", 30), ("b.cwasm", 10), ("c.cwasm", 20), ("d.7.partial", 40)] {
            entry(name, seconds, 100);
        }
        entry("notes.txt", 50, 1000);
        cache.make_room(400).unwrap();
        assert_eq!(left(), ["a.cwasm", "b.cwasm", "c.cwasm", "d.7.partial", "key", "notes.txt"]);
        cache.make_room(399).unwrap();
        assert_eq!(left(), ["a.cwasm", "b.cwasm", "c.cwasm", "key", "notes.txt"]);
        cache.make_room(200).unwrap();
        assert_eq!(left(), ["b.cwasm", "c.cwasm", "key", "notes.txt"]);
        // What was just compiled stays, however large it is.
        cache.make_room(1).unwrap();
        assert_eq!(left(), ["b.cwasm", "key", "notes.txt"]);
        fs::remove_dir_all(&directory).unwrap();
    }
}
