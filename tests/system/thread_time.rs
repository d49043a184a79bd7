//! What the kernel knows of one thread: how long it ran, and how long it was ready to run and had no core.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What is read when it no longer changes.
fn settled<T: PartialEq>(read: impl Fn() -> T) -> T {
    let mut last = read();
    for _ in 0..10_000 {
        std::thread::sleep(Duration::from_millis(1));
        let now = read();
        if now == last {
            return now;
        }
        last = now;
    }
    panic!("it never sleeps");
}

/// A thread of some process.
pub(crate) struct Thread(PathBuf);

/// `/proc/PID/task/TID/schedstat` (Documentation/scheduler/sched-stats.rst).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Times {
    /// Time on a core.
    pub(crate) ran: Duration,
    /// Time waiting for one.
    pub(crate) waited: Duration,
    /// Times it was put on a core.
    pub(crate) runs: u64,
}

impl Thread {
    /// The thread of a process that has this name. A new thread has its parent's until it first runs.
    pub(crate) fn named(pid: u32, name: &str) -> Self {
        let mut found = None;
        crate::common::until(&format!("a thread called {name}"), || {
            found = Self::all(pid).remove(name);
            found.is_some()
        });
        found.unwrap()
    }

    /// Every thread of a process, by its name, and by its number too where several have the same.
    pub(crate) fn all(pid: u32) -> BTreeMap<String, Self> {
        let mut threads = BTreeMap::new();
        for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|entry| entry.unwrap().path()) {
            // It may have ended since.
            let Ok(name) = fs::read_to_string(task.join("comm")) else { continue };
            let name = name.trim_end().to_owned();
            let number = task.file_name().unwrap().to_string_lossy().into_owned();
            let name = if threads.contains_key(&name) { format!("{name} {number}") } else { name };
            threads.insert(name, Self(task.join("schedstat")));
        }
        threads
    }

    /// The thread of this folder in `/proc`.
    pub(crate) fn of(task: &Path) -> Self {
        Self(task.join("schedstat"))
    }

    pub(crate) fn current() -> Self {
        Self("/proc/thread-self/schedstat".into())
    }

    pub(crate) fn read(&self) -> Times {
        let text = fs::read_to_string(&self.0).unwrap();
        let numbers: Vec<u64> = text.split_whitespace().map(|number| number.parse().unwrap()).collect();
        Times { ran: Duration::from_nanos(numbers[0]), waited: Duration::from_nanos(numbers[1]), runs: numbers[2] }
    }

    /// Whether it waits for something other than a core.
    pub(crate) fn sleeps(&self) -> bool {
        let stat = fs::read_to_string(self.0.with_file_name("stat")).unwrap();
        // The state is behind the name, which may hold anything (proc_pid_stat(5)).
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
    }

    /// As [`Thread::read`], once the thread sleeps: the kernel brings a running thread's times up to date only now and then.
    pub(crate) fn settled(&self) -> Times {
        settled(|| self.read())
    }

    /// As [`Thread::settled`], of several at once.
    pub(crate) fn all_settled<'t>(threads: impl Iterator<Item = (&'t String, &'t Self)> + Clone) -> BTreeMap<&'t str, Times> {
        settled(|| threads.clone().map(|(name, thread)| (name.as_str(), thread.read())).collect())
    }
}

/// A clock that stands still while one of these threads waits for a core.
///
/// A stall in wall time says little on a machine that others use. The kernel keeps for each thread the time it ran and
/// the time it was ready and did not get a core, to the nanosecond. What a request took, less what the machine kept the threads
/// waiting that take turns at it, is what the gateway made of it: running and sleeping count, and the neighbours do not.
pub(crate) struct Stopwatch<'t> {
    threads: &'t [&'t Thread],
    waited: Duration,
    began: Instant,
}

impl<'t> Stopwatch<'t> {
    pub(crate) fn start(threads: &'t [&'t Thread]) -> Self {
        Self { threads, waited: Self::waited(threads), began: Instant::now() }
    }

    pub(crate) fn stop(self) -> Duration {
        let took = self.began.elapsed();
        took.saturating_sub(Self::waited(self.threads) - self.waited)
    }

    fn waited(threads: &[&Thread]) -> Duration {
        threads.iter().map(|thread| thread.read().waited).sum()
    }
}
