//! How much memory the daemon takes for large NARs and many readers. It ends with an error if that is more than
//! promised.
//!
//! ```sh
//! cargo bench -p cache-server --bench memory            # about three minutes and 5 GiB of disk
//! cargo bench -p cache-server --bench memory -- --quick # smaller NARs
//! ```
//!
//! What counts is resident memory that is no file's (`RssAnon`): pages of mapped files are the kernel's to take back.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the load program uses the rest")]
mod support;

mod readers;
mod watch;

use std::io;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use nix_formats::Compression;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use readers::Pace;
use support::daemon::Daemon;
use support::push::Pusher;
use support::sample::{Recipe, Sample};
use support::source::{Noise, Random};
use support::{MIB, Result, flag, process};
use watch::Watch;

/// The promise.
const LIMIT: u64 = 200 * MIB;
/// Downloads at once.
const READERS: usize = 64;
/// Downloads at once whose clients stop reading.
const HELD: usize = 4096;
/// By how much these may make the daemon grow.
const HELD_LIMIT: u64 = 160 * MIB;
/// How long the fast readers may take; what they have not read by then would show nothing new.
const FAST_TIME: Duration = Duration::from_secs(60);
/// How long the slow readers stay.
const SLOW_TIME: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    let nar_size = if flag("--quick") { 256 * MIB } else { 2048 * MIB };
    match run(nar_size) {
        Ok(peak) if peak < LIMIT => ExitCode::SUCCESS,
        Ok(peak) => {
            eprintln!("memory: {} MiB are more than the promised {}", peak / MIB, LIMIT / MIB);
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("memory: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs everything and returns the peak in bytes.
fn run(nar_size: u64) -> Result<u64> {
    allow_connections()?;
    let directory = tempfile::Builder::new().prefix("cache-server-memory-").tempdir()?;
    let daemon = Daemon::start(directory.path())?;
    let mut report = Report { watch: Watch::start(daemon.pid()), peak: 0 };
    println!("{:44}{:>8}{:>16}", "", "s", "peak RssAnon");
    report.phase("idle", || Ok(()))?;

    let size = format!("{} MiB", nar_size / MIB);
    for compression in [Compression::Xz, Compression::Zstd] {
        let name = compression.narinfo_name();
        let sparse = sample(directory.path(), 1, compression, io::repeat(0), nar_size)?;
        report.phase(&format!("push {size} of zeros, {name}"), || Pusher::new(&daemon)?.push(&sparse))?;
        report.phase(&format!("fetch it, {name}"), || {
            readers::run(&daemon, &sparse, 1, Pace::Fast, FAST_TIME)
        })?;
    }
    let stored = sample(directory.path(), 2, Compression::Zstd, Noise(Random::new(2)), nar_size)?;
    report.phase(&format!("push {size} that do not compress"), || Pusher::new(&daemon)?.push(&stored))?;
    report.phase(&format!("{READERS} fast readers of it"), || {
        readers::run(&daemon, &stored, READERS, Pace::Fast, FAST_TIME)
    })?;
    report.phase(&format!("{READERS} slow readers of it"), || {
        readers::run(&daemon, &stored, READERS, Pace::Slow, SLOW_TIME)
    })?;
    let before = process::memory(daemon.pid())?.anonymous;
    let held = report.phase(&format!("{HELD} readers that stopped"), || {
        readers::hold(&daemon, &stored, HELD, SLOW_TIME)
    })?;
    let grown = held.saturating_sub(before);
    println!("\n{HELD} readers that stopped: +{} MiB, {} KiB each", grown / MIB, (grown >> 10) / HELD as u64);
    if grown > HELD_LIMIT {
        return Err(format!("that is more than the promised {} MiB", HELD_LIMIT / MIB).into());
    }

    let high_water_mark = report.watch.high_water_mark();
    println!("\npeak RssAnon {} MiB, VmHWM {} MiB", report.peak / MIB, high_water_mark / MIB);
    Ok(report.peak)
}

/// Raises the limit of open files, here and so for the daemon.
fn allow_connections() -> Result<()> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = 2 * HELD as u64 + 1024;
    if current.is_some_and(|current| current < wanted) {
        setrlimit(
            Resource::Nofile,
            Rlimit { current: Some(wanted), maximum: maximum.map(|most| most.max(wanted)) },
        )?;
    }
    Ok(())
}

fn sample(
    directory: &Path,
    seed: u64,
    compression: Compression,
    contents: impl io::Read,
    size: u64,
) -> Result<Sample> {
    // Every path has a hash of its own.
    let random = Random::new(seed << 8 | compression as u64);
    let name = format!("large-{seed}");
    Sample::make(directory, Recipe { random, name, compression, contents, size, references: Vec::new() })
}

/// Prints a line for each phase.
struct Report {
    watch: Watch,
    peak: u64,
}

impl Report {
    /// Returns the peak in bytes.
    fn phase(&mut self, name: &str, work: impl FnOnce() -> Result<()>) -> Result<u64> {
        self.watch.take_peak();
        let start = Instant::now();
        work()?;
        let peak = self.watch.take_peak();
        self.peak = self.peak.max(peak);
        println!("{name:44}{:>8.1}{:>12} MiB", start.elapsed().as_secs_f64(), peak / MIB);
        Ok(peak)
    }
}
