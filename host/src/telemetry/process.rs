//! The process itself, under the names that Prometheus' client libraries have for it, which dashboards and alerts of every program know
//! ("Writing client libraries", process metrics). Read when somebody asks.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::export::{gauge, seconds};
use super::{Cells, names};

/// Registers them, and which program it is. What the system does not tell is not there.
pub(super) fn register(meter: &Meter, cells: &Arc<Cells>) {
    gauge(meter, cells, names::BUILD_INFO, "1, with the gateway's version.", |_, observer| {
        observer.observe(1, &[KeyValue::new("version", env!("CARGO_PKG_VERSION"))]);
    });
    gauge(meter, cells, names::PROCESS_START, "When the process began to count, seconds since 1970.", {
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        move |_, observer| observer.observe(began, &[])
    });
    let gauges: [(&str, &str, fn() -> Option<u64>); 3] = [
        (names::PROCESS_OPEN_FILES, "Files that the process has open, sockets among them.", open_files),
        (names::PROCESS_MAX_FILES, "Files that the process may have open.", || getrlimit(Resource::Nofile).current),
        (names::PROCESS_MEMORY, "Resident memory of the process, bytes.", resident_memory),
    ];
    for (name, help, read) in gauges {
        gauge(meter, cells, name, help, move |_, observer| {
            if let Some(value) = read() {
                observer.observe(value, &[]);
            }
        });
    }
    let help = "CPU time of the process, user and system, seconds.";
    seconds(meter, cells, names::PROCESS_CPU, help, |_, observer| observer.observe(cpu_time().as_secs_f64(), &[]));
}

/// Of all threads; compilers in processes of their own are not in it.
fn cpu_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// The folder's size is their number since Linux 6.2; before, they are gone through, the reading itself among them.
fn open_files() -> Option<u64> {
    let folder = "/proc/self/fd";
    match std::fs::metadata(folder).ok()?.len() {
        0 => Some(std::fs::read_dir(folder).ok()?.count() as u64),
        count => Some(count),
    }
}

/// proc_pid_statm(5): pages, the second number.
fn resident_memory() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_measured() {
        // Other tests have files and memory too, and give some back at any moment.
        let seen = |what: fn() -> bool| (0..20).any(|_| what());
        assert!(seen(|| {
            let before = open_files().unwrap();
            let files: Vec<_> = (0..50).map(|_| std::fs::File::open("/proc/self/statm").unwrap()).collect();
            open_files().unwrap() >= before + files.len() as u64 / 2
        }));
        assert!(open_files().unwrap() <= getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX));
        assert!(seen(|| {
            let before = resident_memory().unwrap();
            let filled = std::hint::black_box(vec![1_u8; 64 << 20]);
            resident_memory().unwrap() >= before + filled.len() as u64 / 2
        }));
        let worked = cpu_time();
        while cpu_time() < worked + Duration::from_millis(20) {
            std::hint::spin_loop();
        }
    }
}
