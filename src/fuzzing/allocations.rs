//! How much memory a piece of work takes: an allocator for unit tests and fuzz targets that counts for each thread, together
//! with those that work for it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, Ordering};

/// Bytes held since a count began, and the most at any moment.
#[derive(Default)]
pub struct Count {
    held: AtomicIsize,
    most: AtomicIsize,
}

thread_local! {
    /// What this thread's memory is counted in. It lives on when the thread ends.
    static COUNT: Cell<Option<&'static Count>> = const { Cell::new(None) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn add(bytes: isize) {
    if let Some(count) = COUNT.get() {
        let held = count.held.fetch_add(bytes, Ordering::Relaxed) + bytes;
        count.most.fetch_max(held, Ordering::Relaxed);
    }
}

// SAFETY: the system's allocator does the work, with the layouts as they are.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        add(layout.size() as isize);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // The new place may be another one, to which the old is copied.
        add(size as isize);
        add(-(layout.size() as isize));
        unsafe { System.realloc(place, layout, size) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        add(-(layout.size() as isize));
        unsafe { System.dealloc(place, layout) }
    }
}

/// This thread's count, for a thread that is to work for it.
pub fn count() -> &'static Count {
    COUNT.get().unwrap_or_else(|| {
        let count: &'static Count = Box::leak(Box::default());
        COUNT.set(Some(count));
        count
    })
}

impl Count {
    /// What this thread takes and gives back is counted here from now on.
    pub fn take_part(&'static self) {
        COUNT.set(Some(self));
    }
}

/// Does some work, and gives the most bytes that this thread and those that took part in its count held at any moment.
pub fn most<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let count = count();
    count.held.store(0, Ordering::Relaxed);
    count.most.store(0, Ordering::Relaxed);
    let result = work();
    (result, count.most.load(Ordering::Relaxed).max(0) as usize)
}
