//! How fast pages are on a cache of a million paths, what memory they take, and what a crawler costs those who read narinfo.
//!
//! ```sh
//! cargo bench -p cache-server --bench pages            # about two minutes
//! cargo bench -p cache-server --bench pages -- --quick # a tenth of the paths
//! cargo bench -p cache-server --bench pages -- --daemon target/debug/cache-server
//! ```
//!
//! Rows are written into the catalog directly, as pushing them would take an hour. Figures are printed; nothing is asserted.

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the load and the memory program use the rest")]
mod support;

mod fill;

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use support::client::Connection;
use support::daemon::{CACHE, Daemon};
use support::{Result, flag, process};

/// What a browser sends.
const BROWSER: &str = "Accept: text/html\r\n";
/// How often each page is opened.
const ROUNDS: usize = 7;
/// How long narinfo is read, with the crawler and without.
const READING: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pages: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let paths: u32 = if flag("--quick") { 100_000 } else { 1_000_000 };
    let directory = tempfile::tempdir()?;
    let database = directory.path().join("catalog.db");
    let start = || {
        Daemon::start_with(directory.path(), |config| {
            config["server"]["database"] = json!(database);
            // There are no files.
            config["server"]["scrub-interval"] = json!("off");
        })
    };
    // The daemon makes the tables and the cache.
    drop(start()?);
    let begun = Instant::now();
    fill::fill(&database, paths)?;
    println!("{paths} paths, written in {:.1} s", begun.elapsed().as_secs_f64());
    println!("database: {} MiB", std::fs::metadata(&database)?.len() >> 20);
    let begun = Instant::now();
    let daemon = start()?;
    println!("started in {:.1} s", begun.elapsed().as_secs_f64());
    let before = process::memory(daemon.pid())?;
    println!("memory before the first page: {before:?}");

    let [hash, popular] = fill::some_hashes(&database)?;
    let pages = [
        ("first page", "/".to_owned()),
        ("cache", format!("/cache/{CACHE}")),
        ("all paths", format!("/cache/{CACHE}/paths")),
        ("search, common name", format!("/cache/{CACHE}/paths?q=firefox")),
        ("search, start of a name", format!("/cache/{CACHE}/paths?q=python3-7")),
        ("search, nothing found", format!("/cache/{CACHE}/paths?q=no-such-package")),
        ("search, two words", format!("/cache/{CACHE}/paths?q=fire+99999")),
        ("search, start of a hash", format!("/cache/{CACHE}/paths?q={}", &hash[..6])),
        ("path", format!("/cache/{CACHE}/path/{hash}")),
        ("path that all refer to", format!("/cache/{CACHE}/path/{popular}")),
        ("its referrers", format!("/cache/{CACHE}/path/{popular}/referrers?after=1500000")),
    ];
    println!("\n{:<26}{:>10}{:>10}{:>10}", "page", "first", "median", "bytes");
    for (name, target) in &pages {
        let mut times = Vec::new();
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let mut connection = Connection::open(daemon.api)?;
            let begun = Instant::now();
            bytes = connection.call("GET", target, BROWSER, b"")?.1.len();
            times.push(begun.elapsed());
        }
        let first = times[0];
        times.sort();
        println!("{name:<26}{:>7.0} ms{:>7.0} ms{bytes:>10}", millis(first), millis(times[ROUNDS / 2]));
    }
    println!("\nmemory after the pages: {:?}", process::memory(daemon.pid())?);

    let targets: Vec<String> = pages.iter().map(|(_, target)| target.clone()).collect();
    println!("\nnarinfo on one connection   median       p99   requests/s");
    for crawls in [false, true, false, true] {
        let ended = Arc::new(AtomicBool::new(false));
        let crawlers: Vec<_> = (0..if crawls { 4 } else { 0 })
            .map(|_| thread::spawn(crawl(daemon.api, targets.clone(), ended.clone())))
            .collect();
        let times = read_narinfo(&daemon, &hash)?;
        ended.store(true, Ordering::Relaxed);
        let pages: usize = crawlers.into_iter().map(|crawler| crawler.join().unwrap_or(0)).sum();
        let who = if crawls { format!("beside a crawler ({pages} pages)") } else { "alone".to_owned() };
        let micros = |part: f64| times[(times.len() as f64 * part) as usize].as_secs_f64() * 1e6;
        let rate = times.len() as f64 / READING.as_secs_f64();
        println!("{who:<26}{:>7.0} µs{:>7.0} µs{rate:>12.0}", micros(0.5), micros(0.99));
    }
    println!("memory at the end: {:?}", process::memory(daemon.pid())?);
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Walks all pages again and again, and returns how many that were.
fn crawl(api: SocketAddr, targets: Vec<String>, ended: Arc<AtomicBool>) -> impl FnOnce() -> usize {
    move || {
        let mut pages = 0;
        let Ok(mut connection) = Connection::open(api) else { return 0 };
        while !ended.load(Ordering::Relaxed) {
            let target = &targets[pages % targets.len()];
            if connection.call("GET", target, BROWSER, b"").is_err() {
                return pages;
            }
            pages += 1;
        }
        pages
    }
}

/// Reads one narinfo again and again, as one reader does. The times, sorted.
fn read_narinfo(daemon: &Daemon, hash: &str) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(daemon.cache)?;
    let target = format!("/{hash}.narinfo");
    let mut times = Vec::new();
    let begun = Instant::now();
    while begun.elapsed() < READING {
        let sent = Instant::now();
        connection.get(&target)?;
        times.push(sent.elapsed());
    }
    times.sort();
    Ok(times)
}
