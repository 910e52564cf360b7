//! Restoring a backup: into an empty state directory and an empty database, while no daemon runs.
//!
//! Everything is unpacked beside its place and checked before anything is put there. As long as the folder with what was unpacked
//! exists, no daemon starts in the state directory, so what was cut short counts as nothing and is begun anew.

mod belonging;
mod place;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use catalog::{Catalog, CatalogError, UnixTime};

use self::belonging::Installation;
use crate::archive::{self, Manifest, ReadError, names};
use crate::clock::span;
use crate::config::{Config, SecretError, StorageKind};
use crate::server_key::ServerKeyError;
use crate::state_dir::{self, LOCK, StateDirError, UNFINISHED_RESTORE};

/// What may be in a state directory that counts as empty: besides what is listed here, the mark of a file system.
const NOTHING: [&str; 3] = [LOCK, UNFINISHED_RESTORE, "lost+found"];

/// Why a backup was not restored. Nothing has changed unless the text says so.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The archive is unusable.
    #[error("{}", archive.display())]
    Archive {
        /// The archive.
        archive: PathBuf,
        /// What is wrong with it.
        source: ReadError,
    },
    /// There is no configuration, and the backup was made with one.
    #[error(
        "there is no configuration file, and the backup was made with one: write it with \
         `cache-server restore --print-config {} > /etc/cache-server/config.yaml`, look it through, and try again",
        .0.display()
    )]
    NoConfig(PathBuf),
    /// The state directory is in use or cannot be used.
    #[error(transparent)]
    StateDir(#[from] StateDirError),
    /// There is something in the state directory.
    #[error(
        "the state directory {} is not empty (it holds {found}): move it away, as with `mv {0} {0}.old`, so that nothing \
         is mixed or lost",
        directory.display()
    )]
    NotEmpty {
        /// The directory.
        directory: PathBuf,
        /// What is in it.
        found: String,
    },
    /// There is a database.
    #[error("the database {} exists: move it away together with the files `-wal` and `-shm` beside it", .0.display())]
    DatabaseExists(PathBuf),
    /// The password of the database cannot be read.
    #[error("server.database-password-file")]
    DatabasePassword(#[source] SecretError),
    /// The catalog of the backup cannot be used, or the database cannot be filled.
    #[error("catalog")]
    Catalog(#[from] CatalogError),
    /// The server key of the configuration cannot be read.
    #[error(transparent)]
    ServerKey(#[from] ServerKeyError),
    /// Parts that do not belong together.
    #[error("the backup does not belong to this configuration:\n  {}", .0.join("\n  "))]
    Foreign(Vec<String>),
    /// Something cannot be put in its place. The next attempt begins anew.
    #[error("cannot restore to {}; mend this and repeat the command", path.display())]
    Place {
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A thread of ours ended early.
    #[error("the restore was interrupted: repeat the command")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// What was restored, or would be.
pub struct Restored {
    manifest: Manifest,
    paths: u64,
    caches: usize,
    warnings: Vec<String>,
    checked_only: bool,
}

impl Restored {
    /// What a person is told.
    pub fn text(&self) -> String {
        let Self { manifest, paths, caches, warnings, checked_only } = self;
        let age = UnixTime::now().0.abs_diff(manifest.created_at);
        let done = if *checked_only { "Checked" } else { "Restored" };
        let mut text = format!(
            "{done} a backup that version {} made {} ago: {paths} paths in {caches} caches.\n",
            manifest.version,
            span(age)
        );
        for warning in warnings {
            text.push_str(&format!("Note: {warning}\n"));
        }
        if !checked_only {
            text.push_str(
                "Next:\n  1. Start the daemon. It finds the paths that were pushed since on the storages by itself.\n  \
                 2. `cachectl doctor` says whether everything fits together.\n  \
                 3. Tokens that were revoked since the backup are valid again: check `cachectl token list`.\n",
            );
        }
        text
    }
}

/// Returns the configuration in an archive, `None` if the backup was made without one. Blocks.
pub fn config_of(archive: &Path) -> Result<Option<String>, RestoreError> {
    let staging = Staging::outside()?;
    let manifest = unpack(archive, &staging.path)?;
    if !manifest.has(names::CONFIG) {
        return Ok(None);
    }
    let file = staging.path.join(names::CONFIG);
    fs::read_to_string(&file).map(Some).map_err(|source| RestoreError::Place { path: file, source })
}

/// Restores an archive to where `config` says. With `check_only` nothing is changed, and the state directory need not be
/// empty.
pub async fn restore(archive: &Path, config: &Config, check_only: bool) -> Result<Restored, RestoreError> {
    let database = config.server.open_database().map_err(RestoreError::DatabasePassword)?;
    let file = catalog::sqlite_file(database.expose());
    let state_dir = &config.server.state_dir;
    let (_lock, mut staging) = match check_only {
        true => (None, Staging::outside()?),
        false => {
            let lock = state_dir::claim(state_dir)?;
            (Some(lock), Staging::inside(config, file.as_deref())?)
        }
    };
    let (source, target) = (archive.to_owned(), staging.path.clone());
    let manifest = tokio::task::spawn_blocking(move || unpack(&source, &target)).await??;
    if config.source.is_none() && manifest.has(names::CONFIG) {
        return Err(RestoreError::NoConfig(archive.to_owned()));
    }
    let unpacked = staging.path.join(names::CATALOG);
    let catalog = Catalog::open_file(&unpacked).await?;
    let examined = examine(&catalog, &manifest, config, &staging.path).await;
    catalog.close().await;
    let (paths, caches, warnings) = examined?;
    if !check_only {
        staging.stays = true;
        place::database(&unpacked, database.expose(), file.as_deref(), manifest.catalog).await?;
        let (from, to, has_own_key) = (staging.path.clone(), state_dir.clone(), config.server.key.resolve());
        let has_own_key = has_own_key.is_ok_and(|key| key.is_some());
        tokio::task::spawn_blocking(move || place::files(&from, &to, has_own_key)).await??;
        staging.finish(state_dir)?;
    }
    Ok(Restored { manifest, paths, caches, warnings, checked_only: check_only })
}

async fn examine(
    catalog: &Catalog,
    manifest: &Manifest,
    config: &Config,
    unpacked: &Path,
) -> Result<(u64, usize, Vec<String>), RestoreError> {
    let installation = Installation::look(catalog, manifest, config, unpacked).await?;
    if !installation.faults.is_empty() {
        return Err(RestoreError::Foreign(installation.faults));
    }
    let (mut paths, mut caches) = (0, 0);
    for cache in catalog.caches().await? {
        let stats = catalog.cache_stats(cache.id).await?;
        paths += stats.paths + stats.hidden_paths;
        caches += 1;
    }
    Ok((paths, caches, installation.warnings))
}

fn unpack(archive: &Path, directory: &Path) -> Result<Manifest, RestoreError> {
    archive::unpack(archive, directory)
        .map_err(|source| RestoreError::Archive { archive: archive.to_owned(), source })
}

/// The folder with what was unpacked.
struct Staging {
    path: PathBuf,
    /// Whether something was put in its place, so that the folder has to stay until everything is.
    stays: bool,
}

impl Staging {
    /// One in the state directory, which has to be empty otherwise, unless an earlier restore was not finished.
    fn inside(config: &Config, database: Option<&Path>) -> Result<Self, RestoreError> {
        let state_dir = config.server.state_dir.as_path();
        let path = state_dir.join(UNFINISHED_RESTORE);
        let failed = |source| RestoreError::Place { path: path.clone(), source };
        let was_begun = path.exists();
        if was_begun {
            fs::remove_dir_all(&path).map_err(failed)?;
        } else {
            check_empty(config)?;
            if let Some(database) = database.filter(|database| database.exists()) {
                return Err(RestoreError::DatabaseExists(database.to_owned()));
            }
        }
        create_private(&path).map_err(failed)?;
        fs::File::open(state_dir).and_then(|directory| directory.sync_all()).map_err(failed)?;
        // What an earlier attempt has put in place must not be taken for a finished restore.
        Ok(Self { path, stays: was_begun })
    }

    /// One in the directory for temporary files.
    fn outside() -> Result<Self, RestoreError> {
        let path = std::env::temp_dir().join(format!("cache-server-restore-{}", uuid::Uuid::new_v4()));
        create_private(&path).map_err(|source| RestoreError::Place { path: path.clone(), source })?;
        Ok(Self { path, stays: false })
    }

    /// Removes the folder, with which the restore is finished.
    fn finish(mut self, state_dir: &Path) -> Result<(), RestoreError> {
        let failed = |source| RestoreError::Place { path: self.path.clone(), source };
        fs::remove_dir_all(&self.path).map_err(failed)?;
        fs::File::open(state_dir).and_then(|directory| directory.sync_all()).map_err(failed)?;
        self.stays = true;
        Ok(())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.stays {
            // What is left keeps the daemon from starting, which says what to do.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn create_private(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

/// Fails if the state directory holds anything but storages of the configuration, whose files are not in the backup.
fn check_empty(config: &Config) -> Result<(), RestoreError> {
    let state_dir = config.server.state_dir.as_path();
    let storages = config.caches.iter().flat_map(|cache| &cache.storages);
    let roots: Vec<_> = storages
        .filter_map(|storage| match &storage.kind {
            StorageKind::Local { root } => Some(root),
            StorageKind::S3(_) => None,
        })
        .collect();
    let failed = |source| RestoreError::Place { path: state_dir.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(state_dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_storage = roots.iter().any(|root| root.starts_with(entry.path()));
        if !is_storage && !NOTHING.contains(&name.as_str()) {
            found.push(name);
        }
    }
    found.sort();
    if found.is_empty() {
        return Ok(());
    }
    let others = found.len().saturating_sub(4);
    found.truncate(4);
    let more = if others > 0 { format!(" and {others} more") } else { String::new() };
    Err(RestoreError::NotEmpty {
        directory: state_dir.to_owned(),
        found: format!("{}{more}", found.join(", ")),
    })
}
