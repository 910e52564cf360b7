//! Loading of the paths of a cache, their references and what protects them.
//!
//! The data is read in pages, so that no read lasts long: on SQLite a long read would keep the log from being truncated, on
//! PostgreSQL it would keep dead rows. A change between two pages is seen in either state, which does no harm: the transaction
//! that tombstones a path checks it once more.
//!
//! The database returns one row per page, with all values of a column in one value: transferring a row costs more than finding
//! it.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};

use super::census::Census;
use super::holds::holding;
use super::trace::{Edges, trace};
use crate::database::positional;
use crate::deploy::held_by_agents;
use crate::elsewhere::needed_by_sisters;
use crate::entity::nar;
use crate::entity::values::Count;
use crate::{CacheId, Catalog, CatalogError, StorageId, UnixTime};

/// The number of paths read at a time.
const PAGE: usize = if cfg!(test) { 7 } else { 5_000 };
/// The longest run of paths of other caches whose references are read and ignored: another query would take as long.
const GAP: i64 = if cfg!(test) { 2 } else { 64 };
/// Bytes of the hash of a store path.
const HASH: usize = 20;
/// The time of use of protected paths.
pub(super) const ALWAYS: i64 = i64::MAX;

/// A page of paths: numbers separated by commas, hashes concatenated. All are `None` if the page is empty.
#[derive(FromQueryResult)]
struct Paths {
    ids: Option<String>,
    hashes: Option<Vec<u8>>,
    used: Option<String>,
    nars: Option<String>,
}

/// A page of files, likewise.
#[derive(FromQueryResult)]
struct Nars {
    ids: Option<String>,
    sizes: Option<String>,
    storages: Option<String>,
}

/// A page of references: the referring path and the hash of the target of each.
#[derive(FromQueryResult)]
struct References {
    paths: Option<String>,
    hashes: Option<Vec<u8>>,
}

struct PathRow {
    id: i64,
    hash: [u8; HASH],
    used: i64,
    nar: i64,
}

struct NarRow {
    id: i64,
    size: i64,
    storage: i64,
}

impl Catalog {
    /// Determines what keeps each path of a cache alive now, and until when. Record uses that are known only in memory first
    /// ([`Catalog::touch`]).
    ///
    /// Takes about 150 bytes of memory per path and 4 per reference while it runs, and less afterwards.
    pub async fn census(&self, cache: CacheId, now: UnixTime) -> Result<Census, CatalogError> {
        let mut census = Census::default();
        self.load_paths(cache, &mut census).await?;
        self.load_nars(cache, &mut census).await?;
        let mut numbers: HashMap<[u8; HASH], u32> = HashMap::with_capacity(census.hashes.len());
        numbers.extend(census.hashes.iter().zip(0..).map(|(hash, number)| (*hash, number)));
        let edges = self.load_references(&census, &numbers).await?;
        for pin in holding(self.list_pins(cache).await?, now) {
            if let Some(&number) = numbers.get(pin.path.hash().as_bytes()) {
                census.own[number as usize] = ALWAYS;
                census.pins.insert(number, pin.name);
            }
        }
        for (hash, agent) in held_by_agents(self.readers(), cache, None).await? {
            if let Some(&number) = numbers.get(hash.as_bytes()) {
                census.own[number as usize] = ALWAYS;
                census.agents.insert(number, agent);
            }
        }
        for (hash, other) in needed_by_sisters(self.readers(), cache, None).await? {
            if let Some(&number) = numbers.get(hash.as_bytes()) {
                census.own[number as usize] = ALWAYS;
                census.sisters.insert(number, other);
            }
        }
        drop(numbers);
        // This takes a second for a large cache.
        let done = tokio::task::spawn_blocking(move || {
            let traced = trace(&census.own, &edges);
            census.count_files();
            census.traced = traced;
            census
        });
        done.await.map_err(|_| CatalogError::Closed)
    }

    async fn load_paths(&self, cache: CacheId, census: &mut Census) -> Result<(), CatalogError> {
        let backend = self.readers().get_database_backend();
        let text = format!(
            "SELECT {} AS ids, {} AS hashes, {} AS used, {} AS nars FROM \
             (SELECT id, hash, CASE WHEN last_used_at > created_at THEN last_used_at ELSE created_at END AS used, nar \
             FROM store_path WHERE {} = ? AND id > ? ORDER BY id LIMIT {PAGE}) AS page",
            numbers_of(backend, "id"),
            bytes_of(backend, "hash"),
            numbers_of(backend, "used"),
            numbers_of(backend, "nar"),
            unindexed(backend, "cache"),
        );
        let mut after = 0;
        loop {
            let page = Paths::find_by_statement(statement(backend, &text, [cache.0, after]));
            let rows = page.one(self.readers()).await?.map_or(Ok(Vec::new()), Paths::rows)?;
            let Some(last) = rows.last() else { return Ok(()) };
            after = last.id;
            for row in rows {
                census.ids.push(row.id);
                census.hashes.push(row.hash);
                census.own.push(row.used);
                census.nars.push(row.nar);
            }
        }
    }

    /// Reads the files in a query of their own: in a join with the paths, PostgreSQL would read all files for each page.
    async fn load_nars(&self, cache: CacheId, census: &mut Census) -> Result<(), CatalogError> {
        let enabled: HashMap<StorageId, bool> = self.storage_states(cache).await?;
        let backend = self.readers().get_database_backend();
        let text = format!(
            "SELECT {} AS ids, {} AS sizes, {} AS storages FROM (SELECT id, file_size, storage FROM nar \
             WHERE {} = ? AND id > ? ORDER BY id LIMIT {PAGE}) AS page",
            numbers_of(backend, "id"),
            numbers_of(backend, "file_size"),
            numbers_of(backend, "storage"),
            unindexed(backend, "cache"),
        );
        let mut nars: Vec<NarRow> = Vec::with_capacity(census.ids.len());
        loop {
            let after = nars.last().map_or(0, |last| last.id);
            let page = Nars::find_by_statement(statement(backend, &text, [cache.0, after]));
            let rows = page.one(self.readers()).await?.map_or(Ok(Vec::new()), Nars::rows)?;
            if rows.is_empty() {
                break;
            }
            nars.extend(rows);
        }
        for (number, id) in (0..).zip(&census.nars) {
            let nar = nars.binary_search_by_key(id, |nar| nar.id).ok().map(|place| &nars[place]);
            let is_in_use = |nar: &NarRow| enabled.get(&StorageId(nar.storage)).copied().unwrap_or(false);
            // A file that has just been moved is left to the next census.
            if !nar.is_some_and(is_in_use) {
                census.on_disabled.insert(number);
                census.own[number as usize] = ALWAYS;
            }
            let size = nar.map_or(0, |nar| nar.size);
            census.sizes.push(Count::of_sum::<nar::Entity>("file_size", size)?);
        }
        Ok(())
    }

    async fn load_references(
        &self,
        census: &Census,
        numbers: &HashMap<[u8; HASH], u32>,
    ) -> Result<Edges, CatalogError> {
        let backend = self.readers().get_database_backend();
        let text = format!(
            "SELECT {} AS paths, {} AS hashes FROM reference WHERE path >= ? AND path <= ?",
            numbers_of(backend, "path"),
            bytes_of(backend, "hash"),
        );
        let mut edges = Edges::with_capacity(census.ids.len());
        let mut number = 0;
        for near in census.ids.chunk_by(|one, next| next - one <= GAP) {
            for some in near.chunks(PAGE) {
                let values = [some[0], some[some.len() - 1]];
                let page = References::find_by_statement(statement(backend, &text, values));
                let Some(page) = page.one(self.readers()).await? else { continue };
                for (path, hash) in page.pairs()? {
                    while census.ids.get(number).is_some_and(|id| *id < path) {
                        number += 1;
                    }
                    // Paths of other caches are in between.
                    if census.ids.get(number) == Some(&path)
                        && let Some(&target) = numbers.get(&hash)
                        && target as usize != number
                    {
                        edges.add(number, target);
                    }
                }
            }
        }
        edges.finish(census.ids.len());
        Ok(edges)
    }
}

impl Paths {
    /// Returns the rows in the order of their ids. The database returns them so, but does not guarantee it.
    fn rows(self) -> Result<Vec<PathRow>, CatalogError> {
        let ids = parse_numbers("store_path", "id", self.ids)?;
        let hashes = split_hashes("store_path", ids.len(), self.hashes)?;
        let used = column("store_path", "last_used_at", ids.len(), self.used)?;
        let nars = column("store_path", "nar", ids.len(), self.nars)?;
        let row = |number: usize| PathRow {
            id: ids[number],
            hash: hashes[number],
            used: used[number],
            nar: nars[number],
        };
        let mut rows: Vec<_> = (0..ids.len()).map(row).collect();
        rows.sort_by_key(|row| row.id);
        Ok(rows)
    }
}

impl Nars {
    fn rows(self) -> Result<Vec<NarRow>, CatalogError> {
        let ids = parse_numbers("nar", "id", self.ids)?;
        let sizes = column("nar", "file_size", ids.len(), self.sizes)?;
        let storages = column("nar", "storage", ids.len(), self.storages)?;
        let row = |number: usize| NarRow { id: ids[number], size: sizes[number], storage: storages[number] };
        let mut rows: Vec<_> = (0..ids.len()).map(row).collect();
        rows.sort_by_key(|row| row.id);
        Ok(rows)
    }
}

impl References {
    /// Returns the references in the order of the paths, likewise.
    fn pairs(self) -> Result<Vec<(i64, [u8; HASH])>, CatalogError> {
        let paths = parse_numbers("reference", "path", self.paths)?;
        let hashes = split_hashes("reference", paths.len(), self.hashes)?;
        let mut pairs: Vec<_> = paths.into_iter().zip(hashes).collect();
        pairs.sort_by_key(|(path, _)| *path);
        Ok(pairs)
    }
}

/// Returns SQL for all values of a column of numbers as one text.
fn numbers_of(backend: DbBackend, column: &str) -> String {
    match backend {
        DbBackend::Postgres => format!("string_agg({column}::text, ',')"),
        _ => format!("group_concat({column}, ',')"),
    }
}

/// Returns SQL for all values of a column of bytes, concatenated. SQLite concatenates bytes as text without changing them.
fn bytes_of(backend: DbBackend, column: &str) -> String {
    match backend {
        DbBackend::Postgres => format!("string_agg({column}, ''::bytea)"),
        _ => format!("CAST(group_concat({column}, '') AS BLOB)"),
    }
}

/// Returns a column without the use of its index: SQLite would read and sort the whole cache for each page. PostgreSQL has
/// statistics and chooses better by itself.
fn unindexed(backend: DbBackend, column: &str) -> String {
    match backend {
        DbBackend::Postgres => column.to_owned(),
        _ => format!("+{column}"),
    }
}

fn parse_numbers(
    table: &'static str,
    column: &'static str,
    list: Option<String>,
) -> Result<Vec<i64>, CatalogError> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let parse = |text: &str| {
        let found = || CatalogError::Corrupt { table, column: column.to_owned(), found: format!("{text:?}") };
        text.parse().map_err(|_| found())
    };
    list.split(',').map(parse).collect()
}

fn column(
    table: &'static str,
    column: &'static str,
    count: usize,
    list: Option<String>,
) -> Result<Vec<i64>, CatalogError> {
    let numbers = parse_numbers(table, column, list)?;
    if numbers.len() == count { Ok(numbers) } else { Err(uneven(table, column)) }
}

fn split_hashes(
    table: &'static str,
    count: usize,
    bytes: Option<Vec<u8>>,
) -> Result<Vec<[u8; HASH]>, CatalogError> {
    let (hashes, rest) = bytes.as_deref().unwrap_or_default().as_chunks::<HASH>();
    if hashes.len() == count && rest.is_empty() { Ok(hashes.to_vec()) } else { Err(uneven(table, "hash")) }
}

/// The error for a row whose value has another length or is missing.
fn uneven(table: &'static str, column: &'static str) -> CatalogError {
    CatalogError::Corrupt {
        table,
        column: column.to_owned(),
        found: "values that do not belong there".to_owned(),
    }
}

fn statement<const N: usize>(backend: DbBackend, text: &str, values: [i64; N]) -> Statement {
    Statement::from_sql_and_values(backend, positional(backend, text), values.map(Value::from))
}
