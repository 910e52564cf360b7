//! Whether a backup, the configuration and the storages that it names belong together.

use std::fs;
use std::path::Path;

use catalog::{CacheRecord, Catalog, KeyOrigin, SigningKeyRecord, StorageRecord};
use nar_storage::{LocalStorage, layout};

use super::RestoreError;
use crate::archive::{Manifest, names};
use crate::cache::keys::read_key_files;
use crate::cache::storages::{location, noted_catalog};
use crate::chain::chain;
use crate::config::{CacheConfig, Config, StorageConfig, StorageKind};
use crate::server_key::{ServerKeyError, fingerprint};

/// What was found out.
#[derive(Default)]
pub(super) struct Installation {
    /// What does not belong together.
    pub(super) faults: Vec<String>,
    /// What a person should know.
    pub(super) warnings: Vec<String>,
}

impl Installation {
    /// Compares everything that can be compared without a daemon. `unpacked` holds the files of the backup.
    pub(super) async fn look(
        catalog: &Catalog,
        manifest: &Manifest,
        config: &Config,
        unpacked: &Path,
    ) -> Result<Self, RestoreError> {
        let mut found = Self::default();
        if catalog.find_identity().await? != Some(manifest.catalog) {
            found.faults.push("the catalog in the archive is not the one that its manifest names".to_owned());
        }
        found.compare_server_key(manifest, config, unpacked)?;
        let records = catalog.caches().await?;
        for record in &records {
            let declared = config.caches.iter().find(|cache| cache.name.as_str() == record.name);
            let Some(cache) = declared.filter(|cache| cache.enabled) else {
                found.warn(format!(
                    "cache `{}` is not served: the configuration has no enabled entry for it",
                    record.name
                ));
                continue;
            };
            found.compare_keys(cache, record, &catalog.signing_keys(record.id).await?);
            let storages = catalog.storages_of(record.id).await?;
            cache
                .storages
                .iter()
                .for_each(|storage| found.compare_storage(manifest, cache, storage, &storages));
        }
        for cache in &config.caches {
            if records.iter().all(|record| record.name != cache.name.as_str()) {
                found.warn(format!("cache `{}` is not in the backup: it begins empty", cache.name.as_str()));
            }
        }
        Ok(found)
    }

    fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }

    fn compare_server_key(
        &mut self,
        manifest: &Manifest,
        config: &Config,
        unpacked: &Path,
    ) -> Result<(), RestoreError> {
        let kept = fs::read_to_string(unpacked.join(names::SERVER_KEY)).unwrap_or_default();
        if fingerprint(kept.as_bytes()) != manifest.server_key {
            self.faults
                .push("the server key in the archive is not the one that its manifest names".to_owned());
        }
        match config.server.key.resolve().map_err(ServerKeyError::from)? {
            Some(key) if fingerprint(key.expose().as_bytes()) != manifest.server_key => self.faults.push(
                "the configuration gives another server key than the backup was made with, so all tokens would be refused: \
                 give that one, or none, then that of the backup is used"
                    .to_owned(),
            ),
            _ => {}
        }
        Ok(())
    }

    /// Compares the signing keys that the configuration names with those that the catalog knows.
    fn compare_keys(&mut self, cache: &CacheConfig, record: &CacheRecord, known: &[SigningKeyRecord]) {
        if cache.signing_key_files.is_empty() {
            return;
        }
        let keys = match read_key_files(&cache.signing_key_files) {
            Ok(keys) => keys,
            Err(error) => {
                let kept = names::configured_key(&record.name, 0);
                return self.warn(format!(
                    "cache `{}`: {}; the keys of the backup will be in the state directory, the first one as \
                     `restored/{kept}`",
                    record.name,
                    chain(&error)
                ));
            }
        };
        for key in keys {
            let same_name = known.iter().find(|known| {
                known.origin == KeyOrigin::Server && known.retired_at.is_none() && known.name == key.name()
            });
            if same_name.is_some_and(|known| known.public_key != *key.public_key().as_bytes()) {
                self.faults.push(format!(
                    "cache `{}`: its `signing-key-file` holds another key named `{}` than the backup knows",
                    record.name,
                    key.name()
                ));
            }
        }
    }

    fn compare_storage(
        &mut self,
        manifest: &Manifest,
        cache: &CacheConfig,
        storage: &StorageConfig,
        known: &[StorageRecord],
    ) {
        let place = location(cache.name.as_str(), &storage.kind);
        let name = format!("storage `{}` of cache `{}`", storage.name.as_str(), cache.name.as_str());
        let Some(known) = known.iter().find(|known| known.name == storage.name.as_str()) else {
            return self.warn(format!("{name} is not in the backup"));
        };
        let StorageKind::Local { .. } = &storage.kind else {
            if let Some(before) = known.location.as_ref().filter(|before| **before != place) {
                self.warn(format!("{name} was at {before} and is at {place} now"));
            }
            return;
        };
        let Some(expected) = &known.marker else { return };
        match LocalStorage::marker_in(Path::new(&place)) {
            Ok(Some(found)) if found != *expected => self.faults.push(format!(
                "{name}: {place} is another storage than the one in the backup; is the right disk mounted there?"
            )),
            Ok(Some(_)) => self.compare_note(manifest, &name, &place),
            Ok(None) => self.warn(format!(
                "{name}: {place} holds no storage; mount its disk before you start the daemon. If its files are lost, \
                 `cachectl doctor` says what to do"
            )),
            Err(error) => self.warn(format!("{name}: {place} cannot be looked at: {}", chain(&error))),
        }
    }

    fn compare_note(&mut self, manifest: &Manifest, name: &str, place: &str) {
        let note = fs::read_to_string(Path::new(place).join(layout::catalog_note_key().as_str()));
        let other =
            note.ok().and_then(|text| noted_catalog(&text)).filter(|noted| *noted != manifest.catalog);
        if let Some(other) = other {
            self.faults.push(format!(
                "{name}: {place} was last used with another catalog, {other}, than that of the backup, {}",
                manifest.catalog
            ));
        }
    }
}
