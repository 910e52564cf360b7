//! How long garbage collection takes to find out what is dead in a cache of a million paths with five million references,
//! how much memory that needs, and for how long it keeps pushes waiting. On SQLite, and with `-- postgres` on a PostgreSQL
//! server of its own; `-- paths 50000` for another number of paths. Prints figures, asserts nothing.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use catalog::{
    CacheId, Catalog, DeclaredCache, DeclaredStorage, NewNar, PathCommit, StorageId, TombstoneBatch, UnixTime,
};
use nix_formats::{Compression, FileHash, NarHash, StorePath, StorePathHash};
use sea_orm::{ConnectionTrait, Database};

#[path = "../tests/support/postgres.rs"]
mod postgres;

/// Paths in the cache, unless another number is given.
const PATHS: u32 = 1_000_000;
const REFERENCES: u32 = 5;
/// Paths that refer to each other only, and live or die together.
const CLOSURE: u32 = 500;
/// Paths that are tombstoned, which is enough to see what that costs.
const BURIED: usize = 10_000;
/// As many as the daemon tombstones at once in the beginning.
const BATCH: usize = 16;
const CUTOFF: UnixTime = UnixTime(1_000);

#[tokio::main]
async fn main() {
    let paths = number_of_paths();
    if std::env::args().any(|argument| argument == "postgres") {
        println!("PostgreSQL");
        let server = postgres::Server::private(&[]);
        let numbers = format!("WITH n(i) AS (SELECT generate_series(1, {paths}))");
        measure(&server.database().url(), &numbers, "floor(random() * {})::bigint").await;
    } else {
        println!("SQLite");
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
        let numbers =
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {paths})");
        measure(&url, &numbers, "abs(random()) % {}").await;
    }
}

fn number_of_paths() -> u32 {
    let given = std::env::args().skip_while(|argument| argument != "paths").nth(1);
    given.map_or(PATHS, |number| number.parse().expect("`paths` is followed by a number"))
}

async fn measure(url: &str, numbers: &str, random: &str) {
    let catalog = Catalog::open(url).await.unwrap();
    let (cache, storage) = new_cache(&catalog).await;
    let start = Instant::now();
    fill(url, numbers, random, cache, storage).await;
    println!("filled in {:.0} s", start.elapsed().as_secs_f64());

    let before = memory();
    let start = Instant::now();
    let census = catalog.census(cache, UnixTime::now()).await.unwrap();
    let dead = census.unused_since(CUTOFF);
    println!("{dead} of {} paths are dead: {:.2} s", census.len(), start.elapsed().as_secs_f64());
    println!(
        "memory: {} MiB before, {} MiB at most, {} MiB after",
        before.0 >> 10,
        memory().1 >> 10,
        memory().0 >> 10
    );

    let stop = Arc::new(AtomicBool::new(false));
    let pushing = tokio::spawn(push(catalog.clone(), cache, storage, stop.clone()));
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    let mut batches = census.batches(dead.min(BURIED), BATCH);
    while let Some(paths) = batches.next() {
        let begin = Instant::now();
        let batch = TombstoneBatch { cache, paths, unused_since: CUTOFF, now: UnixTime::now(), trash: false };
        catalog.tombstone_paths(batch).await.unwrap();
        slowest = slowest.max(begin.elapsed());
        batches.took(begin.elapsed());
    }
    let elapsed = start.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let (pushes, longest) = pushing.await.unwrap();
    println!("tombstoned {} paths in {elapsed:.1} s, a batch in {slowest:.0?} at most", dead.min(BURIED));
    println!("{pushes} pushes meanwhile, the slowest in {longest:.0?}");
}

/// Pushes paths one after the other. Returns how many, and how long the slowest took.
async fn push(
    catalog: Catalog,
    cache: CacheId,
    storage: StorageId,
    stop: Arc<AtomicBool>,
) -> (u32, Duration) {
    let mut longest = Duration::ZERO;
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return (number, longest);
        }
        let begin = Instant::now();
        catalog.commit_path(new_path(cache, storage, number)).await.unwrap();
        longest = longest.max(begin.elapsed());
    }
    unreachable!("there are more numbers than time")
}

fn new_path(cache: CacheId, storage: StorageId, number: u32) -> PathCommit {
    let mut hash = [0xee; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    let mut path = [0xee; 20];
    path[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
    PathCommit {
        cache,
        path: StorePath::new(StorePathHash::from_bytes(path), "new").unwrap(),
        nar: NewNar {
            storage,
            file_hash: FileHash::from_bytes(hash),
            compression: Compression::Zstd,
            file_size: 10_000,
            nar_hash: NarHash::from_bytes(hash),
            nar_size: 30_000,
        },
        references: Vec::new(),
        deriver: None,
        ca: None,
        signatures: Vec::new(),
        upload: None,
        pushed_by: None,
        created_at: UnixTime::now(),
        turns: None,
        unavailable: Vec::new(),
        copies: 0,
    }
}

/// Resident memory of this process now and at most, in KiB.
fn memory() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let value = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (value("VmRSS:"), value("VmHWM:"))
}

async fn new_cache(catalog: &Catalog) -> (CacheId, StorageId) {
    let declared = DeclaredCache { name: "large".to_owned(), public: true, enabled: true };
    let cache = catalog.reconcile_caches(&[declared]).await.unwrap()[0].id;
    let declared =
        DeclaredStorage { cache, name: "disk".to_owned(), kind: "local".to_owned(), location: String::new() };
    (cache, catalog.reconcile_storages(&[declared]).await.unwrap()[0].id)
}

/// Writes the rows directly, which takes a minute instead of an hour. Every second closure is old.
async fn fill(url: &str, numbers: &str, random: &str, cache: CacheId, storage: StorageId) {
    let connection = Database::connect(url).await.unwrap();
    let (cache, storage, signature) = (cache.0, storage.0, "A".repeat(88));
    let hash = |length: u32| match connection.get_database_backend() {
        sea_orm::DbBackend::Postgres => format!("substring(sha256(i::text::bytea) FOR {length})"),
        _ => format!("randomblob({length})"),
    };
    let (path_hash, file_hash) = (hash(20), hash(32));
    let used = format!("(i / {CLOSURE}) % 2 * 2000");
    let target = random.replace("{}", &format!("(i % {CLOSURE} + 1)"));
    for statement in [
        format!(
            "{numbers} INSERT INTO nar (id, cache, storage, file_hash, compression, file_size, nar_hash, nar_size, \
             damaged, created_at) SELECT 1000000 + i, {cache}, {storage}, {file_hash}, 'zstd', i, {file_hash}, \
             i, FALSE, 0 FROM n"
        ),
        format!(
            "{numbers} INSERT INTO store_path (id, cache, hash, name, nar, deriver, ca, signatures, created_at, \
             last_used_at) SELECT 1000000 + i, {cache}, {path_hash}, 'path-' || i, 1000000 + i, NULL, NULL, \
             'main.example.org-1:{signature}', 0, {used} FROM n"
        ),
        format!(
            "{numbers}, k(position) AS (VALUES {}) INSERT INTO reference (path, position, hash, name) \
             SELECT 1000000 + i, position, p.hash, p.name FROM \
             (SELECT i, position, 1000000 + i - {target} AS target FROM n, k) t JOIN store_path p ON p.id = t.target",
            (0..REFERENCES).map(|position| format!("({position})")).collect::<Vec<_>>().join(", ")
        ),
    ] {
        connection.execute_unprepared(&statement).await.unwrap();
    }
    // What the database does by itself sooner or later: a daemon does not write this much at once.
    let settle = match connection.get_database_backend() {
        sea_orm::DbBackend::Postgres => "ANALYZE",
        _ => "PRAGMA wal_checkpoint(TRUNCATE)",
    };
    connection.execute_unprepared(settle).await.unwrap();
}
