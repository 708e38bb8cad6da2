//! [`dmverity_fuzz::fec_repair`], driven by libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dmverity_fuzz::fec_repair(data));
