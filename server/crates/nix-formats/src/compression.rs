//! Compression of NAR files.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A compression that a narinfo can name and this project can decompress.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Compression {
    /// No compression.
    None,
    /// xz, the default of `nix copy`.
    Xz,
    /// Zstandard, the default of `cachix push`.
    Zstd,
    /// bzip2; what a narinfo without a `Compression` line means.
    Bzip2,
    /// gzip.
    Gzip,
    /// Brotli.
    Brotli,
    /// LZ4, as frames.
    Lz4,
    /// lzip.
    Lzip,
}

/// The error for a name that is no [`Compression`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("unsupported compression `{0}`; supported are none, xz, zstd, bzip2, gzip, br, lz4 and lzip")]
pub struct UnknownCompression(pub String);

impl Compression {
    const ALL: [Self; 8] =
        [Self::None, Self::Xz, Self::Zstd, Self::Bzip2, Self::Gzip, Self::Brotli, Self::Lz4, Self::Lzip];

    /// Returns the value of the narinfo line `Compression`. Note `zstd`: Nix refuses `zst` there (protocol reference 2.3).
    pub const fn narinfo_name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Lz4 => "lz4",
            Self::Lzip => "lzip",
        }
    }

    /// Whether clients may push NARs with it. The others are rare and not read by every Nix, so they only come from other caches.
    pub const fn is_pushed(self) -> bool {
        !matches!(self, Self::Lz4 | Self::Lzip)
    }

    /// Returns the suffix after `.nar` in the name of a NAR file, with its dot; empty for [`Compression::None`].
    pub const fn extension(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Xz => ".xz",
            Self::Zstd => ".zst",
            Self::Bzip2 => ".bz2",
            Self::Gzip => ".gz",
            Self::Brotli => ".br",
            Self::Lz4 => ".lz4",
            Self::Lzip => ".lzip",
        }
    }

    /// The reverse of [`narinfo_name`](Self::narinfo_name).
    ///
    /// # Errors
    ///
    /// If the name is unknown.
    pub fn from_narinfo_name(name: &str) -> Result<Self, UnknownCompression> {
        Self::ALL
            .into_iter()
            .find(|compression| compression.narinfo_name() == name)
            .ok_or_else(|| UnknownCompression(name.to_owned()))
    }

    /// The reverse of [`extension`](Self::extension).
    pub fn from_extension(extension: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|compression| compression.extension() == extension)
    }
}

impl FromStr for Compression {
    type Err = UnknownCompression;

    /// Parses the name that narinfo uses.
    fn from_str(name: &str) -> Result<Self, UnknownCompression> {
        Self::from_narinfo_name(name)
    }
}

impl fmt::Display for Compression {
    /// Writes the name that narinfo uses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.narinfo_name())
    }
}
