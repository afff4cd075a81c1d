//! What the threads of the engine share: buffers with one owner for each part, and a barrier that spins.

use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::lanes::{LANES, Lanes};

/// A buffer that threads write in parts that do not overlap, and read whole after a barrier.
pub(super) struct Shared<T> {
    values: UnsafeCell<Vec<T>>,
}

// SAFETY: access goes through the two unsafe methods, whose callers keep writers apart.
#[allow(unsafe_code)]
unsafe impl<T: Send + Sync> Sync for Shared<T> {}

#[allow(unsafe_code)]
impl<T: Copy> Shared<T> {
    pub(super) fn new(value: T, length: usize) -> Self {
        Shared { values: UnsafeCell::new(vec![value; length]) }
    }

    /// Whether there is nothing in it. Its length never changes.
    pub(super) fn is_empty(&self) -> bool {
        // SAFETY: the vector itself is only read.
        unsafe { (*self.values.get()).is_empty() }
    }

    /// How much is in it. It never changes.
    pub(super) fn len(&self) -> usize {
        // SAFETY: the vector itself is only read.
        unsafe { (*self.values.get()).len() }
    }

    /// The whole buffer, by the only one who holds it.
    pub(super) fn get_mut(&mut self) -> &mut [T] {
        self.values.get_mut()
    }

    /// The whole buffer for reading.
    ///
    /// # Safety
    /// No thread may write any part of it until a barrier after the last use.
    pub(super) unsafe fn read(&self) -> &[T] {
        unsafe { &*self.values.get() }
    }

    /// A part of the buffer for reading.
    ///
    /// # Safety
    /// No thread may write this part until a barrier after the last use.
    pub(super) unsafe fn read_part(&self, range: Range<usize>) -> &[T] {
        let values = self.values.get();
        // The vector itself is only read here: other threads may hold other parts of its buffer.
        let (start, length) = unsafe { ((*values).as_ptr(), (*values).len()) };
        assert!(range.start <= range.end && range.end <= length);
        unsafe { std::slice::from_raw_parts(start.add(range.start), range.len()) }
    }

    /// A part of the buffer for writing.
    ///
    /// # Safety
    /// No other thread may read or write this part until a barrier after the last use.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn write(&self, range: Range<usize>) -> &mut [T] {
        let values = self.values.get();
        // The vector itself is only read here: other threads may hold other parts of its buffer.
        let (start, length) = unsafe { ((*values).as_ptr().cast_mut(), (*values).len()) };
        assert!(range.start <= range.end && range.end <= length);
        unsafe { std::slice::from_raw_parts_mut(start.add(range.start), range.len()) }
    }
}

#[allow(unsafe_code)]
impl Shared<Lanes> {
    /// A part of the buffer, counted in plain numbers, for reading.
    ///
    /// # Safety
    /// No other thread may write this part until a barrier after the last use.
    pub(super) unsafe fn read_numbers(&self, range: Range<usize>) -> &[f32] {
        let (start, length) = self.numbers();
        assert!(range.start <= range.end && range.end <= length);
        unsafe { std::slice::from_raw_parts(start.add(range.start), range.len()) }
    }

    /// A part of the buffer, counted in plain numbers, for writing.
    ///
    /// # Safety
    /// As for [`Shared::write`].
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn write_numbers(&self, range: Range<usize>) -> &mut [f32] {
        let (start, length) = self.numbers();
        assert!(range.start <= range.end && range.end <= length);
        unsafe { std::slice::from_raw_parts_mut(start.add(range.start), range.len()) }
    }

    /// A part of the buffer, counted in plain numbers, of which the caller reads some columns.
    ///
    /// # Safety
    /// No other thread may write these columns until a barrier after the last use.
    pub(super) unsafe fn columns(&self, range: Range<usize>) -> Numbers<'_> {
        let (start, length) = self.numbers();
        assert!(range.start <= range.end && range.end <= length);
        // SAFETY: the range was compared with the length.
        Numbers { start: unsafe { start.add(range.start) }, length: range.len(), buffer: PhantomData }
    }

    /// The same for writing.
    ///
    /// # Safety
    /// No other thread may read or write these columns until a barrier after the last use.
    pub(super) unsafe fn columns_mut(&self, range: Range<usize>) -> NumbersMut<'_> {
        let (start, length) = self.numbers();
        assert!(range.start <= range.end && range.end <= length);
        // SAFETY: as above.
        NumbersMut { start: unsafe { start.add(range.start) }, length: range.len(), buffer: PhantomData }
    }

    /// Where the numbers begin, and how many there are.
    fn numbers(&self) -> (*mut f32, usize) {
        // SAFETY: the vector itself is only read: other threads may hold parts of its buffer.
        unsafe {
            let values = self.values.get();
            ((*values).as_ptr().cast_mut().cast(), (*values).len() * LANES)
        }
    }
}

/// Numbers to read while other threads may write other columns of the same rows: a slice would promise that nobody does.
#[derive(Clone, Copy)]
pub(super) struct Numbers<'a> {
    pub(super) start: *const f32,
    pub(super) length: usize,
    buffer: PhantomData<&'a [f32]>,
}

impl<'a> From<&'a [f32]> for Numbers<'a> {
    fn from(numbers: &'a [f32]) -> Self {
        Numbers { start: numbers.as_ptr(), length: numbers.len(), buffer: PhantomData }
    }
}

/// Numbers to write, of which other threads may use other columns.
pub(super) struct NumbersMut<'a> {
    pub(super) start: *mut f32,
    pub(super) length: usize,
    buffer: PhantomData<&'a mut [f32]>,
}

impl<'a> From<&'a mut [f32]> for NumbersMut<'a> {
    fn from(numbers: &'a mut [f32]) -> Self {
        NumbersMut { start: numbers.as_mut_ptr(), length: numbers.len(), buffer: PhantomData }
    }
}

/// A buffer of `numbers` floats that begins at a cache line.
pub(super) fn aligned(numbers: usize) -> Shared<Lanes> {
    Shared::new(Lanes::ZERO, numbers.div_ceil(LANES))
}

/// The part of `count` things that belongs to thread `index` of `threads`.
pub(super) fn part(count: usize, index: usize, threads: usize) -> Range<usize> {
    count * index / threads..count * (index + 1) / threads
}

/// A barrier for phases of microseconds: waiting threads spin for a while before they let others run. Each thread has a
/// flag, which it alone writes and all others read: a meeting of two takes the time in which one cache line goes over.
pub(super) struct Barrier {
    flags: Vec<Flag>,
    spins: u32,
    broken: AtomicBool,
}

/// How often its thread has come to the barrier; alone on its cache line, and on the one that is fetched along with it.
#[derive(Default)]
#[repr(align(128))]
struct Flag(AtomicU32);

/// Turns of the waiting loop before the thread offers its core: about 50 microseconds, longer than a phase of a small
/// network, so that only a thread that lost its core makes the others yield.
const SPINS: u32 = 10_000;

impl Barrier {
    pub(super) fn new(threads: usize) -> Self {
        // With more threads than cores, whoever spins keeps a core from the one that is waited for.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Barrier {
            flags: (0..threads).map(|_| Flag::default()).collect(),
            spins: if threads > cores { 0 } else { SPINS },
            broken: AtomicBool::new(false),
        }
    }

    /// Says that this thread has come, with its own index. What it does before [`Barrier::wait`] hides the time that this
    /// news, and what it wrote, takes to the others.
    pub(super) fn arrive(&self, index: usize) {
        if self.flags.len() > 1 {
            let own = &self.flags[index].0;
            own.store(own.load(Ordering::Relaxed).wrapping_add(1), Ordering::Release);
        }
    }

    /// Returns when every thread has arrived as often as this one. Panics if another thread has panicked.
    pub(super) fn wait(&self, index: usize) {
        if self.flags.len() == 1 {
            return;
        }
        let meeting = self.flags[index].0.load(Ordering::Relaxed);
        for other in &self.flags {
            let mut turns = 0u32;
            // Behind, in a count that wraps around: another thread may already be on its way to the next meeting.
            while (other.0.load(Ordering::Acquire).wrapping_sub(meeting) as i32) < 0 {
                assert!(!self.broken.load(Ordering::Relaxed), "another thread of the engine panicked");
                turns = turns.saturating_add(1);
                if turns < self.spins {
                    std::hint::spin_loop();
                } else {
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Returns when every thread has called it, each with its own index. Panics if another thread has panicked.
    pub(super) fn arrive_and_wait(&self, index: usize) {
        self.arrive(index);
        self.wait(index);
    }

    /// While it lives, a panic of its thread breaks the barrier instead of leaving the others waiting for ever.
    pub(super) fn guard(&self) -> Guard<'_> {
        Guard(self)
    }
}

pub(super) struct Guard<'a>(&'a Barrier);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.broken.store(true, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Three threads count themselves and arrive so many times, then wait: all must have counted by then.
    fn three_meet(arrivals: usize) {
        let (barrier, count) = (Barrier::new(3), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for index in 0..3 {
                let (barrier, count) = (&barrier, &count);
                scope.spawn(move || {
                    let _guard = barrier.guard();
                    for round in 1..=1000 {
                        for _ in 0..arrivals {
                            count.fetch_add(1, Ordering::Relaxed);
                            barrier.arrive(index);
                        }
                        barrier.wait(index);
                        assert_eq!(count.load(Ordering::Relaxed), 3 * arrivals * round);
                        barrier.arrive_and_wait(index);
                    }
                });
            }
        });
    }

    #[test]
    fn no_thread_passes_the_barrier_before_the_last_one_arrives() {
        three_meet(1);
    }

    #[test]
    fn no_thread_passes_a_meeting_that_it_announced_before_the_last_one_has() {
        three_meet(2);
    }

    #[test]
    fn a_panic_reaches_the_threads_that_wait() {
        let barrier = Barrier::new(2);
        let result = std::panic::catch_unwind(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| barrier.arrive_and_wait(0));
                scope.spawn(|| {
                    let _guard = barrier.guard();
                    panic!("planted");
                });
            });
        });
        assert!(result.is_err());
    }

    #[test]
    fn parts_cover_everything_once() {
        for (count, threads) in [(10, 3), (2, 3), (0, 2), (7, 1)] {
            let all: Vec<usize> = (0..threads).flat_map(|index| part(count, index, threads)).collect();
            assert_eq!(all, (0..count).collect::<Vec<_>>());
        }
    }
}
