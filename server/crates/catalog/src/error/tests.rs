use std::error::Error;

use super::*;

/// Asserts that no error of the chain repeats the one below it.
fn assert_each_cause_once(error: &dyn Error) {
    let mut error = error;
    while let Some(cause) = error.source() {
        let (text, cause_text) = (error.to_string(), cause.to_string());
        assert!(!text.contains(&cause_text), "`{text}` repeats its cause `{cause_text}`");
        error = cause;
    }
}

/// An error that the drivers nest three deep, each with the text of the one below.
fn driver_error() -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(SqlxError::Protocol("odd bytes".to_owned()).into()))
}

#[test]
fn no_error_repeats_its_cause() {
    let path = PathBuf::from("/state/catalog.db");
    let reason = || "it is gone".to_owned();
    let errors = [
        CatalogError::UnsupportedDatabase { scheme: "mysql".to_owned() },
        CatalogError::InvalidUrl { reason: reason() },
        CatalogError::InMemory,
        CatalogError::Create { path: path.clone(), reason: reason() },
        CatalogError::NotEmpty,
        CatalogError::Open { path, source: driver_error().into() },
        CatalogError::Connect { server: "db:5432/cache".to_owned(), reason: reason() },
        CatalogError::NewerDatabase { migration: "m2".to_owned() },
        CatalogError::EarlyDatabase { applied: 1, of: 11 },
        CatalogError::Unavailable { reason: reason() },
        CatalogError::Uncertain { reason: reason() },
        CatalogError::Database(driver_error().into()),
        CatalogError::Corrupt { table: "nar", column: "file_hash".to_owned(), found: "2 bytes".to_owned() },
        CatalogError::TooLarge { what: "the file size", value: u64::MAX },
        CatalogError::MultilineSignature,
        CatalogError::ContradictingNar { file_hash: "0".repeat(52) },
        CatalogError::StorageNotInUse { storage: StorageId(1) },
        CatalogError::KeyNameTaken { cache: CacheId(1), name: "main-1".to_owned() },
        CatalogError::Closed,
    ];
    errors.iter().for_each(|error| assert_each_cause_once(error));
}
