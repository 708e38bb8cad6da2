//! [`dmverity_fuzz::nbd_protocol`], driven by libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dmverity_fuzz::nbd_protocol(data));
