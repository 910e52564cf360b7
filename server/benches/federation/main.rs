//! How fast nodes tell each other what they have, find it, know that nobody has it, and pass it on.
//!
//! ```sh
//! cargo bench -p cache-server --bench federation            # about four minutes
//! cargo bench -p cache-server --bench federation -- --quick # half a minute
//! cargo bench -p cache-server --bench federation -- --only misses # or dht, or nars
//! ```
//!
//! Everything runs on loopback, and all nodes of a network share this machine: with fifty of them most of the time is spent
//! waiting for a processor. Nothing is asserted.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the other programs use the rest")]
mod support;

mod dht;
mod misses;
mod node;
mod relay;

use std::process::ExitCode;
use std::time::Duration;

use support::{MIB, Result, flag, option};

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Scale {
    /// Nodes of the networks in one process.
    networks: &'static [usize],
    /// Paths that a node announces.
    announced: u32,
    /// Lookups of each kind.
    lookups: u32,
    /// Paths of each of the nodes whose digests a daemon has.
    digested: u32,
    /// Misses that are answered from memory.
    misses: u32,
    /// Sizes of the NARs that are passed on, in bytes.
    nars: &'static [u64],
    /// NARs of each size.
    rounds: u64,
}

const FULL: Scale = Scale {
    networks: &[5, 20, 50],
    announced: 2000,
    lookups: 500,
    digested: 100_000,
    misses: 20_000,
    nars: &[4 << 10, MIB, 64 * MIB],
    rounds: 15,
};

const QUICK: Scale = Scale {
    networks: &[5],
    announced: 200,
    lookups: 100,
    digested: 20_000,
    misses: 2000,
    nars: &[4 << 10, MIB],
    rounds: 5,
};

fn main() -> ExitCode {
    let scale = if flag("--quick") { QUICK } else { FULL };
    match run(scale) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("federation: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(scale: Scale) -> Result<()> {
    let only = option("--only");
    let is_wanted = |part: &str| only.as_deref().is_none_or(|only| only == part);
    if is_wanted("dht") {
        scale.networks.iter().try_for_each(|nodes| dht::measure(*nodes, scale))?;
    }
    if is_wanted("misses") {
        misses::measure(scale)?;
    }
    if is_wanted("nars") {
        relay::measure(scale)?;
    }
    Ok(())
}

/// The median and the 99th percentile.
fn percentiles(times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    format!("p50 {:7.2} ms, p99 {:7.2} ms", at(50), at(99))
}
