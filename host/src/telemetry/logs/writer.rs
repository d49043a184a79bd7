//! The thread that writes log lines. It may wait for whoever reads standard error; who has something to say does not, and least of all a
//! worker: lines that find no room are dropped and counted.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

use crate::telemetry::Seldom;

/// Lines on their way; a plugin's are of some hundred bytes.
const LINES: usize = 4_096;
/// How long the end waits for the last lines: a reader that has stopped must not keep a gateway from ending.
const LAST: Duration = Duration::from_secs(2);

static LOST: AtomicU64 = AtomicU64::new(0);

/// Lines that were dropped since the program began.
pub(in crate::telemetry) fn lost() -> u64 {
    LOST.load(Relaxed)
}

/// What is said to the thread.
#[derive(Debug)]
enum Said {
    Line(Vec<u8>),
    /// Answer once all that was said before is written.
    Flush(SyncSender<()>),
}

/// The running thread. Dropping this waits for what was said so far; it goes on as long as the program does.
#[derive(Debug)]
pub struct LogWriter(SyncSender<Said>);

/// Where lines go.
#[derive(Debug)]
pub(super) struct Lines(SyncSender<Said>);

/// One line while it is written.
#[derive(Debug)]
pub(super) struct Line<'a> {
    text: Vec<u8>,
    to: &'a SyncSender<Said>,
}

impl LogWriter {
    /// Starts it.
    ///
    /// # Errors
    /// When there can be no further thread.
    pub(super) fn start(output: impl Write + Send + 'static) -> io::Result<(Self, Lines)> {
        let (sender, said) = sync_channel(LINES);
        std::thread::Builder::new().name("plugway-log".to_owned()).spawn(move || run(output, &said))?;
        Ok((Self(sender.clone()), Lines(sender)))
    }

    /// Waits until what was said so far is written, two seconds at most.
    pub fn flush(&self) {
        let deadline = Instant::now() + LAST;
        let (written, all) = sync_channel(1);
        while self.0.try_send(Said::Flush(written.clone())).is_err() {
            if Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = all.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.flush();
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line { text: Vec::new(), to: &self.0 }
    }
}

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line<'_> {
    fn drop(&mut self) {
        if self.to.try_send(Said::Line(std::mem::take(&mut self.text))).is_err() {
            LOST.fetch_add(1, Relaxed);
        }
    }
}

fn run(mut output: impl Write, said: &Receiver<Said>) {
    let (mut told, mut seldom) = (0, Seldom::default());
    for said in said {
        match said {
            // Where nobody can read it, there is nobody to tell; metrics do.
            Said::Line(text) => {
                if output.write_all(&text).is_err() {
                    LOST.fetch_add(1, Relaxed);
                }
            }
            Said::Flush(written) => drop(written.try_send(())),
        }
        let lost = lost();
        // Of a reader that stays slow this is told now and then: it takes a line's room itself.
        if lost > told && seldom.is_due() {
            tracing::warn!(lines = lost - told, "Log lines were dropped: standard error took them too slowly, or not at all");
            told = lost;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::disallowed_types, reason = "an output that a test can look into")]

    use std::sync::{Arc, Mutex};

    use super::*;

    /// Writes nothing before it may.
    struct Slow(Receiver<()>, Arc<Mutex<Vec<u8>>>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            self.1.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Nobody reads it.
    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_reader_and_what_is_dropped_is_counted() {
        let (go, may) = sync_channel(0);
        let written = Arc::new(Mutex::new(Vec::new()));
        let (writer, lines) = LogWriter::start(Slow(may, Arc::clone(&written))).unwrap();
        let before = lost();
        for number in 0..LINES + 100 {
            writeln!(lines.make_writer(), "line {number}").unwrap();
        }
        // One may have been taken out already.
        assert!((99..=100).contains(&(lost() - before)), "{}", lost() - before);
        drop(go);
        drop(writer);
        let text = String::from_utf8(written.lock().unwrap().clone()).unwrap();
        let numbers: Vec<usize> = text.lines().map(|line| line.strip_prefix("line ").unwrap().parse().unwrap()).collect();
        assert!(numbers.len() >= LINES && numbers.is_sorted(), "{}", numbers.len());

        let (writer, lines) = LogWriter::start(Gone).unwrap();
        let before = lost();
        writeln!(lines.make_writer(), "line").unwrap();
        drop(writer);
        assert_eq!(lost() - before, 1, "what cannot be written is dropped, too");
    }
}
