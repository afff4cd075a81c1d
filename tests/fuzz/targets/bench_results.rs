#![no_main]

use gpu_mlp::fuzzing::readers::BENCH_RESULTS;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    BENCH_RESULTS.check(file);
});
