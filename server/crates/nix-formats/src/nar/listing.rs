use std::io::{self, Write};

use thiserror::Error;

use super::{FileHeader, Visitor};

/// Writes the listing of a NAR (`<hash>.ls` in a binary cache) while the NAR is parsed, without ever holding it.
///
/// The JSON is byte for byte what Nix writes (`listNar` in `src/libutil/nar-accessor.cc`): no spaces, keys sorted. It is
/// written in small pieces; give it a buffered writer.
pub struct Listing<W> {
    writer: W,
    /// Whether a node was written since the last opening brace.
    comma: bool,
    depth: usize,
    root: bool,
    error: Option<ListingError>,
}

/// Why there is no listing of a NAR. What was written until then is of no use.
#[derive(Debug, Error)]
pub enum ListingError {
    /// JSON cannot represent a name or a link target. Nix makes no listing then either.
    #[error("the NAR has a name or a link target that is not UTF-8")]
    NotUtf8,
    /// The writer failed.
    #[error("cannot write the listing")]
    Io(#[from] io::Error),
    /// The NAR was not parsed to its end.
    #[error("the NAR was not read to its end")]
    Incomplete,
}

impl<W: Write> Listing<W> {
    /// A listing to be written to `writer`.
    pub fn new(writer: W) -> Self {
        Self { writer, comma: false, depth: 0, root: false, error: None }
    }

    /// Writes the end, flushes, and gives the writer back.
    ///
    /// # Errors
    ///
    /// See [`ListingError`]. Errors during the parse are reported here as well.
    pub fn finish(mut self) -> Result<W, ListingError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        if self.depth > 0 || !self.root {
            return Err(ListingError::Incomplete);
        }
        self.writer.write_all(br#","version":1}"#)?;
        self.writer.flush()?;
        Ok(self.writer)
    }

    /// Does one step, unless one failed before.
    fn step(&mut self, write: impl FnOnce(&mut Self) -> Result<(), ListingError>) {
        if self.error.is_none() {
            self.error = write(self).err();
        }
    }

    /// Writes what comes before a node.
    fn key(&mut self, name: &[u8]) -> Result<(), ListingError> {
        if self.depth == 0 {
            self.root = true;
            return Ok(self.writer.write_all(br#"{"root":"#)?);
        }
        if self.comma {
            self.writer.write_all(b",")?;
        }
        self.string(name)?;
        Ok(self.writer.write_all(b":")?)
    }

    fn string(&mut self, text: &[u8]) -> Result<(), ListingError> {
        let text = str::from_utf8(text).map_err(|_| ListingError::NotUtf8)?;
        serde_json::to_writer(&mut self.writer, text).map_err(io::Error::from)?;
        Ok(())
    }
}

impl<W: Write> Visitor for Listing<W> {
    fn enter_directory(&mut self, name: &[u8]) {
        self.step(|listing| {
            listing.key(name)?;
            listing.writer.write_all(br#"{"entries":{"#)?;
            Ok(())
        });
        self.depth += 1;
        self.comma = false;
    }

    fn leave_directory(&mut self) {
        self.step(|listing| Ok(listing.writer.write_all(br#"},"type":"directory"}"#)?));
        self.depth -= 1;
        self.comma = true;
    }

    fn file(&mut self, name: &[u8], header: FileHeader) {
        self.step(|listing| {
            listing.key(name)?;
            let executable = if header.executable { r#""executable":true,"# } else { "" };
            let FileHeader { offset, size, .. } = header;
            write!(listing.writer, r#"{{{executable}"narOffset":{offset},"size":{size},"type":"regular"}}"#)?;
            Ok(())
        });
        self.comma = true;
    }

    fn symlink(&mut self, name: &[u8], target: &[u8]) {
        self.step(|listing| {
            listing.key(name)?;
            listing.writer.write_all(br#"{"target":"#)?;
            listing.string(target)?;
            listing.writer.write_all(br#","type":"symlink"}"#)?;
            Ok(())
        });
        self.comma = true;
    }
}
