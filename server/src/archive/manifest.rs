//! What an archive holds, and what it is of.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The name of the manifest in the archive.
pub const MANIFEST: &str = "manifest.json";
/// The format that this version writes. One that reads it can read all lower ones.
pub const FORMAT: u32 = 1;

/// The first file of an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// See [`FORMAT`].
    pub format: u32,
    /// The version of the program that wrote it.
    pub version: String,
    /// When it was written, in Unix seconds.
    pub created_at: i64,
    /// The id of the catalog.
    pub catalog: Uuid,
    /// The fingerprint of the server key.
    pub server_key: String,
    /// The storages that the catalog knows.
    pub storages: Vec<BackedUpStorage>,
    /// All other files, in the order in which they follow.
    pub members: Vec<Member>,
}

/// A storage that the catalog knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackedUpStorage {
    /// The cache.
    pub cache: String,
    /// Its name.
    pub name: String,
    /// The id in its marker file, if it is local.
    pub marker: Option<String>,
    /// Where it was.
    pub location: Option<String>,
}

/// A file of the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its name, relative and with `/` between its parts.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// The SHA-256 of its contents, in hexadecimal digits.
    pub sha256: String,
}

impl Manifest {
    /// Returns whether the archive has a file of this name.
    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|member| member.name == name)
    }
}

/// Returns whether a file of this name stays in the directory that it is unpacked to.
pub(super) fn is_inside(name: &str) -> bool {
    let mut components = Path::new(name).components().peekable();
    components.peek().is_some() && components.all(|component| matches!(component, Component::Normal(_)))
}
