//! Files that came in one piece and wait for their narinfo outlive the process, however it ends.
//!
//! The client was told that the file is here, and what it sends next depends on it. Beside the file lies a note of what it is
//! called, written once all of it has arrived. Neither is made durable: after a power loss the bytes may be wrong, which shows
//! when they are digested.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use nar_storage::KEPT;
use nix_formats::NarFileName;

use super::super::spool_dirs::SpoolDirs;
use super::{Attempt, Disk, Location, Place, Spool, State, StoredPart};

/// Longest note that is read, in bytes.
const MAX_NOTE: u64 = 1024;
/// The file is the first part, and the only one.
const PART: u32 = 1;
const ATTEMPT: Attempt = 0;

/// A file that an earlier run of the daemon received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptFile {
    /// What it is.
    pub name: NarFileName,
    /// The name it has in the spool.
    file: String,
}

impl KeptFile {
    /// Reads the note in a directory of a spool; `None` if it was not written to its end. Blocks.
    pub fn read(directory: &Path) -> io::Result<Option<Self>> {
        let note = directory.join(KEPT);
        if fs::metadata(&note)?.len() > MAX_NOTE {
            return Ok(None);
        }
        Ok(parse(&fs::read_to_string(note)?))
    }
}

fn parse(note: &str) -> Option<KeptFile> {
    let mut lines = note.strip_suffix('\n')?.split('\n');
    let (name, file, None) = (lines.next()?, lines.next()?, lines.next()) else { return None };
    let name = NarFileName::parse(name).ok()?;
    let plain = !file.is_empty() && !file.contains('/') && !file.starts_with('.') && file != KEPT;
    plain.then(|| KeptFile { name, file: file.to_owned() })
}

impl Spool {
    /// Notes that the upload is the file `name`, whole, so that the next run of the daemon can resume it. Does nothing where
    /// the file lies on another disk than the one the upload began on. Blocks.
    pub fn note_whole(&self, name: &NarFileName) -> io::Result<()> {
        let parts = self.parts();
        let Some(Location::Disk(place)) = parts.get(&PART).map(|part| &part.location) else { return Ok(()) };
        let Some(file) = place.path.file_name().and_then(|file| file.to_str()) else { return Ok(()) };
        let Some(directory) = self.directory() else { return Ok(()) };
        if place.directory() != directory || self.main()?.0.directory() != directory {
            return Ok(());
        }
        File::create_new(directory.join(KEPT))?.write_all(format!("{name}\n{file}\n").as_bytes())
    }

    /// Leaves the files for the next run of the daemon if that can resume them.
    pub fn leave(&self) {
        let is_kept = self.directory().is_some_and(|directory| directory.join(KEPT).exists());
        self.stays.store(is_kept, Ordering::Relaxed);
    }

    /// Reopens what an earlier run received in `directory`. Blocks.
    pub fn reopen(
        spool_dirs: Box<dyn SpoolDirs>,
        directory: &Path,
        kept: &KeptFile,
    ) -> io::Result<Arc<Self>> {
        for entry in fs::read_dir(directory)? {
            let name = entry?.file_name();
            if name != KEPT && name != kept.file.as_str() {
                fs::remove_file(directory.join(name))?;
            }
        }
        let path = directory.join(&kept.file);
        let file = Arc::new(OpenOptions::new().read(true).write(true).open(&path)?);
        let len = file.metadata()?.len();
        let main = Place { file, path: path.into(), offset: 0, own: false };
        let mut state = State { next_attempt: ATTEMPT + 1, placed: vec![PART], ..State::default() };
        let location = Location::Disk(main.clone());
        let part = StoredPart { attempt: ATTEMPT, len, md5: [0; 16], location };
        state.parts.insert(PART, part);
        state.sealed = Some(vec![(PART, ATTEMPT)]);
        let disk = Disk { directories: vec![directory.to_owned()], main: Some(main) };
        Ok(Arc::new(Self::with(spool_dirs, disk, state)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_counts_only_when_it_is_whole() {
        let name = "1w1fff338fvdw53sqgamddn1b2xgds473pv6y13gizdbqjv4i5p3.nar.xz";
        let whole = format!("{name}\nmain\n");
        assert_eq!(parse(&whole).map(|kept| kept.name.to_string()).as_deref(), Some(name));
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end]), None);
        }
        for file in ["", "../main", ".", "..", "a/b", "/main", "kept", "main\nmore"] {
            assert_eq!(parse(&format!("{name}\n{file}\n")), None, "{file:?}");
        }
        assert_eq!(parse("strange\nmain\n"), None);
    }
}
