#![no_main]

mod headers;

use gpu_mlp::fuzzing::readers::MODEL_FILE;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    MODEL_FILE.check(file);
});

libfuzzer_sys::fuzz_mutator!(|file: &mut [u8], size: usize, most: usize, seed: u32| {
    headers::change(file, size, most, seed)
});
