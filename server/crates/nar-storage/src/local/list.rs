//! Listing the objects of a directory.

use std::fs::{self, DirEntry, ReadDir};
use std::io;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};

use super::Shared;
use crate::{Key, Operation, StorageError};

/// The number of objects found at a time on a blocking thread.
const BATCH: usize = 256;
/// The deepest directory that is listed. The deepest object of a binary cache is at 3.
const MAX_DEPTH: usize = 8;

type Listed = Result<(Key, u64), StorageError>;

/// Lists the objects whose key starts with `prefix`.
pub(super) fn list(shared: Arc<Shared>, prefix: &str) -> BoxStream<'static, Listed> {
    let walker = Walker { shared, prefix: prefix.to_owned(), open: Vec::new(), started: false };
    // No thread waits for a slow reader: the walk moves to a blocking thread for each batch.
    let batches = stream::unfold(Some(walker), |walker| async move {
        let mut walker = walker?;
        let shared = walker.shared.clone();
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

/// A walk through the directories that can be interrupted.
struct Walker {
    shared: Arc<Shared>,
    prefix: String,
    /// The directories being read, each within the previous one, with their keys: empty or ending in a slash.
    open: Vec<(String, ReadDir)>,
    started: bool,
}

impl Walker {
    /// Returns the next objects and errors, none at the end.
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
                    // Names that are no keys are foreign files. Hidden ones are the spool or foreign as well.
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

    /// Starts in the deepest directory that contains everything with the prefix.
    fn start(&mut self, batch: &mut Vec<Listed>) {
        // An empty mount point must not look like a storage without objects.
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
            // A disk that disappears meanwhile must not look like one with fewer objects.
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
