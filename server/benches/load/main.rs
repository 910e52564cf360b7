//! How fast the daemon is, beside nginx that serves the very same files, and beside the least that a server can do.
//!
//! ```sh
//! cargo bench -p cache-server --bench load            # about four minutes
//! cargo bench -p cache-server --bench load -- --quick # half a minute
//! cargo bench -p cache-server --bench load -- --daemon target/dist/cache-server
//! cargo bench -p cache-server --bench load -- --wait  # for a profiler: start and fill both, measure nothing
//! ```
//!
//! Everything runs on loopback in a temporary directory. Both servers are measured in turn, round by round, and the
//! medians printed; nothing is asserted. Rates depend on what else the machine does and on the client, which shares it:
//! the figure to compare is the CPU time that a request costs the server.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the memory program uses the rest")]
mod support;

mod downloads;
mod fill;
mod limit;
mod nginx;
mod reads;
mod report;
mod wrk;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use support::daemon::Daemon;
use support::{MIB, Result, flag};

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Scale {
    /// Small paths in the cache.
    small_paths: usize,
    /// How many of them are pushed one at a time; the rest is pushed eight at once.
    pushed_singly: usize,
    /// Size of the NAR that is downloaded, in bytes.
    large_nar: u64,
    /// Size of the NARs whose push is measured, in bytes.
    pushed_nar: u64,
    rounds: usize,
    /// Length of one measurement.
    time: Duration,
    connections: &'static [usize],
}

const FULL: Scale = Scale {
    small_paths: 2000,
    pushed_singly: 500,
    large_nar: 1024 * MIB,
    pushed_nar: 256 * MIB,
    rounds: 3,
    time: Duration::from_millis(2000),
    connections: &[1, 4, 16, 32, 128],
};

const QUICK: Scale = Scale {
    small_paths: 500,
    pushed_singly: 100,
    large_nar: 256 * MIB,
    pushed_nar: 64 * MIB,
    rounds: 1,
    time: Duration::from_millis(1000),
    connections: &[1, 32, 128],
};

fn main() -> ExitCode {
    if let Err(error) = limit::serve_if_asked() {
        eprintln!("load: {error}");
        return ExitCode::FAILURE;
    }
    match run(if flag("--quick") { QUICK } else { FULL }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(scale: Scale) -> Result<()> {
    nginx::check()?;
    wrk::check()?;
    let directory = tempfile::Builder::new().prefix("cache-server-load-").tempdir()?;
    let daemon = Daemon::start(directory.path())?;
    let filled = fill::fill(&daemon, directory.path(), scale)?;
    report::pushes(&filled.pushes);

    let nginx = nginx::Nginx::start(directory.path(), &daemon.storage())?;
    let loads = reads::loads(&filled, directory.path())?;
    if flag("--wait") {
        return wait(&daemon, &nginx, directory.path());
    }
    let measured = reads::measure(&daemon, &nginx, &loads, scale)?;
    report::reads(&measured);
    Ok(())
}

/// Leaves everything running until standard input ends.
fn wait(daemon: &Daemon, nginx: &nginx::Nginx, directory: &Path) -> Result<()> {
    println!("\ndaemon {} http://{}", daemon.pid(), daemon.cache);
    println!("nginx {:?} http://{}", nginx.processes, nginx.address);
    println!("lists for wrk: {}\npress Enter to end", directory.display());
    std::io::stdin().read_line(&mut String::new())?;
    Ok(())
}
