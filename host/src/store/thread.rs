//! The store's own thread. It takes what workers hand over, commits about twice a second, rolls minutes up as they end, and
//! goes on counting in memory while nothing can be written.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use rusqlite::ErrorCode;

use super::clock::Clock;
use super::incident::Analyst;
use super::open::{OpenError, is_broken};
use super::pending::Pending;
use super::seconds;
use super::write::{Writer, minute};
use crate::config::model::Store;
use crate::telemetry::{PluginTallies, Tally, Telemetry};

/// How often what was handed over is committed. Workers hand over three times a second, so nobody who is killed loses more than a second.
const COMMIT: Duration = Duration::from_millis(500);
/// The shortest pause between two parts of what is done in parts.
const BREATH: Duration = Duration::from_millis(50);
/// How often it is said that the gateway is there while it has nothing to do.
const HEARTBEAT: i64 = 5;
/// The longest pause between two tries to write.
const RETRY: Duration = Duration::from_secs(5);
/// When names without rows are first looked for: not in a start, and in runs that do not last a day, too.
const FIRST_FORGET: Duration = Duration::from_secs(10 * 60);
/// How often they are from then on.
const FORGET: Duration = Duration::from_secs(24 * 60 * 60);
/// How much the thread steps back where workers want the core, as `nice` counts.
const NICE: i32 = 5;
/// What workers have handed over and nobody has taken; past it they go on counting by themselves.
const ON_THE_WAY: usize = 256;

/// A running store.
#[derive(Debug)]
pub struct StoreThread(JoinHandle<()>);

impl StoreThread {
    /// Waits until everything was written, once every sender is gone.
    pub fn join(self) {
        if self.0.join().is_err() {
            tracing::error!("The monitoring store ended by a panic");
        }
    }
}

/// Starts the thread; what it is sent is stored. It ends when nobody can send any more.
///
/// # Errors
/// When there can be no thread.
pub fn start(
    settings: Store,
    telemetry: Arc<Telemetry>,
    analyst: Option<Box<dyn Analyst>>,
) -> std::io::Result<(SyncSender<Tally>, StoreThread)> {
    let (sender, tallies) = sync_channel(ON_THE_WAY);
    telemetry.store().opened(true);
    let thread = std::thread::Builder::new().name("plugway-store".into()).spawn(move || {
        // Where it may not step back it works as loud as the rest.
        let _ = rustix::process::nice(NICE);
        let pending = Pending::new();
        let now = Instant::now();
        let keeper = Keeper {
            settings,
            telemetry,
            analyst,
            writer: None,
            pending,
            plugins: PluginTallies::default(),
            rolled: 0,
            behind: false,
            seen: 0,
            failing: None,
            broken: None,
            told_left_out: false,
            retry: now,
            clock: Clock::new(seconds(SystemTime::now()), now),
            forget: now + FIRST_FORGET,
        };
        keeper.run(&tallies);
    })?;
    Ok((sender, StoreThread(thread)))
}

struct Keeper {
    settings: Store,
    telemetry: Arc<Telemetry>,
    analyst: Option<Box<dyn Analyst>>,
    /// `None` until it could be opened.
    writer: Option<Writer>,
    pending: Pending,
    plugins: PluginTallies,
    /// The minute before which everything was rolled up, as the clock was then.
    rolled: i64,
    /// Analysis has more to do.
    behind: bool,
    /// When something was last written.
    seen: i64,
    failing: Option<Failing>,
    /// What is wrong with the file, where it was found to be broken as it was written.
    broken: Option<String>,
    /// It was said that distributions cannot be read.
    told_left_out: bool,
    /// When to try again.
    retry: Instant,
    /// What is old is deleted by it.
    clock: Clock,
    /// When names without rows are looked for.
    forget: Instant,
}

/// Nothing can be written.
struct Failing {
    since: i64,
    why: String,
    lost: u64,
    pause: Duration,
}

impl Keeper {
    fn run(mut self, tallies: &Receiver<Tally>) {
        let mut next = Instant::now();
        loop {
            match tallies.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(tally) => self.pending.add(minute(SystemTime::now()), tally),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let began = Instant::now();
            if began >= next {
                self.commit(false);
                // Analysis that is behind goes on soon: it may use two thirds of a core until it is current.
                let pause = if self.behind { (began.elapsed() / 2).clamp(BREATH, COMMIT) } else { COMMIT };
                next = Instant::now() + pause;
            }
        }
        self.commit(true);
        if let Some(writer) = self.writer.take()
            && let Err(error) = writer.end(seconds(SystemTime::now()))
        {
            tracing::warn!(%error, "The monitoring store was not closed in good order");
        }
    }

    /// Writes what there is, if it is time to.
    fn commit(&mut self, last: bool) {
        let moment = SystemTime::now();
        self.pending.add_plugins(minute(moment), &self.telemetry.plugin_tallies(&mut self.plugins));
        if last || self.rolled != minute(moment) {
            self.pending.close();
        }
        let cells = self.telemetry.store();
        cells.folded(self.pending.take_folded());
        if !last && Instant::now() < self.retry {
            self.bound();
            return;
        }
        let now = seconds(moment);
        let is_silent = (now - self.seen).abs() >= HEARTBEAT;
        let is_due = last || self.behind || self.failing.is_some() || is_silent || self.rolled != minute(moment);
        if self.pending.is_empty() && !is_due {
            return;
        }
        let written = self.write(now, minute(moment));
        self.tell_left_out();
        match written {
            Ok(size) => {
                self.seen = now;
                self.retry = Instant::now();
                self.telemetry.store().wrote(size);
                self.recovered(now);
            }
            Err(error) => self.failed(now, error),
        }
    }

    fn write(&mut self, now: i64, minute: i64) -> Result<u64, String> {
        // What was removed would be written to where nobody reads it.
        if let Some(writer) = self.writer.take_if(|writer| !writer.is_in_place()) {
            tracing::warn!(file = %self.settings.file.display(), "The monitoring store was moved away or removed; begun anew");
            // It may have been on a disk that is gone.
            drop(writer.leave(now));
        }
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let writer = self.open(now).map_err(|error| error.to_string())?;
                // What an earlier run saw by a clock that was ahead says nothing of this one's.
                self.clock = Clock::new(writer.known().min(now), Instant::now());
                writer
            }
        };
        let mut written = self.write_by(&mut writer, now, minute);
        if written.as_ref().is_err_and(is_full) && writer.make_room(self.clock.settled(now, Instant::now())).is_ok() {
            written = self.write_by(&mut writer, now, minute);
        }
        self.telemetry.store().left_out(writer.take_left_out());
        match &written {
            // The next try puts it aside.
            Err(error) if is_broken(error) => self.broken = Some(error.to_string()),
            _ => self.writer = Some(writer),
        }
        written.map_err(|error| error.to_string())
    }

    fn write_by(&mut self, writer: &mut Writer, now: i64, minute: i64) -> rusqlite::Result<u64> {
        writer.write(&mut self.pending, now)?;
        // Where the clock was set back it is another minute, too.
        if self.rolled != minute {
            writer.roll_up(minute)?;
            writer.tidy(self.clock.settled(now, Instant::now()))?;
            if Instant::now() >= self.forget {
                writer.forget_names()?;
                self.forget = Instant::now() + FORGET;
            }
            self.rolled = minute;
            self.behind = true;
        }
        if let Some(analyst) = self.analyst.as_mut().filter(|_| self.behind) {
            self.behind = match analyst.analyse(writer.connection(), self.rolled) {
                // A row that it cannot make sense of is no reason to say that nothing can be written. It tries again each minute.
                Err(error) if error.sqlite_error_code().is_none() => {
                    tracing::error!(%error, "The monitoring store could not be analysed; it is written all the same");
                    false
                }
                analysed => analysed?,
            };
        }
        Ok(writer.size())
    }

    fn open(&mut self, now: i64) -> Result<Writer, OpenError> {
        let broken = self.broken.take();
        let Store { file, max_size, keep, .. } = &self.settings;
        let open = || Writer::open(file, keep.clone(), *max_size, now);
        // Of a file that is broken in its midst nothing is seen where it is opened.
        let opened = broken.map_or_else(open, |why| Err(OpenError::NotAStore(file.clone(), why)));
        match opened {
            Err(OpenError::NotAStore(_, why)) => {
                // Counting goes on; what is there may be worth mending by hand.
                let aside = with(file, &format!(".broken-{now}"));
                tracing::error!(file = %file.display(), aside = %aside.display(), error = why, "The monitoring store is broken; begun anew");
                // Its log belongs to it; the index in shared memory is made anew.
                for tail in ["", "-wal", "-shm"] {
                    match std::fs::rename(with(file, tail), with(&aside, tail)) {
                        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                            return Err(OpenError::Failed(file.clone(), error.to_string()));
                        }
                        _ => {}
                    }
                }
                open()
            }
            opened => opened,
        }
    }

    fn failed(&mut self, now: i64, error: String) {
        let failing = match &mut self.failing {
            Some(failing) => failing,
            None => {
                tracing::error!(file = %self.settings.file.display(), %error, "The monitoring store cannot be written; counting goes on in memory");
                self.failing.insert(Failing { since: now, why: error, lost: 0, pause: COMMIT })
            }
        };
        failing.pause = (failing.pause * 2).min(RETRY);
        self.retry = Instant::now() + failing.pause;
        self.bound();
        self.telemetry.store().failed(self.pending.requests());
    }

    /// Once: they stay until their time is over.
    fn tell_left_out(&mut self) {
        if !self.told_left_out && self.telemetry.store().all_left_out() > 0 {
            self.told_left_out = true;
            let file = self.settings.file.display();
            tracing::warn!(%file, "Distributions of latencies in the monitoring store cannot be read; they are left out, and counts are not");
        }
    }

    /// Memory has an end too.
    fn bound(&mut self) {
        let lost = self.pending.bound();
        if lost > 0 {
            self.telemetry.store().lost(lost);
            tracing::error!(requests = lost, "Requests are lost to the monitoring store: there is no room in memory either");
            if let Some(failing) = &mut self.failing {
                failing.lost += lost;
            }
        }
    }

    fn recovered(&mut self, now: i64) {
        if let Some(Failing { since, why, lost, .. }) = self.failing.take() {
            tracing::info!(file = %self.settings.file.display(), since, lost, "The monitoring store is written again");
            let paused = self.writer.as_mut().map(|writer| writer.paused(since, now, lost, &why));
            if let Some(Err(error)) = paused {
                tracing::warn!(%error, "The pause could not be written down");
            }
        }
    }
}

/// Whether there was no room, on the disk or within `max_size`.
fn is_full(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DiskFull)
}

/// A file beside it.
fn with(file: &Path, tail: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(tail);
    name.into()
}
