//! Reading the paths of a cache, what they refer to, and which of them are held.
//!
//! In pages, so that no read lasts long: on SQLite one would keep the log from being cut, on PostgreSQL it would keep dead
//! rows. What changes between two pages is seen in either state, which does no harm: a path is buried only after what
//! matters about it was looked at once more, in the transaction that buries it.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use super::census::Census;
use super::holds::holding;
use super::trace::{Edges, trace};
use crate::deploy::held_by_agents;
use crate::{CacheId, Catalog, CatalogError, StorageId, UnixTime, rows};

/// How many paths are read at a time.
const PAGE: i64 = if cfg!(test) { 7 } else { 20_000 };
/// Bytes of the hash of a store path.
const HASH: usize = 20;
/// The time of use of what is held: always.
pub(super) const ALWAYS: i64 = i64::MAX;

/// A path and its file.
#[derive(FromQueryResult)]
struct PathRow {
    id: i64,
    hash: Vec<u8>,
    used: i64,
    nar: i64,
    file_size: i64,
    storage: StorageId,
}

/// What a path refers to: the hashes in hexadecimal, one after the other. One row per path and not per reference, as
/// handing a row over costs more than finding it.
#[derive(FromQueryResult)]
struct ReferenceRow {
    path: i64,
    hashes: String,
}

impl Catalog {
    /// Finds out what keeps each path of a cache alive at this moment, and until when. Uses that are known in memory only
    /// are to be written down before ([`Catalog::touch`]).
    ///
    /// Memory: about 150 bytes per path and 4 per reference while it is made, less afterwards.
    pub async fn census(&self, cache: CacheId, now: UnixTime) -> Result<Census, CatalogError> {
        let mut census = Census::default();
        let pages = self.load_paths(cache, &mut census).await?;
        let mut numbers: HashMap<[u8; HASH], u32> = HashMap::with_capacity(census.hashes.len());
        numbers.extend(census.hashes.iter().zip(0..).map(|(hash, number)| (*hash, number)));
        let edges = self.load_references(&census, &numbers, &pages).await?;
        for pin in holding(self.list_pins(cache).await?, now) {
            if let Some(&number) = numbers.get(pin.path.hash().as_bytes()) {
                census.own[number as usize] = ALWAYS;
                census.pins.insert(number, pin.name);
            }
        }
        for (hash, agent) in held_by_agents(self.readers(), cache, None).await? {
            if let Some(&number) = numbers.get(hash.as_slice()) {
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

    /// Reads the paths and returns the first id of each page.
    async fn load_paths(&self, cache: CacheId, census: &mut Census) -> Result<Vec<i64>, CatalogError> {
        let enabled: HashMap<StorageId, bool> = self.storage_states(cache).await?;
        let backend = self.readers().get_database_backend();
        let mut pages = Vec::new();
        let mut after = 0;
        loop {
            // The plus keeps the database from reading the whole cache by another index to sort it for each page.
            let statement = Statement::from_sql_and_values(
                backend,
                positional(
                    backend,
                    "SELECT p.id, p.hash, CASE WHEN p.last_used_at > p.created_at THEN p.last_used_at \
                     ELSE p.created_at END AS used, p.nar, n.file_size, n.storage \
                     FROM store_path p JOIN nar n ON n.id = p.nar WHERE +p.cache = ? AND p.id > ? ORDER BY p.id LIMIT ?",
                ),
                [cache.0.into(), after.into(), PAGE.into()],
            );
            let page = PathRow::find_by_statement(statement).all(self.readers()).await?;
            let (Some(first), Some(last)) = (page.first(), page.last()) else { return Ok(pages) };
            pages.push(first.id);
            after = last.id;
            for row in page {
                let number = u32::try_from(census.ids.len()).unwrap_or(u32::MAX);
                census.ids.push(row.id);
                census.hashes.push(rows::bytes("store_path", "hash", row.hash)?);
                let shelved = !enabled.get(&row.storage).copied().unwrap_or(false);
                if shelved {
                    census.shelved.insert(number);
                }
                census.own.push(if shelved { ALWAYS } else { row.used });
                census.nars.push(row.nar);
                census.sizes.push(rows::unsigned("nar", "file_size", row.file_size)?);
            }
        }
    }

    async fn load_references(
        &self,
        census: &Census,
        numbers: &HashMap<[u8; HASH], u32>,
        pages: &[i64],
    ) -> Result<Edges, CatalogError> {
        let backend = self.readers().get_database_backend();
        let mut edges = Edges::with_capacity(census.ids.len());
        for (page, &first) in pages.iter().enumerate() {
            let end = pages.get(page + 1).copied().unwrap_or(i64::MAX);
            let list = match backend {
                DbBackend::Postgres => "string_agg(encode(hash, 'hex'), '')",
                _ => "group_concat(hex(hash), '')",
            };
            let text = format!(
                "SELECT path, {list} AS hashes FROM reference WHERE path >= ? AND path < ? GROUP BY path ORDER BY path"
            );
            let statement = Statement::from_sql_and_values(
                backend,
                positional(backend, &text),
                [first.into(), end.into()],
            );
            for row in ReferenceRow::find_by_statement(statement).all(self.readers()).await? {
                // Other caches have their paths in between.
                let Ok(number) = census.ids.binary_search(&row.path) else { continue };
                while edges.paths() < number {
                    edges.push(std::iter::empty());
                }
                let targets = row.hashes.as_bytes().chunks(2 * HASH).filter_map(parse_hash);
                edges.push(
                    targets
                        .filter_map(|hash| numbers.get(&hash).copied())
                        .filter(|&target| target as usize != number),
                );
            }
        }
        while edges.paths() < census.ids.len() {
            edges.push(std::iter::empty());
        }
        Ok(edges)
    }
}

fn parse_hash(text: &[u8]) -> Option<[u8; HASH]> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut hash = [0; HASH];
    if text.len() != 2 * HASH {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(text.chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(hash)
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
