#![no_main]

use gpu_mlp::fuzzing::readers::CONFIG;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    CONFIG.check(file);
});
