//! The description of a path, which the client sends after the NAR (protocol reference 4.6).

use nix_formats::{FileHash, NarHash, StorePath};
use serde::Deserialize;

use crate::cache::keys::Offered;
use crate::http::error::HttpError;
use crate::ingest::PathDescription;

/// The client's JSON. Field names are those of its Haskell record.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NarInfoCreate {
    c_store_hash: String,
    c_store_suffix: String,
    c_nar_hash: String,
    c_nar_size: u64,
    c_file_hash: String,
    c_file_size: u64,
    c_references: Vec<String>,
    c_deriver: String,
    c_sig: Option<String>,
}

impl NarInfoCreate {
    /// Checks every field: they all become part of file names and narinfo lines.
    pub fn into_description(self) -> Result<PathDescription, HttpError> {
        let hash = self.c_store_hash.parse().map_err(|error| invalid("cStoreHash", &error))?;
        let path =
            StorePath::new(hash, &self.c_store_suffix).map_err(|error| invalid("cStoreSuffix", &error))?;
        let nar_hash = NarHash::parse(&self.c_nar_hash).map_err(|error| invalid("cNarHash", &error))?;
        let file_hash = FileHash::parse(&self.c_file_hash).map_err(|error| invalid("cFileHash", &error))?;
        if self.c_nar_size == 0 {
            return Err(HttpError::bad_request("cNarSize: a NAR cannot be empty"));
        }
        let references = self
            .c_references
            .iter()
            .map(|reference| StorePath::from_base_name(reference))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| invalid("cReferences", &error))?;
        let deriver = match self.c_deriver.as_str() {
            "unknown-deriver" | "" => None,
            name => Some(StorePath::from_base_name(name).map_err(|error| invalid("cDeriver", &error))?),
        };
        Ok(PathDescription {
            path,
            nar_hash,
            nar_size: self.c_nar_size,
            file_hash,
            compression: None,
            file_size: Some(self.c_file_size),
            references,
            deriver,
            ca: None,
            offered: Offered::Bare(self.c_sig),
            pushed_by: None,
        })
    }
}

fn invalid(field: &str, error: &(dyn std::error::Error + 'static)) -> HttpError {
    HttpError::bad_request(format!("{field}: {}", crate::chain::chain(error)))
}
