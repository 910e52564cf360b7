//! What was acknowledged survives SIGKILL at any moment. The writer is another run of this test program, which is killed.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use catalog::{CacheId, Catalog, DeclaredCache, DeclaredStorage, NewNar, PathCommit, StorageId, UnixTime};
use nix_formats::{Compression, FileHash, NarHash, StorePath, StorePathHash};

#[path = "support/postgres.rs"]
mod postgres;

const URL: &str = "CATALOG_KILL_TEST_URL";
const WRITER: &str = "the_writer_that_is_killed";
const ACKNOWLEDGED: &str = "acknowledged ";

#[tokio::test]
async fn paths_acknowledged_on_sqlite_survive_being_killed() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", directory.path().join("catalog.db").display());
    acknowledged_paths_survive_being_killed(&url).await;
}

#[tokio::test]
async fn paths_acknowledged_on_postgres_survive_being_killed() {
    let database = postgres::Server::shared().database();
    acknowledged_paths_survive_being_killed(&database.url()).await;
}

async fn acknowledged_paths_survive_being_killed(url: &str) {
    let mut acknowledged = Vec::new();
    // Every round starts on what the one before left behind.
    for round in 1..=5 {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", WRITER, "--ignored", "--nocapture"])
            .env(URL, url)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        while acknowledged.len() < round * 20 {
            acknowledged.extend(number_of(&lines.next().unwrap().unwrap()));
        }
        writer.kill().unwrap();
        writer.wait().unwrap();
        // What it said between the last line that was read and its end counts as well.
        acknowledged.extend(lines.map_while(Result::ok).filter_map(|line| number_of(&line)));

        let catalog = Catalog::open(url).await.unwrap();
        let (cache, storage) = declare(&catalog).await;
        for &number in &acknowledged {
            let expected = new_path(cache, storage, number);
            let found = catalog.find_path(cache, expected.path.hash()).await.unwrap();
            let found = found.unwrap_or_else(|| panic!("path {number} was lost"));
            assert_eq!(found.path, expected.path);
            assert_eq!(found.references, expected.references);
            assert_eq!(found.nar.file_hash, expected.nar.file_hash);
        }
        catalog.close().await;
    }
}

fn number_of(line: &str) -> Option<u32> {
    line.strip_prefix(ACKNOWLEDGED)?.parse().ok()
}

#[test]
#[ignore = "run by the tests above"]
fn the_writer_that_is_killed() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        let catalog = Catalog::open(&url).await.unwrap();
        let (cache, storage) = declare(&catalog).await;
        let first = catalog.list_paths(cache, None, u64::MAX >> 1).await.unwrap().len();
        let first = u32::try_from(first).unwrap() * 8;
        let tasks: Vec<_> = (0..8)
            .map(|task| {
                let catalog = catalog.clone();
                tokio::spawn(async move {
                    for number in (first + task..).step_by(8) {
                        let path = new_path(cache, storage, number);
                        catalog.commit_path(path).await.unwrap();
                        println!("{ACKNOWLEDGED}{number}");
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
}

async fn declare(catalog: &Catalog) -> (CacheId, StorageId) {
    let cache = DeclaredCache { name: "main".to_owned(), public: true, enabled: true };
    let cache = catalog.reconcile_caches(&[cache]).await.unwrap()[0].id;
    let storage =
        DeclaredStorage { cache, name: "disk".to_owned(), kind: "local".to_owned(), location: String::new() };
    let storage = catalog.reconcile_storages(&[storage]).await.unwrap()[0].id;
    (cache, storage)
}

fn new_path(cache: CacheId, storage: StorageId, number: u32) -> PathCommit {
    let path = |number: u32| {
        let mut hash = [0; 20];
        hash[..4].copy_from_slice(&number.to_be_bytes());
        StorePath::new(StorePathHash::from_bytes(hash), &format!("path-{number}")).unwrap()
    };
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&number.to_be_bytes());
    PathCommit {
        cache,
        path: path(number),
        nar: NewNar {
            storage,
            file_hash: FileHash::from_bytes(hash),
            compression: Compression::Zstd,
            file_size: 100,
            nar_hash: NarHash::from_bytes(hash),
            nar_size: 300,
        },
        references: vec![path(number), path(number + 1)],
        deriver: None,
        ca: None,
        signatures: vec!["main-1:abc".to_owned()],
        upload: None,
        pushed_by: None,
        created_at: UnixTime::now(),
        turns: None,
        unavailable: Vec::new(),
        copies: 0,
    }
}
