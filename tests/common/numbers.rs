//! Which of the cases that are drawn a test takes.

use std::ops::RangeInclusive;

/// So many of which a test takes a few: those of `GPU_MLP_CASES`, `1000` or `500..1000`, if it is set.
pub(crate) fn numbers(few: u32) -> RangeInclusive<u32> {
    let Ok(asked) = std::env::var("GPU_MLP_CASES") else { return 1..=few };
    let (first, last) = asked.split_once("..").unwrap_or(("1", &asked));
    let number =
        |text: &str| text.parse().unwrap_or_else(|_| panic!("GPU_MLP_CASES is {asked:?}: not 1000 or 500..1000"));
    number(first)..=number(last)
}
