//! [`dmverity_fuzz::image_verify`], driven by libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dmverity_fuzz::image_verify(data));
