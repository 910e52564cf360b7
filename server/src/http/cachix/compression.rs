//! The `compression` query parameter.

use nix_formats::Compression;
use serde::Deserialize;

use crate::http::error::HttpError;

/// `?compression=xz|zst`.
#[derive(Deserialize)]
pub struct CompressionQuery {
    compression: Option<String>,
}

impl CompressionQuery {
    /// Returns the compression. Without the parameter it is xz, as clients before 1.1 expect.
    pub fn compression(&self) -> Result<Compression, HttpError> {
        match self.compression.as_deref() {
            None | Some("xz") => Ok(Compression::Xz),
            Some("zst") => Ok(Compression::Zstd),
            Some(other) => Err(HttpError::bad_request(format!(
                "compression `{}` is not supported: use `xz` or `zst`",
                other.escape_debug()
            ))),
        }
    }
}
