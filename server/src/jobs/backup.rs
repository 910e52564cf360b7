//! Backups: the catalog, and what belongs to it, in one archive.
//!
//! It holds the catalog, the server key, the signing keys, the identity of the node and the configuration: all secrets of the
//! daemon but those that the configuration names by file and that are somebody else's, such as those of an S3 service.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use admin_api::{ApiError, BackupSummary, ErrorCode, JobSummary, NoteLevel, Unit};
use catalog::{CatalogError, UnixTime};
use zeroize::Zeroizing;

use super::JobError;
use super::job::Reporter;
use crate::archive::{self, BackedUpStorage, FORMAT, Manifest, Source, names};
use crate::chain::chain;
use crate::config::Config;
use crate::core::Core;
use crate::server_key::{fingerprint, load_or_generate};

/// Writes a backup to `file`.
pub(super) async fn backup(core: &Core, file: &str, reporter: &Reporter) -> Result<JobSummary, JobError> {
    reporter.begin("copying the catalog".to_owned(), Unit::Bytes, 0, None);
    let path = PathBuf::from(file);
    if !path.is_absolute() {
        let hint = "name the file from the root directory on";
        return Err(refused(format!("`{file}` is not absolute"), hint));
    }
    if path.symlink_metadata().is_ok() {
        return Err(refused(format!("{file} exists already"), "name a new file"));
    }
    let copy = CatalogCopy::beside(&path).map_err(|error| unwritable(file, &error))?;
    match core.catalog.backup(&copy.0).await {
        Ok(bytes) => reporter.advance(bytes),
        Err(error @ CatalogError::Create { .. }) => return Err(unwritable(file, &error)),
        Err(error) => return Err(error.into()),
    }
    reporter.check()?;
    // So that whoever restores the copy always finds the storages ahead of it, however little was pushed since.
    for cache in core.caches().iter() {
        cache.storages().iter().for_each(|storage| core.nar_store.touch(storage));
    }
    if let Err(error) = core.nar_store.note_generations(&core.caches()).await {
        tracing::warn!(error = %chain(&error), "could not note on the storages that there is a backup");
    }
    let manifest = manifest(core).await?;
    let (config, used) = (core.config(), manifest.server_key.clone());
    let written = tokio::task::spawn_blocking(move || {
        let mut files = collect(&config, &used)?;
        files.insert(0, (names::CATALOG.to_owned(), Source::File(copy.0.clone())));
        archive::write(&path, manifest, &files).map_err(Failure::Write)
    });
    match written.await {
        Ok(Ok(bytes)) => {
            let text = "the file holds every secret of the daemon: keep it where others cannot read it";
            reporter.note(NoteLevel::Info, text.to_owned());
            Ok(JobSummary::Backup(BackupSummary { file: file.to_owned(), bytes }))
        }
        Ok(Err(Failure::Write(error))) => Err(unwritable(file, &error)),
        Ok(Err(Failure::Collect { what, reason })) => {
            let hint = "nothing was written; mend this and repeat the command";
            Err(refused(format!("{what} cannot be backed up: {reason}"), hint))
        }
        Err(error) => {
            Err(refused(format!("the backup was interrupted: {error}"), "the daemon's log says more"))
        }
    }
}

fn refused(message: String, hint: &str) -> JobError {
    JobError::Failed(ApiError { code: ErrorCode::Invalid, message, hint: Some(hint.to_owned()) })
}

fn unwritable(file: &str, error: &dyn std::error::Error) -> JobError {
    let hint = "the daemon writes the file: name a new one where it may write and where there is room";
    refused(format!("{file} cannot be written: {}", chain(error)), hint)
}

/// The copy of the catalog while the archive is written.
struct CatalogCopy(PathBuf);

impl CatalogCopy {
    fn beside(archive: &Path) -> io::Result<Self> {
        let mut name = archive.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
        name.push(".catalog.partial");
        let copy = Self(archive.with_file_name(name));
        // A crash may have left one.
        match fs::remove_file(&copy.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(copy),
        }
    }
}

impl Drop for CatalogCopy {
    fn drop(&mut self) {
        // One that could not be made is not there.
        let _ = fs::remove_file(&self.0);
    }
}

async fn manifest(core: &Core) -> Result<Manifest, CatalogError> {
    let mut storages = Vec::new();
    for cache in core.catalog.caches().await? {
        for storage in core.catalog.storages_of(cache.id).await? {
            storages.push(BackedUpStorage {
                cache: cache.name.clone(),
                name: storage.name,
                marker: storage.marker,
                location: storage.location,
            });
        }
    }
    let keys = core.catalog.server_keys().await?;
    Ok(Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        created_at: UnixTime::now().0,
        catalog: core.catalog.identity().await?,
        server_key: keys.last().map(|key| key.fingerprint.clone()).unwrap_or_default(),
        storages,
        members: Vec::new(),
    })
}

enum Failure {
    /// Something that belongs into the archive cannot be read.
    Collect {
        /// What it is.
        what: String,
        /// Why.
        reason: String,
    },
    /// The archive cannot be written.
    Write(io::Error),
}

/// Everything but the catalog. `used` is the fingerprint of the server key that is in use.
fn collect(config: &Config, used: &str) -> Result<Vec<(String, Source)>, Failure> {
    let state_dir = &config.server.state_dir;
    let failed = |what: String| move |error: io::Error| Failure::Collect { what, reason: chain(&error) };
    let key = load_or_generate(&config.server.key, state_dir)
        .map_err(|error| Failure::Collect { what: "the server key".to_owned(), reason: chain(&error) })?;
    if fingerprint(key.as_bytes()) != used {
        let reason =
            "it is not the one in use: run `cachectl reload`, or restart the daemon, first".to_owned();
        return Err(Failure::Collect { what: "the server key".to_owned(), reason });
    }
    let bytes = |text: &str| Source::Bytes(Zeroizing::new(text.as_bytes().to_vec()));
    let mut files = vec![(names::SERVER_KEY.to_owned(), bytes(&key))];
    let mut add = |name: String, path: &Path| -> Result<(), Failure> {
        match fs::read(path).map(Zeroizing::new) {
            Ok(contents) => files.push((name, Source::Bytes(contents))),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(failed(path.display().to_string())(error)),
        }
        Ok(())
    };
    add(names::NODE_KEY.to_owned(), &state_dir.join("node.key"))?;
    if let Some(file) = &config.source {
        add(names::CONFIG.to_owned(), file)?;
    }
    for cache in &config.caches {
        for (number, file) in cache.signing_key_files.iter().enumerate() {
            add(names::configured_key(cache.name.as_str(), number), file)?;
        }
    }
    let keys = state_dir.join(names::KEYS);
    let listed = match fs::read_dir(&keys) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(files),
        listed => listed.map_err(failed(keys.display().to_string()))?,
    };
    for entry in listed {
        let entry = entry.map_err(failed(keys.display().to_string()))?;
        // What a crash left half written ends otherwise.
        if let Some(name) = entry.file_name().to_str().filter(|name| name.ends_with(".secret")) {
            add(format!("{}/{name}", names::KEYS), &entry.path())?;
        }
    }
    Ok(files)
}
