//! How fast the engine's threads move bytes to and from memory.

use std::hint::black_box;
use std::sync::Barrier;
use std::time::Instant;

use super::crew::Crew;

/// Bytes of all arrays together, a half to be read and a half to be written: more than the caches of a machine hold.
const BYTES: usize = 256 << 20;
/// The best of so many copies counts: the machine may be busy for a while.
const COPIES: usize = 8;

/// Reads and writes of large copies in thousand million bytes a second, all threads at once, each on arrays of its own.
pub(super) fn gigabytes_per_second(crew: &Crew) -> f64 {
    let threads = crew.threads();
    let share = BYTES / 2 / threads;
    let barrier = Barrier::new(threads);
    let copy = || {
        // Written, so that their pages are there before the clock runs.
        let (from, mut to) = (vec![1u8; share], vec![2u8; share]);
        let mut shortest = f64::INFINITY;
        for _ in 0..COPIES {
            barrier.wait();
            let start = Instant::now();
            to.copy_from_slice(black_box(&from));
            black_box(&mut to);
            barrier.wait();
            shortest = shortest.min(start.elapsed().as_secs_f64());
        }
        shortest
    };
    let slowest = crew.share(vec![(); threads], |()| copy()).into_iter().fold(0.0, f64::max);
    (2 * share * threads) as f64 / slowest / 1e9
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_moves_at_a_speed_that_can_be() {
        for threads in [1, 2] {
            let speed = super::gigabytes_per_second(&super::Crew::new(threads));
            assert!((0.1..10_000.0).contains(&speed), "{speed}");
        }
    }
}
