//! Requests of HTTP, cut anywhere; the body is in `tests`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::request(data));
