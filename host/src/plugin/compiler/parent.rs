//! The gateway's side: start the compiling process, feed it, read its answer, and bound all of it.
//!
//! One thread and one deadline: pipes that do not block, and a poll over them. The child is killed and reaped on every way out.

use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use std::{io, thread};

use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use super::frame::{self, HEADER, Kind};
use super::{Artefact, CompileError, Program};

/// How much of what the child says on standard error is kept, bytes: the beginning of a panic's message.
const MOST_SAID: usize = 4096;
/// How often a child that closed its pipes is asked whether it has ended.
const REAP: Duration = Duration::from_millis(1);

/// A child and this end of its pipes. Dropping it ends the child.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    /// Open to the end, or the child ends itself.
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
}

/// What has been read of the child's answer.
#[derive(Default)]
struct Answer {
    header: [u8; HEADER],
    filled: usize,
    /// From the moment the header is whole and is one.
    kind: Option<Kind>,
    /// How much follows it.
    length: usize,
    content: Vec<u8>,
    /// More than the header announced, or no header at all.
    garbage: bool,
    said: Vec<u8>,
}

impl Program {
    /// Starts it, with nothing sent yet.
    pub(super) fn start(&self) -> io::Result<Running> {
        let mut command = Command::new(&self.file);
        // The file may have no name that means anything to whoever lists processes.
        command.arg0("plugway").args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        match (child.stdin.take(), child.stdout.take(), child.stderr.take()) {
            (Some(stdin), Some(stdout), Some(stderr)) => Ok(Running { child, stdin, stdout, stderr }),
            // They were asked for, so it cannot happen; the child would end by the pipe that is closed here.
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// Has a component compiled by a child that was just started.
pub(super) fn converse(mut running: Running, bytes: &[u8], within: Duration) -> Result<Artefact, CompileError> {
    let deadline = Instant::now() + within;
    let mut answer = Answer::default();
    let ended = running.exchange(bytes, &mut answer, deadline).and_then(|()| running.reap(deadline));
    let failed = |what: String| {
        let said = String::from_utf8_lossy(&answer.said).split_whitespace().collect::<Vec<_>>().join(" ");
        CompileError::Failed(if said.is_empty() { what } else { format!("{what}: {said}") })
    };
    match ended {
        Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(failed(format!("the compiling process took longer than {within:?}"))),
        Err(error) => Err(failed(format!("the compiling process cannot be talked to: {error}"))),
        Ok(status) if !status.success() => Err(failed(format!("the compiling process ended with {status}"))),
        Ok(_) => match answer.kind {
            Some(Kind::Compiled) if answer.is_whole() => Ok(Artefact(answer.content)),
            Some(Kind::Refused) if answer.is_whole() => Err(CompileError::Refused(String::from_utf8_lossy(&answer.content).into_owned())),
            _ => Err(failed("the compiling process answered with something else than a compiled component".to_owned())),
        },
    }
}

// === impl Running ===

impl Running {
    /// Sends the component and reads until the child closes both its ends.
    fn exchange(&mut self, bytes: &[u8], answer: &mut Answer, deadline: Instant) -> io::Result<()> {
        for pipe in [self.stdin.as_fd(), self.stdout.as_fd(), self.stderr.as_fd()] {
            rustix::io::ioctl_fionbio(pipe, true)?;
        }
        let header = frame::header(Kind::Component, bytes.len());
        let mut unsent = [header.as_slice(), bytes];
        let (mut answering, mut talking) = (true, true);
        while answering || talking {
            send(self.stdin.as_fd(), &mut unsent)?;
            answering = answering && answer.read(self.stdout.as_fd())?;
            talking = talking && listen(self.stderr.as_fd(), &mut answer.said)?;
            let mut waiting = Vec::with_capacity(3);
            if unsent.iter().any(|part| !part.is_empty()) {
                waiting.push(PollFd::from_borrowed_fd(self.stdin.as_fd(), PollFlags::OUT));
            }
            if answering {
                waiting.push(PollFd::from_borrowed_fd(self.stdout.as_fd(), PollFlags::IN));
            }
            if talking {
                waiting.push(PollFd::from_borrowed_fd(self.stderr.as_fd(), PollFlags::IN));
            }
            if answering || talking {
                wait(&mut waiting, deadline)?;
            }
        }
        Ok(())
    }

    fn reap(&mut self, deadline: Instant) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= deadline {
                return Err(io::ErrorKind::TimedOut.into());
            }
            thread::sleep(REAP);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both do nothing to a child that was reaped.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

// === impl Answer ===

impl Answer {
    /// Reads once, so that a child that never stops talking meets its deadline; false at the end.
    fn read(&mut self, pipe: BorrowedFd<'_>) -> io::Result<bool> {
        let mut excess = [0; MOST_SAID];
        let read = match self.kind {
            _ if self.garbage => rustix::io::read(pipe, &mut excess),
            None => rustix::io::read(pipe, self.header.get_mut(self.filled..).unwrap_or_default()),
            Some(_) if self.content.len() < self.length => rustix::io::read(pipe, spare_capacity(&mut self.content)),
            Some(_) => rustix::io::read(pipe, &mut excess).inspect(|read| self.garbage = *read > 0),
        };
        match read {
            Ok(0) => return Ok(false),
            Ok(read) if self.kind.is_none() => self.filled += read,
            Ok(_) | Err(Errno::INTR | Errno::AGAIN) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
        if self.filled == HEADER && !self.garbage {
            match frame::parse(&self.header) {
                Some((kind, length)) => {
                    (self.kind, self.length) = (Some(kind), length);
                    // Just what is announced: a compiled interpreter is too big to be moved about as it grows.
                    self.content.reserve_exact(length);
                }
                None => self.garbage = true,
            }
        }
        Ok(true)
    }

    fn is_whole(&self) -> bool {
        self.content.len() == self.length && !self.garbage
    }
}

/// Sends as much as the pipe takes. A child that reads no more says by its end why.
fn send(pipe: BorrowedFd<'_>, unsent: &mut [&[u8]; 2]) -> io::Result<()> {
    for part in unsent {
        while !part.is_empty() {
            match rustix::io::write(pipe, part) {
                Ok(sent) => *part = part.get(sent..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::PIPE) => *part = &[],
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Reads once what the child says; false at the end.
fn listen(pipe: BorrowedFd<'_>, said: &mut Vec<u8>) -> io::Result<bool> {
    let mut heard = [0; MOST_SAID];
    match rustix::io::read(pipe, &mut heard) {
        Ok(0) => return Ok(false),
        Ok(read) => said.extend(heard.iter().take(read).take(MOST_SAID.saturating_sub(said.len()))),
        Err(Errno::INTR | Errno::AGAIN) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(true)
}

/// Waits until one of them is ready, at most until the deadline.
fn wait(pipes: &mut [PollFd<'_>], deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    match poll(pipes, Some(&Timespec::try_from(left).map_err(io::Error::other)?)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
