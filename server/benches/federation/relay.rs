//! A NAR from the daemon that has it, beside the same one through another.

use std::io::Read;
use std::time::{Duration, Instant};

use nix_formats::Compression;

use crate::misses::daemon;
use crate::support::client::Connection;
use crate::support::daemon::Daemon;
use crate::support::push::Pusher;
use crate::support::sample::{Recipe, Sample};
use crate::support::source::{Noise, Random};
use crate::support::{MIB, Result};
use crate::{Scale, percentiles};

/// How long it may take until the other daemon finds a path.
const PATIENCE: Duration = Duration::from_secs(60);

/// Measures NARs of each size, and prints what came of it.
pub fn measure(scale: Scale) -> Result<()> {
    let directory = tempfile::Builder::new().prefix("cache-server-federation-").tempdir()?;
    let (holder, entry) = daemon(&directory.path().join("holder"), None)?;
    let (through, _) = daemon(&directory.path().join("through"), Some(entry))?;
    let mut pusher = Pusher::new(&holder)?;
    for (number, size) in (0_u64..).zip(scale.nars) {
        let (mut narinfos, mut directly, mut relayed) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..scale.rounds {
            let seed = number << 32 | round;
            let recipe = Recipe {
                random: Random::new(seed << 4 | 7),
                name: format!("file-{seed}"),
                compression: Compression::Zstd,
                contents: Noise(Random::new(seed)),
                size: *size,
                references: Vec::new(),
            };
            let sample = Sample::make(directory.path(), recipe)?;
            pusher.push(&sample)?;
            let (url, took) = find(&through, &sample)?;
            narinfos.push(took);
            directly.push(fetch(&holder, &sample.nar_target(), &sample)?);
            relayed.push(fetch(&through, &format!("/{url}"), &sample)?);
        }
        println!("a NAR of {:.3} MiB", *size as f64 / MIB as f64);
        println!("           its narinfo      {}", percentiles(&narinfos));
        println!("           directly         {}", percentiles(&directly));
        println!("           through another  {}", percentiles(&relayed));
    }
    Ok(())
}

/// The URL of the NAR, and how long the question took that was answered with it.
fn find(daemon: &Daemon, sample: &Sample) -> Result<(String, Duration)> {
    let deadline = Instant::now() + PATIENCE;
    let mut connection = Connection::open(daemon.cache)?;
    loop {
        let begun = Instant::now();
        let head = connection.send("GET", &sample.narinfo_target(), "", b"")?;
        let mut narinfo = String::new();
        (&mut connection).take(head.length).read_to_string(&mut narinfo)?;
        let took = begun.elapsed();
        if head.status == 200 {
            let url = narinfo.lines().find_map(|line| line.strip_prefix("URL: "));
            return Ok((url.ok_or("a narinfo without URL")?.to_owned(), took));
        }
        if Instant::now() > deadline {
            return Err(format!("{} is not found", sample.base_name()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn fetch(daemon: &Daemon, target: &str, sample: &Sample) -> Result<Duration> {
    let mut connection = Connection::open(daemon.cache)?;
    let begun = Instant::now();
    let head = connection.send("GET", target, "", b"")?;
    let read = std::io::copy(&mut (&mut connection).take(head.length), &mut std::io::sink())?;
    if (head.status, read) != (200, sample.file_size) {
        return Err(format!("{target}: {} with {read} bytes", head.status).into());
    }
    Ok(begun.elapsed())
}
