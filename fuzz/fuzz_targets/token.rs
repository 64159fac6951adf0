//! Any word as a token; the body is in `tests`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::token(data));
