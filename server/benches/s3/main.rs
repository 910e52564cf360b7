//! What the daemon makes of an S3 service: pushes and fetches through it beside the same transfers by the AWS SDK alone.
//!
//! ```sh
//! cargo bench -p cache-server --bench s3            # two minutes
//! cargo bench -p cache-server --bench s3 -- --quick # smaller files
//! ```
//!
//! The service is a Garage on loopback, on the same cores. The rates say little; the ratios are of interleaved rounds. A
//! push through the daemon also spools, verifies, unpacks and hashes what it takes, which the SDK does not.

#[path = "../../crates/nar-storage/tests/support/garage.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "it is made for tests, which use the rest")]
mod garage;
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the load program uses the rest")]
mod support;

mod direct;

use std::io::{self, Read};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use nix_formats::Compression;
use serde_json::json;

use direct::Direct;
use garage::Garage;
use support::client::Connection;
use support::daemon::Daemon;
use support::push::Pusher;
use support::sample::{Recipe, Sample};
use support::source::{Noise, Random};
use support::{MIB, Result, flag};

/// Interleaved rounds; the medians count.
const ROUNDS: u64 = 5;

fn main() -> ExitCode {
    let sizes: &[u64] =
        if flag("--quick") { &[64 << 10, 32 * MIB] } else { &[64 << 10, 32 * MIB, 256 * MIB] };
    match sizes.iter().try_for_each(|size| run(*size)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("s3: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures files of one size and prints a line for each direction.
fn run(size: u64) -> Result<()> {
    let directory = tempfile::Builder::new().prefix("cache-server-s3-").tempdir()?;
    let garage = Garage::start();
    let daemon = Daemon::start_on(
        directory.path(),
        json!({
            "name": "bucket",
            "type": "s3",
            "s3_bucket": garage::BUCKET,
            "s3_endpoint": garage.endpoint(),
            "s3_region": garage::REGION,
            "s3_access_key": garage::ACCESS_KEY,
            "s3_secret_key": garage::SECRET_KEY,
        }),
    )?;
    let direct = Direct::new(&garage.endpoint())?;
    let mut pusher = Pusher::new(&daemon)?;
    let (mut writes, mut reads) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let sample = sample(directory.path(), round, size)?;
        let alone = rate(sample.file_size, || direct.put(&sample))?;
        let through = rate(sample.file_size, || pusher.push(&sample))?;
        writes.push((through, alone));
        let alone = rate(sample.file_size, || direct.get(&sample))?;
        let through = rate(sample.file_size, || fetch(&daemon, &sample))?;
        reads.push((through, alone));
    }
    report("write", size, writes);
    report("read", size, reads);
    Ok(())
}

fn sample(directory: &Path, seed: u64, size: u64) -> Result<Sample> {
    Sample::make(
        directory,
        Recipe {
            random: Random::new(seed << 8 | 3),
            name: format!("file-{seed}"),
            compression: Compression::Zstd,
            contents: Noise(Random::new(seed)),
            size,
            references: Vec::new(),
        },
    )
}

fn fetch(daemon: &Daemon, sample: &Sample) -> Result<()> {
    let mut connection = Connection::open(daemon.cache)?;
    let head = connection.send("GET", &sample.nar_target(), "", b"")?;
    let read = io::copy(&mut (&mut connection).take(head.length), &mut io::sink())?;
    if (head.status, read) != (200, sample.file_size) {
        return Err(format!("{}: {} with {read} bytes", sample.nar_target(), head.status).into());
    }
    Ok(())
}

/// Bytes per second.
fn rate(bytes: u64, transfer: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    transfer()?;
    Ok(bytes as f64 / start.elapsed().as_secs_f64())
}

fn report(what: &str, size: u64, rates: Vec<(f64, f64)>) {
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let through = median(rates.iter().map(|(through, _)| *through).collect());
    let alone = median(rates.iter().map(|(_, alone)| *alone).collect());
    let ratio = median(rates.iter().map(|(through, alone)| through / alone).collect());
    let mib = MIB as f64;
    println!(
        "{what:5} {:>8} KiB: daemon {:>7.1} MB/s, SDK alone {:>7.1} MB/s, ratio {ratio:.2}",
        size >> 10,
        through / mib,
        alone / mib
    );
}
