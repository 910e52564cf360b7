//! Open files whose bytes go to a socket as directly as the kernel permits.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use rustix::fs::Advice;
use rustix::io::Errno;

use super::LocalStorage;
use super::open_files::{Contents, OpenFile};
use super::read::read_cached;
use super::threads::Threads;
use crate::Key;

/// The most bytes that one call moves, so that a thread notices soon that a socket is full or broken.
const PIECE: u64 = 1 << 20;
/// The most bytes that a thread moves before others get their turn.
const TURN: u64 = 8 << 20;
/// How far the kernel is asked to read ahead in a file that is not cached.
const READ_AHEAD: u64 = 4 << 20;

/// An object that is a file, opened for reading.
#[derive(Clone)]
pub struct FileObject {
    file: Arc<File>,
    size: u64,
    contents: Contents,
    threads: Arc<Threads>,
}

/// What a turn of [`FileObject::send`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The bytes that the socket took.
    pub bytes: u64,
    /// Whether the socket takes no more for now.
    pub is_full: bool,
}

impl LocalStorage {
    /// See [`Storage::open_now`](crate::Storage::open_now).
    pub(super) fn open_object_now(&self, key: &Key, size: u64) -> Option<FileObject> {
        let shared = &self.shared;
        if !shared.answers_inline() {
            return None;
        }
        // What is read once is not worth the memory.
        let open = || Some((shared.files.open_inline(key, &shared.path(key))?, Contents::NotKept));
        let (OpenFile { file, size: actual }, contents) =
            shared.files.find_with_contents(key, size).or_else(open)?;
        (actual == size).then(|| FileObject { file, size, contents, threads: shared.quick.clone() })
    }
}

impl FileObject {
    /// Returns the size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Reads the first bytes as far as they are in memory and `buffer` has room. Returns their number.
    pub fn read_cached(&self, buffer: &mut [u8]) -> usize {
        if let Contents::Known(bytes) = &self.contents {
            let length = bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&bytes[..length]);
            return length;
        }
        let read = read_cached(&self.file, 0, buffer);
        if let Contents::ToKeep(to_keep) = &self.contents
            && read as u64 == self.size
        {
            to_keep.keep(&buffer[..read]);
        }
        read
    }

    /// Sends bytes of `range` to a socket that does not block, on a thread of the storage, until the socket is full or others get
    /// their turn.
    ///
    /// # Errors
    ///
    /// If the socket is broken, the disk fails or does not answer, or the file has become shorter.
    pub async fn send(
        &self,
        socket: Arc<impl AsFd + Send + Sync + 'static>,
        range: Range<u64>,
    ) -> io::Result<Sent> {
        let file = self.file.clone();
        self.threads.run(move || send(&file, socket.as_fd(), range)).await
    }
}

fn send(file: &File, socket: BorrowedFd<'_>, range: Range<u64>) -> io::Result<Sent> {
    read_ahead(file, &range);
    let (mut offset, mut sent) = (range.start, Sent { bytes: 0, is_full: false });
    while offset < range.end && sent.bytes < TURN {
        let length = usize::try_from(PIECE.min(range.end - offset)).unwrap_or(usize::MAX);
        match rustix::fs::sendfile(socket, file, Some(&mut offset), length) {
            // What was sent has to be told first: the rest may come from elsewhere.
            Ok(0) if sent.bytes > 0 => break,
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(moved) => sent.bytes += moved as u64,
            Err(Errno::AGAIN) => {
                sent.is_full = true;
                break;
            }
            Err(Errno::INTR) => {}
            Err(_) if sent.bytes > 0 => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(sent)
}

/// Has the disk read on while the socket drains, unless the file is cached.
fn read_ahead(file: &File, range: &Range<u64>) {
    let end = range.end.min(range.start + READ_AHEAD);
    if read_cached(file, end - 1, &mut [0]) == 0 {
        // Only advice: without it the reads are slower.
        let _ = rustix::fs::fadvise(file, range.start, NonZeroU64::new(end - range.start), Advice::WillNeed);
    }
}

#[cfg(test)]
mod tests;
