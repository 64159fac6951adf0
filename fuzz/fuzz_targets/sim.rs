//! Whole sessions over the simulated kernel, to their end; the body is in `tests`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::sim(data));
