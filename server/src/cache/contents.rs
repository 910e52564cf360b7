//! What is in a NAR, learnt by reading it once.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;

use bytes::Bytes;
use nix_formats::nar::{self, BuildId, DebugInfo, Listing, ListingError, NarError};

/// The contents of a NAR, as far as they are published beside it.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Length of the NAR in bytes.
    pub nar_size: u64,
    /// The listing in Nix's `.ls` format; `None` if a name in the NAR is no UTF-8.
    pub listing: Option<StoredListing>,
    /// Build ids of the debug files in it.
    pub build_ids: Vec<BuildId>,
}

/// Why a NAR could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// Reading failed, or what was read is no NAR.
    #[error(transparent)]
    Nar(#[from] NarError),
    /// The listing could not be written.
    #[error("could not write the listing")]
    Listing(#[source] io::Error),
}

/// Where a listing is.
#[derive(Clone, Debug)]
pub enum StoredListing {
    /// A small one.
    Memory(Bytes),
    /// A file in a spool.
    File(PathBuf),
}

/// A listing of at most this many bytes stays in memory.
const SMALL_LISTING: usize = 16 << 10;

/// Reads a NAR to its end. A listing that is not small goes to a new file, which `place` gives a name. Blocks; memory does not grow with
/// the NAR.
pub fn read(nar: impl Read, place: impl FnOnce() -> io::Result<PathBuf>) -> Result<Contents, ContentsError> {
    let mut visitor = (Listing::new(ListingWriter::Memory(Vec::new(), Some(place))), DebugInfo::new());
    let summary = nar::parse(nar, &mut visitor)?;
    let (written, debug_info) = visitor;
    let listing = match written.finish() {
        Ok(listing) => Some(listing.finish().map_err(ContentsError::Listing)?),
        Err(ListingError::NotUtf8) => None,
        Err(ListingError::Io(error)) => return Err(ContentsError::Listing(error)),
        Err(error @ ListingError::Incomplete) => return Err(ContentsError::Listing(io::Error::other(error))),
    };
    Ok(Contents { nar_size: summary.size, listing, build_ids: debug_info.into_build_ids() })
}

/// Takes the bytes of a listing: in memory as long as they are few.
enum ListingWriter<P> {
    Memory(Vec<u8>, Option<P>),
    File(BufWriter<File>, PathBuf),
}

impl<P> ListingWriter<P> {
    fn finish(self) -> io::Result<StoredListing> {
        match self {
            Self::Memory(bytes, _) => Ok(StoredListing::Memory(bytes.into())),
            Self::File(mut writer, path) => {
                writer.flush()?;
                Ok(StoredListing::File(path))
            }
        }
    }
}

impl<P: FnOnce() -> io::Result<PathBuf>> Write for ListingWriter<P> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Self::Memory(held, place) = self {
            if held.len() + bytes.len() <= SMALL_LISTING {
                held.extend_from_slice(bytes);
                return Ok(bytes.len());
            }
            let place = place.take().ok_or_else(|| io::Error::other("the listing has lost its place"))?;
            let path = place()?;
            let mut writer = BufWriter::new(File::create(&path)?);
            writer.write_all(held)?;
            *self = Self::File(writer, path);
        }
        match self {
            Self::File(writer, _) => writer.write(bytes),
            Self::Memory(..) => Ok(0),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(writer, _) => writer.flush(),
            Self::Memory(..) => Ok(()),
        }
    }
}
