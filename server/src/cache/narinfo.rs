//! The narinfo of a path that the catalog has.

use catalog::PathRecord;
use nar_storage::layout;
use nix_formats::{NarFileName, NarInfo, Signature};

use super::Cache;
use super::keys::AgentNames;

/// The name under which a path's NAR is served and stored.
pub fn nar_file_name(record: &PathRecord) -> NarFileName {
    NarFileName { file_hash: record.nar.file_hash, compression: record.nar.compression }
}

/// The narinfo of a path, signed with all keys of the cache.
pub fn narinfo(cache: &Cache, record: &PathRecord) -> NarInfo {
    let mut narinfo = recorded_narinfo(record);
    cache.keys().sign_again(&mut narinfo, AgentNames::All);
    narinfo
}

/// The narinfo of a path as it is on a storage: the names that agents look for come and go, and agents read from us.
pub fn stored_narinfo(cache: &Cache, record: &PathRecord) -> NarInfo {
    let mut narinfo = recorded_narinfo(record);
    cache.keys().sign_again(&mut narinfo, AgentNames::Public);
    narinfo
}

/// The narinfo of a path with the signatures that are recorded.
pub fn recorded_narinfo(record: &PathRecord) -> NarInfo {
    NarInfo {
        store_path: record.path.clone(),
        url: layout::nar_key(&nar_file_name(record)).to_string(),
        compression: record.nar.compression,
        file_hash: Some(record.nar.file_hash),
        file_size: Some(record.nar.file_size),
        nar_hash: record.nar.nar_hash,
        nar_size: record.nar.nar_size,
        references: record.references.clone(),
        deriver: record.deriver.as_deref().and_then(|name| nix_formats::StorePath::from_base_name(name).ok()),
        signatures: record.signatures.iter().filter_map(|text| Signature::parse(text).ok()).collect(),
        ca: record.ca.clone(),
    }
}
