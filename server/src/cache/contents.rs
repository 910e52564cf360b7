//! What is in a NAR, learnt by reading it once.

use std::fs::File;
use std::io::{self, BufWriter, Read};
use std::path::PathBuf;

use nix_formats::nar::{self, BuildId, DebugInfo, Listing, ListingError, NarError};

/// The contents of a NAR, as far as they are published beside it.
#[derive(Clone, Debug)]
pub struct Contents {
    /// Length of the NAR in bytes.
    pub nar_size: u64,
    /// A file with the listing in Nix's `.ls` format; `None` if a name in the NAR is no UTF-8.
    pub listing: Option<PathBuf>,
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

/// Reads a NAR to its end and writes its listing to a new file at `listing`. Blocks; memory does not grow with the NAR.
pub fn read(nar: impl Read, listing: PathBuf) -> Result<Contents, ContentsError> {
    let file = File::create(&listing).map_err(ContentsError::Listing)?;
    let mut visitor = (Listing::new(BufWriter::new(file)), DebugInfo::new());
    let summary = nar::parse(nar, &mut visitor)?;
    let (written, debug_info) = visitor;
    let listing = match written.finish() {
        Ok(_) => Some(listing),
        Err(ListingError::NotUtf8) => None,
        Err(ListingError::Io(error)) => return Err(ContentsError::Listing(error)),
        Err(error @ ListingError::Incomplete) => return Err(ContentsError::Listing(io::Error::other(error))),
    };
    Ok(Contents { nar_size: summary.size, listing, build_ids: debug_info.into_build_ids() })
}
