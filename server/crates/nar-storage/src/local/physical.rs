//! Counting NAR files by inodes, as a disk has them.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use super::prepare::NARS;
use super::{LocalStorage, Shared};
use crate::{Operation, StorageError};

/// The NAR files of some storages, of which a file with several names counts once.
#[derive(Debug, Default)]
pub struct PhysicalCount {
    /// Names of files.
    pub files: u64,
    /// The size of these files in bytes, each name counted.
    pub file_bytes: u64,
    /// The same with each inode counted once.
    pub physical_bytes: u64,
    /// Device and inode of those counted files that have several names.
    seen: HashSet<(u64, u64)>,
}

impl LocalStorage {
    /// Adds the NAR files of this storage to what was counted on others. Looks at every file, which can take minutes on a large
    /// disk.
    pub async fn count_physical(&self, mut count: PhysicalCount) -> Result<PhysicalCount, StorageError> {
        let add = move |shared: &Shared| {
            shared.check_present()?;
            for entry in fs::read_dir(shared.root.join(NARS))? {
                match entry?.metadata() {
                    Ok(file) if file.is_file() => {
                        count.add((file.dev(), file.ino()), file.nlink(), file.len())
                    }
                    Ok(_) => {}
                    // Files come and go.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(count)
        };
        self.blocking(Operation::List, None, add).await
    }
}

impl PhysicalCount {
    fn add(&mut self, inode: (u64, u64), names: u64, bytes: u64) {
        self.files += 1;
        self.file_bytes += bytes;
        if names < 2 || self.seen.insert(inode) {
            self.physical_bytes += bytes;
        }
    }
}
