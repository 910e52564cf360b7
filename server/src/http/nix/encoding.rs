//! `Content-Encoding` of uploads: Nix compresses narinfos, listings and logs if its settings say so.

use std::io::Read;

use bytes::Bytes;
use http::StatusCode;
use nix_formats::Compression;

use crate::cache::PushError;
use crate::decode::decoder;
use crate::http::error::HttpError;
use crate::http::router::Head;
use crate::limits::decoder_memory::DecodersBusy;

/// Returns the compression that the `Content-Encoding` header names: one of those of NARs, by its name in Nix or in HTTP.
pub(super) fn of_body(head: &Head) -> Result<Compression, HttpError> {
    let name = head.header("content-encoding")?.unwrap_or_default().trim().to_ascii_lowercase();
    let name = match name.as_str() {
        "" | "identity" => "none",
        "x-gzip" => "gzip",
        other => other,
    };
    Compression::from_narinfo_name(name).map_err(|_| {
        let shown: String = name.chars().take(40).collect();
        HttpError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("Content-Encoding `{shown}` is not supported; use zstd, br, gzip, xz or bzip2, or none"),
        )
    })
}

/// Unpacks a body to at most `limit` bytes. Errors call the body `what`.
pub(super) async fn unpack(
    body: Bytes,
    encoding: Compression,
    limit: usize,
    what: &'static str,
) -> Result<Bytes, HttpError> {
    if encoding == Compression::None {
        return Ok(body);
    }
    let unpacking = tokio::task::spawn_blocking(move || {
        let mut unpacked = Vec::new();
        decoder(&body[..], encoding)?.take(limit as u64 + 1).read_to_end(&mut unpacked)?;
        Ok::<_, std::io::Error>(unpacked)
    });
    match unpacking.await.map_err(|_| PushError::Internal)? {
        Ok(unpacked) if unpacked.len() <= limit => Ok(unpacked.into()),
        Ok(_) => {
            Err(HttpError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("{what} is larger than {limit} bytes")))
        }
        Err(error) if DecodersBusy::is_cause_of(&error) => Err(PushError::Busy(DecodersBusy).into()),
        Err(_) => {
            Err(HttpError::bad_request(format!("{what} cannot be unpacked as its Content-Encoding says")))
        }
    }
}
