//! Runs fuzz targets for a while with the stable toolchain: over the kept corpus, and over mutations of it that are the same in
//! each run. Included by the tests of the crates that the targets are about.

use std::fs;
use std::path::Path;

/// A target: its name, which is that of the folder of its corpus as well, and what it does.
pub type Body = (&'static str, fn(&[u8]));

/// The generator "xorshift64*".
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, most: usize) -> usize {
        usize::try_from(self.next() % most.max(1) as u64).unwrap_or_default()
    }
}

fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    const INTERESTING: [u8; 10] = [0, 1, 7, 8, 0x7f, 0x80, 0xff, b'\n', b':', b'/'];
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        match random.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << random.below(8),
            1 if !bytes.is_empty() => bytes[at] = INTERESTING[random.below(INTERESTING.len())],
            2 => bytes.truncate(at),
            3 => bytes.insert(at, INTERESTING[random.below(INTERESTING.len())]),
            4 => {
                // Lengths and names are where parsers count.
                let part = bytes[at..bytes.len().min(at + random.below(64))].to_vec();
                let to = random.below(bytes.len());
                bytes.splice(to..to, part);
            }
            _ => drop(bytes.drain(at..bytes.len().min(at + random.below(16)))),
        }
    }
    bytes
}

/// Runs each target with the files of its corpus, below `fuzz`, and with so many mutations of each.
pub fn run(fuzz: &Path, bodies: &[Body], rounds: u64) {
    for (name, body) in bodies {
        let folder = fuzz.join("corpus").join(name);
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(!files.is_empty(), "{name} has no corpus");
        let mut random = Random(0x9e37_79b9_7f4a_7c15);
        for file in files {
            let seed = fs::read(&file).unwrap();
            body(&seed);
            (0..rounds).for_each(|_| body(&mutate(&seed, &mut random)));
        }
    }
}
