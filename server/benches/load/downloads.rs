//! Downloads of a large file over several connections at once.

use std::io::Read;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::Result;
use crate::support::client::Connection;

/// What a reader takes at a time.
const BUFFER: usize = 256 << 10;

/// Reads `target` again and again over `connections` connections, and returns how many bytes came in how long.
pub fn run(address: SocketAddr, target: &str, connections: usize, time: Duration) -> Result<(u64, Duration)> {
    let total = AtomicU64::new(0);
    let start = Instant::now();
    let download = || -> Result<()> {
        let mut connection = Connection::open(address)?;
        let mut buffer = vec![0; BUFFER];
        while start.elapsed() < time {
            let head = connection.send("GET", target, "", b"")?;
            if head.status != 200 {
                return Err(format!("{target}: {}", head.status).into());
            }
            let mut left = head.length;
            while left > 0 && start.elapsed() < time {
                let read = connection.read(&mut buffer)? as u64;
                left -= read;
                total.fetch_add(read, Ordering::Relaxed);
            }
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..connections).map(|_| scope.spawn(download)).collect();
        readers.into_iter().try_for_each(|reader| reader.join().map_err(|_| "a reader panicked")?)
    })?;
    Ok((total.into_inner(), start.elapsed()))
}
