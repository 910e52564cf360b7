//! Adopting the paths of the original Python server, without copying their files.
//!
//! It kept each file as `ROOT/STORAGE/<file hash>.nar.<extension>`, and everything else in its database. So each file is linked to
//! the place that it has in a storage of ours, with a narinfo beside it; what follows is the rebuild of a catalog, which verifies
//! every NAR and records it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use admin_api::{ApiError, ErrorCode, ImportRequest, ImportSummary, JobRequest, JobSummary, NoteLevel, Unit};
use bytes::Bytes;
use catalog::{OriginalPath, read_original_database};
use nar_storage::{Durability, layout};
use nix_formats::{Compression, FileHash, NarFileName, NarHash, NarInfo, StorePath};

use super::pattern;
use crate::cache::Cache;
use crate::cache::storages::CacheStorage;
use crate::chain::chain;
use crate::config::StorageKind;
use crate::core::Core;
use crate::jobs::JobError;
use crate::jobs::fsck;
use crate::jobs::job::Reporter;
use crate::jobs::scope::Scope;
use crate::jobs::transfer::{Fate, Tally};

/// How the files of the original server end.
const EXTENSIONS: [(&str, Compression); 2] = [("xz", Compression::Xz), ("zst", Compression::Zstd)];

/// Adopts the paths of the cache of the same name. `config` is the configuration file of the original server.
pub(super) async fn adopt(
    core: &Arc<Core>,
    config: &Path,
    request: &ImportRequest,
    reporter: &Reporter,
) -> Result<JobSummary, JobError> {
    let cache = core
        .find_cache(&request.cache)
        .ok_or_else(|| refused(format!("there is no cache called `{}` any more", request.cache)))?;
    // Of what is not known to be there the files would be linked again.
    cache.index.completed().await;
    let (home, database) = read_config(config).await.map_err(refused)?;
    let paths = read_original_database(&database, cache.name()).await.map_err(|error| {
        refused(format!("cannot read the database {}: {}", database.display(), chain(&error)))
    })?;
    reporter.begin(Some("linking files".to_owned()), Unit::Paths, 0, Some(paths.len() as u64));
    let (mut tally, mut linked) = (Tally::default(), Vec::new());
    for path in &paths {
        reporter.check()?;
        match link(&cache, &home, path, request).await {
            Ok(Outcome::Linked(path)) => linked.push(path),
            Ok(Outcome::Other(fate)) => tally.add(fate),
            Err(reason) => {
                let name = format!("{}-{}", path.store_hash, path.store_suffix);
                reporter.note(NoteLevel::Warn, format!("{name} was not imported: {reason}"));
                tally.add(Fate::Skipped { path: name, reason });
            }
        }
        reporter.advance(1);
    }
    if !request.dry_run && !linked.is_empty() {
        rebuild(core, &request.cache, reporter).await?;
    }
    for path in linked {
        let is_there = request.dry_run || cache.index.contains(path.narinfo.store_path.hash());
        if is_there {
            tally.add(Fate::Moved { file_bytes: path.file_bytes, nar_bytes: path.narinfo.nar_size });
            continue;
        }
        path.withdraw(core, &cache).await?;
        let reason = "it did not pass the check; a warning says why".to_owned();
        tally.add(Fate::Skipped { path: path.narinfo.store_path.base_name(), reason });
    }
    Ok(JobSummary::Import(ImportSummary {
        source: request.source.clone(),
        cache: request.cache.clone(),
        dry_run: request.dry_run,
        imported: tally.moved,
        file_bytes: tally.file_bytes,
        nar_bytes: tally.nar_bytes,
        present: tally.present,
        filtered: tally.filtered,
        skipped: tally.skipped(),
    }))
}

/// Verifies what was linked, and records it.
async fn rebuild(core: &Arc<Core>, cache: &str, reporter: &Reporter) -> Result<(), JobError> {
    let options = fsck::Options { rebuild: true, dry_run: false };
    let request =
        JobRequest::Fsck { cache: Some(cache.to_owned()), storage: None, rebuild: true, dry_run: false };
    let scope = Scope::of(core, &request).map_err(JobError::Failed)?;
    fsck::fsck(core, &scope, options, reporter).await.map(drop)
}

/// A path whose file is in its place, or would be.
struct Linked {
    narinfo: NarInfo,
    name: NarFileName,
    file_bytes: u64,
    /// Where it is; none in a dry run.
    storage: Option<Arc<CacheStorage>>,
}

impl Linked {
    /// Takes it from the storage again, as it is not what it claims to be.
    async fn withdraw(&self, core: &Core, cache: &Cache) -> Result<(), JobError> {
        let Some(storage) = &self.storage else { return Ok(()) };
        let _removing = core.nar_store.lock_file(cache.id, self.name.file_hash).await;
        let (narinfo, nar) =
            (layout::narinfo_key(self.narinfo.store_path.hash()), layout::nar_key(&self.name));
        let mut keys = vec![narinfo];
        // Another path may have the same file, and be right.
        if core.catalog.find_nar(cache.id, &self.name.file_hash).await?.is_none() {
            keys.push(nar);
        }
        for key in keys {
            if let Err(error) = storage.storage.delete(&key).await {
                tracing::warn!(%key, error = %chain(&error), "could not remove what was not adopted");
            }
        }
        Ok(())
    }
}

enum Outcome {
    Linked(Box<Linked>),
    Other(Fate),
}

/// Gives the file of a path its place in a storage of ours. An error says why that cannot be done.
async fn link(
    cache: &Arc<Cache>,
    home: &Path,
    path: &OriginalPath,
    request: &ImportRequest,
) -> Result<Outcome, String> {
    let mut narinfo = describe(path)?;
    if cache.index.contains(narinfo.store_path.hash()) {
        return Ok(Outcome::Other(Fate::Present));
    }
    let is_wanted = |pattern: &String| pattern::matches(pattern, narinfo.store_path.name());
    if !(request.filter.is_empty() || request.filter.iter().any(is_wanted)) {
        return Ok(Outcome::Other(Fate::Filtered));
    }
    if path.kind != "local" {
        return Err("its file is in a bucket; copy the files to a directory first".to_owned());
    }
    let directory = home.join(&path.root).join(&path.storage);
    let (file, compression, file_bytes) = find_file(&directory, &path.file_hash).await?;
    let file_hash = FileHash::parse(&path.file_hash).map_err(|error| chain(&error))?;
    let name = NarFileName { file_hash, compression };
    narinfo.compression = compression;
    narinfo.file_hash = Some(file_hash);
    narinfo.file_size = Some(file_bytes);
    narinfo.url = layout::nar_key(&name).to_string();
    if request.dry_run {
        return Ok(Outcome::Linked(Box::new(Linked { narinfo, name, file_bytes, storage: None })));
    }
    let (storage, root) = storage_for(cache, &path.storage)?;
    let place = root.join(layout::nar_key(&name).as_str());
    tokio::task::spawn_blocking(move || put(&file, &place))
        .await
        .map_err(|error| error.to_string())?
        .map_err(|error| format!("its file cannot be linked: {error}"))?;
    let text = Bytes::from(narinfo.to_string());
    let key = layout::narinfo_key(narinfo.store_path.hash());
    let written = storage.storage.put_bytes(&key, text, Durability::Now).await;
    written.map_err(|error| chain(&error))?;
    Ok(Outcome::Linked(Box::new(Linked { narinfo, name, file_bytes, storage: Some(storage) })))
}

/// What the database says of a path, without its file.
fn describe(path: &OriginalPath) -> Result<NarInfo, String> {
    let base_name = format!("{}-{}", path.store_hash, path.store_suffix);
    let store_path = |text: &str| StorePath::from_base_name(text).map_err(|error| format!("{text}: {error}"));
    Ok(NarInfo {
        store_path: store_path(&base_name)?,
        url: String::new(),
        compression: Compression::None,
        file_hash: None,
        file_size: None,
        nar_hash: NarHash::parse(&path.nar_hash).map_err(|error| chain(&error))?,
        nar_size: u64::try_from(path.nar_size).ok().filter(|size| *size > 0).ok_or("its NAR has no size")?,
        references: path.refs.split_whitespace().map(store_path).collect::<Result<_, _>>()?,
        deriver: StorePath::from_base_name(&path.deriver).ok(),
        // The original server signs when it is asked, so none is recorded.
        signatures: Vec::new(),
        ca: None,
    })
}

/// Finds the file with a hash, which has one of two extensions.
async fn find_file(directory: &Path, hash: &str) -> Result<(PathBuf, Compression, u64), String> {
    for (extension, compression) in EXTENSIONS {
        let file = directory.join(format!("{hash}.nar.{extension}"));
        if let Ok(metadata) = tokio::fs::symlink_metadata(&file).await
            && metadata.is_file()
        {
            return Ok((file, compression, metadata.len()));
        }
    }
    Err("its file is missing".to_owned())
}

/// The storage of ours that has the name of the original one, or the first with a directory of its own.
fn storage_for(cache: &Cache, name: &str) -> Result<(Arc<CacheStorage>, PathBuf), String> {
    let storages = cache.storages();
    let root = |storage: &Arc<CacheStorage>| match &storage.config().kind {
        StorageKind::Local { root } => Some((storage.clone(), root.join(cache.name()))),
        StorageKind::S3(_) => None,
    };
    let found = storages.find(name).and_then(root).or_else(|| storages.iter().find_map(root));
    found.ok_or_else(|| "the cache has no storage in a directory".to_owned())
}

/// Links a file to its new place, or copies it to another file system. Blocks.
fn put(file: &Path, place: &Path) -> io::Result<()> {
    if let Some(directory) = place.parent() {
        std::fs::create_dir_all(directory)?;
    }
    match std::fs::hard_link(file, place) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        // Another file system, or a file of another user.
        Err(_) => {}
    }
    let unfinished = place.with_extension("part");
    std::fs::copy(file, &unfinished)?;
    std::fs::File::open(&unfinished)?.sync_all()?;
    std::fs::rename(&unfinished, place)
}

/// Reads from the configuration of the original server where its database is, and what relative names are relative to.
async fn read_config(file: &Path) -> Result<(PathBuf, PathBuf), String> {
    let unusable = |reason: String| format!("cannot use {}: {reason}", file.display());
    let text = tokio::fs::read_to_string(file).await.map_err(|error| unusable(error.to_string()))?;
    let config: serde_yaml::Value =
        serde_yaml::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let database = config["server"]["database"].as_str();
    let database = database.ok_or_else(|| unusable("it names no server.database".to_owned()))?;
    let home = file.parent().unwrap_or(Path::new("/")).to_owned();
    let database = home.join(database.trim_start_matches("sqlite://"));
    Ok((home, database))
}

fn refused(message: String) -> JobError {
    JobError::Failed(ApiError { code: ErrorCode::Invalid, message, hint: None })
}
