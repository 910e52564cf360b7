#![no_main]

#[path = "../bodies/nix_formats.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::narinfo(data));
