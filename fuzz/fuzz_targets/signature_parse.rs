//! [`dmverity_fuzz::signature_parse`], driven by libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dmverity_fuzz::signature_parse(data));
