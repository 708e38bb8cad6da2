//! [`dmverity_fuzz::gpt_ddi`], driven by libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dmverity_fuzz::gpt_ddi(data));
