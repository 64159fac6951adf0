//! Any bytes, shown; the body is in `tests`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::escape(data));
