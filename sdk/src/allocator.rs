//! The allocator of a component: small blocks are handed out again from lists, in front of what the toolchain brings.
//!
//! A hook gets each value it asks for in a block of its own, and gives it back before it ends. A general allocator looks for neighbours of a block to join it
//! with, each time and in vain; here it is two reads and two writes.

#![allow(unsafe_code, reason = "an allocator deals in addresses")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;

/// Sizes come in steps of this, which is also the alignment of every block.
const STEP: usize = 16;
/// Lists, one for each step: what is larger is not kept.
const LISTS: usize = 8;

/// The memory of a plugin: up to 128 bytes are kept for the next who needs as much.
#[derive(Debug)]
pub struct Allocator {
    /// The first free block of each size. In a free block stands the address of the next one.
    free: [Cell<*mut u8>; LISTS],
}

#[global_allocator]
static ALLOCATOR: Allocator = Allocator { free: [const { Cell::new(ptr::null_mut()) }; LISTS] };

// SAFETY: a component has one thread.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// The list for blocks like that, and their layout.
    #[inline]
    fn list(&self, layout: Layout) -> Option<(&Cell<*mut u8>, Layout)> {
        let steps = layout.size().div_ceil(STEP).max(1);
        let list = self.free.get(steps - 1).filter(|_| layout.align() <= STEP)?;
        Some((list, Layout::from_size_align(steps * STEP, STEP).ok()?))
    }
}

// SAFETY: a block is given away by `System`, or was and has been given back; all blocks of a list have one layout.
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
