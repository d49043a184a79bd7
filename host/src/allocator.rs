//! The program's allocator: mimalloc, and in front of it a thread's last few blocks of those sizes that every request takes.
//!
//! What serves a request, and its exchange, have more than a kilobyte each, and each connection begins with a buffer for heads, which streams take more of. For
//! blocks of such sizes mimalloc takes its long way, and hands out each of a page's before one comes again. The one that was
//! given back last comes first here, by a read and two writes.

#![allow(unsafe_code, reason = "an allocator deals in addresses")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

use libmimalloc_sys::{mi_free, mi_malloc, mi_realloc, mi_zalloc};
use mimalloc::MiMalloc;

/// What a connection takes for heads, bytes: hyper (`INIT_BUFFER_SIZE` of its `proto::h1::io`), and ours to upstreams.
pub const BUFFER: usize = 8192;
/// Buffers that a thread keeps, at most: half a mebibyte, and two for each of 32 requests that are read in one turn.
const BUFFERS: usize = 64;
/// Smaller blocks are mimalloc's alone, which is quick with them (`MI_SMALL_SIZE_MAX`), and so are larger ones that are no buffers, bytes.
const SMALL: usize = 1024;
const LARGE: usize = 4096;
/// Blocks between are kept by their size, rounded up to a multiple of this, bytes.
const STEP: usize = 512;
/// Blocks of each such size that a thread keeps, at most: together half a mebibyte.
const BLOCKS: usize = 32;
/// Sizes of which a thread keeps blocks: of those between, and of buffers.
const LISTS: usize = (LARGE - SMALL) / STEP + 1;
/// What mimalloc's blocks have without being asked for it, bytes (`MI_MAX_ALIGN_SIZE`), where they are as large as that.
const ALIGNMENT: usize = 16;

/// What the program allocates with.
///
/// Instances, headers and buffers are small and many; the system's allocator costs a tenth more for a request.
#[derive(Debug)]
pub struct Allocator;

/// Blocks of one size that a thread may use again. In each stands the address of the next one.
struct List {
    first: Cell<*mut u8>,
    count: Cell<usize>,
}

/// Every list of a thread.
struct Lists([List; LISTS]);

thread_local! {
    static KEPT: Lists = const { Lists([const { List { first: Cell::new(ptr::null_mut()), count: Cell::new(0) } }; LISTS]) };
}

/// A size of which blocks are kept.
#[derive(Clone, Copy)]
struct Kept {
    /// Which list they are in.
    list: usize,
    /// Bytes each of them has at least.
    size: usize,
    most: usize,
}

impl Kept {
    /// The one for blocks that are asked for so; none where they are not kept.
    #[inline]
    const fn of(size: usize, alignment: usize) -> Option<Self> {
        if alignment > ALIGNMENT {
            None
        } else if size == BUFFER {
            Some(Self { list: LISTS - 1, size, most: BUFFERS })
        } else if size > SMALL && size <= LARGE {
            let list = (size - SMALL - 1) / STEP;
            Some(Self { list, size: SMALL + (list + 1) * STEP, most: BLOCKS })
        } else {
            None
        }
    }

    /// The block that was kept last.
    #[inline]
    fn take(self) -> Option<*mut u8> {
        KEPT.try_with(|lists| lists.0.get(self.list)?.take()).ok().flatten()
    }

    /// Whether there was room for it.
    ///
    /// # Safety
    /// It must be a block of mimalloc's, of at least as many bytes as these have, that nobody uses any more.
    #[inline]
    unsafe fn keep(self, block: *mut u8) -> bool {
        // SAFETY: as the caller promises.
        KEPT.try_with(|lists| lists.0.get(self.list).is_some_and(|list| unsafe { list.keep(block, self.most) })) == Ok(true)
    }
}

impl List {
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
    /// It must be a block of mimalloc's, of the size of this list, that nobody uses any more.
    #[inline]
    unsafe fn keep(&self, block: *mut u8, most: usize) -> bool {
        let count = self.count.get();
        if count == most {
            return false;
        }
        // SAFETY: it is nobody's, large enough for an address, and aligned for one, as all of mimalloc's of such sizes are.
        unsafe { block.cast::<*mut u8>().write(self.first.get()) };
        self.first.set(block);
        self.count.set(count + 1);
        true
    }
}

impl Drop for List {
    fn drop(&mut self) {
        while let Some(block) = self.take() {
            // SAFETY: mimalloc gave it, and it is nobody's.
            unsafe { mi_free(block.cast()) };
        }
    }
}

/// Whether mimalloc's blocks of that size are aligned as that asks for by themselves.
#[inline]
const fn is_plain(size: usize, alignment: usize) -> bool {
    alignment <= ALIGNMENT && alignment <= size
}

// SAFETY: every block is mimalloc's, of the size and alignment that is asked for, and goes back to mimalloc or into the list of the thread that has done with
// it. Blocks of sizes that are kept are asked of mimalloc as large as all in their list are, by whichever of these functions. A list outlives its thread's use
// of it: `try_with` fails from its end on.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(kept) = Kept::of(layout.size(), layout.align()) {
            // SAFETY: it takes any size.
            return kept.take().unwrap_or_else(|| unsafe { mi_malloc(kept.size) }.cast());
        }
        if is_plain(layout.size(), layout.align()) {
            // SAFETY: as above.
            return unsafe { mi_malloc(layout.size()) }.cast();
        }
        // SAFETY: the caller's promises are the ones it asks for.
        unsafe { MiMalloc.alloc(layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_plain(layout.size(), layout.align()) {
            // SAFETY: it takes any size.
            return unsafe { mi_zalloc(rounded(layout.size(), layout.align())) }.cast();
        }
        // SAFETY: the caller's promises are the ones it asks for.
        unsafe { MiMalloc.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller has done with it, it is mimalloc's, as all are, and as large as those of its list.
        if Kept::of(layout.size(), layout.align()).is_some_and(|kept| unsafe { kept.keep(block) }) {
            return;
        }
        // SAFETY: as above.
        unsafe { mi_free(block.cast()) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_plain(size, layout.align()) {
            // SAFETY: it is mimalloc's, and in use.
            return unsafe { mi_realloc(block.cast(), rounded(size, layout.align())) }.cast();
        }
        // SAFETY: the caller's promises are the ones it asks for.
        unsafe { MiMalloc.realloc(block, layout, size) }
    }
}

/// What is asked of mimalloc for so many bytes.
#[inline]
const fn rounded(size: usize, alignment: usize) -> usize {
    match Kept::of(size, alignment) {
        Some(kept) => kept.size,
        None => size,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of buffers, and of a size between the limits.
    const LAYOUTS: [(usize, usize); 2] = [(BUFFER, BUFFERS), (SMALL + STEP + 1, BLOCKS)];

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 1).unwrap()
    }

    /// How many of its size this thread keeps.
    fn kept(layout: Layout) -> usize {
        let kept = Kept::of(layout.size(), layout.align()).unwrap();
        KEPT.with(|lists| lists.0[kept.list].count.get())
    }

    #[test]
    fn sizes_that_share_a_list_have_blocks_of_the_largest() {
        let of = |size| Kept::of(size, 8).map(|kept| (kept.list, kept.size, kept.most));
        assert_eq!([of(SMALL), of(LARGE + 1), of(BUFFER - 1), of(BUFFER + 1)], [None; 4]);
        assert_eq!(of(SMALL + 1), Some((0, SMALL + STEP, BLOCKS)));
        assert_eq!(of(SMALL + STEP), of(SMALL + 1));
        assert_eq!(of(SMALL + STEP + 1), Some((1, SMALL + 2 * STEP, BLOCKS)));
        assert_eq!(of(LARGE), Some((LISTS - 2, LARGE, BLOCKS)));
        assert_eq!(of(BUFFER), Some((LISTS - 1, BUFFER, BUFFERS)));
        assert!(Kept::of(BUFFER, 32).is_none());
    }

    unsafe extern "C" {
        /// Bytes of a block that may be used; the crate has it among what nobody else here needs.
        fn mi_usable_size(block: *const std::ffi::c_void) -> usize;
    }

    /// What makes a list safe: whichever way a block comes by its size, it is as large as those it is kept with.
    #[test]
    fn every_block_of_a_size_that_is_kept_is_as_large_as_its_list_says() {
        // SAFETY: it looks at blocks that are mimalloc's and in use.
        let usable = |block: *mut u8| unsafe { mi_usable_size(block.cast()) };
        for size in (SMALL + 1..=LARGE).step_by(37).chain([BUFFER]) {
            let (wanted, asked) = (Kept::of(size, 1).unwrap().size, layout(size));
            // SAFETY: each block is given back once, by the layout it has.
            unsafe {
                let mut blocks = vec![Allocator.alloc(asked), Allocator.alloc_zeroed(asked)];
                for before in [1, SMALL, size - 1, size + 1, 2 * size, 1 << 20] {
                    blocks.push(Allocator.realloc(Allocator.alloc(layout(before)), layout(before), size));
                }
                for block in blocks {
                    assert!(usable(block) >= wanted, "{} of {size}", usable(block));
                    Allocator.dealloc(block, asked);
                }
            }
        }
    }

    #[test]
    fn the_block_that_was_given_back_last_comes_first() {
        for (size, _) in LAYOUTS {
            let (layout, larger) = (layout(size), layout(if size == BUFFER { size } else { size + 1 }));
            // SAFETY: each block is given back once, by the layout it was asked for.
            unsafe {
                let [one, two] = [Allocator.alloc(layout), Allocator.alloc(layout)];
                one.write_bytes(1, size);
                two.write_bytes(2, size);
                Allocator.dealloc(one, layout);
                Allocator.dealloc(two, layout);
                assert_eq!(kept(layout), 2);
                assert_eq!([Allocator.alloc(layout), Allocator.alloc(larger)], [two, one]);
                assert_eq!(kept(layout), 0);
                let three = Allocator.alloc(layout);
                assert!(three != one && three != two);
                for (block, layout) in [(one, larger), (two, layout), (three, layout)] {
                    Allocator.dealloc(block, layout);
                }
            }
        }
    }

    #[test]
    fn a_thread_keeps_so_many_and_gives_them_back_when_it_ends() {
        for (size, most) in LAYOUTS {
            let layout = layout(size);
            // SAFETY: as above.
            let blocks: Vec<_> = (0..2 * most).map(|_| unsafe { Allocator.alloc(layout) } as usize).collect();
            let distinct: std::collections::BTreeSet<_> = blocks.iter().collect();
            assert_eq!(distinct.len(), 2 * most);
            // Another thread's may be given back here too.
            let ended = std::thread::spawn(move || {
                blocks.iter().for_each(|block| unsafe { Allocator.dealloc(*block as *mut u8, layout) });
                kept(layout)
            });
            assert_eq!(ended.join().unwrap(), most);
        }
    }

    #[test]
    fn blocks_are_aligned_and_zeroed_as_asked_and_keep_what_is_in_them_when_they_grow() {
        for size in [1, 8, 15, 16, 24, 100, SMALL, SMALL + 1, SMALL + STEP, 1700, LARGE, BUFFER - 1, BUFFER, BUFFER + 1, 1 << 20] {
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
