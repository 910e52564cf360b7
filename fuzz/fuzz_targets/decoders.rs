#![no_main]

#[path = "../bodies/server.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::decoders(data));
