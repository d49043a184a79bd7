//! The allocator of a component: small blocks are handed out again from lists, in front of what the toolchain brings.
//!
//! A hook gets each value it asks for in a block of its own, and gives it back before it ends. A general allocator looks for neighbours of a block to join it
//! with, each time and in vain; here it is two reads and two writes. What was taken for blocks of one size is not given back for those of another.

#![allow(unsafe_code, reason = "an allocator deals in addresses")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

/// Sizes come in steps of this, bytes.
const STEP: usize = 16;
/// Lists, one for each step: blocks of up to 128 bytes.
const LISTS: usize = 8;
/// Of every block in a list: what the toolchain's allocator gives anyway.
const ALIGNMENT: usize = 8;

/// Free blocks by their size. In a free block stands the address of the next one.
pub(crate) struct Allocator([Cell<*mut u8>; LISTS]);

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new();

// SAFETY: a component has one thread.
#[cfg(target_family = "wasm")]
unsafe impl Sync for Allocator {}

impl Allocator {
    pub(crate) const fn new() -> Self {
        Self([const { Cell::new(ptr::null_mut()) }; LISTS])
    }

    /// The list of blocks like that, and their layout.
    #[inline]
    fn list(&self, layout: Layout) -> Option<(&Cell<*mut u8>, Layout)> {
        let steps = layout.size().div_ceil(STEP).max(1);
        let list = self.0.get(steps - 1).filter(|_| layout.align() <= ALIGNMENT)?;
        Some((list, Layout::from_size_align(steps * STEP, ALIGNMENT).ok()?))
    }
}

// SAFETY: every block is one that `System` gave by the layout which `list` has for it, or by its own where there is no list, and goes back to `System` by
// the same, or to that list. All blocks of a list have one layout, which is large enough for what is asked for there.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let Some((list, layout)) = self.list(layout) else { return unsafe { System.alloc(layout) } };
        let first = list.get();
        if first.is_null() {
            return unsafe { System.alloc(layout) };
        }
        list.set(unsafe { first.cast::<*mut u8>().read() });
        first
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some((list, _)) = self.list(layout) else { return unsafe { System.dealloc(block, layout) } };
        unsafe { block.cast::<*mut u8>().write(list.get()) };
        list.set(block);
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return ptr::null_mut() };
        match (self.list(layout), self.list(wanted)) {
            (None, None) => unsafe { System.realloc(block, layout, size) },
            (Some((from, _)), Some((to, _))) if ptr::eq(from, to) => block,
            _ => {
                let moved = unsafe { self.alloc(wanted) };
                if !moved.is_null() {
                    unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
                    unsafe { self.dealloc(block, layout) };
                }
                moved
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize, align: usize) -> Layout {
        Layout::from_size_align(size, align).unwrap()
    }

    #[test]
    fn a_small_block_is_handed_out_again_to_who_needs_as_much() {
        let allocator = Allocator::new();
        for (size, again, other) in [(1, 16, 17), (16, 9, 40), (120, 128, 64)] {
            unsafe {
                let block = allocator.alloc(layout(size, 1));
                let second = allocator.alloc(layout(size, 1));
                assert_ne!(block, second);
                allocator.dealloc(second, layout(size, 1));
                allocator.dealloc(block, layout(size, 1));
                let of_another_size = allocator.alloc(layout(other, 8));
                assert_eq!([allocator.alloc(layout(again, 8)), allocator.alloc(layout(again, 1))], [block, second]);
                assert!(![block, second].contains(&of_another_size));
                for (block, size) in [(block, again), (second, again), (of_another_size, other)] {
                    allocator.dealloc(block, layout(size, 1));
                }
            }
        }
    }

    #[test]
    fn what_is_in_a_block_goes_along_where_it_grows_and_shrinks() {
        let allocator = Allocator::new();
        for align in [1, 8, 64] {
            let mut size = 3;
            let mut block = unsafe { allocator.alloc(layout(size, align)) };
            for next in [3, 16, 17, 128, 129, 5_000, 200, 100, 1] {
                unsafe {
                    block.write_bytes(7, size);
                    let grown = allocator.realloc(block, layout(size, align), next);
                    assert!(
                        grown.addr().is_multiple_of(align) && (0..size.min(next)).all(|byte| grown.add(byte).read() == 7),
                        "{next} {align}"
                    );
                    (block, size) = (grown, next);
                }
            }
            unsafe { allocator.dealloc(block, layout(size, align)) };
        }
    }

    /// As a plugin would: a thousand live at a time, of all sizes, none of which another one writes to.
    #[test]
    fn no_two_have_the_same_memory() {
        let allocator = Allocator::new();
        let mut live: Vec<(*mut u8, usize, u8)> = Vec::new();
        let mut random = 1_u64;
        for turn in 0..20_000_u32 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let size = usize::try_from((random >> 33) % 300 + 1).unwrap();
            unsafe {
                let block = allocator.alloc(layout(size, 8));
                let mark = turn.to_le_bytes()[0];
                block.write_bytes(mark, size);
                live.push((block, size, mark));
                if live.len() > 1_000 {
                    let (block, size, mark) = live.swap_remove(usize::try_from((random >> 40) % 1_000).unwrap());
                    assert!((0..size).all(|byte| block.add(byte).read() == mark));
                    allocator.dealloc(block, layout(size, 8));
                }
            }
        }
        live.into_iter().for_each(|(block, size, _)| unsafe { allocator.dealloc(block, layout(size, 8)) });
    }
}
