//! The allocator of this test program: the system's, counting for each thread what it is asked for.
//!
//! Every thread writes a row of its own, so threads that only make load do not show in the row of the thread that is
//! measured. A row is found by the kernel's name for its thread.

#![allow(unsafe_code, reason = "an allocator cannot be written without; every function hands its arguments to the system's")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed};

use plugway::allocator::BUFFER;

/// Threads of one run of this program, dead ones included; more share the last row.
const ROWS: usize = 128;

static TABLE: [Row; ROWS] = [const { Row::new() }; ROWS];
static TAKEN: AtomicUsize = AtomicUsize::new(0);
/// The row whose allocations are shown.
static SHOWN: AtomicUsize = AtomicUsize::new(usize::MAX);

thread_local! {
    // Neither has a destructor, so both can be used as long as a thread can allocate.
    static ROW: Cell<usize> = const { Cell::new(usize::MAX) };
    static SHOWING: Cell<bool> = const { Cell::new(false) };
}

/// What the program allocates with.
#[derive(Debug)]
pub(crate) struct Counting;

/// What one thread asked for since it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counts {
    /// New pieces, and pieces that grew or shrank.
    pub(crate) allocations: u64,
    /// Bytes of new pieces, and bytes by which pieces grew.
    pub(crate) bytes: u64,
    /// New pieces of [`BUFFER`] bytes.
    pub(crate) buffers: u64,
}

struct Row {
    thread: AtomicI32,
    allocations: AtomicU64,
    bytes: AtomicU64,
    buffers: AtomicU64,
}

impl Row {
    const fn new() -> Self {
        Self { thread: AtomicI32::new(0), allocations: AtomicU64::new(0), bytes: AtomicU64::new(0), buffers: AtomicU64::new(0) }
    }
}

// SAFETY: every call is the system allocator's, with the same arguments; counting touches none of its memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller's promises are the ones the system asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, piece: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count(size.saturating_sub(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(piece, layout, size) }
    }

    unsafe fn dealloc(&self, piece: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(piece, layout) }
    }
}

fn count(bytes: usize) {
    // What showing an allocation allocates is nobody's.
    if SHOWING.get() {
        return;
    }
    let mut mine = ROW.get();
    if mine == usize::MAX {
        mine = TAKEN.fetch_add(1, Relaxed).min(ROWS - 1);
        ROW.set(mine);
        TABLE[mine].thread.store(rustix::thread::gettid().as_raw_nonzero().get(), Relaxed);
    }
    TABLE[mine].allocations.fetch_add(1, Relaxed);
    TABLE[mine].bytes.fetch_add(bytes as u64, Relaxed);
    TABLE[mine].buffers.fetch_add(u64::from(bytes == BUFFER), Relaxed);
    if SHOWN.load(Relaxed) == mine {
        SHOWING.set(true);
        show(bytes);
        SHOWING.set(false);
    }
}

/// Writes where an allocation came from: functions alone, innermost first.
fn show(bytes: usize) {
    let trace = Backtrace::force_capture().to_string();
    let functions = trace.lines().filter_map(|line| line.trim_start().split_once(": ")).map(|(_, function)| function);
    let told: Vec<_> = functions.filter(|function| tells(function)).take(6).collect();
    let line = format!("{bytes:>6} bytes in {}\n", told.join("\n                in "));
    // Not `eprint!`: libtest would keep it.
    drop(std::io::stderr().write_all(line.as_bytes()));
}

/// Whether a function says where it is, and is neither ours nor one that everything goes through.
fn tells(function: &str) -> bool {
    let path = function.trim_start_matches('<');
    let everywhere = ["std::", "core::", "alloc::", "tokio::", "allocations::counter::", "__rust"];
    path.split(['<', ' ']).next().is_some_and(|path| path.contains("::")) && !everywhere.iter().any(|start| path.starts_with(start))
}

/// The row of the thread with that name (as the kernel has it: 15 bytes), if it lives and has allocated.
pub(crate) fn thread(name: &str) -> Option<usize> {
    assert!(TAKEN.load(Relaxed) < ROWS, "threads share a row");
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let found = tasks
        .map(|task| task.unwrap().path())
        .find(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|comm| comm.trim_end() == name))?;
    let thread: i32 = found.file_name()?.to_str()?.parse().ok()?;
    // The kernel gives a dead thread's number away again: the newest row is the living one's.
    TABLE.iter().rposition(|row| row.thread.load(Relaxed) == thread)
}

/// What a row holds now.
pub(crate) fn read(row: usize) -> Counts {
    let row = &TABLE[row];
    Counts { allocations: row.allocations.load(Relaxed), bytes: row.bytes.load(Relaxed), buffers: row.buffers.load(Relaxed) }
}

/// Shows every allocation of a row's thread on standard error while `run` runs.
pub(crate) fn shown(row: usize, run: impl FnOnce()) {
    SHOWN.store(row, Relaxed);
    run();
    SHOWN.store(usize::MAX, Relaxed);
}
