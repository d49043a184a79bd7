//! What a process uses, from `/proc`; and how it is ended: by its own id, politely first.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::error::{Context, Error, Result};

/// Resident memory of a process, bytes (`/proc/PID/status`, `VmRSS`).
///
/// # Errors
/// When the process is gone.
pub fn rss_bytes(pid: u32) -> Result<u64> {
    status_kib(pid, "VmRSS:").map(|kib| kib * 1024)
}

/// Highest resident memory of a process so far, bytes (`VmHWM`).
///
/// # Errors
/// When the process is gone.
pub fn peak_rss_bytes(pid: u32) -> Result<u64> {
    status_kib(pid, "VmHWM:").map(|kib| kib * 1024)
}

/// What of it is the process's own and no file's, bytes (`RssAnon`): heap, stacks, instances of plugins.
///
/// # Errors
/// When the process is gone.
pub fn own_bytes(pid: u32) -> Result<u64> {
    status_kib(pid, "RssAnon:").map(|kib| kib * 1024)
}

/// Threads of a process.
///
/// # Errors
/// When the process is gone.
pub fn threads(pid: u32) -> Result<u64> {
    status_kib(pid, "Threads:")
}

/// Page faults of a process's children that have ended and were waited for (`/proc/PID/stat`, `cminflt`): none without a child,
/// and no program runs without one.
///
/// # Errors
/// When the process is gone.
pub fn faults_of_ended_children(pid: u32) -> Result<u64> {
    stat(pid, 11).and_then(|field| field.parse().ok()).context(format!("process {pid} is gone"))
}

/// Whether a process runs: it is there, and no zombie that nobody has waited for.
pub fn is_running(pid: u32) -> bool {
    stat(pid, 3).is_some_and(|state| !["Z", "X"].contains(&state.as_str()))
}

fn status_kib(pid: u32, key: &str) -> Result<u64> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).context(&file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)).context(format!("{file} has no {key}"))?;
    line.split_whitespace().next().unwrap_or_default().parse().context(key)
}

/// CPU time of a process and its living descendants, user and system together, to the nanosecond: the scheduler's own count
/// (`/proc/PID/task/TID/schedstat`), not samples taken at clock ticks. Threads that have ended are not in it.
///
/// # Errors
/// When the process is gone, or the kernel keeps no such count.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let mut sum = Duration::ZERO;
    for pid in tree(pid)? {
        let tasks = format!("/proc/{pid}/task");
        for task in std::fs::read_dir(&tasks).context(&tasks)? {
            let file = task.context(&tasks)?.path().join("schedstat");
            // A thread may end while it is read.
            let Ok(text) = std::fs::read_to_string(&file) else { continue };
            let nanoseconds = text.split_whitespace().next().and_then(|first| first.parse().ok()).context(file.display())?;
            sum += Duration::from_nanos(nanoseconds);
        }
    }
    Ok(sum)
}

/// CPU time of a process tree by who had it, the program or the kernel on its behalf, in clock ticks (`/proc/PID/stat`, `utime` and
/// `stime`). As shares they are good to some percent.
#[derive(Debug, Clone, Copy, Default)]
pub struct Modes {
    user: u64,
    kernel: u64,
}

impl Modes {
    /// What was charged to a process and its descendants so far.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn now(pid: u32) -> Result<Self> {
        let mut modes = Self::default();
        for pid in tree(pid)? {
            // A helper of it may end in this moment.
            let ticks = |field| stat(pid, field).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
            modes.user += ticks(14);
            modes.kernel += ticks(15);
        }
        Ok(modes)
    }

    /// The kernel's share since then, 0 to 1; none when nothing was charged.
    #[must_use]
    pub fn kernel_share_since(self, before: Self) -> Option<f64> {
        let (user, kernel) = (self.user.saturating_sub(before.user), self.kernel.saturating_sub(before.kernel));
        (user + kernel > 0).then(|| kernel as f64 / (user + kernel) as f64)
    }
}

/// CPU time of a process's children that have ended and were waited for, user and system together, to a clock tick
/// (`/proc/PID/stat`, `cutime` and `cstime`).
///
/// # Errors
/// When the process is gone.
pub fn cpu_time_of_ended_children(pid: u32) -> Result<Duration> {
    let ticks = |field| stat(pid, field).and_then(|field| field.parse::<u64>().ok()).context(format!("process {pid} is gone"));
    let ticks = ticks(16)? + ticks(17)?;
    Ok(Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// A process and its descendants.
///
/// # Errors
/// When the process is gone.
pub fn tree(root: u32) -> Result<Vec<u32>> {
    parent(root).context(format!("process {root} is gone"))?;
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")?.flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            // Processes come and go while this reads.
            if let Some(parent) = parent(pid) {
                parents.push((pid, parent));
            }
        }
    }
    let (mut found, mut next) = (vec![root], vec![root]);
    while let Some(parent) = next.pop() {
        let children = parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid);
        let children: Vec<u32> = children.filter(|pid| !found.contains(pid)).collect();
        found.extend(&children);
        next.extend(children);
    }
    Ok(found)
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid, 4)?.parse().ok()
}

/// A field of `/proc/PID/stat`, by its number in proc(5), from 3.
fn stat(pid: u32, field: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in field 2 may hold spaces and parentheses; the fields after its last `)` start with field 3.
    text.get(text.rfind(')')? + 1..)?.split_whitespace().nth(field.checked_sub(3)?).map(str::to_owned)
}

/// Sends a signal to a child that has not been waited for, so its id cannot be another's.
///
/// # Errors
/// When the system refuses.
pub fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id")?;
    kill_process(pid, signal).context(format!("signal to {}", child.id()))
}

/// Waits until a child accepts connections.
///
/// # Errors
/// When it ended, or does not within `bound`; the text goes on from the program's name.
pub fn until_accepting(child: &mut Child, address: SocketAddr, bound: Duration) -> Result<()> {
    let deadline = Instant::now() + bound;
    while TcpStream::connect_timeout(&address, bound).is_err() {
        if let Some(status) = child.try_wait().context("wait")? {
            return Err(Error::new(format!("ended with {status}")));
        }
        if Instant::now() >= deadline {
            return Err(Error::new("does not accept connections"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}

/// Waits for a child to end.
///
/// # Errors
/// When it still runs after `bound`.
pub fn wait(child: &mut Child, bound: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(status) = child.try_wait().context("wait")? {
            return Ok(status);
        }
        if Instant::now() >= deadline {
            return Err(Error::new(format!("process {} still runs after {bound:?}", child.id())));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Ends a child: SIGTERM, and SIGKILL when it still runs after `bound`. Never fails: it is for `Drop`.
pub fn end(child: &mut Child, bound: Duration) {
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    if signal(child, Signal::TERM).is_err() || wait(child, bound).is_err() {
        drop(child.kill());
        drop(child.wait());
    }
}
