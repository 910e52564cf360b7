//! Checking and unpacking an archive.

use std::collections::HashMap;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};
use tar::{Archive, Entries, Entry};

use super::manifest::{FORMAT, is_inside};
use super::{MANIFEST, Manifest, Member};

/// The largest manifest. One that lists a thousand keys has a quarter of that.
const LARGEST_MANIFEST: u64 = 1 << 20;
/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

type Reader<'a> = zstd::Decoder<'a, io::BufReader<File>>;

/// Why an archive cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be opened.
    #[error("cannot be opened")]
    Open(#[source] io::Error),
    /// It cannot be unpacked: it is cut short.
    #[error("the archive cannot be read to its end")]
    Read(#[source] io::Error),
    /// A file cannot be written.
    #[error("{name} cannot be unpacked")]
    Write {
        /// The file.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// It does not begin with a manifest.
    #[error("this is not a backup that `cachectl backup` made")]
    NoManifest,
    /// A newer version wrote it.
    #[error("version {version} of cache-server made it, in a newer format: use that version or a later one")]
    Newer {
        /// The version.
        version: String,
    },
    /// A file is not what the manifest says.
    #[error("{name} is damaged: it is not what the manifest says")]
    Damaged {
        /// The file.
        name: String,
    },
    /// A file that the manifest lists is not there.
    #[error("{name} is missing in the archive")]
    Missing {
        /// The file.
        name: String,
    },
    /// A file is there that the manifest does not list.
    #[error("the archive holds something that its manifest does not list: {name}")]
    Unlisted {
        /// The file.
        name: String,
    },
}

/// Unpacks an archive into an existing directory, with mode 0600, and checks every file against the manifest. What was
/// unpacked is synced. After an error the directory is to be removed. Blocks.
pub fn unpack(path: &Path, directory: &Path) -> Result<Manifest, ReadError> {
    let mut archive = open(path)?;
    let mut entries = archive.entries().map_err(ReadError::Read)?;
    let manifest = manifest_of(&mut entries)?;
    let mut expected: HashMap<&str, &Member> =
        manifest.members.iter().map(|member| (member.name.as_str(), member)).collect();
    for entry in entries {
        let entry = entry.map_err(ReadError::Read)?;
        let name = name_of(&entry)?;
        let member = expected
            .remove(name.as_str())
            .filter(|_| is_inside(&name) && entry.header().entry_type().is_file());
        let Some(member) = member else { return Err(ReadError::Unlisted { name }) };
        unpack_member(entry, member, directory)?;
    }
    match expected.keys().next() {
        Some(name) => Err(ReadError::Missing { name: (*name).to_owned() }),
        None => Ok(manifest),
    }
}

fn open<'a>(path: &Path) -> Result<Archive<Reader<'a>>, ReadError> {
    let file = File::open(path).map_err(ReadError::Open)?;
    Ok(Archive::new(zstd::Decoder::new(file).map_err(ReadError::Read)?))
}

fn manifest_of<R: Read>(entries: &mut Entries<'_, R>) -> Result<Manifest, ReadError> {
    #[derive(serde::Deserialize)]
    struct Version {
        format: u32,
        version: String,
    }
    let entry = entries.next().ok_or(ReadError::NoManifest)?.map_err(|_| ReadError::NoManifest)?;
    if name_of(&entry)? != MANIFEST {
        return Err(ReadError::NoManifest);
    }
    let mut text = Vec::new();
    entry.take(LARGEST_MANIFEST).read_to_end(&mut text).map_err(ReadError::Read)?;
    let Version { format, version } = serde_json::from_slice(&text).map_err(|_| ReadError::NoManifest)?;
    if format > FORMAT {
        return Err(ReadError::Newer { version });
    }
    serde_json::from_slice(&text).map_err(|_| ReadError::NoManifest)
}

fn name_of<R: Read>(entry: &Entry<'_, R>) -> Result<String, ReadError> {
    Ok(entry.path().map_err(ReadError::Read)?.to_string_lossy().into_owned())
}

fn unpack_member<R: Read>(
    mut entry: Entry<'_, R>,
    member: &Member,
    directory: &Path,
) -> Result<(), ReadError> {
    let name = || member.name.clone();
    let failed = |source| ReadError::Write { name: name(), source };
    let path = directory.join(&member.name);
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
    let (mut hasher, mut size) = (Sha256::new(), 0);
    let mut piece = vec![0; PIECE];
    loop {
        let read = entry.read(&mut piece).map_err(ReadError::Read)?;
        if read == 0 {
            break;
        }
        size += read as u64;
        hasher.update(&piece[..read]);
        file.write_all(&piece[..read]).map_err(failed)?;
    }
    let sha256: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if (size, &sha256) != (member.size, &member.sha256) {
        return Err(ReadError::Damaged { name: name() });
    }
    file.sync_all().map_err(failed)
}
