//! Reading the paths of a cache, what they refer to, and which of them are held.
//!
//! In pages, so that no read lasts long: on SQLite one would keep the log from being cut, on PostgreSQL it would keep dead
//! rows. What changes between two pages is seen in either state, which does no harm: a path is buried only after what
//! matters about it was looked at once more, in the transaction that buries it.
//!
//! The database makes one row of a page, with all values of a column in one: handing each over costs more than finding it.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, Value};

use super::census::Census;
use super::holds::holding;
use super::trace::{Edges, trace};
use crate::deploy::held_by_agents;
use crate::entity::nar;
use crate::entity::values::Count;
use crate::{CacheId, Catalog, CatalogError, StorageId, UnixTime};

/// How many paths are read at a time.
const PAGE: usize = if cfg!(test) { 7 } else { 5_000 };
/// Paths of other caches in a row whose references are read and not used: asking once more would take as long.
const GAP: i64 = if cfg!(test) { 2 } else { 64 };
/// Bytes of the hash of a store path.
const HASH: usize = 20;
/// The time of use of what is held: always.
pub(super) const ALWAYS: i64 = i64::MAX;

/// Some paths: numbers between commas, hashes one after the other. All are `None` if there are none.
#[derive(FromQueryResult)]
struct Paths {
    ids: Option<String>,
    hashes: Option<Vec<u8>>,
    used: Option<String>,
    nars: Option<String>,
}

/// Some files, likewise.
#[derive(FromQueryResult)]
struct Nars {
    ids: Option<String>,
    sizes: Option<String>,
    storages: Option<String>,
}

/// The paths that refer to others, each as often as it does, and what they refer to.
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
    /// Finds out what keeps each path of a cache alive at this moment, and until when. Uses that are known in memory only
    /// are to be written down before ([`Catalog::touch`]).
    ///
    /// Memory: about 150 bytes per path and 4 per reference while it is made, less afterwards.
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
        drop(numbers);
        // A second of work on a large cache.
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

    /// Reads the files of the paths. By themselves: joined with the paths, page by page, PostgreSQL would read all of them
    /// for each page.
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
            // One that was moved just now is looked at the next time.
            if !nar.is_some_and(is_in_use) {
                census.shelved.insert(number);
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
                    // Other caches have their paths in between.
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
    /// In the order of their ids. They are found so, in fact; but no database promises that.
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
    /// In the order of the paths, likewise.
    fn pairs(self) -> Result<Vec<(i64, [u8; HASH])>, CatalogError> {
        let paths = parse_numbers("reference", "path", self.paths)?;
        let hashes = split_hashes("reference", paths.len(), self.hashes)?;
        let mut pairs: Vec<_> = paths.into_iter().zip(hashes).collect();
        pairs.sort_by_key(|(path, _)| *path);
        Ok(pairs)
    }
}

/// All values of a column of numbers as one text.
fn numbers_of(backend: DbBackend, column: &str) -> String {
    match backend {
        DbBackend::Postgres => format!("string_agg({column}::text, ',')"),
        _ => format!("group_concat({column}, ',')"),
    }
}

/// All values of a column of bytes, one after the other. SQLite joins bytes as if they were text, whatever they are.
fn bytes_of(backend: DbBackend, column: &str) -> String {
    match backend {
        DbBackend::Postgres => format!("string_agg({column}, ''::bytea)"),
        _ => format!("CAST(group_concat({column}, '') AS BLOB)"),
    }
}

/// A column that no index is used for: SQLite would read the whole cache by it, and sort it, for each page. PostgreSQL, which
/// knows how much there is, would do worse for being kept from it.
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

/// One row of many has a value of another length, or none.
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

/// The text with the database's own way to name parameters.
fn positional(backend: DbBackend, text: &str) -> String {
    if backend != DbBackend::Postgres {
        return text.to_owned();
    }
    let mut pieces = text.split('?');
    let mut numbered = pieces.next().unwrap_or_default().to_owned();
    for (number, piece) in (1..).zip(pieces) {
        numbered.push_str(&format!("${number}{piece}"));
    }
    numbered
}
