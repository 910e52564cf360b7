use std::cmp::Ordering;
use std::fmt;
use std::io::{self, Read};

use super::NarError;
use super::parser::{Event, Parser};

/// What is at a path in a NAR.
#[derive(Debug)]
pub enum Found<R> {
    /// A regular file.
    File {
        /// Bytes of its contents.
        size: u64,
        /// Whether it may be executed.
        executable: bool,
        /// Its contents.
        reader: FileReader<R>,
    },
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// What the archive says it points to; it may lead anywhere.
        target: Vec<u8>,
    },
    /// Nothing. Links and files on the way are not followed.
    NotFound,
}

/// Reads the contents of one file of a NAR: exactly as many bytes as its size says, else an error.
pub struct FileReader<R>(Parser<R>);

impl<R: Read> Read for FileReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        Ok(self.0.read_contents(buffer)?)
    }
}

impl<R> fmt::Debug for FileReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileReader").finish_non_exhaustive()
    }
}

/// Looks for the node at `path` (no components: the root) and reads no further than it must, which is up to the node or
/// to where it would have to be. So what the NAR holds behind that is not checked. Names are bytes, as in the NAR.
///
/// # Errors
///
/// See [`NarError`].
pub fn find_file<R: Read>(reader: R, path: &[impl AsRef<[u8]>]) -> Result<Found<R>, NarError> {
    let mut parser = Parser::new(reader);
    // Directories open, and how many of them, from the root on, are on the path.
    let (mut depth, mut on_path) = (0_usize, 0_usize);
    while let Some(event) = parser.next()? {
        let name = match event {
            Event::LeaveDirectory if on_path == depth => return Ok(Found::NotFound),
            Event::LeaveDirectory => {
                depth -= 1;
                continue;
            }
            Event::EnterDirectory { name } | Event::File { name, .. } | Event::Symlink { name, .. } => name,
        };
        let order = if on_path < depth {
            Ordering::Less
        } else if depth == 0 {
            Ordering::Equal
        } else {
            name.cmp(path[depth - 1].as_ref())
        };
        match (order, event) {
            // Entries are sorted: it would have come before this one.
            (Ordering::Greater, _) => return Ok(Found::NotFound),
            (Ordering::Equal, Event::File { header, .. }) if depth == path.len() => {
                return Ok(Found::File {
                    size: header.size,
                    executable: header.executable,
                    reader: FileReader(parser),
                });
            }
            (Ordering::Equal, Event::Symlink { target, .. }) if depth == path.len() => {
                let target = target.to_owned();
                return Ok(Found::Symlink { target });
            }
            (Ordering::Equal, Event::EnterDirectory { .. }) if depth == path.len() => {
                return Ok(Found::Directory);
            }
            (Ordering::Equal, Event::EnterDirectory { .. }) => {
                depth += 1;
                on_path += 1;
            }
            (Ordering::Equal, _) => return Ok(Found::NotFound),
            (Ordering::Less, Event::EnterDirectory { .. }) => depth += 1,
            (Ordering::Less, _) => {}
        }
    }
    Ok(Found::NotFound)
}
