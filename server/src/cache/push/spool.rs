//! The bytes of one upload on disk, while they arrive.
//!
//! Parts come in any order, several at once, and may be repeated. Where a part's place in the file is known when it
//! starts, it is written right there, so that a finished upload is one file that only needs a new name. Everything
//! else (a repeat, a part that overtook the first one) goes to a file of its own and is copied into place at the end.
//!
//! A [`Follower`] reads the upload in part order while it is still growing.

mod follower;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

pub use self::follower::Follower;
pub use self::writer::PartWriter;

/// Identifies one attempt to upload a part. A part that is sent again gets a new one.
pub type Attempt = u64;

/// How long a follower waits for more bytes before it gives up; the upload is then read again when it is complete.
const IDLE_LIMIT: Duration = Duration::from_secs(30);

/// A part that arrived whole.
#[derive(Clone, Debug)]
pub struct StoredPart {
    /// The attempt that brought it.
    pub attempt: Attempt,
    /// Its length in bytes.
    pub len: u64,
    /// MD5 of its bytes.
    pub md5: [u8; 16],
    place: Place,
}

/// Where the bytes of an attempt are: in the upload's own file from `offset` on, or in a file of its own.
#[derive(Clone, Debug)]
struct Place {
    file: Arc<File>,
    offset: u64,
    own: bool,
}

/// An attempt that is still being written.
struct Writing {
    part: u32,
    place: Place,
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
}

/// The spooled bytes of one upload.
pub struct Spool {
    directory: PathBuf,
    main: Arc<File>,
    state: Mutex<State>,
    changed: Condvar,
}

impl Spool {
    /// Creates the upload's directory and its empty main file. Blocks.
    pub fn create(directory: PathBuf) -> io::Result<Arc<Self>> {
        std::fs::create_dir_all(&directory)?;
        let main = Arc::new(open_new(&directory.join("main"))?);
        Ok(Arc::new(Self { directory, main, state: Mutex::default(), changed: Condvar::new() }))
    }

    /// Begins an attempt to upload `part`; `len` is its announced length. Blocks.
    pub fn begin(self: &Arc<Self>, part: u32, len: Option<u64>) -> io::Result<PartWriter> {
        let mut state = self.lock();
        let attempt = state.next_attempt;
        state.next_attempt += 1;
        let place = match state.claim_place(part, len) {
            Some(offset) => Place { file: self.main.clone(), offset, own: false },
            None => {
                let path = self.directory.join(format!("part-{part}-{attempt}"));
                Place { file: Arc::new(open_new(&path)?), offset: 0, own: true }
            }
        };
        state.writing.insert(attempt, Writing { part, place: place.clone(), written: 0 });
        drop(state);
        self.changed.notify_all();
        Ok(PartWriter::new(self.clone(), attempt, place))
    }

    /// The parts that have arrived, by number.
    pub fn parts(&self) -> BTreeMap<u32, StoredPart> {
        self.lock().parts.clone()
    }

    /// Whether a part is being written right now.
    pub fn is_busy(&self) -> bool {
        !self.lock().writing.is_empty()
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

    /// Opens the upload again after a `complete` that was refused, so that the client may correct it.
    pub fn unseal(&self) {
        let mut state = self.lock();
        state.sealed = None;
        state.nar_limit = None;
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
                None => state = self.wait(state)?,
            }
        }
    }

    /// A reader over all parts in order that waits for those still to come.
    pub fn follow(self: &Arc<Self>) -> Follower {
        Follower::new(self.clone())
    }

    /// Makes the upload one file and returns its path. Blocks; cheap unless parts were repeated or came out of order.
    pub fn assemble(&self, parts: &[(u32, Attempt)]) -> io::Result<PathBuf> {
        let stored = self.parts();
        let mut offset = 0;
        let mut in_place = true;
        let mut ordered = Vec::with_capacity(parts.len());
        for (number, attempt) in parts {
            let part = stored.get(number).filter(|part| part.attempt == *attempt).ok_or_else(replaced)?;
            in_place &= part.len == 0 || (!part.place.own && part.place.offset == offset);
            offset += part.len;
            ordered.push(part);
        }
        if in_place {
            // An abandoned attempt may have written beyond the end.
            self.main.set_len(offset)?;
            return Ok(self.directory.join("main"));
        }
        let path = self.directory.join("assembled");
        let target = OpenOptions::new().write(true).create(true).truncate(true).open(&path)?;
        for part in ordered {
            copy_part(&part.place, part.len, &target)?;
        }
        Ok(path)
    }

    /// A new file beside the parts, for what is derived from them.
    pub fn side_file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a change, but not for ever.
    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> io::Result<MutexGuard<'a, State>> {
        if state.closed {
            return Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the upload was aborted"));
        }
        let (state, timeout) =
            self.changed.wait_timeout(state, IDLE_LIMIT).unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() && state.nar_limit.is_none() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the upload is idle"));
        }
        Ok(state)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.directory)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "could not remove the spooled parts of an upload");
        }
    }
}

impl State {
    /// The offset of `part` in the main file, if it is known and free.
    fn claim_place(&mut self, part: u32, len: Option<u64>) -> Option<u64> {
        let len = len?;
        if self.placed.contains(&part) {
            return None;
        }
        let offset = if part == 1 {
            self.chunk = Some(len);
            0
        } else {
            let chunk = self.chunk.filter(|chunk| len <= *chunk)?;
            chunk.checked_mul(u64::from(part) - 1)?
        };
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

fn copy_part(place: &Place, len: u64, target: &File) -> io::Result<()> {
    use rustix::fs::copy_file_range;
    let mut from = place.offset;
    let mut left = len;
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX);
        let copied = copy_file_range(&place.file, Some(&mut from), target, None, wanted)? as u64;
        if copied == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        left -= copied;
    }
    Ok(())
}
