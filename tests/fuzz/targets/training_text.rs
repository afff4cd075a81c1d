#![no_main]

use gpu_mlp::fuzzing::readers::TRAINING_TEXT;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    TRAINING_TEXT.check(file);
});
