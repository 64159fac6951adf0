//! The dispatcher and the session under any sequence of calls; the body is in `tests`.
#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| tests::dispatch(data));
