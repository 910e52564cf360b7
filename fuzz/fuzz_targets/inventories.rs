#![no_main]

#[path = "../bodies/peer_network.rs"]
#[allow(dead_code)]
mod bodies;

libfuzzer_sys::fuzz_target!(|data: &[u8]| bodies::inventories(data));
