use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::{FileHeader, Visitor};

/// The most build ids that [`DebugInfo`] collects from one NAR, which bounds its memory to 1.25 MiB.
pub const MAX_BUILD_IDS: usize = 65_536;

/// What a debug file's name ends in.
const SUFFIX: &[u8] = b".debug";

/// The directories that lead to the debug files, the last of which is the first byte of the build id, in hex.
const DIRECTORIES: [&[u8]; 3] = [b"lib", b"debug", b".build-id"];

/// The build id of an ELF file: 20 bytes, as linkers make them by default.
///
/// `Display` is 40 lowercase hex digits.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct BuildId([u8; Self::LEN]);

/// The error for a text that is not a build id.
#[derive(Clone, Copy, Debug, Eq, Error, PartialEq)]
#[error("a build id has 40 lowercase hex digits")]
pub struct ParseBuildIdError;

impl BuildId {
    /// The length of a build id in bytes.
    pub const LEN: usize = 20;

    /// Wraps the raw id.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the raw id.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Returns the path of the debug file in its store path: `lib/debug/.build-id/xx/yyyy.debug`.
    pub fn member(&self) -> String {
        let id = self.to_string();
        let (directory, file) = id.split_at(2);
        format!("lib/debug/.build-id/{directory}/{file}.debug")
    }
}

impl FromStr for BuildId {
    type Err = ParseBuildIdError;

    fn from_str(text: &str) -> Result<Self, ParseBuildIdError> {
        let mut bytes = [0; Self::LEN];
        unhex(text.as_bytes(), &mut bytes).ok_or(ParseBuildIdError)?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BuildId({self})")
    }
}

/// Collects the build ids whose debug files a NAR holds: regular files `lib/debug/.build-id/xx/yyyy.debug`, as
/// `src/libstore/binary-cache-store.cc` in Nix finds them.
#[derive(Debug, Default)]
pub struct DebugInfo {
    build_ids: Vec<BuildId>,
    /// Directories open, the root among them.
    depth: usize,
    /// How many of them, from the root on, lead to debug files.
    on_path: usize,
    /// The name of the directory below `.build-id`, if inside one.
    first_byte: u8,
}

impl DebugInfo {
    /// Open directories around a debug file: the root, [`DIRECTORIES`], and the one for the first byte.
    const FILE_DEPTH: usize = 1 + DIRECTORIES.len() + 1;

    /// Creates an empty collection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the build ids in the ascending order of the NAR, at most [`MAX_BUILD_IDS`].
    pub fn into_build_ids(self) -> Vec<BuildId> {
        self.build_ids
    }

    /// Whether a directory of this name, in the directory reached, leads on to debug files.
    fn leads_on(&mut self, name: &[u8]) -> bool {
        match self.depth {
            0 => true,
            depth if depth <= DIRECTORIES.len() => name == DIRECTORIES[depth - 1],
            depth if depth + 1 == Self::FILE_DEPTH => {
                let mut first = [0];
                let found = unhex(name, &mut first).is_some();
                self.first_byte = first[0];
                found
            }
            _ => false,
        }
    }
}

impl Visitor for DebugInfo {
    fn enter_directory(&mut self, name: &[u8]) {
        if self.on_path == self.depth && self.leads_on(name) {
            self.on_path += 1;
        }
        self.depth += 1;
    }

    fn leave_directory(&mut self) {
        self.depth -= 1;
        self.on_path = self.on_path.min(self.depth);
    }

    fn file(&mut self, name: &[u8], _header: FileHeader) {
        let in_place = self.depth == Self::FILE_DEPTH && self.on_path == Self::FILE_DEPTH;
        if !in_place || self.build_ids.len() == MAX_BUILD_IDS {
            return;
        }
        let mut bytes = [self.first_byte; BuildId::LEN];
        let rest = name.strip_suffix(SUFFIX);
        if rest.and_then(|rest| unhex(rest, &mut bytes[1..])).is_some() {
            self.build_ids.push(BuildId(bytes));
        }
    }
}

/// Reads exactly as many bytes as `bytes` has from lowercase hex.
fn unhex(text: &[u8], bytes: &mut [u8]) -> Option<()> {
    if text.len() != bytes.len() * 2 {
        return None;
    }
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}
