//! Writes the rows of a large cache into the database of a daemon that is not running.

use std::path::Path;

use nix_formats::nix32;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use crate::support::Result;

/// Stems of names, which `i` makes different.
const STEMS: &str = "firefox python3 perl5.40 ruby rust-analyzer glibc-locales gcc-wrapper linux-modules texlive \
                     haskell-lens nodejs qtbase libreoffice chromium systemd openssl coreutils bash-interactive ripgrep emacs";
/// Days over which the paths were pushed.
const DAYS: u32 = 60;

/// Writes so many paths, all of which refer to the first one and to two others.
pub fn fill(database: &Path, paths: u32) -> Result<()> {
    run(database, async move |connection| {
        let stems: Vec<&str> = STEMS.split_whitespace().collect();
        let cases: String =
            stems.iter().enumerate().map(|(at, stem)| format!("WHEN {at} THEN '{stem}' ")).collect();
        let name =
            format!("CASE i % {} {cases} END || '-' || (i * 7919 % 1000000) || '.' || i % 17", stems.len());
        let numbers =
            format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {paths})");
        let signature = format!("bench.example.org-1:{}", "A".repeat(88));
        let time = format!("unixepoch() - (i * 104729 % ({DAYS} * 86400))");
        for statement in [
            format!(
                "{numbers} INSERT INTO nar (id, cache, storage, file_hash, compression, file_size, nar_hash, nar_size, damaged, \
                 created_at) SELECT 1000000 + i, 1, 1, randomblob(32), 'zstd', 1000 + i * 7919 % 5000000, randomblob(32), \
                 4000 + i * 7919 % 20000000, FALSE, {time} FROM n"
            ),
            format!(
                "{numbers} INSERT INTO store_path (id, cache, hash, name, nar, deriver, ca, signatures, created_at, last_used_at) \
                 SELECT 1000000 + i, 1, randomblob(20), {name}, 1000000 + i, NULL, NULL, '{signature}', {time}, {time} FROM n"
            ),
            "INSERT INTO reference (path, position, hash, name) SELECT id, 0, (SELECT hash FROM store_path WHERE id = 1000001), \
             (SELECT name FROM store_path WHERE id = 1000001) FROM store_path WHERE id > 1000001"
                .to_owned(),
            format!(
                "INSERT INTO reference (path, position, hash, name) SELECT p.id, 1, q.hash, q.name FROM store_path p JOIN store_path q \
                 ON q.id = 1000001 + (p.id * 31 % {paths}) WHERE q.id < p.id"
            ),
        ] {
            connection.execute_unprepared(&statement).await?;
        }
        Ok(())
    })
}

/// The hash of a path somewhere in the middle, and that of the path that all others refer to.
pub fn some_hashes(database: &Path) -> Result<[String; 2]> {
    run(database, async move |connection| {
        let mut hashes = Vec::new();
        for id in [1_050_000, 1_000_001] {
            let text = format!("SELECT hash FROM store_path WHERE id = {id}");
            let row = connection.query_one_raw(Statement::from_string(DbBackend::Sqlite, text)).await?;
            let hash: Vec<u8> = row.ok_or("the path is missing")?.try_get("", "hash")?;
            hashes.push(nix32::encode(&hash));
        }
        let [middle, first] = <[String; 2]>::try_from(hashes).map_err(|_| "two hashes")?;
        Ok([middle, first])
    })
}

fn run<T>(database: &Path, work: impl AsyncFnOnce(DatabaseConnection) -> Result<T>) -> Result<T> {
    let url = format!("sqlite://{}", database.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { work(Database::connect(url).await?).await })
}
