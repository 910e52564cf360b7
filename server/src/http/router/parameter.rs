//! The parameters of paths, parsed while a request is routed. A text that does not parse belongs to no route, so the request
//! is answered with 404.

use nix_formats::{NarFileName, StorePathHash};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use super::pattern::Values;

/// One parameter of a path.
pub trait Parameter: Sized + Send + Sync + 'static {
    /// Parses the text of the parameter.
    fn parse(text: &str) -> Option<Self>;
}

/// All parameters of a path, as the handler takes them.
pub trait Parameters: Sized + Send + Sync + 'static {
    /// How many there are.
    const COUNT: usize;

    /// Parses the texts that a pattern found.
    fn parse(values: &Values<'_>) -> Option<Self>;
}

impl Parameters for () {
    const COUNT: usize = 0;

    fn parse(_: &Values<'_>) -> Option<Self> {
        Some(())
    }
}

impl<A: Parameter> Parameters for A {
    const COUNT: usize = 1;

    fn parse(values: &Values<'_>) -> Option<Self> {
        A::parse(values[0])
    }
}

impl<A: Parameter, B: Parameter> Parameters for (A, B) {
    const COUNT: usize = 2;

    fn parse(values: &Values<'_>) -> Option<Self> {
        Some((A::parse(values[0])?, B::parse(values[1])?))
    }
}

impl<A: Parameter, B: Parameter, C: Parameter> Parameters for (A, B, C) {
    const COUNT: usize = 3;

    fn parse(values: &Values<'_>) -> Option<Self> {
        Some((A::parse(values[0])?, B::parse(values[1])?, C::parse(values[2])?))
    }
}

impl Parameter for StorePathHash {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// A store path by its hash, or by hash and name, of which the name does not matter.
pub struct PathHash(pub StorePathHash);

impl Parameter for PathHash {
    fn parse(text: &str) -> Option<Self> {
        text.split('-').next()?.parse().ok().map(Self)
    }
}

impl Parameter for NarFileName {
    fn parse(text: &str) -> Option<Self> {
        NarFileName::parse(text).ok()
    }
}

impl Parameter for Uuid {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl Parameter for u32 {
    fn parse(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

/// Any text, exactly as it stands in the URL. For parameters that are checked after the client has proved who it is.
impl Parameter for String {
    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// The name of a file below `nar/` that cannot be the name of a NAR, such as one with the extension `.nar.lzma`.
pub struct OtherName(pub String);

impl Parameter for OtherName {
    fn parse(text: &str) -> Option<Self> {
        NarFileName::parse(text).is_err().then(|| Self(text.to_owned()))
    }
}

/// A file name, percent-decoded. `nar_storage::layout` decides whether a file can have this name.
pub struct FileName(pub String);

impl Parameter for FileName {
    fn parse(text: &str) -> Option<Self> {
        let decoded = percent_decode_str(text).decode_utf8().ok()?;
        Some(Self(decoded.into_owned()))
    }
}
