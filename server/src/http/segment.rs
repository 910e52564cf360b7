//! Path segments with a grammar, parsed as they are routed. A segment that does not fit is simply another route's.

use std::str::FromStr;

use nix_formats::{NarFileName, StorePathHash};
use percent_encoding::percent_decode_str;

/// What a segment that is something else parses to.
#[derive(Debug)]
pub struct NoMatch;

/// `HASH.narinfo`.
pub struct NarinfoName(pub StorePathHash);

impl FromStr for NarinfoName {
    type Err = NoMatch;

    fn from_str(segment: &str) -> Result<Self, NoMatch> {
        let hash = segment.strip_suffix(".narinfo").ok_or(NoMatch)?;
        hash.parse().map(Self).map_err(|_| NoMatch)
    }
}

/// `HASH.ls`.
pub struct ListingName(pub StorePathHash);

impl FromStr for ListingName {
    type Err = NoMatch;

    fn from_str(segment: &str) -> Result<Self, NoMatch> {
        let hash = segment.strip_suffix(".ls").ok_or(NoMatch)?;
        hash.parse().map(Self).map_err(|_| NoMatch)
    }
}

/// `FILEHASH.nar.EXT`.
pub struct NarName(pub NarFileName);

impl FromStr for NarName {
    type Err = NoMatch;

    fn from_str(segment: &str) -> Result<Self, NoMatch> {
        NarFileName::parse(segment).map(Self).map_err(|_| NoMatch)
    }
}

/// A file name of any other kind, percent-decoded. Whether it is a good one is for `nar_storage::layout` to say.
pub struct FileName(pub String);

impl FromStr for FileName {
    type Err = NoMatch;

    fn from_str(segment: &str) -> Result<Self, NoMatch> {
        let decoded = percent_decode_str(segment).decode_utf8().map_err(|_| NoMatch)?;
        Ok(Self(decoded.into_owned()))
    }
}
