#![no_main]

use gpu_mlp::fuzzing::readers::CHOICES;

libfuzzer_sys::fuzz_target!(|file: &[u8]| {
    CHOICES.check(file);
});
