//! Trouble with a device that a test wants on its thread, where a driver or a card would make it.

use std::cell::Cell;

use super::Limits;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trouble {
    /// The device is taken away, as by a driver that crashed or a card that was pulled out.
    Lost,
    /// The device says, later than it was asked, that its memory is at an end.
    OutOfMemory,
    /// There is no memory for a buffer.
    NoBuffer,
    /// The first parameter is no number any more.
    NotANumber,
    /// None of the parameters is.
    NoNumbers,
}

/// Where something can go wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Place {
    /// Work is handed to the device.
    Submission,
    /// A buffer is made.
    Buffer,
    /// Some steps begin.
    Steps,
}

impl Trouble {
    fn place(self) -> Place {
        match self {
            Trouble::Lost | Trouble::OutOfMemory => Place::Submission,
            Trouble::NoBuffer => Place::Buffer,
            Trouble::NotANumber | Trouble::NoNumbers => Place::Steps,
        }
    }
}

thread_local! {
    /// What is to go wrong, and how many times its place is passed before.
    static PLANNED: Cell<Option<(Trouble, usize)>> = const { Cell::new(None) };
    /// What an adapter of this thread can hold at most.
    static LIMITS: Cell<Option<fn(&mut Limits)>> = const { Cell::new(None) };
}

/// Does some work during which something goes wrong once, when its place was passed so many times; says how often it was
/// passed where it did not come to that.
pub(crate) fn with<T>(trouble: Trouble, passed: usize, work: impl FnOnce() -> T) -> (T, Option<usize>) {
    PLANNED.set(Some((trouble, passed)));
    let result = work();
    (result, PLANNED.take().map(|(_, left)| passed - left))
}

/// Does some work on adapters that can hold less than they could.
pub(crate) fn with_limits<T>(limit: fn(&mut Limits), work: impl FnOnce() -> T) -> T {
    LIMITS.set(Some(limit));
    let result = work();
    LIMITS.set(None);
    result
}

/// What goes wrong at a place that is passed now.
pub(super) fn at(place: Place) -> Option<Trouble> {
    let (trouble, passed) = PLANNED.get().filter(|(trouble, _)| trouble.place() == place)?;
    PLANNED.set(passed.checked_sub(1).map(|passed| (trouble, passed)));
    (passed == 0).then_some(trouble)
}

/// The limits that an adapter is taken to have.
pub(super) fn limits(mut limits: Limits) -> Limits {
    if let Some(limit) = LIMITS.get() {
        limit(&mut limits);
    }
    limits
}
