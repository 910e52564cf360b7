//! Fills the cache through the push protocol, and takes the time.

use std::path::Path;
use std::time::{Duration, Instant};

use nix_formats::Compression;

use crate::Scale;
use crate::support::daemon::Daemon;
use crate::support::push::{Pusher, push_all};
use crate::support::sample::{Recipe, Sample};
use crate::support::source::{Noise, Random, Words};
use crate::support::{Result, process};

/// Pushes at once, as the client has it by default.
pub const JOBS: usize = 8;

/// What is in the cache.
pub struct Filled {
    /// Small paths.
    pub small: Vec<Sample>,
    /// A path that does not compress.
    pub large: Sample,
    /// What pushing cost.
    pub pushes: Vec<Push>,
}

/// The cost of a push, or of several.
pub struct Push {
    /// What was pushed.
    pub what: String,
    /// How many paths.
    pub paths: usize,
    /// Bytes of their NARs.
    pub nar_size: u64,
    /// Bytes of their files.
    pub file_size: u64,
    /// How long it took.
    pub time: Duration,
    /// CPU time that the server used.
    pub cpu: Duration,
}

/// Fills the cache.
pub fn fill(daemon: &Daemon, directory: &Path, scale: Scale) -> Result<Filled> {
    let small = small_paths(directory, scale.small_paths)?;
    let (singly, at_once) = small.split_at(scale.pushed_singly);
    let mut pushes = vec![
        take_time(daemon, "one at a time", singly, || push_all(daemon, singly, 1))?,
        take_time(daemon, &format!("{JOBS} at once"), at_once, || push_all(daemon, at_once, JOBS))?,
    ];
    for (compression, seed) in [(Compression::Zstd, 1), (Compression::Xz, 2)] {
        let contents = Words::new(Random::new(seed));
        let sample = [one_file(directory, seed, compression, contents, scale.pushed_nar)?];
        let what = compression.narinfo_name();
        pushes.push(take_time(daemon, what, &sample, || Pusher::new(daemon)?.push(&sample[0]))?);
    }
    let contents = Noise(Random::new(3));
    let large = [one_file(directory, 3, Compression::Zstd, contents, scale.large_nar)?];
    let what = "zstd, incompressible";
    pushes.push(take_time(daemon, what, &large, || Pusher::new(daemon)?.push(&large[0]))?);
    let [large] = large;
    Ok(Filled { small, large, pushes })
}

fn take_time(
    daemon: &Daemon,
    what: &str,
    samples: &[Sample],
    push: impl FnOnce() -> Result<()>,
) -> Result<Push> {
    let (start, cpu) = (Instant::now(), process::cpu_time(&[daemon.pid()])?);
    push()?;
    Ok(Push {
        what: what.to_owned(),
        paths: samples.len(),
        nar_size: samples.iter().map(|sample| sample.nar_size).sum(),
        file_size: samples.iter().map(|sample| sample.file_size).sum(),
        time: start.elapsed(),
        cpu: process::cpu_time(&[daemon.pid()])? - cpu,
    })
}

/// Paths whose compressed NARs have 1 to 64 KiB, half of them less than 8 KiB, and that refer to earlier ones.
fn small_paths(directory: &Path, count: usize) -> Result<Vec<Sample>> {
    let mut random = Random::new(0);
    let mut samples: Vec<Sample> = Vec::with_capacity(count);
    for number in 0..count {
        let shift = random.below(6);
        let size = (4096 << shift) + random.below(4096 << shift);
        let references = (0..random.below(6).min(number as u64))
            .map(|_| samples[random.below(number as u64) as usize].base_name())
            .collect();
        let recipe = Recipe {
            random: Random::new(random.next()),
            name: format!("small-{number}"),
            compression: Compression::Xz,
            contents: Words::new(Random::new(random.next())),
            size,
            references,
        };
        samples.push(Sample::make(directory, recipe)?);
    }
    Ok(samples)
}

fn one_file(
    directory: &Path,
    seed: u64,
    compression: Compression,
    contents: impl std::io::Read,
    size: u64,
) -> Result<Sample> {
    let random = Random::new(1 << 32 | seed);
    let name = format!("large-{seed}");
    Sample::make(directory, Recipe { random, name, compression, contents, size, references: Vec::new() })
}
