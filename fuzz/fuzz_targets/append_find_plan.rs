//! [`dmverity_fuzz::append_find_plan`], driven by libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dmverity_fuzz::append_find_plan(data));
