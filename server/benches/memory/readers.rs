//! Many downloads of one NAR at a time.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::support::Result;
use crate::support::client::Connection;
use crate::support::daemon::Daemon;
use crate::support::sample::Sample;

/// How a reader reads.
#[derive(Clone, Copy)]
pub enum Pace {
    /// As fast as it can.
    Fast,
    /// A little at a time, so that the server always has more than it gets rid of.
    Slow,
}

impl Pace {
    fn buffer(self) -> usize {
        match self {
            Self::Fast => 256 << 10,
            Self::Slow => 16 << 10,
        }
    }

    fn pause(self) {
        if let Self::Slow = self {
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Downloads the NAR over `connections` connections at once. Each ends with the file, or after `time`.
pub fn run(daemon: &Daemon, sample: &Sample, connections: usize, pace: Pace, time: Duration) -> Result<()> {
    let (address, target) = (daemon.cache, sample.nar_target());
    let deadline = Instant::now() + time;
    let download = || -> Result<()> {
        let mut connection = Connection::open(address)?;
        let head = connection.send("GET", &target, "", b"")?;
        if head.status != 200 || head.length != sample.file_size {
            return Err(format!("{target}: {head:?}").into());
        }
        let mut buffer = vec![0; pace.buffer()];
        let mut left = head.length;
        while left > 0 && Instant::now() < deadline {
            left -= connection.read(&mut buffer)? as u64;
            pace.pause();
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..connections).map(|_| scope.spawn(download)).collect();
        readers.into_iter().try_for_each(|reader| reader.join().map_err(|_| "a reader panicked")?)
    })
}

/// Begins `connections` downloads of the NAR, takes nothing but the heads of the replies, and stays for `time`.
pub fn hold(daemon: &Daemon, sample: &Sample, connections: usize, time: Duration) -> Result<()> {
    let mut held = Vec::with_capacity(connections);
    for _ in 0..connections {
        let mut connection = Connection::open(daemon.cache)?;
        let head = connection.send("GET", &sample.nar_target(), "", b"")?;
        if head.status != 200 || head.length != sample.file_size {
            return Err(format!("reader {}: {head:?}", held.len()).into());
        }
        held.push(connection);
    }
    std::thread::sleep(time);
    Ok(())
}
