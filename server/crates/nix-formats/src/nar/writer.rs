use std::io::{self, Read, Write};

use super::keyword::Keyword::{
    self, Close, Contents, Directory, Entry, Executable, Magic, Name, Node, Open, Regular, Symlink, Target,
    Type,
};
use super::{MAX_DEPTH, MAX_NAME_LEN, MAX_TARGET_LEN, name};

/// Writes a NAR, node by node in the order of the archive: entries sorted by the bytes of their names.
///
/// The names are those that a [`Visitor`](super::Visitor) sees; the first node is the root, and its name is empty. What
/// would not be a NAR (a name out of order, a second root, a link without a target) is an error of kind
/// [`InvalidInput`](io::ErrorKind::InvalidInput). It writes in small pieces; give it a buffered writer.
///
/// ```
/// use nix_formats::nar;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut writer = nar::Writer::new(Vec::new())?;
/// writer.enter_directory(b"")?;
/// writer.file(b"hello", true, 3, &b"hi\n"[..])?;
/// writer.symlink(b"other", b"hello")?;
/// writer.leave_directory()?;
/// let archive = writer.finish()?;
///
/// assert_eq!(nar::parse(&archive[..], &mut ())?.size, archive.len() as u64);
/// # Ok(())
/// # }
/// ```
pub struct Writer<W> {
    writer: W,
    root: bool,
    /// For each open directory the name of the entry written last in it.
    names: Vec<Vec<u8>>,
}

impl<W: Write> Writer<W> {
    /// Begins a NAR.
    ///
    /// # Errors
    ///
    /// If the writer fails.
    pub fn new(mut writer: W) -> io::Result<Self> {
        string(&mut writer, Magic.text().as_bytes())?;
        Ok(Self { writer, root: false, names: Vec::new() })
    }

    /// Begins a directory; what follows until [`leave_directory`](Self::leave_directory) are its entries.
    ///
    /// # Errors
    ///
    /// If the writer fails or the NAR would not be valid.
    pub fn enter_directory(&mut self, name: &[u8]) -> io::Result<()> {
        if self.names.len() == MAX_DEPTH {
            return Err(invalid("too many directories in each other"));
        }
        self.node_start(name)?;
        self.keywords(&[Directory])?;
        self.names.push(Vec::new());
        Ok(())
    }

    /// Ends the directory begun last and not ended.
    ///
    /// # Errors
    ///
    /// If the writer fails or no directory is open.
    pub fn leave_directory(&mut self) -> io::Result<()> {
        self.names.pop().ok_or_else(|| invalid("no directory is open"))?;
        self.node_end()
    }

    /// Writes a regular file of the next `size` bytes of `contents`.
    ///
    /// # Errors
    ///
    /// If the writer or `contents` fails, `contents` ends early, or the NAR would not be valid. Part of the file may be
    /// written by then, so the NAR cannot be continued.
    pub fn file(&mut self, name: &[u8], executable: bool, size: u64, contents: impl Read) -> io::Result<()> {
        self.node_start(name)?;
        self.keywords(&[Regular])?;
        if executable {
            self.keywords(&[Executable])?;
            string(&mut self.writer, b"")?;
        }
        self.keywords(&[Contents])?;
        self.writer.write_all(&size.to_le_bytes())?;
        if io::copy(&mut contents.take(size), &mut self.writer)? != size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        padding(&mut self.writer, size)?;
        self.node_end()
    }

    /// Writes a symbolic link.
    ///
    /// # Errors
    ///
    /// If the writer fails or the NAR would not be valid.
    pub fn symlink(&mut self, name: &[u8], target: &[u8]) -> io::Result<()> {
        if target.len() > MAX_TARGET_LEN || !name::is_valid_target(target) {
            return Err(invalid("a link target that is empty, too long or has a NUL"));
        }
        self.node_start(name)?;
        self.keywords(&[Symlink, Target])?;
        string(&mut self.writer, target)?;
        self.node_end()
    }

    /// Ends the NAR, flushes, and gives the writer back.
    ///
    /// # Errors
    ///
    /// If the writer fails, or the NAR has no root or an open directory.
    pub fn finish(mut self) -> io::Result<W> {
        if !self.root || !self.names.is_empty() {
            return Err(invalid("the NAR is not complete"));
        }
        self.writer.flush()?;
        Ok(self.writer)
    }

    fn node_start(&mut self, name: &[u8]) -> io::Result<()> {
        if let Some(previous) = self.names.last_mut() {
            if name.len() > MAX_NAME_LEN || name::check(name, previous).is_err() {
                return Err(invalid("an entry name that is not valid or out of order"));
            }
            previous.clear();
            previous.extend_from_slice(name);
            self.keywords(&[Entry, Open, Name])?;
            string(&mut self.writer, name)?;
            self.keywords(&[Node])?;
        } else if self.root || !name.is_empty() {
            return Err(invalid("a NAR has one root, and its name is empty"));
        }
        self.root = true;
        self.keywords(&[Open, Type])
    }

    fn node_end(&mut self) -> io::Result<()> {
        self.keywords(&[Close])?;
        if self.names.is_empty() {
            return Ok(());
        }
        self.keywords(&[Close])
    }

    fn keywords(&mut self, keywords: &[Keyword]) -> io::Result<()> {
        keywords.iter().try_for_each(|keyword| string(&mut self.writer, keyword.text().as_bytes()))
    }
}

fn string(writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(&(bytes.len() as u64).to_le_bytes())?;
    writer.write_all(bytes)?;
    padding(writer, bytes.len() as u64)
}

fn padding(writer: &mut impl Write, len: u64) -> io::Result<()> {
    let padding = len.next_multiple_of(8) - len;
    writer.write_all(&[0; 8][..padding as usize])
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
