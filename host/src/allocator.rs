//! The program's allocator: mimalloc, and in front of it a thread's last few buffers for heads.
//!
//! hyper reads every head into a buffer of its own, which goes when the last slice of the head does: two in a request. For blocks of that size mimalloc takes
//! its long way, and hands out each of a page's before one comes again. The one that was given back last comes first here, by a read and two writes.

#![allow(unsafe_code, reason = "an allocator deals in addresses")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

use libmimalloc_sys::{mi_free, mi_malloc, mi_realloc, mi_zalloc};
use mimalloc::MiMalloc;

/// What hyper takes for a head, bytes (`INIT_BUFFER_SIZE` of its `proto::h1::io`; the test `allocations` sees that it still does).
pub const BUFFER: usize = 8192;
/// Buffers that a thread keeps, at most: half a mebibyte, and two for each of 32 requests that are read in one turn.
const KEPT: usize = 64;
/// What mimalloc's blocks have without being asked for it, bytes (`MI_MAX_ALIGN_SIZE`), where they are as large as that.
const ALIGNMENT: usize = 16;

/// What the program allocates with.
///
/// Instances, headers and buffers are small and many; the system's allocator costs a tenth more for a request.
#[derive(Debug)]
pub struct Allocator;

/// Buffers that a thread may use again. In each stands the address of the next one.
struct Buffers {
    first: Cell<*mut u8>,
    count: Cell<usize>,
}

thread_local! {
    static BUFFERS: Buffers = const { Buffers { first: Cell::new(ptr::null_mut()), count: Cell::new(0) } };
}

impl Buffers {
    /// The one that was kept last.
    #[inline]
    fn take(&self) -> Option<*mut u8> {
        let first = self.first.get();
        if first.is_null() {
            return None;
        }
        // SAFETY: what is in the list is nobody else's, and `keep` wrote the next one's address into it.
        self.first.set(unsafe { first.cast::<*mut u8>().read() });
        self.count.set(self.count.get() - 1);
        Some(first)
    }

    /// Whether there was room for it.
    ///
    /// # Safety
    /// It must be a block of mimalloc's, of at least [`BUFFER`] bytes, that nobody uses any more.
    #[inline]
    unsafe fn keep(&self, buffer: *mut u8) -> bool {
        let count = self.count.get();
        if count == KEPT {
            return false;
        }
        // SAFETY: it is nobody's, large enough for an address, and aligned for one, as all of mimalloc's of that size are.
        unsafe { buffer.cast::<*mut u8>().write(self.first.get()) };
        self.first.set(buffer);
        self.count.set(count + 1);
        true
    }
}

impl Drop for Buffers {
    fn drop(&mut self) {
        while let Some(buffer) = self.take() {
            // SAFETY: mimalloc gave it, and it is nobody's.
            unsafe { mi_free(buffer.cast()) };
        }
    }
}

/// Whether mimalloc's blocks of that size are aligned as that asks for by themselves.
#[inline]
const fn is_plain(size: usize, alignment: usize) -> bool {
    alignment <= ALIGNMENT && alignment <= size
}

#[inline]
const fn is_buffer(layout: Layout) -> bool {
    layout.size() == BUFFER && layout.align() <= ALIGNMENT
}

// SAFETY: every block is mimalloc's, of the size and alignment that is asked for, and goes back to mimalloc or into the list of the thread that has done with
// it. What comes out of a list is as large as what is asked for there: `realloc` may have left it larger. A list outlives its thread's use of it: `try_with`
// fails from its end on.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_buffer(layout)
            && let Ok(Some(buffer)) = BUFFERS.try_with(Buffers::take)
        {
            return buffer;
        }
        if is_plain(layout.size(), layout.align()) {
            // SAFETY: it takes any size.
            return unsafe { mi_malloc(layout.size()) }.cast();
        }
        // SAFETY: the caller's promises are the ones it asks for.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_plain(layout.size(), layout.align()) {
            // SAFETY: it takes any size.
            return unsafe { mi_zalloc(layout.size()) }.cast();
        }
        // SAFETY: the caller's promises are the ones it asks for.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller has done with it, and it is mimalloc's, as all are.
        if is_buffer(layout) && BUFFERS.try_with(|buffers| unsafe { buffers.keep(block) }) == Ok(true) {
            return;
        }
        // SAFETY: as above.
        unsafe { mi_free(block.cast()) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_plain(size, layout.align()) {
            // SAFETY: it is mimalloc's, and in use.
            return unsafe { mi_realloc(block.cast(), size) }.cast();
        }
        // SAFETY: the caller's promises are the ones it asks for.
        unsafe { MiMalloc.realloc(block, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: Layout = match Layout::from_size_align(BUFFER, 1) {
        Ok(layout) => layout,
        Err(_) => panic!("no layout"),
    };

    fn kept() -> usize {
        BUFFERS.with(|buffers| buffers.count.get())
    }

    #[test]
    fn the_buffer_that_was_given_back_last_comes_first() {
        // SAFETY: each block is given back once, by the layout it was asked for.
        unsafe {
            let [one, two] = [Allocator.alloc(HEAD), Allocator.alloc(HEAD)];
            one.write_bytes(1, BUFFER);
            two.write_bytes(2, BUFFER);
            Allocator.dealloc(one, HEAD);
            Allocator.dealloc(two, HEAD);
            assert_eq!(kept(), 2);
            assert_eq!([Allocator.alloc(HEAD), Allocator.alloc(HEAD)], [two, one]);
            assert_eq!(kept(), 0);
            let three = Allocator.alloc(HEAD);
            assert!(three != one && three != two);
            for block in [one, two, three] {
                Allocator.dealloc(block, HEAD);
            }
        }
    }

    #[test]
    fn a_thread_keeps_so_many_and_gives_them_back_when_it_ends() {
        // SAFETY: as above.
        let buffers: Vec<_> = (0..2 * KEPT).map(|_| unsafe { Allocator.alloc(HEAD) } as usize).collect();
        let distinct: std::collections::BTreeSet<_> = buffers.iter().collect();
        assert_eq!(distinct.len(), 2 * KEPT);
        // Another thread's may be given back here too.
        let ended = std::thread::spawn(move || {
            buffers.iter().for_each(|buffer| unsafe { Allocator.dealloc(*buffer as *mut u8, HEAD) });
            kept()
        });
        assert_eq!(ended.join().unwrap(), KEPT);
    }

    #[test]
    fn blocks_are_aligned_and_zeroed_as_asked_and_keep_what_is_in_them_when_they_grow() {
        for size in [1, 8, 15, 16, 24, 100, 1000, BUFFER - 1, BUFFER, BUFFER + 1, 1 << 20] {
            for alignment in [1, 2, 8, 16, 32, 64, 4096] {
                let layout = Layout::from_size_align(size, alignment).unwrap();
                // SAFETY: as above; what is read was written, or is zeroed.
                unsafe {
                    for zeroed in [false, true] {
                        let block = if zeroed { Allocator.alloc_zeroed(layout) } else { Allocator.alloc(layout) };
                        assert_eq!(block.addr() % alignment, 0, "{layout:?}");
                        if zeroed {
                            assert!(std::slice::from_raw_parts(block, size).iter().all(|byte| *byte == 0), "{layout:?}");
                        }
                        block.write_bytes(7, size);
                        let block = Allocator.realloc(block, layout, 2 * size);
                        assert_eq!(block.addr() % alignment, 0, "{layout:?}");
                        assert!(std::slice::from_raw_parts(block, size).iter().all(|byte| *byte == 7), "{layout:?}");
                        Allocator.dealloc(block, Layout::from_size_align(2 * size, alignment).unwrap());
                    }
                }
            }
        }
    }
}
