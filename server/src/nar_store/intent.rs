//! Notes of what is being stored, so that a crash between storing a NAR and recording it leaves no orphan behind.
//!
//! A note that is taken back becomes a spare file, which the next note is made from by renaming it. Creating and removing a file for each push
//! costs more than one would think: some file systems (ext4) do not use the number of a removed file again for seconds, and look through all of
//! these whenever a file is created.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};
use uuid::Uuid;

use crate::cache::file_name::{escape, unescape};
use crate::chain::chain;

/// Keeps the notes: empty files whose names say which object of which storage was about to be recorded.
pub struct Intents {
    directory: PathBuf,
    spares: Arc<Spares>,
}

/// Files for the next notes, by their numbers.
struct Spares(Mutex<Vec<usize>>);

/// A note; it is taken back when this is dropped.
pub struct Intent {
    path: PathBuf,
    kept: bool,
    spares: Arc<Spares>,
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

/// The most spare files: as many as there are pushes that end at the same time.
const MOST_SPARES: usize = 64;
/// How the names of spare files begin. No cache has such a name.
const SPARE: &str = ".spare-";
/// Between the parts of a note's file name. Neither cache names nor NAR file names contain it.
const SEPARATOR: char = '~';

impl Intents {
    /// Opens the folder of notes, creating it if needed. Blocks.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&directory)?;
        // Those of an earlier run.
        let spares = (0..MOST_SPARES).filter(|number| directory.join(spare(*number)).exists()).collect();
        Ok(Self { directory, spares: Arc::new(Spares(Mutex::new(spares))) })
    }

    /// Notes that the NAR is about to be stored. `tag` tells apart concurrent pushes of the same file. Blocks.
    pub fn note(&self, cache: &str, storage: &str, nar: &str, tag: &str) -> io::Result<Intent> {
        let storage = escape(storage);
        let path = self.directory.join([cache, &storage, nar, tag].join(&SEPARATOR.to_string()));
        self.make(&path)?;
        Ok(Intent { path, kept: false, spares: self.spares.clone() })
    }

    /// Makes the file of a note.
    fn make(&self, path: &Path) -> io::Result<()> {
        if let Some(number) = self.spares.take() {
            // Somebody may have tidied up.
            if fs::rename(self.directory.join(spare(number)), path).is_ok() {
                // The age of a note is that of its file.
                let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
                let times = Timestamps { last_access: now, last_modification: now };
                return Ok(rustix::fs::utimensat(CWD, path, &times, AtFlags::empty())?);
            }
        }
        File::create(path).map(drop)
    }

    /// All notes: those of a previous run, those that were kept, and those of pushes that are under way. Blocks.
    pub fn leftovers(&self) -> io::Result<Vec<Leftover>> {
        let mut leftovers = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let path = entry?.path();
            if path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(SPARE.as_bytes())) {
                continue;
            }
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
            && let Err(error) = self.spares.put(&self.path)
        {
            tracing::warn!(error = %chain(&error), "could not take back the note of a push");
        }
    }
}

impl Spares {
    fn take(&self) -> Option<usize> {
        self.0.lock().pop()
    }

    /// Makes a spare file of a note, or removes it if there are enough.
    fn put(&self, note: &Path) -> io::Result<()> {
        // Locked meanwhile, so that no two get the same number.
        let mut numbers = self.0.lock();
        let free = (0..MOST_SPARES).find(|number| !numbers.contains(number));
        let Some(free) = free else { return fs::remove_file(note) };
        fs::rename(note, note.with_file_name(spare(free)))?;
        numbers.push(free);
        Ok(())
    }
}

fn spare(number: usize) -> String {
    format!("{SPARE}{number}")
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

    #[test]
    fn the_file_of_a_note_is_used_again() {
        let directory = tempfile::tempdir().unwrap();
        let intents = Intents::open(directory.path().join("intents")).unwrap();
        let count = || fs::read_dir(directory.path().join("intents")).unwrap().count();
        for _ in 0..3 {
            let notes = [1, 2].map(|tag| intents.note("main", "disk", "a.nar", &tag.to_string()).unwrap());
            assert_eq!((intents.leftovers().unwrap().len(), count()), (2, 2));
            assert!(intents.leftovers().unwrap()[0].age() < Duration::from_secs(60));
            drop(notes);
            assert_eq!((intents.leftovers().unwrap().len(), count()), (0, 2));
        }
        // Those of an earlier run are used as well, unless somebody has tidied up.
        let intents = Intents::open(directory.path().join("intents")).unwrap();
        assert!(intents.leftovers().unwrap().is_empty());
        drop(intents.note("main", "disk", "b.nar", "3").unwrap());
        assert_eq!(count(), 2);
        (0..2).for_each(|number| fs::remove_file(intents.directory.join(spare(number))).unwrap());
        let note = intents.note("main", "disk", "c.nar", "4").unwrap();
        assert_eq!((intents.leftovers().unwrap().len(), count()), (1, 1));
        drop(note);
    }
}
