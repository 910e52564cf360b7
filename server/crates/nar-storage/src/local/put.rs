//! Storing objects and making them durable.
//!
//! After a failed sync the kernel may have dropped pages that it still seems to have, and reports that once: a second sync of
//! the same file succeeds without them. So no file is synced again whose sync has failed.
//!
//! * A spooled file is removed; the caller makes another from its parts and verifies it.
//! * A temporary file is removed with its object unwritten.
//! * Objects that were stored without a sync ([`Durability::Later`]) have to be stored again before the next sync.
//! * A directory is synced again after its entry was written again, by a rename.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::dir_sync::Syncing;
use super::{LocalStorage, Shared, privacy};
use crate::{Durability, Key, Operation, StorageError, layout, spool};

/// From this many keys on, syncing the whole file system is cheaper than syncing each file, which waits for a commit of the journal
/// each time.
const SYNC_ALL_FROM: usize = 16;
/// The number of bytes copied at a time between two disks.
const COPY_BUFFER: usize = 256 << 10;

/// Moves the file at `spooled` to `key`. Removes it if it cannot be synced. Returns the syncs that make its name durable. Blocks.
pub(super) fn put_file(
    shared: &Shared,
    key: &Key,
    spooled: &Path,
    durability: Durability,
) -> io::Result<Vec<Syncing>> {
    shared.check_present()?;
    let file = spool::open(spooled)?;
    // Compares directories, because an overlay reports the device of the lower layer for files.
    let from = fs::metadata(spooled.parent().unwrap_or(spooled)).map_err(SpoolError::wrap)?;
    if from.dev() != fs::metadata(&shared.root)?.dev() {
        return copy_file(shared, key, spooled, &file, durability);
    }
    privacy::close_file(shared, &file)?;
    match place_durably(shared, (&file, spooled), key, durability) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            copy_file(shared, key, spooled, &file, durability)
        }
        placed => placed,
    }
}

/// Gives a new file at `path` the name `key`, and makes both durable if `durability` requires it. Removes it if it cannot be synced. Returns
/// the syncs that make its name durable. Blocks.
///
/// A NAR gets its name before its bytes are durable, so that the disk is waited for only once: nobody looks for the name before both are
/// durable, and if the power fails until then, it is an orphan with or without all of its bytes. This is only done where nothing is
/// replaced.
fn place_durably(
    shared: &Shared,
    (file, path): (&File, &Path),
    key: &Key,
    durability: Durability,
) -> io::Result<Vec<Syncing>> {
    if durability == Durability::Later {
        place(shared, path, key)?;
        return Ok(Vec::new());
    }
    let early = layout::is_nar(key) && place_new(shared, path, key);
    let begun = early.then(|| shared.begin_name_sync(key));
    if let Err(error) = file.sync_data() {
        let lost = if early { shared.path(key) } else { path.to_owned() };
        let _ = fs::remove_file(lost);
        return Err(error);
    }
    if let Some(syncing) = begun {
        return Ok(syncing);
    }
    place(shared, path, key)?;
    Ok(shared.begin_name_sync(key))
}

/// Renames the file at `from` to `key` if nothing has that name, and returns whether it has it now. Where that fails for whatever reason,
/// [`place`] finds out. Blocks.
fn place_new(shared: &Shared, from: &Path, key: &Key) -> bool {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    renameat_with(CWD, from, CWD, shared.path(key), RenameFlags::NOREPLACE).is_ok()
}

/// Stores a file from the spool of another storage, which could not accept it. Only the copy is made durable, because the disk of
/// that spool may be failing. Blocks.
fn copy_file(
    shared: &Shared,
    key: &Key,
    spooled: &Path,
    file: &File,
    durability: Durability,
) -> io::Result<Vec<Syncing>> {
    let mut copy = Temporary::create(shared)?;
    let mut buffer = vec![0; COPY_BUFFER];
    let mut from = file;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => copy.file.write_all(&buffer[..read])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(SpoolError::wrap(error)),
        }
    }
    copy.file.set_permissions(file.metadata().map_err(SpoolError::wrap)?.permissions())?;
    privacy::close_file(shared, &copy.file)?;
    let syncing = copy.place(shared, key, durability)?;
    // The object is stored. A file that stays in the spool is removed as an orphan.
    let _ = fs::remove_file(spooled);
    Ok(syncing)
}

/// An error of the disk of a spool that does not belong to the storage.
#[derive(Debug, thiserror::Error)]
#[error("the spool of another storage: {0}")]
pub(super) struct SpoolError(pub(super) io::Error);

impl SpoolError {
    fn wrap(error: io::Error) -> io::Error {
        io::Error::other(Self(error))
    }
}

/// Stores `bytes` under `key`. Returns the syncs that make its name durable. Blocks.
pub(super) fn put_bytes(
    shared: &Shared,
    key: &Key,
    bytes: &[u8],
    durability: Durability,
) -> io::Result<Vec<Syncing>> {
    shared.check_present()?;
    store_bytes(shared, key, bytes, durability)
}

fn store_bytes(shared: &Shared, key: &Key, bytes: &[u8], durability: Durability) -> io::Result<Vec<Syncing>> {
    let mut temporary = Temporary::create(shared)?;
    temporary.file.write_all(bytes)?;
    temporary.place(shared, key, durability)
}

/// Stores several objects. Returns the sizes of those that they replaced, and the syncs that make their names durable. Blocks.
pub(super) fn put_all(
    shared: &Shared,
    objects: &[(Key, Bytes)],
    durability: Durability,
) -> io::Result<(Vec<u64>, Vec<Syncing>)> {
    shared.check_present()?;
    let (mut replaced, mut syncing) = (Vec::with_capacity(objects.len()), Vec::new());
    for (key, bytes) in objects {
        replaced.push(fs::metadata(shared.path(key)).map_or(0, |object| object.len()));
        syncing.extend(store_bytes(shared, key, bytes, durability)?);
    }
    Ok((replaced, syncing))
}

/// Renames the file at `from` to `key`. Blocks.
fn place(shared: &Shared, from: &Path, key: &Key) -> io::Result<()> {
    let to = shared.path(key);
    match fs::rename(from, &to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            shared.directories.create_above(key)?;
            fs::rename(from, &to)?;
        }
        renamed => renamed?,
    }
    // Closing the last descriptor of a replaced file frees its blocks, which is slow: better here than in a reader that finds it
    // outdated.
    shared.files.forget(key);
    Ok(())
}

/// A file in the spool that is removed unless it is renamed.
pub(super) struct Temporary {
    pub(super) file: File,
    path: PathBuf,
    placed: bool,
}

impl Temporary {
    /// Creates an empty file. Blocks.
    pub(super) fn create(shared: &Shared) -> io::Result<Self> {
        let number = shared.temporaries.fetch_add(1, Ordering::Relaxed);
        let path = shared.spool.join(format!(".put-{number}"));
        let temporary = Self { file: File::create_new(&path)?, path, placed: false };
        privacy::close_file(shared, &temporary.file)?;
        Ok(temporary)
    }

    fn place(mut self, shared: &Shared, key: &Key, durability: Durability) -> io::Result<Vec<Syncing>> {
        let syncing = place_durably(shared, (&self.file, &self.path), key, durability)?;
        self.placed = true;
        Ok(syncing)
    }

    /// Renames it to a name that is no key. Blocks.
    pub(super) fn rename(mut self, to: &Path) -> io::Result<()> {
        fs::rename(&self.path, to)?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            // If this fails, the next start removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl LocalStorage {
    /// Stores an object by `put`, which returns the syncs that make its name durable, and waits for these.
    pub(super) async fn store(
        &self,
        key: &Key,
        put: impl FnOnce(&Shared) -> io::Result<Vec<Syncing>> + Send + 'static,
    ) -> Result<(), StorageError> {
        let syncing = self.blocking(Operation::Put, Some(key), put).await?;
        self.finish_store(std::slice::from_ref(key), syncing).await
    }

    /// Waits for the syncs that make the names of stored objects durable.
    pub(super) async fn finish_store(&self, keys: &[Key], syncing: Vec<Syncing>) -> Result<(), StorageError> {
        if syncing.is_empty() {
            return Ok(());
        }
        for sync in syncing {
            self.finish_sync(Operation::Put, keys.first(), sync).await?;
        }
        keys.iter().for_each(|key| self.shared.directories.synced(key));
        Ok(())
    }

    pub(super) async fn sync_objects(&self, keys: &[Key]) -> Result<(), StorageError> {
        let objects = keys.to_vec();
        if keys.len() >= SYNC_ALL_FROM {
            let sync_all = |shared: &Shared| {
                shared.check_present()?;
                Ok(rustix::fs::syncfs(File::open(&shared.root)?)?)
            };
            self.blocking(Operation::Sync, None, sync_all).await?;
        } else {
            let sync_each = move |shared: &Shared| objects.iter().try_for_each(|key| sync_data(shared, key));
            self.blocking(Operation::Sync, None, sync_each).await?;
            let directories: BTreeSet<_> =
                keys.iter().flat_map(|key| self.shared.directories.to_sync(key)).collect();
            for directory in directories {
                let syncing = self.shared.dir_sync.begin(directory);
                match self.finish_sync(Operation::Sync, None, syncing).await {
                    // Nothing was ever stored there.
                    Err(error) if error.is_not_found() => {}
                    synced => synced?,
                }
            }
        }
        keys.iter().for_each(|key| self.shared.directories.synced(key));
        Ok(())
    }

    async fn finish_sync(
        &self,
        operation: Operation,
        key: Option<&Key>,
        syncing: Syncing,
    ) -> Result<(), StorageError> {
        match self.shared.slow.wait(syncing.finish()).await {
            Ok(()) => Ok(()),
            Err(error) => self.blocking(operation, key, |_| Err(error)).await,
        }
    }
}

impl Shared {
    /// Begins to make the name of a stored object durable.
    fn begin_name_sync(&self, key: &Key) -> Vec<Syncing> {
        let directories = self.directories.to_sync(key);
        directories.into_iter().map(|directory| self.dir_sync.begin(directory)).collect()
    }
}

/// Makes the bytes of `key` durable if it exists. Blocks.
fn sync_data(shared: &Shared, key: &Key) -> io::Result<()> {
    match File::open(shared.path(key)) {
        Ok(file) => file.sync_data(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => shared.check_present(),
        Err(error) => Err(error),
    }
}
