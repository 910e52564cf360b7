use std::io::Read;

use super::parser::{Event, Parser};
use super::{FileHeader, NarError};

/// Receives the nodes of a NAR during parsing, in the order of the archive.
///
/// A visitor cannot fail the parse: its result is a by-product that does not affect the validity of the NAR. It stores its own
/// errors and returns them with its result.
///
/// `name` is the entry's name within the directory entered last and not left; for the root it is empty. Every method
/// does nothing by default. A pair of visitors is a visitor, as is a mutable reference to one.
pub trait Visitor {
    /// A directory, whose entries follow until [`leave_directory`](Self::leave_directory).
    fn enter_directory(&mut self, name: &[u8]) {
        let _ = name;
    }

    /// The end of the directory entered last and not left.
    fn leave_directory(&mut self) {}

    /// A regular file, whose contents follow.
    fn file(&mut self, name: &[u8], header: FileHeader) {
        let _ = (name, header);
    }

    /// The next piece of the contents of the last file, never empty. Pieces have no meaningful borders.
    fn contents(&mut self, chunk: &[u8]) {
        let _ = chunk;
    }

    /// A symbolic link. The target is what the archive says and may lead anywhere.
    fn symlink(&mut self, name: &[u8], target: &[u8]) {
        let _ = (name, target);
    }
}

/// Ignores everything, to parse only for validation.
impl Visitor for () {}

impl<V: Visitor + ?Sized> Visitor for &mut V {
    fn enter_directory(&mut self, name: &[u8]) {
        (**self).enter_directory(name);
    }

    fn leave_directory(&mut self) {
        (**self).leave_directory();
    }

    fn file(&mut self, name: &[u8], header: FileHeader) {
        (**self).file(name, header);
    }

    fn contents(&mut self, chunk: &[u8]) {
        (**self).contents(chunk);
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) {
        (**self).symlink(name, target);
    }
}

impl<A: Visitor, B: Visitor> Visitor for (A, B) {
    fn enter_directory(&mut self, name: &[u8]) {
        self.0.enter_directory(name);
        self.1.enter_directory(name);
    }

    fn leave_directory(&mut self) {
        self.0.leave_directory();
        self.1.leave_directory();
    }

    fn file(&mut self, name: &[u8], header: FileHeader) {
        self.0.file(name, header);
        self.1.file(name, header);
    }

    fn contents(&mut self, chunk: &[u8]) {
        self.0.contents(chunk);
        self.1.contents(chunk);
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) {
        self.0.symlink(name, target);
        self.1.symlink(name, target);
    }
}

/// The summary of a parsed NAR.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NarSummary {
    /// The size of the NAR in bytes.
    pub size: u64,
}

/// Parses a NAR to the end of `reader` and passes its nodes to `visitor`, which has received a part of them after an error.
///
/// Takes 64 KiB and at most the names of one branch of the tree. Reads in large pieces, so `reader` needs no buffer.
///
/// # Errors
///
/// See [`NarError`]; bytes after the NAR are an error. Nix accepts every NAR that this function accepts.
pub fn parse<R: Read, V: Visitor + ?Sized>(reader: R, visitor: &mut V) -> Result<NarSummary, NarError> {
    let mut parser = Parser::new(reader);
    while let Some(event) = parser.next()? {
        match event {
            Event::EnterDirectory { name } => visitor.enter_directory(name),
            Event::LeaveDirectory => visitor.leave_directory(),
            Event::Symlink { name, target } => visitor.symlink(name, target),
            Event::File { name, header } => {
                visitor.file(name, header);
                while let Some(chunk) = parser.contents()? {
                    visitor.contents(chunk);
                }
            }
        }
    }
    Ok(NarSummary { size: parser.offset() })
}
