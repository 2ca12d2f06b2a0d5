//! libFuzzer on the frame reader.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tamis_fuzz::frames(bytes));
