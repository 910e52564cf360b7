//! What reading costs, of the daemon and of nginx in turn.

use std::io::Read;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::fill::Filled;
use crate::limit::Limit;
use crate::nginx::Nginx;
use crate::support::busy::Busy;
use crate::support::client::Connection;
use crate::support::daemon::Daemon;
use crate::support::source::Random;
use crate::support::{Result, process};
use crate::wrk::{self, Targets};
use crate::{Scale, downloads};

/// What is asked for, under a name.
pub type Loads = [(&'static str, Load); 4];

/// What is asked for.
pub enum Load {
    /// Many small files.
    Requests(Targets),
    /// One large file.
    Download(String),
}

/// Everything that is measured. Lists for wrk go to `directory`.
pub fn loads(filled: &Filled, directory: &Path) -> Result<Loads> {
    let narinfos: Vec<_> = filled.small.iter().map(|sample| sample.narinfo_target()).collect();
    let nars: Vec<_> = filled.small.iter().map(|sample| sample.nar_target()).collect();
    Ok([
        ("narinfo hit", Load::Requests(Targets::new(directory, "hits", narinfos, false)?)),
        (
            "narinfo miss",
            Load::Requests(Targets::new(directory, "misses", absent(filled.small.len()), true)?),
        ),
        ("small NAR", Load::Requests(Targets::new(directory, "nars", nars, false)?)),
        ("large NAR", Load::Download(filled.large.nar_target())),
    ])
}

/// One line of the report.
pub struct Measured {
    /// What was asked for.
    pub what: &'static str,
    /// Over how many connections.
    pub connections: usize,
    /// Whether the figures are in mebibytes rather than in requests.
    pub in_mebibytes: bool,
    /// What nginx did, by round.
    pub nginx: Vec<Cost>,
    /// What the daemon did, by round.
    pub daemon: Vec<Cost>,
    /// What the limit program did, by round; nothing for downloads.
    pub limit: Vec<Cost>,
}

/// What a server did in one run.
#[derive(Clone, Copy)]
pub struct Cost {
    /// Requests, or mebibytes.
    pub amount: f64,
    /// How long it took.
    pub time: Duration,
    /// CPU time that the server used.
    pub cpu: Duration,
    /// 99 of 100 requests took no longer; zero for downloads.
    pub p99: Duration,
}

struct Server<'a> {
    address: SocketAddr,
    processes: &'a [u32],
}

/// Measures everything, in rounds in which both servers have their turn.
pub fn measure(daemon: &Daemon, nginx: &Nginx, loads: &Loads, scale: Scale) -> Result<Vec<Measured>> {
    let limit = Limit::start()?;
    let (daemon_pid, limit_pid) = ([daemon.pid()], [limit.pid()]);
    let least = Server { address: limit.address, processes: &limit_pid };
    let ours = Server { address: daemon.cache, processes: &daemon_pid };
    let theirs = Server { address: nginx.address, processes: &nginx.processes };
    for (_, load) in loads {
        if let Load::Requests(targets) = load {
            targets.list().iter().try_for_each(|target| compare(&ours, &theirs, target))?;
        }
    }

    let mut lines: Vec<_> = loads
        .iter()
        .flat_map(|(what, load)| scale.connections.iter().map(move |&connections| (what, load, connections)))
        .map(|(what, load, connections)| {
            let in_mebibytes = matches!(load, Load::Download(_));
            let line = Measured {
                what,
                connections,
                in_mebibytes,
                nginx: Vec::new(),
                daemon: Vec::new(),
                limit: Vec::new(),
            };
            (line, load)
        })
        .collect();
    let mut busy = Busy::default();
    for round in 0..scale.rounds {
        eprint!("\rround {} of {} ", round + 1, scale.rounds);
        for (line, load) in &mut lines {
            busy.look()?;
            // Whoever is second finds warmer caches.
            if round % 2 == 0 {
                line.nginx.push(theirs.run(load, line.connections, scale.time)?);
                line.daemon.push(ours.run(load, line.connections, scale.time)?);
            } else {
                line.daemon.push(ours.run(load, line.connections, scale.time)?);
                line.nginx.push(theirs.run(load, line.connections, scale.time)?);
            }
            // It answers everything alike, so that one list is as good as another.
            if let (Load::Requests(_), Load::Requests(hits)) = (load, &loads[0].1) {
                let cost = least.run_requests(hits, line.connections, scale.time)?;
                line.limit.push(cost);
            }
        }
    }
    eprintln!();
    busy.report();
    Ok(lines.into_iter().map(|(line, _)| line).collect())
}

/// Names of paths that the cache does not have.
fn absent(count: usize) -> Vec<String> {
    let mut random = Random::new(4);
    let mut hash = || std::array::from_fn::<u8, 20, _>(|_| random.next() as u8);
    (0..count).map(|_| format!("/{}.narinfo", nix_formats::nix32::encode(&hash()))).collect()
}

/// Fails if the two do not give the same answer.
fn compare(ours: &Server, theirs: &Server, target: &str) -> Result<()> {
    let same = ours.answer(target)? == theirs.answer(target)?;
    if same { Ok(()) } else { Err(format!("{target} differs").into()) }
}

impl Server<'_> {
    /// The status, and the body where it is a file.
    fn answer(&self, target: &str) -> Result<(u16, Vec<u8>)> {
        let mut connection = Connection::open(self.address)?;
        let head = connection.send("GET", target, "", b"")?;
        let mut body = Vec::new();
        if head.status == 200 {
            connection.take(head.length).read_to_end(&mut body)?;
        }
        Ok((head.status, body))
    }

    fn run_requests(&self, targets: &Targets, connections: usize, time: Duration) -> Result<Cost> {
        let cpu = process::cpu_time(self.processes)?;
        let figures = wrk::run(self.address, targets, connections, time)?;
        let cpu = process::cpu_time(self.processes)? - cpu;
        Ok(Cost { amount: figures.requests as f64, time: figures.time, cpu, p99: figures.p99 })
    }

    fn run(&self, load: &Load, connections: usize, time: Duration) -> Result<Cost> {
        match load {
            Load::Requests(targets) => self.run_requests(targets, connections, time),
            Load::Download(target) => {
                let cpu = process::cpu_time(self.processes)?;
                let (bytes, time) = downloads::run(self.address, target, connections, time)?;
                let cpu = process::cpu_time(self.processes)? - cpu;
                Ok(Cost { amount: bytes as f64 / crate::MIB as f64, time, cpu, p99: Duration::ZERO })
            }
        }
    }
}
