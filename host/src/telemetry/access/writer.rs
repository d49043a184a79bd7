//! The thread that writes the access log. It may wait for a disk or a reader; whoever has lines does not.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use super::queue::{AccessQueue, Lines};
use crate::config::model::AccessLog;
use crate::telemetry::cell::SharedCount;
use crate::telemetry::{Seldom, Telemetry, WorkerCells};

/// Batches on their way, of all workers: 2 MiB of lines, a second of a disk that stands still at thousands of requests a second.
const BATCHES: usize = 16;
/// How often it is looked whether a file is still the one that is written to.
const LOOK: Duration = Duration::from_secs(1);
/// How long the end waits for the last lines: a reader that has stopped must not keep a gateway from ending.
const LAST: Duration = Duration::from_secs(2);

/// The running thread. It ends when every sender is gone; dropping this waits for its last lines.
#[derive(Debug)]
pub struct AccessWriter {
    ended: Receiver<()>,
}

/// Where workers' lines go.
#[derive(Debug, Clone)]
pub struct AccessSender(SyncSender<Lines>);

/// What is written to.
#[derive(Debug)]
enum Output {
    Stdout(Stdout),
    File(Rotated),
}

/// Standard output, which may be a file on a disk that is full. Not by the library's buffer: that does not say how much was written.
#[derive(Debug)]
struct Stdout {
    file: File,
    /// As of a file.
    is_torn: bool,
}

/// A file that others may move away.
#[derive(Debug)]
struct Rotated {
    path: PathBuf,
    /// `None` before the first line of a log that was switched off.
    file: Option<File>,
    /// A line of it was begun and not ended, for want of room.
    is_torn: bool,
    looked: Instant,
    /// When it was last said that it cannot be made anew.
    told: Seldom,
}

/// Lines that could not be written, or not to their end.
#[derive(Debug)]
struct Unwritten {
    error: io::Error,
    lines: u64,
}

impl Unwritten {
    /// Each line ends with a line feed and has no other: what clients send is escaped.
    fn of(error: io::Error, bytes: &[u8]) -> Self {
        Self { error, lines: bytes.iter().filter(|byte| **byte == b'\n').count() as u64 }
    }
}

impl AccessWriter {
    /// Opens the file, if there is one, and starts the thread.
    ///
    /// # Errors
    /// When a file cannot be opened for appending.
    pub fn start(log: &AccessLog, telemetry: &Telemetry) -> io::Result<(Self, AccessSender)> {
        let output = match &log.file {
            None => Output::Stdout(Stdout { file: File::from(io::stdout().as_fd().try_clone_to_owned()?), is_torn: false }),
            Some(path) => {
                // A log that is switched on later makes its file then.
                let file = if log.enabled { Some(open(path)?) } else { None };
                Output::File(Rotated { path: path.clone(), file, is_torn: false, looked: Instant::now(), told: Seldom::default() })
            }
        };
        let lost = Arc::clone(&telemetry.cells.access_lines_lost);
        let (sender, lines) = sync_channel(BATCHES);
        let (end, ended) = sync_channel(1);
        std::thread::Builder::new().name("plugway-access".to_owned()).spawn(move || {
            run(output, &lines, &lost);
            // Nobody may wait for it any more.
            let _ = end.send(());
        })?;
        Ok((Self { ended }, AccessSender(sender)))
    }
}

impl Drop for AccessWriter {
    fn drop(&mut self) {
        let _ = self.ended.recv_timeout(LAST);
    }
}

impl AccessSender {
    /// One worker's queue.
    pub fn queue(self, cells: Arc<WorkerCells>) -> AccessQueue {
        AccessQueue::new(self.0, cells)
    }
}

fn run(mut output: Output, lines: &Receiver<Lines>, lost: &SharedCount) {
    let mut failing = false;
    loop {
        let next = match &output {
            // What was moved away is let go of though nobody asks for anything.
            Output::File(_) => lines.recv_timeout(LOOK),
            Output::Stdout(_) => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        if let Output::File(file) = &mut output {
            file.follow();
        }
        let Lines { mut bytes, count, back } = match next {
            Ok(batch) => batch,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match output.write(&bytes) {
            Ok(()) if failing => {
                failing = false;
                tracing::info!("The access log is written again");
            }
            Ok(()) => {}
            Err(Unwritten { error, lines }) => {
                lost.add(lines.min(count));
                if !failing {
                    failing = true;
                    tracing::error!(%error, "The access log cannot be written: lines are dropped and counted");
                }
            }
        }
        bytes.clear();
        // It may have room enough, or be gone.
        let _ = back.try_send(bytes);
    }
}

impl Output {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Unwritten> {
        match self {
            Self::Stdout(Stdout { file, is_torn }) => write_lines(file, bytes, is_torn),
            Self::File(rotated) => rotated.write(bytes),
        }
    }
}

impl Rotated {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Unwritten> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(open(&self.path).map_err(|error| Unwritten::of(error, bytes))?),
        };
        write_lines(file, bytes, &mut self.is_torn)
    }

    /// Opens the file anew if what its path names is not what is written to: it was moved away or removed, as logrotate does.
    fn follow(&mut self) {
        let Some(file) = &self.file else { return };
        if self.looked.elapsed() < LOOK {
            return;
        }
        self.looked = Instant::now();
        let number = |metadata: io::Result<std::fs::Metadata>| metadata.ok().map(|metadata| (metadata.dev(), metadata.ino()));
        let there = number(std::fs::metadata(&self.path));
        if there.is_some() && there == number(file.metadata()) {
            return;
        }
        match open(&self.path) {
            Ok(file) => (self.file, self.is_torn) = (Some(file), false),
            // The old one is better than none, and this comes again each second.
            Err(error) if self.told.is_due() => {
                tracing::warn!(file = %self.path.display(), %error, "The access log's file was moved away and cannot be made anew")
            }
            Err(_) => {}
        }
    }
}

/// Writes whole lines. One that was begun and not ended ends before them, so that it takes none of them along.
fn write_lines(file: &mut impl Write, lines: &[u8], is_torn: &mut bool) -> Result<(), Unwritten> {
    if *is_torn {
        file.write_all(b"\n").map_err(|error| Unwritten::of(error, lines))?;
        *is_torn = false;
    }
    let mut left = lines;
    while !left.is_empty() {
        let written = match file.write(left) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            written => written,
        };
        match written {
            Ok(written) => left = left.get(written..).unwrap_or_default(),
            Err(error) => {
                let written = lines.len() - left.len();
                *is_torn = lines.get(..written).and_then(<[u8]>::last).is_some_and(|last| *last != b'\n');
                return Err(Unwritten::of(error, left));
            }
        }
    }
    Ok(())
}

/// For appending, so that a file that is cut off in place is written on from its beginning. Lines may tell of people: others
/// cannot read it.
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    OpenOptions::new().create(true).append(true).mode(0o640).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = std::env::temp_dir().join(format!("plugway-access-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("access.log");
        let (file, told) = (None, Seldom::default());
        let mut rotated = Rotated { path: path.clone(), file, is_torn: false, looked: Instant::now(), told };
        rotated.write(b"one\n").unwrap();
        rotated.looked = Instant::now().checked_sub(LOOK).unwrap();
        rotated.follow();
        rotated.write(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\ntwo\n", "what nobody moved is written on");

        std::fs::rename(&path, folder.join("access.log.1")).unwrap();
        rotated.follow();
        rotated.write(b"three\n").unwrap();
        assert!(!path.exists(), "it was looked at a moment ago");
        rotated.looked = Instant::now().checked_sub(LOOK).unwrap();
        rotated.follow();
        rotated.write(b"four\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "four\n");
        assert_eq!(std::fs::read_to_string(folder.join("access.log.1")).unwrap(), "one\ntwo\nthree\n");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    /// Takes so many bytes, and more when there is room again.
    struct Disk {
        bytes: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let few = bytes.len().min(self.room);
            if few == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= few;
            self.bytes.extend(&bytes[..few]);
            Ok(few)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_a_full_disk_cut_off_takes_no_other_one_along() {
        let lines = b"one\ntwo\n";
        for (room, file, lost) in
            [(0, "one\ntwo\n", 2), (2, "on\none\ntwo\n", 2), (4, "one\none\ntwo\n", 1), (7, "one\ntwo\none\ntwo\n", 1)]
        {
            let (mut disk, mut is_torn) = (Disk { bytes: Vec::new(), room }, false);
            let unwritten = [(); 3].map(|()| write_lines(&mut disk, lines, &mut is_torn).unwrap_err().lines);
            assert_eq!(unwritten, [lost, 2, 2], "{room}: a line that was cut off is lost, and one that was written is not");
            disk.room = 100;
            write_lines(&mut disk, lines, &mut is_torn).unwrap();
            assert_eq!(String::from_utf8(disk.bytes).unwrap(), file, "{room}");
        }
    }
}
