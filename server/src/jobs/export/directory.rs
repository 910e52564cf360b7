//! A directory as the target of an export.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::StreamExt as _;
use nar_storage::{Key, layout};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

use super::target::Contents;

/// How the names of unfinished files begin and end.
const UNFINISHED: (&str, &str) = (".", ".part");

pub(super) struct Directory {
    root: PathBuf,
    /// Counts the unfinished files, so that each has a name of its own.
    unfinished: AtomicU64,
}

impl Directory {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, unfinished: AtomicU64::new(0) }
    }

    pub(super) async fn begin(&self, cache_info: &str) -> Result<(), String> {
        let nars = self.root.join(layout::NAR_PREFIX);
        fs::create_dir_all(&nars).await.map_err(|error| error.to_string())?;
        for directory in [&self.root, &nars] {
            remove_unfinished(directory).await.map_err(|error| error.to_string())?;
        }
        let key = layout::nix_cache_info_key();
        if self.size(&key).await?.is_some() {
            return Ok(());
        }
        let text = Bytes::copy_from_slice(cache_info.as_bytes());
        self.write(&key, futures_util::stream::once(async { Ok(text) }).boxed()).await
    }

    pub(super) async fn size(&self, key: &Key) -> Result<Option<u64>, String> {
        found(fs::metadata(self.path(key)).await.map(|metadata| metadata.len()))
    }

    pub(super) async fn read(&self, key: &Key) -> Result<Option<Bytes>, String> {
        found(fs::read(self.path(key)).await.map(Bytes::from))
    }

    pub(super) async fn write(&self, key: &Key, contents: Contents<'_>) -> Result<(), String> {
        let path = self.path(key);
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let (beginning, end) = UNFINISHED;
        let unfinished = path.with_file_name(format!("{beginning}{number}{end}"));
        let written = write_file(&unfinished, contents).await;
        let renamed = match written {
            Ok(()) => fs::rename(&unfinished, &path).await.map_err(|error| error.to_string()),
            Err(error) => Err(error),
        };
        if renamed.is_err() {
            // What is left is removed by the next export.
            let _ = fs::remove_file(&unfinished).await;
        }
        renamed
    }

    /// A key never leads out of the directory.
    fn path(&self, key: &Key) -> PathBuf {
        self.root.join(key.as_str())
    }
}

/// Writes a file and makes its bytes durable, so that its name never outlives them.
async fn write_file(path: &std::path::Path, mut contents: Contents<'_>) -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let mut file = File::create(path).await.map_err(text)?;
    while let Some(piece) = contents.next().await {
        file.write_all(&piece?).await.map_err(text)?;
    }
    file.flush().await.map_err(text)?;
    file.sync_data().await.map_err(text)
}

/// Removes what an export that was killed has left.
async fn remove_unfinished(directory: &std::path::Path) -> io::Result<()> {
    let mut entries = fs::read_dir(directory).await?;
    while let Some(entry) = entries.next_entry().await? {
        let name = entry.file_name();
        let number =
            name.to_str().and_then(|name| name.strip_prefix(UNFINISHED.0)?.strip_suffix(UNFINISHED.1));
        if number.is_some_and(|number| number.parse::<u64>().is_ok()) {
            fs::remove_file(entry.path()).await?;
        }
    }
    Ok(())
}

fn found<T>(result: io::Result<T>) -> Result<Option<T>, String> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.to_string()),
    }
}
