//! How many instructions the busiest requests take, as callgrind counts them. Unlike times, the numbers hardly depend on the machine or on what
//! else it does, so a change that makes a request dearer shows.
//!
//! ```sh
//! cargo bench -p cache-server --bench instructions             # print them
//! cargo bench -p cache-server --bench instructions -- --check  # compare them with counts.txt
//! cargo bench -p cache-server --bench instructions -- --write  # take them down in counts.txt
//! ```
//!
//! The numbers depend on the compiler and on the profile. Those of the profile `dev` are far larger than those of
//! `release`, but grow with them. What was counted with another compiler is not compared.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the load program uses the rest")]
mod support;

mod counts;

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use nix_formats::{Compression, nix32};

use counts::Counts;
use support::client::Connection;
use support::daemon::Daemon;
use support::push::Pusher;
use support::sample::{Recipe, Sample};
use support::source::{Noise, Random};
use support::{Result, flag};

/// Requests before anything is counted.
const WARM: usize = 100;
/// Requests that are counted.
const COUNTED: usize = 500;
/// Size of the NAR in bytes.
const SMALL: u64 = 8 << 10;
/// By how much a number may differ, in percent.
const TOLERANCE: f64 = 3.0;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool> {
    let known = Counts::read()?;
    let compiler = counts::compiler()?;
    let counted = count()?;
    println!("{:14}{:>10}{:>10}{:>10}", "request", "before", "now", "change");
    let mut is_alike = true;
    for (what, now) in &counted {
        let before = known.find(what);
        let change = before.map(|before| (*now as f64 / before as f64 - 1.0) * 100.0);
        is_alike &= change.is_none_or(|change| change.abs() <= TOLERANCE);
        println!(
            "{what:14}{:>10}{now:>10}{:>10}",
            before.map(|before| before.to_string()).unwrap_or_default(),
            change.map(|change| format!("{change:+.1} %")).unwrap_or_default(),
        );
    }
    if flag("--write") {
        known.write(&compiler, &counted)?;
    }
    if !flag("--check") {
        return Ok(true);
    }
    if !known.is_of(&compiler) {
        not_compared(&format!(
            "instructions of hot requests: counts.txt is of another compiler than {compiler}"
        ))?;
        return Ok(true);
    }
    if !is_alike {
        println!(
            "\nA hot request takes more or fewer instructions than {} says. If that is meant to be, run this with --write \
             and say in the commit why.",
            Counts::FILE
        );
    }
    Ok(is_alike)
}

/// Tells `test.sh` what could not be tested.
fn not_compared(what: &str) -> Result<()> {
    println!("\nnot compared: {what}");
    if let Some(file) = std::env::var_os("NOT_TESTED") {
        writeln!(fs::OpenOptions::new().append(true).open(file)?, "{what}")?;
    }
    Ok(())
}

/// Counts the instructions of each kind of request.
fn count() -> Result<Vec<(&'static str, u64)>> {
    let directory = tempfile::Builder::new().prefix("cache-server-instructions-").tempdir()?;
    let out = format!("--callgrind-out-file={}/counted", directory.path().display());
    let valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--dump-instr=no", &out];
    // One thread, so that none is woken for another.
    let daemon = Daemon::start_under(&valgrind, &[("TOKIO_WORKER_THREADS", "1")], directory.path())?;
    let recipe = Recipe {
        random: Random::new(1),
        name: "small".to_owned(),
        compression: Compression::Zstd,
        contents: Noise(Random::new(2)),
        size: SMALL,
        references: Vec::new(),
    };
    let sample = Sample::make(directory.path(), recipe)?;
    Pusher::new(&daemon)?.push(&sample)?;
    let absent = format!("/{}.narinfo", nix32::encode(&[7; 20]));
    let kinds = [
        ("narinfo hit", sample.narinfo_target(), 200),
        ("narinfo miss", absent, 404),
        ("small NAR", sample.nar_target(), 200),
    ];
    let mut counted = Vec::new();
    for (number, (what, target, status)) in kinds.into_iter().enumerate() {
        let mut connection = Connection::open(daemon.cache)?;
        ask(&mut connection, &target, status, WARM)?;
        control(&daemon, "--zero")?;
        ask(&mut connection, &target, status, COUNTED)?;
        control(&daemon, "--dump")?;
        let dump = directory.path().join(format!("counted.{}", number + 1));
        counted.push((what, total(&dump)? / COUNTED as u64));
    }
    Ok(counted)
}

fn ask(connection: &mut Connection, target: &str, status: u16, times: usize) -> Result<()> {
    for _ in 0..times {
        let head = connection.send("GET", target, "", b"")?;
        if head.status != status {
            return Err(format!("{target}: {}", head.status).into());
        }
        std::io::copy(&mut *connection, &mut std::io::sink())?;
    }
    Ok(())
}

/// Has callgrind do something.
fn control(daemon: &Daemon, what: &str) -> Result<()> {
    let output = Command::new("callgrind_control")
        .args([what, &daemon.pid().to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("callgrind_control (of valgrind): {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if output.status.success() { Ok(()) } else { Err(format!("callgrind_control {what}: {text}").into()) }
}

/// The instructions in a dump.
fn total(dump: &Path) -> Result<u64> {
    let text = fs::read_to_string(dump).map_err(|error| format!("{}: {error}", dump.display()))?;
    let totals = text.lines().find_map(|line| line.strip_prefix("totals: "));
    Ok(totals.ok_or("a dump of callgrind has no totals")?.trim().parse()?)
}
