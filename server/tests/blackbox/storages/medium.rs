//! What a cache has on one storage, as somebody sees it who looks at the disk or into the bucket.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path as FilePath, PathBuf};

use super::bucket::Bucket;
use crate::harness::Path;

/// Names that every local storage has, whatever it holds.
const FIXTURES: [&str; 4] = ["nix-cache-info", ".cache-server-storage", ".cache-server-catalog", ".probe"];

/// Where the files of a cache are: below a directory, or in a bucket under names that begin like this.
pub enum Medium<'a> {
    Directory(PathBuf),
    Bucket(&'a Bucket, String),
}

impl Medium<'_> {
    /// All files with their sizes, but for the spool and what is there in an empty storage too.
    pub fn files(&self) -> BTreeMap<String, u64> {
        let mut files = match self {
            Medium::Directory(root) => {
                let mut files = BTreeMap::new();
                collect(root, root, &mut files);
                files
            }
            Medium::Bucket(bucket, prefix) => {
                let strip = |(key, size): (String, u64)| (key[prefix.len()..].to_owned(), size);
                bucket.list(prefix).into_iter().map(strip).collect()
            }
        };
        files.retain(|name, _| !name.starts_with(".spool/") && !FIXTURES.contains(&name.as_str()));
        files
    }

    /// The NARs among them.
    pub fn nars(&self) -> BTreeMap<String, u64> {
        let mut files = self.files();
        files.retain(|name, _| name.starts_with("nar/"));
        files
    }

    /// Bytes of the NARs.
    pub fn bytes(&self) -> u64 {
        self.nars().values().sum()
    }

    /// Whether the NAR of this path is here, whole.
    pub fn holds(&self, path: &Path) -> bool {
        self.nars().get(&path.file_url()) == Some(&(path.file.len() as u64))
    }

    pub fn read(&self, name: &str) -> Vec<u8> {
        match self {
            Medium::Directory(root) => fs::read(root.join(name)).unwrap(),
            Medium::Bucket(bucket, prefix) => bucket.get(&format!("{prefix}{name}")),
        }
    }

    pub fn write(&self, name: &str, bytes: &[u8]) {
        match self {
            Medium::Directory(root) => {
                // As something else than the daemon would: not in place, as the file may be open.
                let file = root.join(name);
                let _ = fs::remove_file(&file);
                fs::write(file, bytes).unwrap();
            }
            Medium::Bucket(bucket, prefix) => bucket.put(&format!("{prefix}{name}"), bytes),
        }
    }

    pub fn remove(&self, name: &str) {
        match self {
            Medium::Directory(root) => fs::remove_file(root.join(name)).unwrap(),
            Medium::Bucket(bucket, prefix) => bucket.delete(&format!("{prefix}{name}")),
        }
    }
}

/// The position of the only one of these that holds the path.
#[track_caller]
pub fn holder(media: &[Medium<'_>], path: &Path) -> usize {
    let holders: Vec<usize> = (0..media.len()).filter(|&place| media[place].holds(path)).collect();
    let [place] = holders[..] else { panic!("{} lies in {holders:?}", path.base_name()) };
    place
}

/// Files below `directory` with their sizes, by their names relative to `root`.
pub fn collect(root: &FilePath, directory: &FilePath, files: &mut BTreeMap<String, u64>) {
    // A file or directory may vanish while it is looked at.
    let Ok(entries) = fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        match entry.metadata() {
            Ok(data) if data.is_dir() => collect(root, &entry.path(), files),
            Ok(data) => {
                let name = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, data.len());
            }
            Err(_) => {}
        }
    }
}
