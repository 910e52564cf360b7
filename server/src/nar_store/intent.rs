//! Notes of what is being stored, so that a crash between storing a NAR and recording it leaves no orphan behind.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use uuid::Uuid;

use crate::cache::file_name::{escape, unescape};
use crate::chain::chain;

/// Keeps the notes: empty files whose names say which object of which storage was about to be recorded.
pub struct Intents {
    directory: PathBuf,
}

/// A note; it is taken back when this is dropped.
pub struct Intent {
    path: PathBuf,
    kept: bool,
}

impl Intent {
    /// Leaves the note where it is, for [`Intents::leftovers`].
    pub fn keep(mut self) {
        self.kept = true;
    }
}

/// Something a crash may have left without a catalog row.
#[derive(Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Name of the cache.
    pub cache: String,
    /// Name of the storage.
    pub storage: String,
    /// File name of the NAR.
    pub nar: String,
    /// The upload that brought it, if it came with one.
    pub upload: Option<Uuid>,
    path: PathBuf,
}

/// Between the parts of a note's file name. Neither cache names nor NAR file names contain it.
const SEPARATOR: char = '~';

impl Intents {
    /// Opens the folder of notes, creating it if needed. Blocks.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    /// Notes that the NAR is about to be stored. `tag` tells apart concurrent pushes of the same file. Blocks.
    pub fn note(&self, cache: &str, storage: &str, nar: &str, tag: &str) -> io::Result<Intent> {
        let storage = escape(storage);
        let path = self.directory.join([cache, &storage, nar, tag].join(&SEPARATOR.to_string()));
        File::create(&path)?;
        Ok(Intent { path, kept: false })
    }

    /// All notes: those of a previous run, those that were kept, and those of pushes that are under way. Blocks.
    pub fn leftovers(&self) -> io::Result<Vec<Leftover>> {
        let mut leftovers = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            match parse(&path) {
                Some(leftover) => leftovers.push(leftover),
                None => {
                    tracing::warn!(path = %path.display(), "ignored a strange file among the notes of pushes")
                }
            }
        }
        Ok(leftovers)
    }
}

impl Leftover {
    /// Whether the note is still there. Blocks for a moment.
    pub fn is_noted(&self) -> bool {
        self.path.exists()
    }

    /// How long ago it was noted. Blocks for a moment.
    pub fn age(&self) -> Duration {
        let noted = fs::metadata(&self.path).and_then(|note| note.modified());
        noted.ok().and_then(|noted| noted.elapsed().ok()).unwrap_or_default()
    }

    /// Takes the note back once what it names was dealt with. Blocks.
    pub fn dismiss(self) -> io::Result<()> {
        fs::remove_file(self.path)
    }
}

impl Drop for Intent {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(error = %chain(&error), "could not take back the note of a push");
        }
    }
}

fn parse(path: &Path) -> Option<Leftover> {
    let name = path.file_name()?.to_str()?;
    let mut parts = name.split(SEPARATOR);
    let (cache, storage, nar, tag) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let (storage, upload) = (unescape(storage)?, Uuid::parse_str(tag).ok());
    Some(Leftover { cache: cache.to_owned(), storage, nar: nar.to_owned(), upload, path: path.to_owned() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_note_survives_until_it_is_taken_back() {
        let directory = tempfile::tempdir().unwrap();
        let intents = Intents::open(directory.path().join("intents")).unwrap();
        let note = intents.note("main", "fast disk/1", "abc.nar.zst", "tag").unwrap();
        let leftovers = intents.leftovers().unwrap();
        assert_eq!(leftovers.len(), 1);
        assert_eq!(leftovers[0].cache, "main");
        assert_eq!(leftovers[0].storage, "fast disk/1");
        assert_eq!(leftovers[0].nar, "abc.nar.zst");
        drop(note);
        assert!(intents.leftovers().unwrap().is_empty());
    }
}
