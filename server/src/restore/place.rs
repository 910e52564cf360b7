//! Putting what was unpacked and checked in its place. All of it can be repeated.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use catalog::Catalog;
use uuid::Uuid;

use super::RestoreError;
use crate::archive::names;
use crate::fail_points::reached;

/// What the configuration has to lead to, for a person to put there.
const FOR_PEOPLE: &str = "restored";

/// Puts the catalog where the daemon will look for it: into the file `file`, or into the server at `url`.
///
/// A server that has the same catalog keeps it as it is: then only the state directory was lost.
pub(super) async fn database(
    unpacked: &Path,
    url: &str,
    file: Option<&Path>,
    identity: Uuid,
) -> Result<(), RestoreError> {
    if let Some(file) = file {
        let (from, to) = (unpacked.to_owned(), file.to_owned());
        return tokio::task::spawn_blocking(move || place_database(&from, &to)).await?;
    }
    let server = Catalog::open(url).await?;
    let present = server.find_identity().await;
    server.close().await;
    if present? == Some(identity) {
        return Ok(());
    }
    Ok(Catalog::load_backup(url, unpacked).await?)
}

fn place_database(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let failed = |source| RestoreError::Place { path: to.to_owned(), source };
    let directory = to.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    for end in ["-wal", "-shm"] {
        let mut name = OsString::from(to);
        name.push(end);
        absent_is_fine(fs::remove_file(PathBuf::from(name))).map_err(failed)?;
    }
    match fs::rename(from, to) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => {
            let beside = to.with_extension("partial");
            fs::copy(from, &beside).and_then(|_| File::open(&beside)?.sync_all()).map_err(failed)?;
            fs::rename(&beside, to).map_err(failed)?;
        }
        renamed => renamed.map_err(failed)?,
    }
    reached("restore-database-placed");
    sync(directory).map_err(failed)
}

/// Puts the keys into the state directory, and beside them what only a person can put in its place. The server key stays
/// out if the configuration gives it.
pub(super) fn files(from: &Path, state_dir: &Path, has_own_key: bool) -> Result<(), RestoreError> {
    let mut moves = vec![(names::NODE_KEY.to_owned(), names::NODE_KEY.to_owned())];
    if !has_own_key {
        moves.push((names::SERVER_KEY.to_owned(), names::SERVER_KEY.to_owned()));
    }
    moves.push((names::CONFIG.to_owned(), format!("{FOR_PEOPLE}/{}", names::CONFIG)));
    for (folder, target) in [(names::KEYS, String::new()), (names::CONFIGURED_KEYS, format!("{FOR_PEOPLE}/"))]
    {
        let path = from.join(folder);
        for name in list(&path).map_err(|source| RestoreError::Place { path, source })? {
            moves.push((format!("{folder}/{name}"), format!("{target}{folder}/{name}")));
        }
    }
    for (name, target) in moves {
        let to = state_dir.join(target);
        move_file(&from.join(name), &to).map_err(|source| RestoreError::Place { path: to, source })?;
        reached("restore-file-placed");
    }
    sync(state_dir).map_err(|source| RestoreError::Place { path: state_dir.to_owned(), source })
}

/// Moves a file if it is there.
fn move_file(from: &Path, to: &Path) -> io::Result<()> {
    if !from.exists() {
        return Ok(());
    }
    let directory = to.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    fs::rename(from, to)?;
    sync(directory)
}

fn list(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
    }
}

fn absent_is_fine(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
