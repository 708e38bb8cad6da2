//! [`dmverity_fuzz::table_lines`], driven by libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dmverity_fuzz::table_lines(data));
