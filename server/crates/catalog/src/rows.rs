//! Between the values of rows and the types of the domain. What a row holds was put there by this program, so a value that
//! does not convert means a damaged database.

use nix_formats::{Compression, StorePath, StorePathHash};

use crate::CatalogError;

/// Reads a column of exactly `N` bytes.
pub(crate) fn bytes<const N: usize>(
    table: &'static str,
    column: &'static str,
    value: Vec<u8>,
) -> Result<[u8; N], CatalogError> {
    value.try_into().map_err(|value: Vec<u8>| CatalogError::Corrupt {
        table,
        column,
        found: format!("{} bytes", value.len()),
    })
}

/// Reads a size or count.
pub(crate) fn unsigned(table: &'static str, column: &'static str, value: i64) -> Result<u64, CatalogError> {
    u64::try_from(value).map_err(|_| CatalogError::Corrupt { table, column, found: value.to_string() })
}

/// Writes a size or count.
pub(crate) fn signed(what: &'static str, value: u64) -> Result<i64, CatalogError> {
    i64::try_from(value).map_err(|_| CatalogError::TooLarge { what, value })
}

/// Reads the hash part of a store path.
pub(crate) fn path_hash(table: &'static str, value: Vec<u8>) -> Result<StorePathHash, CatalogError> {
    bytes(table, "hash", value).map(StorePathHash::from_bytes)
}

/// Reads a store path from its two columns.
pub(crate) fn store_path(table: &'static str, hash: Vec<u8>, name: &str) -> Result<StorePath, CatalogError> {
    StorePath::new(path_hash(table, hash)?, name).map_err(|_| CatalogError::Corrupt {
        table,
        column: "name",
        found: format!("{name:?}"),
    })
}

/// Reads a compression.
pub(crate) fn compression(table: &'static str, name: &str) -> Result<Compression, CatalogError> {
    Compression::from_narinfo_name(name).map_err(|_| CatalogError::Corrupt {
        table,
        column: "compression",
        found: format!("{name:?}"),
    })
}

/// Reads a column that holds one of a few words.
pub(crate) fn word<T>(
    table: &'static str,
    column: &'static str,
    found: &str,
    parsed: Option<T>,
) -> Result<T, CatalogError> {
    parsed.ok_or_else(|| CatalogError::Corrupt { table, column, found: format!("{found:?}") })
}

/// Writes a list of texts as JSON.
pub(crate) fn to_json(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

/// Reads a list of texts from JSON.
pub(crate) fn from_json(
    table: &'static str,
    column: &'static str,
    text: &str,
) -> Result<Vec<String>, CatalogError> {
    serde_json::from_str(text).map_err(|error| CatalogError::Corrupt {
        table,
        column,
        found: format!("text that is not a JSON list of strings ({error})"),
    })
}
