//! The bytes of one upload on disk, while they arrive.
//!
//! Parts come in any order, several at once, and may be repeated. Where a part's place in the file is known when it
//! starts, it is written right there, so that a finished upload is one file that only needs a new name. Everything
//! else (a repeat, a part that overtook the first one) goes to a file of its own and is copied into place at the end.
//!
//! A small upload that is one part stays in memory until it is stored (see `small.rs`). Nothing is created on disk before
//! it is needed.
//!
//! A [`Follower`] reads the upload in part order while it is still growing.
//!
//! When the disk below fails, or is full, what still comes goes to another one, see [`SpoolDirs`]; the client notices
//! nothing.

mod follower;
mod kept;
mod small;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use self::writer::in_background;
use super::spool_dirs::SpoolDirs;

pub use self::follower::Follower;
pub use self::kept::KeptFile;
pub use self::small::{SmallBytes, SmallMemory};
pub use self::writer::PartWriter;

/// Identifies one attempt to upload a part. A part that is sent again gets a new one.
pub type Attempt = u64;

/// How long a follower waits for more bytes before it gives up; the upload is then read again when it is complete.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// Parts that would end beyond this many bytes of the upload's own file go to files of their own.
const MAX_PLACED: u64 = 1 << 40;
/// Bytes that are copied at once where the kernel does not do it.
const COPY_BUFFER: usize = 256 << 10;

/// A part that arrived whole.
#[derive(Clone, Debug)]
pub struct StoredPart {
    /// The attempt that brought it.
    pub attempt: Attempt,
    /// Its length in bytes.
    pub len: u64,
    /// MD5 of its bytes.
    pub md5: [u8; 16],
    location: Location,
}

/// Where the bytes of an attempt are.
#[derive(Clone, Debug)]
enum Location {
    Disk(Place),
    Memory(SmallBytes),
}

impl Location {
    /// Gives up the first `len` bytes, which nobody needs any more. Blocks.
    fn discard(&self, len: u64) {
        if let Self::Disk(place) = self {
            place.discard(len);
        }
    }
}

/// Where the bytes of an attempt are on disk: in the upload's own file from `offset` on, or in a file of its own.
#[derive(Clone, Debug)]
struct Place {
    file: Arc<File>,
    path: Arc<Path>,
    offset: u64,
    own: bool,
}

impl Place {
    /// A new file of its own.
    fn create(path: PathBuf) -> io::Result<Self> {
        Ok(Self { file: Arc::new(open_new(&path)?), path: path.into(), offset: 0, own: true })
    }

    fn directory(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Gives up the space of the first `len` bytes, which nobody needs any more. Readers that have them open may see zeros
    /// instead; they look whether the attempt still counts. Blocks.
    fn discard(&self, len: u64) {
        use rustix::fs::{FallocateFlags, fallocate};
        if self.own {
            let _ = std::fs::remove_file(&self.path);
        } else if len > 0 {
            // File systems that cannot do it keep the bytes until the upload ends.
            let _ = fallocate(
                &self.file,
                FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
                self.offset,
                len,
            );
        }
    }
}

/// An attempt that is still being written.
struct Writing {
    part: u32,
    location: Location,
    written: u64,
}

#[derive(Default)]
struct State {
    next_attempt: Attempt,
    parts: BTreeMap<u32, StoredPart>,
    writing: HashMap<Attempt, Writing>,
    /// Length of part 1, which every part but the last shares.
    chunk: Option<u64>,
    /// Parts whose place in the upload's own file is taken.
    placed: Vec<u32>,
    /// What the finished upload consists of, in order, once the client said so.
    sealed: Option<Vec<(u32, Attempt)>>,
    /// The most NAR bytes that decompression may yield, once the client said so.
    nar_limit: Option<u64>,
    closed: bool,
    /// Whether the upload's own file is written to no more.
    handed_over: bool,
}

/// The spooled bytes of one upload.
pub struct Spool {
    spool_dirs: Box<dyn SpoolDirs>,
    disk: Mutex<Disk>,
    state: Mutex<State>,
    changed: Condvar,
    /// Whether the files stay when this is dropped.
    stays: AtomicBool,
}

/// What there is of an upload on disk.
#[derive(Default)]
struct Disk {
    /// Directories of the upload, the current one last.
    directories: Vec<PathBuf>,
    /// The upload's own file, in the first directory that took it.
    main: Option<Place>,
}

impl Spool {
    /// An upload without any bytes.
    pub fn new(spool_dirs: Box<dyn SpoolDirs>) -> Arc<Self> {
        Arc::new(Self::with(spool_dirs, Disk::default(), State::default()))
    }

    fn with(spool_dirs: Box<dyn SpoolDirs>, disk: Disk, state: State) -> Self {
        Self {
            spool_dirs,
            disk: Mutex::new(disk),
            state: Mutex::new(state),
            changed: Condvar::new(),
            stays: AtomicBool::new(false),
        }
    }

    /// The directory that new files go to, if there is one already.
    pub fn directory(&self) -> Option<PathBuf> {
        self.disk.lock().directories.last().cloned()
    }

    /// The directory that new files go to. Blocks.
    fn make_directory(&self) -> io::Result<PathBuf> {
        self.disk.lock().directory(&*self.spool_dirs)
    }

    /// The upload's own file, which is created the first time, and whether new files go to the same directory. Blocks.
    fn main(&self) -> io::Result<(Place, bool)> {
        let mut disk = self.disk.lock();
        let main = match &disk.main {
            Some(main) => main.clone(),
            None => {
                let mut directory = disk.directory(&*self.spool_dirs)?;
                let main = loop {
                    match Place::create(directory.join("main")) {
                        Ok(main) => break Place { own: false, ..main },
                        Err(error) => {
                            directory = self.spool_dirs.next(&directory, error)?;
                            disk.directories.push(directory.clone());
                        }
                    }
                };
                disk.main.insert(main).clone()
            }
        };
        let is_current = disk.directories.last().is_some_and(|current| current == main.directory());
        Ok((main, is_current))
    }

    /// Goes on in another directory because `error` happened in `lost`. Gives the error back where there is none. Blocks.
    pub fn move_on_from(&self, lost: &Path, error: io::Error) -> io::Result<PathBuf> {
        let mut disk = self.disk.lock();
        let next = self.spool_dirs.next(lost, error)?;
        if !disk.directories.contains(&next) {
            disk.directories.push(next.clone());
        }
        Ok(next)
    }

    /// A new file of this name, where one can be made.
    fn new_file(&self, name: &str) -> io::Result<Place> {
        let mut directory = self.make_directory()?;
        loop {
            match Place::create(directory.join(name)) {
                Err(error) => directory = self.move_on_from(&directory, error)?,
                created => return created,
            }
        }
    }

    /// Begins an attempt to upload `part`; `len` is its announced length. Blocks.
    pub fn begin(self: &Arc<Self>, part: u32, len: Option<u64>) -> io::Result<PartWriter> {
        let (main, is_current) = self.main()?;
        let mut state = self.lock();
        let attempt = state.next_attempt();
        // Once the first directory has failed, nothing new is put there.
        let offset = if is_current { state.claim_place(part, len) } else { None };
        let place = match offset {
            Some(offset) => Place { offset, ..main },
            None => {
                drop(state);
                let place = self.new_file(&format!("part-{part}-{attempt}"))?;
                state = self.lock();
                place
            }
        };
        state.writing.insert(attempt, Writing { part, location: Location::Disk(place.clone()), written: 0 });
        drop(state);
        self.changed.notify_all();
        Ok(PartWriter::new(self.clone(), attempt, place))
    }

    /// Takes an attempt as arrived, of which `len` bytes are at `location`. It replaces an earlier one of the same part, unless that has
    /// the very same bytes.
    fn finish(&self, attempt: Attempt, len: u64, md5: [u8; 16], location: Location) {
        let mut discarded = None;
        let mut state = self.lock();
        if let Some(writing) = state.writing.remove(&attempt) {
            let same = state.parts.get(&writing.part).is_some_and(|part| part.md5 == md5 && part.len == len);
            if same {
                discarded = Some((location, len));
            } else {
                let replaced = state.parts.insert(writing.part, StoredPart { attempt, len, md5, location });
                discarded = replaced.map(|part| (part.location, part.len));
            }
        }
        // What is being put together is read to its end.
        discarded = discarded.filter(|_| state.sealed.is_none() && !state.handed_over);
        drop(state);
        self.changed.notify_all();
        if let Some((Location::Disk(place), len)) = discarded {
            in_background(move || place.discard(len));
        }
    }

    /// The parts that have arrived, by number.
    pub fn parts(&self) -> BTreeMap<u32, StoredPart> {
        self.lock().parts.clone()
    }

    /// The bytes of all parts, those that are being written included.
    pub fn size(&self) -> u64 {
        let state = self.lock();
        let stored = state.parts.values().map(|part| part.len);
        stored.chain(state.writing.values().map(|writing| writing.written)).sum()
    }

    /// Whether a part is being written right now.
    pub fn is_busy(&self) -> bool {
        !self.lock().writing.is_empty()
    }

    /// Whether no byte of any part has arrived, and none is under way.
    pub fn is_empty(&self) -> bool {
        let state = self.lock();
        state.parts.is_empty() && state.writing.is_empty()
    }

    /// Fixes what the upload consists of and how large its NAR may be. Followers then know where the end is.
    pub fn seal(&self, parts: Vec<(u32, Attempt)>, nar_limit: u64) {
        let mut state = self.lock();
        state.sealed = Some(parts);
        state.nar_limit = Some(nar_limit);
        drop(state);
        self.changed.notify_all();
    }

    /// Fixes only what the upload consists of, for uploads whose NAR size is announced in a later request.
    pub fn seal_parts(&self, parts: Vec<(u32, Attempt)>) {
        self.lock().sealed = Some(parts);
        self.changed.notify_all();
    }

    /// Ends the upload: followers and writers fail from now on.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Waits until decompression may go beyond `produced` bytes. `free` are always allowed; more only as far as the
    /// client announced. Blocks.
    pub fn wait_for_nar_budget(&self, produced: u64, free: u64) -> io::Result<()> {
        let mut state = self.lock();
        loop {
            match state.nar_limit {
                Some(limit) if produced <= limit => return Ok(()),
                Some(limit) => return Err(NarLimitExceeded { limit }.into()),
                None if produced <= free => return Ok(()),
                None => self.wait(&mut state)?,
            }
        }
    }

    /// A reader over all parts in order that waits for those still to come.
    pub fn follow(self: &Arc<Self>) -> Follower {
        Follower::new(self.clone())
    }

    /// The bytes of an upload that is in memory.
    pub fn small_bytes(&self, parts: &[(u32, Attempt)]) -> Option<SmallBytes> {
        let &[(number, attempt)] = parts else { return None };
        match self.lock().parts.get(&number) {
            Some(StoredPart { attempt: stored, location: Location::Memory(bytes), .. })
                if *stored == attempt =>
            {
                Some(bytes.clone())
            }
            _ => None,
        }
    }

    /// Makes the upload one file and returns its path. Blocks; cheap unless parts were repeated or came out of order.
    pub fn assemble(&self, parts: &[(u32, Attempt)]) -> io::Result<PathBuf> {
        let stored = self.parts();
        let mut offset = 0;
        let mut in_place = true;
        let mut ordered = Vec::with_capacity(parts.len());
        for (number, attempt) in parts {
            let part = stored.get(number).filter(|part| part.attempt == *attempt).ok_or_else(replaced)?;
            in_place &= part.len == 0
                || matches!(&part.location, Location::Disk(place) if !place.own && place.offset == offset);
            offset += part.len;
            ordered.push(part);
        }
        let (main, _) = self.main()?;
        // The file is gone from here where a storage has taken it in vain. Its bytes can still be read through what is open.
        if in_place && main.path.exists() {
            // From now on it may become an object of a storage, in which nobody writes.
            self.lock().handed_over = true;
            // An abandoned attempt may have written beyond the end.
            main.file.set_len(offset)?;
            return Ok(main.path.to_path_buf());
        }
        if let [StoredPart { location: Location::Disk(place), .. }] = ordered[..]
            && place.own
            && place.path.exists()
        {
            return Ok(place.path.to_path_buf());
        }
        let mut directory = self.make_directory()?;
        loop {
            let path = directory.join("assembled");
            let copied =
                self.spool_dirs.check_disk_room(&directory, offset).and_then(|_| copy_parts(&ordered, &path));
            match copied {
                Ok(()) => return Ok(path),
                Err(error) => directory = self.move_on_from(&directory, error)?,
            }
        }
    }

    /// A new file beside the parts, for what is derived from them. Blocks.
    pub fn side_file(&self, name: &str) -> io::Result<PathBuf> {
        Ok(self.make_directory()?.join(name))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Waits for a change, but not for ever.
    fn wait(&self, state: &mut MutexGuard<'_, State>) -> io::Result<()> {
        if state.closed {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the upload was aborted"));
        }
        let timeout = self.changed.wait_for(state, IDLE_LIMIT);
        if timeout.timed_out() && state.nar_limit.is_none() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the upload is idle"));
        }
        Ok(())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if self.stays.load(Ordering::Relaxed) {
            return;
        }
        for directory in &self.disk.get_mut().directories {
            if let Err(error) = std::fs::remove_dir_all(directory)
                && error.kind() != io::ErrorKind::NotFound
            {
                tracing::warn!(%error, "could not remove the spooled parts of an upload");
            }
        }
    }
}

impl Disk {
    /// The directory that new files go to. Blocks.
    fn directory(&mut self, spool_dirs: &dyn SpoolDirs) -> io::Result<PathBuf> {
        if let Some(current) = self.directories.last() {
            return Ok(current.clone());
        }
        let first = spool_dirs.first()?;
        self.directories.push(first.clone());
        Ok(first)
    }
}

impl State {
    fn next_attempt(&mut self) -> Attempt {
        self.next_attempt += 1;
        self.next_attempt - 1
    }

    /// The offset of `part` in the main file, if it is known and free.
    fn claim_place(&mut self, part: u32, len: Option<u64>) -> Option<u64> {
        let len = len?;
        if self.placed.contains(&part) || self.handed_over {
            return None;
        }
        let offset = if part == 1 {
            self.chunk = Some(len);
            0
        } else {
            let chunk = self.chunk.filter(|chunk| len <= *chunk)?;
            chunk.checked_mul(u64::from(part) - 1)?
        };
        // What a client announces must not decide how large a file the file system has to take.
        if offset.saturating_add(len) > MAX_PLACED {
            return None;
        }
        self.placed.push(part);
        Some(offset)
    }
}

/// Decompression went beyond the NAR size that the client announced.
#[derive(Debug, thiserror::Error)]
#[error("the NAR is larger than the announced {limit} bytes")]
pub struct NarLimitExceeded {
    /// The announced size in bytes.
    pub limit: u64,
}

impl From<NarLimitExceeded> for io::Error {
    fn from(error: NarLimitExceeded) -> Self {
        io::Error::new(io::ErrorKind::FileTooLarge, error)
    }
}

/// What a follower finds when an attempt it was reading failed or was replaced by other bytes.
fn replaced() -> io::Error {
    io::Error::other(PartReplaced)
}

/// See [`replaced`].
#[derive(Debug, thiserror::Error)]
#[error("a part was replaced while it was read")]
pub struct PartReplaced;

fn open_new(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// Writes the parts one after the other to a file at `path`, which must be on the disk that gave room for it last.
fn copy_parts(parts: &[&StoredPart], path: &Path) -> io::Result<()> {
    let mut target = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
    let copied = parts.iter().try_for_each(|part| match &part.location {
        Location::Disk(place) => copy_part(place, part.len, &mut target),
        Location::Memory(bytes) => target.write_all(bytes),
    });
    if copied.is_err() {
        let _ = std::fs::remove_file(path);
    }
    copied
}

/// Appends `len` bytes of `place` to `target`, within the kernel where both are on one file system.
fn copy_part(place: &Place, len: u64, target: &mut File) -> io::Result<()> {
    use rustix::fs::copy_file_range;
    use rustix::io::Errno;
    let mut from = place.offset;
    let end = place.offset + len;
    while from < end {
        let wanted = usize::try_from(end - from).unwrap_or(usize::MAX);
        match copy_file_range(&place.file, Some(&mut from), &*target, None, wanted) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(Errno::XDEV | Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS) => {
                return copy_by_hand(&place.file, from..end, target);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn copy_by_hand(from: &File, range: Range<u64>, target: &mut impl Write) -> io::Result<()> {
    let mut buffer = vec![0; COPY_BUFFER];
    let mut position = range.start;
    while position < range.end {
        let left = usize::try_from(range.end - position).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let read = from.read_at(&mut buffer[..wanted], position)?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        target.write_all(&buffer[..read])?;
        position += read as u64;
    }
    Ok(())
}
