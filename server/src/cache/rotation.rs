//! Changing the signing keys of a cache while it is in use.
//!
//! A key that is added signs beside those there are: what is pushed from then on, and what is there already whenever its
//! narinfo is asked for or written to a storage. So clients may trust the new key alone as soon as they have it, and the old
//! one can be retired. A retired key signs nothing more; the signatures that paths have of it stay, as they stay good.
//!
//! The keys of a `signing-key-file` are the configuration's, and nobody else's, to change.

use std::path::{Path, PathBuf};

use catalog::{Catalog, CatalogError, KeyOrigin, SigningKeyRecord};
use nix_formats::{KeyError, PublicKey, SigningKey};
use tokio::sync::Mutex;

use super::Cache;
use super::keys::{KeyFileError, find_key_file};

/// Held while keys are changed, so that two of them are not each retired because of the other.
static CHANGING: Mutex<()> = Mutex::const_new(());

/// Why the keys of a cache were not changed.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(CatalogError),
    /// The key cannot be kept.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The task that wrote the file died.
    #[error("interrupted")]
    Interrupted,
    /// Others sign as well.
    #[error("several daemons share the database, and all of them sign with the same keys")]
    Shared,
    /// The configuration says which keys sign.
    #[error("cache `{0}` signs with the keys of its `signing-key-file`")]
    Configured(String),
    /// The server does not sign.
    #[error("cache `{0}` is signed by its clients")]
    ClientSigned(String),
    /// Nix keeps one of two keys with the same name.
    #[error("cache `{cache}` has or had a key named {name}")]
    NameTaken {
        /// The cache.
        cache: String,
        /// The name.
        name: String,
    },
    /// No such key is in use.
    #[error("cache `{cache}` has no key {key} that is in use")]
    Unknown {
        /// The cache.
        cache: String,
        /// The public key.
        key: String,
    },
    /// Nothing would be signed any more.
    #[error("{name} is the only key that cache `{cache}` signs with")]
    Last {
        /// The cache.
        cache: String,
        /// The name of the key.
        name: String,
    },
}

impl RotationError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Shared => {
                Some("name the keys in `signing-key-file`, the same for all daemons, and restart each")
            }
            Self::Configured(_) => Some("change that list, and `cachectl reload`"),
            Self::ClientSigned(_) => Some("clients sign with the key that was registered, and with no other"),
            Self::NameTaken { .. } => Some("a new key needs a new name: clients know keys by their names"),
            Self::Unknown { .. } => Some("`cachectl key list` shows the keys"),
            Self::Last { .. } => Some("add another one first: `cachectl key add`"),
            Self::Catalog(_) | Self::File(_) | Self::Key(_) | Self::Interrupted => None,
        }
    }
}

impl Cache {
    /// Adds a key that signs from now on, beside the others: the one that is given, or a new one.
    pub async fn add_key(
        &self,
        catalog: &Catalog,
        state_dir: &Path,
        given: Option<SigningKey>,
    ) -> Result<SigningKeyRecord, RotationError> {
        let _changing = CHANGING.lock().await;
        // No client registers its key meanwhile.
        let _keys_stay = self.reconfigure_lock.read().await;
        if catalog.is_shared() {
            return Err(RotationError::Shared);
        }
        if !self.config().signing_key_files.is_empty() {
            return Err(RotationError::Configured(self.name().to_owned()));
        }
        if !self.keys().is_of_server() {
            return Err(RotationError::ClientSigned(self.name().to_owned()));
        }
        let known = catalog.signing_keys(self.id).await.map_err(RotationError::Catalog)?;
        let (key, origin) = match given {
            Some(key) => (key, KeyOrigin::Given),
            None => (SigningKey::generate(&self.next_name(&known))?, KeyOrigin::Added),
        };
        let taken =
            || RotationError::NameTaken { cache: self.name().to_owned(), name: key.name().to_owned() };
        if known.iter().any(|other| other.name == key.name()) {
            return Err(taken());
        }
        // Before anybody hears of it. If it comes no further, the file is in nobody's way.
        let public = *key.public_key().as_bytes();
        let (file, text) = (added_key_file(state_dir, self.name(), &public), key.to_nix_string());
        let path = file.clone();
        tokio::task::spawn_blocking(move || private_file::write(&path, text.as_bytes()))
            .await
            .map_err(|_| RotationError::Interrupted)?
            .map_err(|source| KeyFileError::Io { path: file, source })?;
        let added = catalog.add_key(self.id, key.name(), public, origin).await;
        let added = added.map_err(|error| match error {
            CatalogError::KeyNameTaken { .. } => taken(),
            error => RotationError::Catalog(error),
        })?;
        self.change_keys(|keys| keys.with_added(key));
        Ok(added)
    }

    /// Lets a key sign nothing more. It stays listed.
    pub async fn retire_key(
        &self,
        catalog: &Catalog,
        key: &PublicKey,
    ) -> Result<SigningKeyRecord, RotationError> {
        let _changing = CHANGING.lock().await;
        let _keys_stay = self.reconfigure_lock.read().await;
        let unknown = || RotationError::Unknown { cache: self.name().to_owned(), key: key.name().to_owned() };
        let known = catalog.signing_keys(self.id).await.map_err(RotationError::Catalog)?;
        let is_meant = |other: &&SigningKeyRecord| {
            other.retired_at.is_none() && other.public_key == *key.as_bytes() && other.name == key.name()
        };
        let record = known.iter().find(is_meant).ok_or_else(unknown)?;
        if record.origin == KeyOrigin::Client {
            return Err(RotationError::ClientSigned(self.name().to_owned()));
        }
        let keys = self.keys();
        // One that was taken out of the configuration signs nothing anyway.
        if keys.signs_with(key) {
            if !self.config().signing_key_files.is_empty() {
                return Err(RotationError::Configured(self.name().to_owned()));
            }
            if catalog.is_shared() {
                return Err(RotationError::Shared);
            }
            if keys.published().len() == 1 {
                return Err(RotationError::Last {
                    cache: self.name().to_owned(),
                    name: key.name().to_owned(),
                });
            }
        }
        let retired = catalog.retire_key(self.id, record.id).await.map_err(RotationError::Catalog)?;
        self.change_keys(|keys| keys.without(key));
        retired.ok_or_else(unknown)
    }

    /// The first of `NAME.HOST-2`, `NAME.HOST-3` and so on that no key has or had.
    fn next_name(&self, known: &[SigningKeyRecord]) -> String {
        let base = self.key_name.strip_suffix("-1").unwrap_or(&self.key_name);
        let is_free = |name: &String| known.iter().all(|key| key.name != *name);
        let mut names = (2u64..).map(|number| format!("{base}-{number}"));
        names.find(is_free).expect("there are more numbers than keys")
    }
}

/// The keys that were added to a cache and are in use. One whose file is missing is reported and left out: the others sign,
/// and it can be retired.
pub fn load_added(
    records: &[SigningKeyRecord],
    state_dir: &Path,
    cache: &str,
) -> Result<Vec<SigningKey>, KeyFileError> {
    let mut keys = Vec::new();
    for record in records.iter().filter(|record| record.retired_at.is_none() && record.is_added()) {
        let file = added_key_file(state_dir, cache, &record.public_key);
        match find_key_file(&file)? {
            Some(key) => keys.push(key),
            None => tracing::error!(cache, key = record.name, file = %file.display(),
                "the file of a signing key is missing: nothing is signed with it; put it back, or retire the key"),
        }
    }
    Ok(keys)
}

/// Where a key that was added to a cache is: beside the one that was made for it. The names of caches have no dots.
fn added_key_file(state_dir: &Path, cache: &str, public_key: &[u8; 32]) -> PathBuf {
    let start: String = public_key[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    state_dir.join("keys").join(format!("{cache}.{start}.secret"))
}
