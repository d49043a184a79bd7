//! What the kernel knows of one thread: how long it ran, and how long it was ready to run and had no core.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

/// A thread of some process.
pub(super) struct Thread(PathBuf);

/// `/proc/PID/task/TID/schedstat` (Documentation/scheduler/sched-stats.rst).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Times {
    /// Time on a core.
    pub(super) ran: Duration,
    /// Time waiting for one.
    pub(super) waited: Duration,
}

impl Thread {
    /// The only thread of a process whose name begins so.
    pub(super) fn named(pid: u32, name: &str) -> Self {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|entry| entry.unwrap().path());
        let named: Vec<PathBuf> = tasks.filter(|task| fs::read_to_string(task.join("comm")).unwrap().starts_with(name)).collect();
        assert_eq!(named.len(), 1, "threads named {name}");
        Self(named[0].join("schedstat"))
    }

    pub(super) fn current() -> Self {
        Self("/proc/thread-self/schedstat".into())
    }

    pub(super) fn read(&self) -> Times {
        let text = fs::read_to_string(&self.0).unwrap();
        let mut numbers = text.split_whitespace().map(|number| Duration::from_nanos(number.parse().unwrap()));
        Times { ran: numbers.next().unwrap(), waited: numbers.next().unwrap() }
    }

    /// As [`Thread::read`], once the thread sleeps: the kernel brings a running thread's times up to date only now and then.
    pub(super) fn settled(&self) -> Times {
        let mut last = self.read();
        for _ in 0..10_000 {
            std::thread::sleep(Duration::from_millis(1));
            let now = self.read();
            if now == last {
                return now;
            }
            last = now;
        }
        panic!("the thread never sleeps");
    }
}
