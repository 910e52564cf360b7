//! What Nix knows of store paths, asked of `nix-store`, whose output is the same in all versions of Nix 2.

use std::collections::HashSet;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::process::Stdio;

use nix_formats::{NarHash, STORE_DIR, StorePath};
use tokio::process::Command;

use super::error::PushError;

/// Paths that are named on one command line, so that it does not become too long.
const BATCH: usize = 500;
/// Links that are followed on the way to the store.
const MOST_LINKS: usize = 40;

/// What Nix knows of a valid store path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// The path.
    pub path: StorePath,
    /// SHA-256 of its NAR.
    pub nar_hash: NarHash,
    /// Length of its NAR in bytes.
    pub nar_size: u64,
    /// The derivation that built it.
    pub deriver: Option<StorePath>,
    /// The paths that it refers to.
    pub references: Vec<StorePath>,
}

/// The store of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Store;

impl Store {
    /// Returns the closure of the paths, references first.
    ///
    /// # Errors
    ///
    /// [`PushError::Nix`] if Nix does not know one of them.
    pub async fn closure(&self, roots: &[StorePath]) -> Result<Vec<StorePath>, PushError> {
        let (mut seen, mut closure) = (HashSet::new(), Vec::new());
        for batch in roots.chunks(BATCH) {
            let text =
                nix_store("nix-store --query --requisites", &["--query", "--requisites"], batch).await?;
            for line in text.lines() {
                let path =
                    StorePath::from_full_path(line).map_err(|_| unexpected("nix-store --query", line))?;
                if seen.insert(path.clone()) {
                    closure.push(path);
                }
            }
        }
        Ok(closure)
    }

    /// Returns what is known of the paths, in their order.
    ///
    /// # Errors
    ///
    /// [`PushError::Nix`] if Nix does not know one of them.
    pub async fn describe(&self, paths: &[StorePath]) -> Result<Vec<PathInfo>, PushError> {
        let mut described = Vec::with_capacity(paths.len());
        for batch in paths.chunks(BATCH) {
            let text = nix_store("nix-store --dump-db", &["--dump-db"], batch).await?;
            described.extend(parse_registration(&text)?);
        }
        Ok(described)
    }

    /// Returns those of the paths that are valid: whole and registered.
    ///
    /// # Errors
    ///
    /// [`PushError::Nix`] if Nix fails.
    pub async fn valid(&self, paths: &[StorePath]) -> Result<Vec<StorePath>, PushError> {
        let mut valid = Vec::new();
        for batch in paths.chunks(BATCH) {
            let arguments = ["--check-validity", "--print-invalid"];
            let text = nix_store("nix-store --check-validity", &arguments, batch).await?;
            let invalid: HashSet<&str> = text.lines().collect();
            valid
                .extend(batch.iter().filter(|path| !invalid.contains(path.to_full_path().as_str())).cloned());
        }
        Ok(valid)
    }
}

/// Returns the store path that a name leads to: a store path, something below one, or a symbolic link to either, as `./result`
/// is. The links inside of the store are not followed.
///
/// # Errors
///
/// [`PushError::NotInStore`], or [`PushError::Unreadable`] if there is no such file.
pub fn store_path_of(name: &Path) -> Result<StorePath, PushError> {
    let unreadable = |source| PushError::Unreadable { path: name.to_owned(), source };
    let mut path = std::path::absolute(name).map_err(unreadable)?;
    'links: for _ in 0..MOST_LINKS {
        let mut walked = PathBuf::new();
        let mut rest = path.components();
        while let Some(component) = rest.next() {
            if component == Component::ParentDir {
                walked.pop();
                continue;
            }
            walked.push(component);
            if let Some(found) = in_store(&walked) {
                std::fs::symlink_metadata(&walked).map_err(unreadable)?;
                return Ok(found);
            }
            let is_link = walked.symlink_metadata().map_err(unreadable)?.is_symlink();
            if is_link {
                let target = walked.read_link().map_err(unreadable)?;
                walked.pop();
                path = walked.join(target).join(rest.as_path());
                continue 'links;
            }
        }
        return Err(PushError::NotInStore { path: name.to_owned() });
    }
    Err(unreadable(io::Error::other("too many symbolic links")))
}

/// The store path that this is, if it is one.
fn in_store(path: &Path) -> Option<StorePath> {
    let base_name = path.strip_prefix(STORE_DIR).ok()?.to_str()?;
    StorePath::from_base_name(base_name).ok()
}

/// Parses what `nix-store --dump-db` prints for each path: path, hash in hexadecimal, size, deriver (or an empty line), the
/// number of references, and the references, a line each.
pub(super) fn parse_registration(text: &str) -> Result<Vec<PathInfo>, PushError> {
    let wrong = |line: &str| unexpected("nix-store --dump-db", line);
    let store_path = |line: &str| StorePath::from_full_path(line).map_err(|_| wrong(line));
    let mut lines = text.lines();
    let mut described = Vec::new();
    while let Some(line) = lines.next() {
        let mut next = || lines.next().ok_or_else(|| wrong("the end"));
        let path = store_path(line)?;
        let hash = next()?;
        let size = next()?;
        let deriver = next()?;
        let count = next()?;
        let count: usize = count.parse().map_err(|_| wrong(count))?;
        let references = (0..count).map(|_| store_path(next()?)).collect::<Result<_, _>>()?;
        described.push(PathInfo {
            path,
            nar_hash: NarHash::parse(hash).map_err(|_| wrong(hash))?,
            nar_size: size.parse().map_err(|_| wrong(size))?,
            deriver: if deriver.is_empty() { None } else { Some(store_path(deriver)?) },
            references,
        });
    }
    Ok(described)
}

async fn nix_store(
    command: &'static str,
    arguments: &[&str],
    paths: &[StorePath],
) -> Result<String, PushError> {
    let failed = |reason: String| PushError::Nix { command, reason };
    let output = Command::new("nix-store")
        .args(arguments)
        .args(paths.iter().map(StorePath::to_full_path))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        // The first line of an error says what is wrong; what follows is a trace.
        let line = complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
        return Err(failed(line.trim().to_owned()));
    }
    String::from_utf8(output.stdout).map_err(|_| failed("its output is not UTF-8".to_owned()))
}

fn unexpected(command: &'static str, line: &str) -> PushError {
    PushError::Nix { command, reason: format!("unexpected output: {line}") }
}
