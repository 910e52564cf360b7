//! The paths that were recorded lately, in a file in the state directory.
//!
//! The notes on the storages say how far the catalog had come, but they are written only every few seconds. Between two of them
//! this file does: a database that lost its last transactions lacks paths that are listed here. A line is written before a push is
//! acknowledged and is not synced, so that it costs next to nothing: it outlives the process, and a power failure is survived by
//! what the database has synced.
//!
//! Lines go once a later generation is noted on their storage.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use catalog::{CacheId, StorageId};
use nix_formats::StorePathHash;
use parking_lot::Mutex;
use uuid::Uuid;

use crate::chain::chain;

/// Lists the paths that were recorded since the last note on their storage.
pub struct Journal {
    files: Arc<Files>,
}

/// A path that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Entry {
    /// The cache.
    pub cache: CacheId,
    /// The storage of its NAR.
    pub storage: StorageId,
    /// The path.
    pub path: StorePathHash,
}

struct Files {
    /// What is added to.
    current: PathBuf,
    /// What was in it when the last note was begun.
    earlier: PathBuf,
    /// Opened at the first use.
    open: Mutex<Option<File>>,
}

impl Journal {
    /// A journal in `state_dir`. That of another catalog is another file.
    pub fn new(state_dir: &Path, catalog: Uuid) -> Self {
        let file = |end: &str| state_dir.join("journal").join(format!("{catalog}{end}"));
        Self {
            files: Arc::new(Files { current: file(""), earlier: file(".earlier"), open: Mutex::default() }),
        }
    }

    /// Adds a path by what this returns, which blocks. If that fails, the path is merely not looked for after a crash.
    pub fn adding(&self, entry: Entry) -> impl FnOnce() + Send + use<> {
        let files = self.files.clone();
        move || {
            if let Err(error) = files.add(entry) {
                tracing::debug!(error = %chain(&error), "could not list a path that was recorded");
            }
        }
    }

    /// Returns what is listed. Lines that a crash cut off are left out.
    pub async fn entries(&self) -> io::Result<HashSet<Entry>> {
        let files = self.files.clone();
        run(move || Ok([files.read_earlier()?, files.read_current()?].concat().into_iter().collect())).await
    }

    /// Sets aside what is listed, for [`Journal::forget_earlier`].
    pub async fn set_aside(&self) -> io::Result<()> {
        let files = self.files.clone();
        run(move || files.set_aside()).await
    }

    /// Forgets what was set aside, but for the paths on these storages.
    pub async fn forget_earlier(&self, except: HashSet<StorageId>) -> io::Result<()> {
        let files = self.files.clone();
        run(move || files.retain_earlier(|entry| except.contains(&entry.storage))).await
    }
}

async fn run<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

impl Files {
    fn add(&self, entry: Entry) -> io::Result<()> {
        let mut open = self.open.lock();
        let file = match &mut *open {
            Some(file) => file,
            closed => {
                fs::create_dir_all(self.current.parent().unwrap_or(Path::new(".")))?;
                closed.insert(File::options().create(true).append(true).open(&self.current)?)
            }
        };
        file.write_all(entry.to_line().as_bytes())
    }

    fn set_aside(&self) -> io::Result<()> {
        let mut open = self.open.lock();
        let current = self.read_current()?;
        if current.is_empty() {
            return Ok(());
        }
        let earlier = self.read_earlier()?;
        // What is in both after a crash in between is listed twice, which changes nothing.
        self.write_earlier(earlier.iter().chain(&current))?;
        *open = None;
        fs::remove_file(&self.current)
    }

    fn retain_earlier(&self, is_kept: impl Fn(&Entry) -> bool) -> io::Result<()> {
        let earlier = self.read_earlier()?;
        let kept: Vec<&Entry> = earlier.iter().filter(|entry| is_kept(entry)).collect();
        if kept.is_empty() {
            return match fs::remove_file(&self.earlier) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        self.write_earlier(kept)
    }

    fn write_earlier<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) -> io::Result<()> {
        let text: String = entries.into_iter().map(|entry| entry.to_line()).collect();
        private_file::write(&self.earlier, text.as_bytes())
    }

    fn read_current(&self) -> io::Result<Vec<Entry>> {
        read(&self.current)
    }

    fn read_earlier(&self) -> io::Result<Vec<Entry>> {
        read(&self.earlier)
    }
}

fn read(file: &Path) -> io::Result<Vec<Entry>> {
    match fs::read(file) {
        Ok(text) => Ok(String::from_utf8_lossy(&text).lines().filter_map(Entry::parse).collect()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

impl Entry {
    fn to_line(self) -> String {
        format!("{} {} {}\n", self.cache.0, self.storage.0, self.path)
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let cache = CacheId(words.next()?.parse().ok()?);
        let storage = StorageId(words.next()?.parse().ok()?);
        Some(Self { cache, storage, path: words.next()?.parse().ok()? })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn entry(storage: i64, byte: u8) -> Entry {
        Entry { cache: CacheId(1), storage: StorageId(storage), path: StorePathHash::from_bytes([byte; 20]) }
    }

    #[tokio::test]
    async fn what_was_added_is_listed_until_it_is_forgotten() {
        let directory = tempfile::tempdir().unwrap();
        let id = Uuid::new_v4();
        let journal = Journal::new(directory.path(), id);
        let [first, second, third] = [entry(1, 1), entry(2, 2), entry(1, 3)];
        journal.adding(first)();
        journal.adding(second)();
        journal.set_aside().await.unwrap();
        journal.adding(third)();
        // A crash in the middle of a line.
        let file = directory.path().join("journal").join(id.to_string());
        fs::write(&file, [fs::read(&file).unwrap(), b"1 1 00bgd0".to_vec()].concat()).unwrap();
        let journal = Journal::new(directory.path(), id);
        assert_eq!(journal.entries().await.unwrap(), HashSet::from([first, second, third]));
        journal.forget_earlier(HashSet::from([StorageId(2)])).await.unwrap();
        assert_eq!(journal.entries().await.unwrap(), HashSet::from([second, third]));
        journal.set_aside().await.unwrap();
        journal.forget_earlier(HashSet::new()).await.unwrap();
        assert_eq!(journal.entries().await.unwrap(), HashSet::new());
    }

    #[tokio::test]
    async fn the_journal_of_another_catalog_is_another_one() {
        let directory = tempfile::tempdir().unwrap();
        Journal::new(directory.path(), Uuid::new_v4()).adding(entry(1, 1))();
        assert!(Journal::new(directory.path(), Uuid::new_v4()).entries().await.unwrap().is_empty());
    }
}
