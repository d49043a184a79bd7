//! Files that may change while the gateway runs: which paths matter (`interest`), what the kernel tells of them, when to
//! look (`settling`), and whether what is there is all of it (`whole`).

mod interest;
mod settling;
mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

pub use settling::Look;
use settling::{Change, Settling};
pub use whole::is_whole;

use crate::config::defaults;

/// How often files are looked at where the kernel cannot tell of changes, and folders that are not there are looked for.
const POLL: Duration = Duration::from_secs(2);

/// What the kernel tells, on its way to whoever watches.
#[derive(Debug)]
pub struct Touched(notify::Result<Event>);

/// Watches the files of a configuration.
#[derive(Debug)]
pub struct Watch {
    settling: Settling,
    watcher: Option<RecommendedWatcher>,
    /// Folders that are watched, by device and inode: another folder may have got the name.
    folders: BTreeMap<PathBuf, (u64, u64)>,
    /// The files, and every link on the way to them.
    paths: BTreeSet<PathBuf>,
    /// Of what is added here or goes from here, somebody wants to know.
    listed: PathBuf,
    /// Whether some folder cannot be watched, so that only looking helps.
    polls: bool,
    /// When that is done next.
    poll: Instant,
}

impl Watch {
    /// Watches nothing yet. `deliver` is called on a thread of its own; what it is given goes to [`Watch::touched`].
    pub fn new(deliver: impl Fn(Touched) + Send + 'static) -> Self {
        let watcher = notify::recommended_watcher(move |event| deliver(Touched(event)));
        let watcher = watcher.inspect_err(|error| {
            tracing::warn!(%error, "The system does not tell of changed files; they are looked at every {POLL:?}");
        });
        Self {
            settling: Settling::new(defaults::SETTLE, defaults::PATIENCE),
            watcher: watcher.ok(),
            folders: BTreeMap::new(),
            paths: BTreeSet::new(),
            listed: PathBuf::new(),
            polls: false,
            poll: Instant::now(),
        }
    }

    /// Watches these files from now on, wherever links lead, and what there is in one folder. Whoever reads the files after
    /// this misses no change.
    pub fn follow<'a>(&mut self, files: impl Iterator<Item = &'a Path>, listed: &Path) {
        self.paths.clear();
        for file in files {
            // Without a current folder a relative path stays what it is, and is not found.
            interest::collect(&std::path::absolute(file).unwrap_or_else(|_| file.to_owned()), &mut self.paths);
        }
        // By the name that it has in its files' paths, which is without links: a folder that is watched by two is told of by the last one alone.
        let listed = fs::canonicalize(listed).or_else(|_| std::path::absolute(listed)).unwrap_or_else(|_| listed.to_owned());
        self.listed = listed;
        let wanted: BTreeSet<PathBuf> =
            self.paths.iter().filter_map(|path| Some(path.parent()?.to_owned())).chain([self.listed.clone()]).collect();
        let gone: Vec<PathBuf> = self.folders.keys().filter(|folder| !wanted.contains(*folder)).cloned().collect();
        for folder in gone {
            self.forget(&folder);
        }
        self.polls = self.watcher.is_none();
        for folder in wanted {
            self.watch(folder);
        }
    }

    fn watch(&mut self, folder: PathBuf) {
        let identity = fs::metadata(&folder).map(|metadata| (metadata.dev(), metadata.ino())).ok();
        if identity.is_some() && self.folders.get(&folder) == identity.as_ref() {
            return;
        }
        self.forget(&folder);
        let (Some(identity), Some(watcher)) = (identity, &mut self.watcher) else {
            // A folder for plugins that nobody needs need not be there.
            self.polls |= self.paths.iter().any(|path| path.parent() == Some(&folder));
            return;
        };
        match watcher.watch(&folder, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.folders.insert(folder, identity);
            }
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "A folder cannot be watched; it is looked at every {POLL:?}");
                self.polls = true;
            }
        }
    }

    /// A folder came or went, and what watched it and those in it went along. Another one may have its name, and where numbers are given out
    /// again its number, too.
    fn watch_anew(&mut self, folder: &Path) {
        let within: Vec<PathBuf> = self.folders.keys().filter(|known| known.starts_with(folder)).cloned().collect();
        for folder in within {
            self.forget(&folder);
            self.watch(folder);
        }
    }

    fn forget(&mut self, folder: &Path) {
        if let (Some(_), Some(watcher)) = (self.folders.remove(folder), &mut self.watcher) {
            // The kernel forgets a folder that was removed by itself.
            drop(watcher.unwatch(folder));
        }
    }

    /// Something was touched.
    pub fn touched(&mut self, now: Instant, Touched(event): &Touched) {
        let event = match event {
            Ok(event) if event.need_rescan() => return self.settling.noticed(now),
            Ok(event) => event,
            Err(error) => {
                tracing::warn!(%error, "Watching files failed");
                return self.settling.noticed(now);
            }
        };
        let change = match event.kind {
            EventKind::Modify(ModifyKind::Data(_)) => Change::Written,
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => Change::Closed,
            EventKind::Create(_) | EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) => Change::Replaced,
            EventKind::Modify(_) => Change::Touched,
            // Reading is no change, and reading is what a look does.
            EventKind::Access(_) | EventKind::Any | EventKind::Other => return,
        };
        for path in &event.paths {
            let is_replaced = change == Change::Replaced;
            let has_folders = is_replaced && self.folders.keys().any(|folder| folder.starts_with(path));
            if has_folders {
                self.watch_anew(path);
            }
            if self.paths.contains(path) {
                self.settling.changed(now, path, change);
            } else if has_folders || (is_replaced && (*path == self.listed || path.parent() == Some(&self.listed))) {
                self.settling.noticed(now);
            }
        }
    }

    /// When something is to be done: [`Watch::look`] knows what.
    pub fn due(&self, now: Instant) -> Option<Instant> {
        self.settling.due().or_else(|| self.polls.then(|| self.poll.max(now)))
    }

    /// The look that is due, if one is. It is followed by [`Watch::looked`], [`Watch::was_not_whole`] or [`Watch::again`].
    pub fn look(&mut self, now: Instant) -> Option<Look> {
        if self.polls && self.settling.due().is_none() {
            // Whoever asks may have been woken by something else, and asks at every turn.
            if self.poll <= now {
                self.settling.noticed(now);
                self.poll = now + POLL;
            }
            return None;
        }
        self.settling.look(now)
    }

    /// Has the files looked at soon, whether or not anything happens to them.
    pub fn notice(&mut self, now: Instant) {
        self.settling.noticed(now);
    }

    /// What was seen is dealt with.
    pub fn looked(&mut self) {
        self.settling.looked();
    }

    /// A file was not whole.
    pub fn was_not_whole(&mut self) {
        self.settling.was_not_whole();
    }

    /// It could not be dealt with yet.
    pub fn again(&mut self, now: Instant, pause: Duration) {
        self.settling.again(now, pause);
    }
}

#[cfg(test)]
mod tests;
