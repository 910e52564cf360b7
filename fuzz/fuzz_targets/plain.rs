#![no_main]

#[path = "../bodies/http_framing.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::plain(data));
