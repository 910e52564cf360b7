//! Listing the objects of a directory.

use std::{
    fs::{self, DirEntry, ReadDir},
    io,
    sync::Arc,
};

use futures_util::{
    StreamExt,
    stream::{self, BoxStream},
};

use super::Shared;
use crate::{Key, Operation, StorageError};

/// Objects found in one go on a blocking thread.
const BATCH: usize = 256;
/// Deepest directory that is looked into. The deepest object of a binary cache is at 3.
const MAX_DEPTH: usize = 8;

type Listed = Result<(Key, u64), StorageError>;

/// The objects whose key starts with `prefix`.
pub(super) fn list(shared: Arc<Shared>, prefix: &str) -> BoxStream<'static, Listed> {
    let walker = Walker { shared, prefix: prefix.to_owned(), open: Vec::new(), started: false };
    // No thread waits for a slow reader: the walk goes to a blocking thread and comes back with each batch.
    let batches = stream::unfold(Some(walker), |walker| async move {
        let mut walker = walker?;
        let shared = Arc::clone(&walker.shared);
        let walk = move || {
            let batch = walker.next_batch();
            Ok((batch, walker))
        };
        match shared.slow.run(walk).await {
            Ok((batch, _)) if batch.is_empty() => None,
            Ok((batch, walker)) => Some((batch, Some(walker))),
            Err(error) => {
                let context = shared.context(Operation::List, None);
                Some((vec![Err(StorageError::from_io(context, error))], None))
            }
        }
    });
    batches.flat_map(stream::iter).boxed()
}

/// A walk through the directories, which can be interrupted.
struct Walker {
    shared: Arc<Shared>,
    prefix: String,
    /// Directories being read, each within the one before, with their keys: empty, or ending in a slash.
    open: Vec<(String, ReadDir)>,
    started: bool,
}

impl Walker {
    /// The next objects and faults; none at the end.
    fn next_batch(&mut self) -> Vec<Listed> {
        let mut batch = Vec::new();
        if !self.started {
            self.started = true;
            self.start(&mut batch);
        }
        while batch.len() < BATCH {
            let Some((directory, entries)) = self.open.last_mut() else { break };
            match entries.next() {
                None => {
                    self.open.pop();
                }
                Some(Ok(entry)) => {
                    let name = entry.file_name();
                    // Foreign names are not ours to show. Hidden ones are the spool, or somebody else's.
                    if let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) {
                        let path = format!("{directory}{name}");
                        self.visit(path, &entry, &mut batch);
                    }
                }
                Some(Err(error)) => {
                    self.open.pop();
                    batch.push(Err(self.explain(error)));
                }
            }
        }
        batch
    }

    /// Begins in the deepest directory that holds everything with the prefix.
    fn start(&mut self, batch: &mut Vec<Listed>) {
        // An empty mount point must not pass for a storage without objects.
        if let Err(error) = self.shared.check_present() {
            return batch.push(Err(self.explain(error)));
        }
        let directory = self.prefix.rfind('/').map_or("", |slash| &self.prefix[..slash]);
        if directory.is_empty() && !self.prefix.starts_with('/') {
            self.enter(String::new(), batch);
        } else if Key::new(directory).is_ok() {
            self.enter(format!("{directory}/"), batch);
        }
    }

    fn enter(&mut self, directory: String, batch: &mut Vec<Listed>) {
        if self.open.len() >= MAX_DEPTH {
            return;
        }
        match fs::read_dir(self.shared.root.join(&directory)) {
            Ok(entries) => self.open.push((directory, entries)),
            // A disk that drops out in the middle must not pass for one with less on it.
            Err(error) if is_absence(&error) => {
                batch.extend(self.shared.check_present().err().map(|error| Err(self.explain(error))));
            }
            Err(error) => batch.push(Err(self.explain(error))),
        }
    }

    fn visit(&mut self, path: String, entry: &DirEntry, batch: &mut Vec<Listed>) {
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) => return batch.push(Err(self.explain(error))),
        };
        if kind.is_dir() {
            let directory = format!("{path}/");
            if directory.starts_with(&self.prefix) || self.prefix.starts_with(&directory) {
                self.enter(directory, batch);
            }
        } else if kind.is_file() && path.starts_with(&self.prefix) {
            let Ok(key) = Key::new(&path) else { return };
            match entry.metadata() {
                Ok(metadata) => batch.push(Ok((key, metadata.len()))),
                // Deleted since its directory was read.
                Err(error) if is_absence(&error) => {}
                Err(error) => batch.push(Err(self.explain(error))),
            }
        }
    }

    fn explain(&self, error: io::Error) -> StorageError {
        self.shared.explain(self.shared.context(Operation::List, None), error)
    }
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
