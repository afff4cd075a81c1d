//! The engine's threads: the caller's, and those that wait for it as long as the engine lives.

use std::sync::{Mutex, MutexGuard};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// Threads that do one piece of work together.
pub(super) struct Crew {
    /// All but the caller's; none where that is the only one.
    others: Option<ThreadPool>,
}

impl Crew {
    /// A crew of so many threads, at least one: the caller's is the first. It stays on its core while the others wake up
    /// on theirs; a crew that woke up while its caller fell asleep was seen to begin on one core, and to stay there for
    /// milliseconds.
    pub(super) fn new(threads: usize) -> Self {
        let pool = |others: usize| {
            let builder =
                ThreadPoolBuilder::new().num_threads(others).thread_name(|index| format!("cpu engine {index}"));
            builder.build().expect("the system starts the engine's threads")
        };
        Crew { others: (threads > 1).then(|| pool(threads - 1)) }
    }

    pub(super) fn threads(&self) -> usize {
        1 + self.others.as_ref().map_or(0, ThreadPool::current_num_threads)
    }

    /// Does the work with so many threads, at most all, each with its index; the others wake up and go to sleep again. A panic
    /// of one is the caller's once all have ended.
    pub(super) fn run(&self, threads: usize, work: impl Fn(usize) + Sync) {
        assert!((1..=self.threads()).contains(&threads));
        match &self.others {
            Some(others) if threads > 1 => others.in_place_scope(|scope| {
                let work = &work;
                scope.spawn_broadcast(move |_, context| {
                    if context.index() + 1 < threads {
                        work(context.index() + 1);
                    }
                });
                work(0);
            }),
            _ => work(0),
        }
    }

    /// Does each piece with a thread of its own, at least one and at most as many as there are threads; returns what they give.
    pub(super) fn share<P: Send, R: Send>(&self, pieces: Vec<P>, work: impl Fn(P) -> R + Sync) -> Vec<R> {
        let places: Vec<Mutex<(Option<P>, Option<R>)>> =
            pieces.into_iter().map(|piece| Mutex::new((Some(piece), None))).collect();
        self.run(places.len(), |index| {
            let mut place = locked(&places[index]);
            place.1 = place.0.take().map(&work);
        });
        places.into_iter().filter_map(|place| place.into_inner().expect("no thread of the engine panicked").1).collect()
    }
}

/// The contents of a lock that its one user holds.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("no thread of the engine panicked")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_is_done_once_and_results_keep_their_order() {
        for threads in [1, 2, 5] {
            let crew = Crew::new(threads);
            assert_eq!(crew.threads(), threads);
            for pieces in 1..=threads {
                let squares = crew.share((0..pieces).collect(), |piece| piece * piece);
                assert_eq!(squares, (0..pieces).map(|piece| piece * piece).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_panic_of_any_thread_reaches_the_caller() {
        for index in 0..2 {
            let crew = Crew::new(2);
            let work = |own: usize| assert_ne!(own, index, "planted");
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| crew.run(2, work))).is_err());
        }
    }
}
