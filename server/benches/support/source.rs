//! Endless bytes to make files of, the same in every run.

use std::io::{self, Read};

/// SplitMix64: quick, and only has to look random to a compressor.
#[derive(Clone)]
pub struct Random(u64);

impl Random {
    /// The generator whose numbers `seed` determines.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

/// Bytes that do not compress.
pub struct Noise(pub Random);

impl Read for Noise {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for chunk in buffer.chunks_mut(8) {
            chunk.copy_from_slice(&self.0.next().to_le_bytes()[..chunk.len()]);
        }
        Ok(buffer.len())
    }
}

/// Words in random order, which compress about as well as programs do: three- to fourfold.
pub struct Words {
    random: Random,
    vocabulary: Vec<Vec<u8>>,
    rest: Vec<u8>,
}

impl Words {
    /// Words chosen by `random`.
    pub fn new(mut random: Random) -> Self {
        let mut letters = Random::new(0);
        let mut word = || {
            let length = 3 + letters.below(14);
            let mut word: Vec<u8> = (0..length).map(|_| b'a' + letters.below(26) as u8).collect();
            word.push(b' ');
            word
        };
        let vocabulary = (0..2048).map(|_| word()).collect();
        random.next();
        Self { random, vocabulary, rest: Vec::new() }
    }
}

impl Read for Words {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.len() < buffer.len() {
            let word = self.random.below(self.vocabulary.len() as u64) as usize;
            self.rest.extend_from_slice(&self.vocabulary[word]);
        }
        buffer.copy_from_slice(&self.rest[..buffer.len()]);
        self.rest.drain(..buffer.len());
        Ok(buffer.len())
    }
}
