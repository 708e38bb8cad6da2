//! [`dmverity_fuzz::http_headers`], driven by libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dmverity_fuzz::http_headers(data));
