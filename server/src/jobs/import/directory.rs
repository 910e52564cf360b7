//! A flat binary cache in a directory, as `nix copy --to file://` writes it.

use std::io;
use std::path::{Component, Path, PathBuf};

use futures_util::StreamExt as _;
use nix_formats::{NarInfo, StorePathHash};
use percent_encoding::percent_decode_str;
use tokio::fs::{self, File};
use tokio_util::io::ReaderStream;

use super::source::{Nar, SourceError, nar_name, parse_narinfo};
use crate::chain::chain;

/// Longest narinfo that is taken.
const LONGEST_NARINFO: u64 = 1 << 20;
/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(super) async fn open(root: PathBuf) -> Result<Self, SourceError> {
        match fs::metadata(&root).await {
            Ok(metadata) if metadata.is_dir() => Ok(Self { root }),
            Ok(_) => Err(SourceError::Unusable(format!("{} is not a directory", root.display()))),
            Err(error) => Err(SourceError::Unusable(format!("cannot read {}: {error}", root.display()))),
        }
    }

    pub(super) async fn list(&self) -> Result<Vec<StorePathHash>, SourceError> {
        let root = self.root.clone();
        let listed = tokio::task::spawn_blocking(move || {
            let mut hashes = Vec::new();
            for entry in std::fs::read_dir(root)? {
                let name = entry?.file_name();
                let hash = name.to_str().and_then(|name| name.strip_suffix(".narinfo"));
                hashes.extend(hash.and_then(|hash| hash.parse::<StorePathHash>().ok()));
            }
            Ok::<_, io::Error>(hashes)
        });
        let listed = listed.await.map_err(|error| SourceError::Unavailable(chain(&error)))?;
        listed.map_err(|error| {
            SourceError::Unavailable(format!("cannot list {}: {error}", self.root.display()))
        })
    }

    pub(super) async fn narinfo(&self, hash: &StorePathHash) -> Result<NarInfo, SourceError> {
        let path = self.root.join(format!("{hash}.narinfo"));
        let size = fs::metadata(&path).await.map_err(|error| failed(&error, "it"))?.len();
        if size > LONGEST_NARINFO {
            return Err(SourceError::Unusable("its narinfo is too long".to_owned()));
        }
        parse_narinfo(&fs::read(&path).await.map_err(|error| failed(&error, "it"))?)
    }

    pub(super) async fn nar(&self, narinfo: &NarInfo) -> Result<Nar, SourceError> {
        let url = percent_decode_str(&narinfo.url).decode_utf8().unwrap_or_default();
        let url = Path::new(url.as_ref());
        if !url.components().all(|component| matches!(component, Component::Normal(_))) {
            return Err(SourceError::Unusable("its narinfo has a URL outside of the cache".to_owned()));
        }
        let file = File::open(self.root.join(url)).await.map_err(|error| failed(&error, "its NAR"))?;
        let size = file.metadata().await.map_err(|error| failed(&error, "its NAR"))?.len();
        let body =
            ReaderStream::with_capacity(file, PIECE).map(|piece| piece.map_err(|error| error.to_string()));
        Ok(Nar {
            body: body.boxed(),
            size: Some(size),
            compression: narinfo.compression,
            name: nar_name(narinfo),
        })
    }
}

fn failed(error: &io::Error, what: &'static str) -> SourceError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => SourceError::Absent(what),
        io::ErrorKind::PermissionDenied => SourceError::Unusable("the daemon may not read it".to_owned()),
        _ => SourceError::Unavailable(error.to_string()),
    }
}
