//! The grammar of a NAR, one node at a time. Open directories are on an explicit stack, because a hostile NAR could exhaust the stack
//! of the thread.

use std::io::Read;

use super::input::Input;
use super::keyword::Keyword;
use super::name::{self, NameFault};
use super::{FileHeader, MAX_DEPTH, MAX_NAME_LEN, MAX_TARGET_LEN, NarError};

/// One step through a NAR.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Event<'a> {
    EnterDirectory {
        name: &'a [u8],
    },
    LeaveDirectory,
    /// [`Parser::contents`] may be read next; what is left of them is skipped.
    File {
        name: &'a [u8],
        header: FileHeader,
    },
    Symlink {
        name: &'a [u8],
        target: &'a [u8],
    },
}

/// The part to consume before the next entry.
enum Pending {
    /// The magic, then the root.
    Root,
    /// Nothing: a directory was just entered.
    Nothing,
    /// The rest of a file's contents, and the end of its node.
    Contents,
    /// The end of a node.
    NodeEnd,
    /// The end of the entry that holds the directory just left.
    EntryEnd,
    /// The NAR is over.
    End,
}

/// A parser of a NAR.
pub(super) struct Parser<R> {
    input: Input<R>,
    pending: Pending,
    /// For each open directory the name of the entry read last in it; so, but for the root, the path of the last node.
    names: Vec<Vec<u8>>,
    /// Size of the current file, and what is unread of it.
    size: u64,
    remaining: u64,
}

impl<R: Read> Parser<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { input: Input::new(reader), pending: Pending::Root, names: Vec::new(), size: 0, remaining: 0 }
    }

    /// Bytes of the NAR consumed so far: its size once [`next`](Self::next) has returned `None`.
    pub(super) fn offset(&self) -> u64 {
        self.input.offset()
    }

    /// The next event; `None` once the NAR is complete and the reader at its end.
    pub(super) fn next(&mut self) -> Result<Option<Event<'_>>, NarError> {
        match self.pending {
            Pending::Root => {
                self.magic()?;
                return self.node().map(Some);
            }
            Pending::Nothing => {}
            Pending::Contents => {
                while self.contents()?.is_some() {}
                self.input.padding(self.size)?;
                self.node_end()?;
            }
            Pending::NodeEnd => self.node_end()?,
            Pending::EntryEnd => self.entry_end()?,
            Pending::End => return Ok(None),
        }
        if self.names.is_empty() {
            self.input.expect_end()?;
            self.pending = Pending::End;
            return Ok(None);
        }
        self.entry().map(Some)
    }

    /// The next piece of the current file's contents, never empty; `None` at its end.
    pub(super) fn contents(&mut self) -> Result<Option<&[u8]>, NarError> {
        if self.remaining == 0 {
            return Ok(None);
        }
        let chunk = self.input.chunk(self.remaining)?;
        self.remaining -= chunk.len() as u64;
        Ok(Some(chunk))
    }

    /// Like [`contents`](Self::contents), into a buffer of the caller's; 0 at the end, or if the buffer has no room.
    pub(super) fn read_contents(&mut self, target: &mut [u8]) -> Result<usize, NarError> {
        let room = usize::try_from(self.remaining).map_or(target.len(), |n| n.min(target.len()));
        if room == 0 {
            return Ok(0);
        }
        let read = self.input.read_into(&mut target[..room])?;
        self.remaining -= read as u64;
        Ok(read)
    }

    fn magic(&mut self) -> Result<(), NarError> {
        self.input.expect(Keyword::Magic).map_err(|error| match error {
            NarError::Unexpected { .. } => NarError::Magic,
            other => other,
        })
    }

    /// An entry of the innermost directory, or the end of that.
    fn entry(&mut self) -> Result<Event<'_>, NarError> {
        const EXPECTED: &str = "`entry` or `)`";
        let offset = self.input.offset();
        match self.input.keyword(EXPECTED)? {
            Keyword::Entry => {}
            Keyword::Close => {
                self.names.pop();
                self.pending = Pending::EntryEnd;
                return Ok(Event::LeaveDirectory);
            }
            _ => {
                return Err(NarError::Unexpected { expected: EXPECTED, offset });
            }
        }
        self.input.expect(Keyword::Open)?;
        self.input.expect(Keyword::Name)?;
        self.entry_name()?;
        self.input.expect(Keyword::Node)?;
        self.node()
    }

    fn entry_name(&mut self) -> Result<(), NarError> {
        let offset = self.input.offset();
        let name = self.input.string("a name", MAX_NAME_LEN)?;
        let Some(previous) = self.names.last_mut() else {
            return Ok(());
        };
        name::check(name, previous).map_err(|fault| match fault {
            NameFault::Invalid => NarError::Name { offset },
            NameFault::Order => NarError::Order { offset },
        })?;
        previous.clear();
        previous.extend_from_slice(name);
        Ok(())
    }

    fn node(&mut self) -> Result<Event<'_>, NarError> {
        const EXPECTED: &str = "`regular`, `directory` or `symlink`";
        self.input.expect(Keyword::Open)?;
        self.input.expect(Keyword::Type)?;
        let offset = self.input.offset();
        match self.input.keyword(EXPECTED)? {
            Keyword::Regular => self.file(),
            Keyword::Directory => self.directory(offset),
            Keyword::Symlink => self.symlink(),
            _ => Err(NarError::Unexpected { expected: EXPECTED, offset }),
        }
    }

    fn file(&mut self) -> Result<Event<'_>, NarError> {
        const EXPECTED: &str = "`executable` or `contents`";
        let offset = self.input.offset();
        let executable = match self.input.keyword(EXPECTED)? {
            Keyword::Contents => false,
            Keyword::Executable => {
                self.input.expect_empty()?;
                self.input.expect(Keyword::Contents)?;
                true
            }
            _ => {
                return Err(NarError::Unexpected { expected: EXPECTED, offset });
            }
        };
        self.size = self.input.length()?;
        self.remaining = self.size;
        self.pending = Pending::Contents;
        Ok(Event::File {
            name: last_name(&self.names),
            header: FileHeader { executable, size: self.size, offset: self.input.offset() },
        })
    }

    fn directory(&mut self, offset: u64) -> Result<Event<'_>, NarError> {
        if self.names.len() == MAX_DEPTH {
            return Err(NarError::TooDeep { offset });
        }
        let outer = self.names.len();
        self.names.push(Vec::new());
        self.pending = Pending::Nothing;
        Ok(Event::EnterDirectory { name: last_name(&self.names[..outer]) })
    }

    fn symlink(&mut self) -> Result<Event<'_>, NarError> {
        self.input.expect(Keyword::Target)?;
        let offset = self.input.offset();
        let target = self.input.string("a link target", MAX_TARGET_LEN)?;
        if !name::is_valid_target(target) {
            return Err(NarError::Target { offset });
        }
        self.pending = Pending::NodeEnd;
        Ok(Event::Symlink { name: last_name(&self.names), target })
    }

    fn node_end(&mut self) -> Result<(), NarError> {
        self.input.expect(Keyword::Close)?;
        self.entry_end()
    }

    /// The root is no entry of anything.
    fn entry_end(&mut self) -> Result<(), NarError> {
        if self.names.is_empty() {
            return Ok(());
        }
        self.input.expect(Keyword::Close)
    }
}

/// The name of the node being read, given the open directories around it.
fn last_name(names: &[Vec<u8>]) -> &[u8] {
    names.last().map_or(&[], Vec::as_slice)
}
