//! Which of the cases that are drawn a test takes.

use std::ops::RangeInclusive;

/// The numbers of the cases that a test takes: 1 to `few`, or those of `GPU_MLP_CASES`, of which `1000` is 1 to 1000 and
/// `500..1000` is 500 to 1000, both ends among them.
pub(crate) fn numbers(few: u32) -> RangeInclusive<u32> {
    let Ok(asked) = std::env::var("GPU_MLP_CASES") else { return 1..=few };
    let (first, last) = asked.split_once("..").unwrap_or(("1", &asked));
    let number =
        |text: &str| text.parse().unwrap_or_else(|_| panic!("GPU_MLP_CASES is {asked:?}: not 1000 or 500..1000"));
    let numbers = number(first)..=number(last);
    assert!(!numbers.is_empty(), "GPU_MLP_CASES is {asked:?}, which names no case: give 1000 or 500..1000");
    numbers
}
