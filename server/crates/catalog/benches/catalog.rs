//! How fast paths are committed and how fast a large cache is loaded, on SQLite and on a PostgreSQL server of its own.
//! Prints figures, asserts nothing.

#![allow(clippy::unwrap_used)]

use std::pin::pin;
use std::time::{Duration, Instant};

use catalog::{CacheId, Catalog, DeclaredCache, DeclaredStorage, NewNar, PathCommit, StorageId, UnixTime};
use futures_util::TryStreamExt;
use nix_formats::{Compression, FileHash, NarHash, StorePath, StorePathHash};
use sea_orm::{ConnectionTrait, Database};

#[path = "../tests/support/postgres.rs"]
mod postgres;

const COMMITS: u32 = 4000;
const REFERENCES: u32 = 5;
const PATHS: u32 = 1_000_000;

#[tokio::main]
async fn main() {
    println!("SQLite");
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    measure(&url, &[1], SQLITE_ROWS).await;

    println!("PostgreSQL");
    let server = postgres::Server::private(&[]);
    measure(&server.database().url(), &[1, 2, 3], POSTGRES_ROWS).await;
}

/// Measures a database with so many daemons on it.
async fn measure(url: &str, daemons: &[usize], rows: Rows) {
    for &daemons in daemons {
        let mut catalogs = Vec::new();
        for _ in 0..daemons {
            catalogs.push(Catalog::open(url).await.unwrap());
        }
        for callers in [1, 8, 64] {
            commit(&catalogs, callers).await;
        }
    }
    load(url, rows).await;
}

/// Commits new paths from so many tasks at once to each of the daemons.
async fn commit(catalogs: &[Catalog], callers: u32) {
    let name = format!("commits-{}-{callers}", catalogs.len());
    let (cache, storage) = new_cache(&catalogs[0], &name).await;
    let commits = || catalogs.iter().map(|catalog| catalog.writer_stats().commits).sum::<u64>();
    let before = commits();
    let start = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .flat_map(|caller| catalogs.iter().map(move |catalog| (caller, catalog.clone())))
        .enumerate()
        .map(|(first, (_, catalog))| {
            let step = callers as usize * catalogs.len();
            tokio::spawn(async move {
                for number in (0..COMMITS).skip(first).step_by(step) {
                    catalog.commit_path(new_path(cache, storage, number)).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let elapsed = start.elapsed();
    println!(
        "{} daemons, {callers:>3} callers each: {:>6.0} paths/s, {:>4.1} paths per transaction",
        catalogs.len(),
        f64::from(COMMITS) / elapsed.as_secs_f64(),
        f64::from(COMMITS) / (commits() - before) as f64,
    );
}

/// Loads the hashes of a cache of a million paths.
async fn load(url: &str, rows: Rows) {
    let catalog = Catalog::open(url).await.unwrap();
    let (cache, storage) = new_cache(&catalog, "large").await;
    fill(url, rows, cache, storage).await;
    for _ in 0..3 {
        let start = Instant::now();
        let mut batches = pin!(catalog.visible_path_hashes(cache));
        let mut count = 0;
        while let Some(batch) = batches.try_next().await.unwrap() {
            count += batch.len();
        }
        print_time(&format!("{count} visible hashes"), start.elapsed());
    }
    let start = Instant::now();
    let stats = catalog.cache_stats(cache).await.unwrap();
    print_time(&format!("statistics of {} paths", stats.paths), start.elapsed());
    let start = Instant::now();
    catalog.storage_used(storage).await.unwrap();
    print_time("used space of the storage", start.elapsed());
}

fn print_time(what: &str, elapsed: Duration) {
    println!("{what}: {:.3} s", elapsed.as_secs_f64());
}

async fn new_cache(catalog: &Catalog, name: &str) -> (CacheId, StorageId) {
    let declared = DeclaredCache { name: name.to_owned(), public: true, enabled: true };
    let caches = catalog.reconcile_caches(&[declared]).await.unwrap();
    let cache = caches.iter().find(|cache| cache.name == name).unwrap().id;
    let declared =
        DeclaredStorage { cache, name: "disk".to_owned(), kind: "local".to_owned(), location: String::new() };
    let storages = catalog.reconcile_storages(&[declared]).await.unwrap();
    let storage = storages.iter().find(|storage| storage.cache == cache);
    (cache, storage.unwrap().id)
}

fn new_path(cache: CacheId, storage: StorageId, number: u32) -> PathCommit {
    let path = |number: u32| {
        let mut hash = [0; 20];
        // Hashes of real paths are as good as random.
        hash[..4].copy_from_slice(&number.wrapping_mul(0x9e37_79b1).to_be_bytes());
        StorePath::new(StorePathHash::from_bytes(hash), &format!("path-{number}")).unwrap()
    };
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&number.wrapping_mul(0x85eb_ca6b).to_be_bytes());
    PathCommit {
        cache,
        path: path(number),
        nar: NewNar {
            storage,
            file_hash: FileHash::from_bytes(hash),
            compression: Compression::Zstd,
            file_size: 10_000,
            nar_hash: NarHash::from_bytes(hash),
            nar_size: 30_000,
        },
        references: (number..number + REFERENCES).map(path).collect(),
        deriver: Some(format!("{}.drv", path(number + 1).base_name())),
        ca: None,
        signatures: vec![format!("main.example.org-1:{}", "A".repeat(88))],
        upload: None,
        pushed_by: None,
        created_at: UnixTime::now(),
        turns: None,
        unavailable: Vec::new(),
        copies: 0,
    }
}

/// How a database makes rows: the numbers from 1 on, as `n(i)`, and so many bytes that look random.
struct Rows {
    numbers: fn(u32) -> String,
    bytes: fn(u32) -> String,
}

const SQLITE_ROWS: Rows = Rows {
    numbers: |count| {
        format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})")
    },
    bytes: |length| format!("randomblob({length})"),
};

const POSTGRES_ROWS: Rows = Rows {
    numbers: |count| format!("WITH n(i) AS (SELECT generate_series(1, {count}))"),
    bytes: |length| format!("substring(sha256(i::text::bytea) FOR {length})"),
};

/// Writes the rows of a large cache directly, which takes seconds instead of minutes.
async fn fill(url: &str, rows: Rows, cache: CacheId, storage: StorageId) {
    let connection = Database::connect(url).await.unwrap();
    let (cache, storage, signature) = (cache.0, storage.0, "A".repeat(88));
    let numbers = (rows.numbers)(PATHS);
    let [path_hash, file_hash] = [20, 32].map(rows.bytes);
    for statement in [
        format!(
            "{numbers} INSERT INTO nar (id, cache, storage, file_hash, compression, file_size, nar_hash, nar_size, \
             damaged, created_at) SELECT 1000000 + i, {cache}, {storage}, {file_hash}, 'zstd', i, {file_hash}, \
             i, FALSE, 0 FROM n"
        ),
        format!(
            "{numbers} INSERT INTO store_path (id, cache, hash, name, nar, deriver, ca, signatures, created_at, \
             last_used_at) SELECT 1000000 + i, {cache}, {path_hash}, 'path-' || i, 1000000 + i, NULL, NULL, \
             'main.example.org-1:{signature}', 0, 0 FROM n"
        ),
    ] {
        connection.execute_unprepared(&statement).await.unwrap();
    }
}
