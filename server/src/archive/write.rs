//! Writing an archive: under a temporary name, synced, and then given its own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};
use zeroize::Zeroizing;

use super::{MANIFEST, Manifest, Member};

/// Names and keys compress little, the catalog well with the least effort.
const LEVEL: i32 = 3;
/// Only the owner may read what is unpacked, whichever program does it.
const MODE: u32 = 0o600;
/// Bytes that are read at once.
const PIECE: usize = 256 << 10;

/// Where the contents of a file come from.
pub enum Source {
    /// From memory.
    Bytes(Zeroizing<Vec<u8>>),
    /// From a file that does not change meanwhile.
    File(PathBuf),
}

impl Source {
    fn open(&self) -> io::Result<Box<dyn Read + '_>> {
        Ok(match self {
            Self::Bytes(bytes) => Box::new(bytes.as_slice()),
            Self::File(path) => Box::new(File::open(path)?),
        })
    }

    fn member(&self, name: &str) -> io::Result<Member> {
        let mut hasher = Sha256::new();
        let mut reader = self.open()?;
        let mut piece = Zeroizing::new(vec![0; PIECE]);
        let mut size = 0;
        loop {
            match reader.read(&mut piece)? {
                0 => break,
                read => {
                    hasher.update(&piece[..read]);
                    size += read as u64;
                }
            }
        }
        let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Member { name: name.to_owned(), size, sha256 })
    }
}

/// Writes an archive with these files to a new file with mode 0600, and returns its size in bytes. The manifest gets their
/// list. An error leaves nothing behind; what a crash leaves is replaced by the next one with the same name. Blocks.
///
/// # Errors
///
/// [`ErrorKind::AlreadyExists`] if there is a file of that name.
pub fn write(path: &Path, mut manifest: Manifest, files: &[(String, Source)]) -> io::Result<u64> {
    if path.symlink_metadata().is_ok() {
        return Err(ErrorKind::AlreadyExists.into());
    }
    manifest.members = files.iter().map(|(name, source)| source.member(name)).collect::<Result<_, _>>()?;
    let temporary = Temporary::create(path)?;
    let size = fill(&temporary.file, &manifest, files)?;
    temporary.file.sync_all()?;
    temporary.rename(path)?;
    Ok(size)
}

fn fill(file: &File, manifest: &Manifest, files: &[(String, Source)]) -> io::Result<u64> {
    let mut encoder = zstd::Encoder::new(file, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut builder = Builder::new(encoder);
    let text = serde_json::to_vec_pretty(manifest)?;
    append(&mut builder, MANIFEST, text.len() as u64, &*text)?;
    for ((name, source), member) in files.iter().zip(&manifest.members) {
        append(&mut builder, name, member.size, source.open()?)?;
    }
    builder.into_inner()?.finish()?;
    Ok(file.metadata()?.len())
}

fn append(builder: &mut Builder<impl Write>, name: &str, size: u64, contents: impl Read) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(MODE);
    header.set_size(size);
    builder.append_data(&mut header, name, contents.take(size))
}

/// A file beside its later name. It is removed when it is dropped before it has that.
struct Temporary {
    file: File,
    path: Option<PathBuf>,
}

impl Temporary {
    fn create(target: &Path) -> io::Result<Self> {
        let mut name = target.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
        name.push(".partial");
        let path = target.with_file_name(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&path)?;
        Ok(Self { file, path: Some(path) })
    }

    fn rename(mut self, target: &Path) -> io::Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        match renameat_with(CWD, path, CWD, target, RenameFlags::NOREPLACE) {
            // Not every file system can refuse to replace a file.
            Err(Errno::INVAL | Errno::NOSYS) => fs::rename(path, target)?,
            renamed => renamed?,
        }
        self.path = None;
        File::open(target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")))?
            .sync_all()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            // The caller gets the error that led here.
            let _ = fs::remove_file(path);
        }
    }
}
