//! What a process uses, from `/proc`; and how it is ended: by its own id, politely first.

use std::fs;
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

/// Threads of a process.
///
/// # Errors
/// When the process is gone.
pub fn threads(pid: u32) -> Result<u64> {
    status_kib(pid, "Threads:")
}

fn status_kib(pid: u32, key: &str) -> Result<u64> {
    let file = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&file).context(&file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(key)).context(format!("{file} has no {key}"))?;
    line.split_whitespace().next().unwrap_or_default().parse().context(key)
}

/// CPU time of a process and its living descendants, user and system, as far as the kernel's tick counts it (10 ms).
///
/// # Errors
/// When the process is gone.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let ticks: u64 = tree(pid)?.into_iter().map(|pid| stat(pid).map_or(0, |stat| stat.ticks)).sum();
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Ok(Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / per_second)))
}

/// A process and its descendants.
///
/// # Errors
/// When the process is gone.
pub fn tree(root: u32) -> Result<Vec<u32>> {
    stat(root).context(format!("process {root} is gone"))?;
    let mut parents = Vec::new();
    for entry in fs::read_dir("/proc").context("/proc")?.flatten() {
        if let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) {
            // Processes come and go while this reads.
            if let Some(stat) = stat(pid) {
                parents.push((pid, stat.parent));
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

struct Stat {
    parent: u32,
    ticks: u64,
}

/// `/proc/PID/stat`: field 4 is the parent, 14 and 15 are user and system time (proc(5)).
fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in field 2 may hold spaces and parentheses; the fields after its last `)` start with field 3.
    let fields: Vec<&str> = text.get(text.rfind(')')? + 1..)?.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat { parent: u32::try_from(number(4)?).ok()?, ticks: number(14)? + number(15)? })
}

/// Sends a signal to a child that has not been waited for, so its id cannot be another's.
///
/// # Errors
/// When the system refuses.
pub fn signal(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process id")?;
    kill_process(pid, signal).context(format!("signal to {}", child.id()))
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
