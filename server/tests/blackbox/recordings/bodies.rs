//! The two large bodies of the recordings, made again instead of kept: NARs of one pseudo-random file, which zstd could
//! not compress and so stored in raw blocks.

use std::fs;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::directory;
use crate::harness::nar::put;
use crate::harness::to_hex;

/// The slice that a `body_file` describes.
pub fn slice(body_file: &Value) -> Vec<u8> {
    let file = match body_file["name"].as_str().unwrap() {
        "07-push-multipart.bin" => three_parts(),
        "08-push-empty-last-part.bin" => exactly_one_chunk(),
        other => panic!("nobody knows how to make {other}"),
    };
    let offset = body_file["offset"].as_u64().unwrap() as usize;
    let length = body_file["length"].as_u64().unwrap() as usize;
    let slice = file[offset..offset + length].to_vec();
    assert_eq!(to_hex(&Sha256::digest(&slice)), body_file["sha256"].as_str().unwrap());
    slice
}

/// A window of 1 MiB, no content size, no checksum.
const FRAME_HEADER: [u8; 6] = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50];
/// The largest block that zstd makes.
const BLOCK: usize = 128 * 1024;

fn three_parts() -> Vec<u8> {
    let mut frame = FRAME_HEADER.to_vec();
    put_raw_blocks(&mut frame, &nar_of_file(&python_random_bytes(7, 10_525_760)));
    frame
}

fn exactly_one_chunk() -> Vec<u8> {
    // The filler compresses, and with it the first block.
    let filler = b"recorded filler text\n";
    let mut contents: Vec<u8> = filler.iter().copied().cycle().take(4245).collect();
    contents.extend(python_random_bytes(8, 5_242_635));
    let mut frame = fs::read(directory().join("08-first-block.bin")).unwrap();
    put_raw_blocks(&mut frame, &nar_of_file(&contents)[BLOCK..]);
    frame
}

fn nar_of_file(contents: &[u8]) -> Vec<u8> {
    let mut nar = Vec::new();
    for token in ["nix-archive-1", "(", "type", "regular", "contents"] {
        put(&mut nar, token.as_bytes());
    }
    put(&mut nar, contents);
    put(&mut nar, b")");
    nar
}

/// Appends the bytes in raw blocks, the last of which ends the frame.
fn put_raw_blocks(frame: &mut Vec<u8>, bytes: &[u8]) {
    let mut blocks = bytes.chunks(BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let last = u32::from(blocks.peek().is_none());
        let header = last | (block.len() as u32) << 3;
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.extend_from_slice(block);
    }
}

/// The beginning of what Python's `random.Random(seed).randbytes` gives, which is where the recorded bytes came from.
fn python_random_bytes(seed: u32, size: usize) -> Vec<u8> {
    let mut twister = Twister::new(seed);
    let mut bytes: Vec<u8> =
        std::iter::repeat_with(|| twister.next().to_le_bytes()).take(size.div_ceil(4)).flatten().collect();
    bytes.truncate(size);
    bytes
}

/// MT19937, seeded as Python seeds it from a small integer.
struct Twister {
    state: [u32; 624],
    index: usize,
}

impl Twister {
    fn new(seed: u32) -> Self {
        let mut state = [0u32; 624];
        state[0] = 19_650_218;
        let mix = |previous: u32| previous ^ previous >> 30;
        for i in 1..624 {
            state[i] = mix(state[i - 1]).wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        let mut i = 1;
        for round in 0..624 + 623 {
            let (factor, offset) =
                if round < 624 { (1_664_525, seed) } else { (1_566_083_941, (i as u32).wrapping_neg()) };
            state[i] = (state[i] ^ mix(state[i - 1]).wrapping_mul(factor)).wrapping_add(offset);
            i += 1;
            if i == 624 {
                state[0] = state[623];
                i = 1;
            }
        }
        state[0] = 1 << 31;
        Self { state, index: 624 }
    }

    fn next(&mut self) -> u32 {
        if self.index == 624 {
            for i in 0..624 {
                let joined = self.state[i] & 1 << 31 | self.state[(i + 1) % 624] & !(1 << 31);
                let twisted = joined >> 1 ^ if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + 397) % 624] ^ twisted;
            }
            self.index = 0;
        }
        let mut word = self.state[self.index];
        self.index += 1;
        word ^= word >> 11;
        word ^= word << 7 & 0x9d2c_5680;
        word ^= word << 15 & 0xefc6_0000;
        word ^ word >> 18
    }
}

#[test]
fn the_large_bodies_are_those_that_were_recorded() {
    for name in ["07-push-multipart", "08-push-empty-last-part"] {
        let recording = super::load(name);
        let bodies: Vec<&Value> =
            recording["exchanges"].as_array().unwrap().iter().map(|e| &e["request"]["body_file"]).collect();
        assert!(bodies.iter().any(|body| !body.is_null()));
        for body in bodies.into_iter().filter(|body| !body.is_null()) {
            slice(body);
        }
    }
}
