#![no_main]

use gpu_mlp::fuzzing::readers::TEXT;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    TEXT.check(file);
});
