//! The generated signing key of a cache where several daemons share the catalog: all of them sign with the same one.
//!
//! The first daemon to start makes it and leaves it in the catalog, sealed with the server key; each of the others writes
//! it to its own state directory. Whichever of the keys that were shared is the oldest counts, so daemons that start at
//! once agree as well.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use catalog::{CacheId, Catalog, CatalogError, KeyOrigin, SigningKeyRecord};
use nix_formats::{KeyError, SigningKey};

use super::keys::{KeyFileError, find_key_file};
use crate::sealing::Sealer;

/// Why the key of a cache could not be shared.
#[derive(Debug, thiserror::Error)]
pub enum SharedKeyError {
    /// The catalog failed.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The key file is unusable.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// No key could be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The system has no random bytes.
    #[error("could not seal the signing key")]
    Random(#[from] getrandom::Error),
    /// It was sealed by a daemon with another server key.
    #[error(
        "the signing key `{0}` in the database cannot be opened: the daemons that share a database need the same \
         `server.key`"
    )]
    Sealed(String),
    /// It was published by a daemon that kept it to itself.
    #[error(
        "another daemon has a signing key named `{name}`, and has not shared it: copy its file to {}",
        path.display()
    )]
    NotShared {
        /// The name of the key.
        name: String,
        /// Where its file belongs.
        path: PathBuf,
    },
}

/// What is needed to share the key of one cache.
pub struct KeySharing<'a> {
    /// Where it is shared.
    pub catalog: &'a Catalog,
    /// Seals and opens it.
    pub sealer: &'a Sealer,
    /// The cache.
    pub cache: CacheId,
    /// The file that holds this daemon's copy.
    pub file: PathBuf,
    /// How a new key is called.
    pub name: &'a str,
}

impl KeySharing<'_> {
    /// The key that all daemons sign with. It is in the key file when this returns.
    pub async fn shared_key(&self) -> Result<SigningKey, SharedKeyError> {
        let own = find_key_file(&self.file)?;
        let shared = match self.find_shared().await? {
            Some(shared) => shared,
            None => self.share(own.as_ref()).await?,
        };
        let opened = self.open(&shared);
        match own {
            Some(own) if *own.public_key().as_bytes() == shared.public_key => {
                if opened.is_none() {
                    tracing::warn!(
                        key = own.name(),
                        "the signing key in the database was sealed with another \
                        server.key, which all daemons must share; it is sealed anew"
                    );
                    self.reseal(&own).await?;
                }
                Ok(own)
            }
            own => {
                let key = opened.ok_or_else(|| SharedKeyError::Sealed(shared.name.clone()))?;
                self.keep(&key, own.is_some())?;
                Ok(key)
            }
        }
    }

    async fn find_shared(&self) -> Result<Option<SigningKeyRecord>, CatalogError> {
        let mut keys = self.catalog.signing_keys(self.cache).await?;
        keys.retain(|key| {
            key.origin == KeyOrigin::Server && key.retired_at.is_none() && key.sealed.is_some()
        });
        Ok(keys.into_iter().next())
    }

    /// Shares the daemon's own key, or a new one. Returns the one that counts.
    async fn share(&self, own: Option<&SigningKey>) -> Result<SigningKeyRecord, SharedKeyError> {
        let key = match own {
            Some(own) => own.clone(),
            None => SigningKey::generate(self.name)?,
        };
        let public = *key.public_key().as_bytes();
        let known = self.catalog.share_server_key(self.cache, key.name(), public, self.seal(&key)?).await?;
        if known.sealed.is_none() && known.public_key == public {
            self.reseal(&key).await?;
        }
        let not_shared =
            || SharedKeyError::NotShared { name: key.name().to_owned(), path: self.file.clone() };
        self.find_shared().await?.ok_or_else(not_shared)
    }

    async fn reseal(&self, key: &SigningKey) -> Result<(), SharedKeyError> {
        let public = *key.public_key().as_bytes();
        Ok(self.catalog.reseal_server_key(self.cache, key.name(), public, self.seal(key)?).await?)
    }

    fn seal(&self, key: &SigningKey) -> Result<Vec<u8>, getrandom::Error> {
        let context = context(key.name(), key.public_key().as_bytes());
        self.sealer.seal(&context, key.to_nix_string().as_bytes())
    }

    fn open(&self, shared: &SigningKeyRecord) -> Option<SigningKey> {
        let sealed = shared.sealed.as_deref()?;
        let opened = self.sealer.open(&context(&shared.name, &shared.public_key), sealed)?;
        let key = SigningKey::parse(std::str::from_utf8(&opened).ok()?).ok()?;
        (*key.public_key().as_bytes() == shared.public_key).then_some(key)
    }

    /// Writes the key to the file. The one in its place, which no other daemon has, is kept beside it.
    fn keep(&self, key: &SigningKey, replaces: bool) -> Result<(), KeyFileError> {
        let failed = |source: io::Error| KeyFileError::Io { path: self.file.clone(), source };
        if replaces {
            let aside = self.file.with_extension("secret.replaced");
            fs::rename(&self.file, &aside).map_err(failed)?;
            tracing::warn!(key = key.name(), aside = %aside.display(),
                "signing with the key of the daemons that share the database from now on; our own is set aside");
        }
        private_file::write(&self.file, key.to_nix_string().as_bytes()).map_err(failed)
    }
}

/// What a sealed key belongs to, so that rows cannot stand in for each other.
fn context(name: &str, public_key: &[u8; 32]) -> Vec<u8> {
    [name.as_bytes(), b"\0", public_key].concat()
}

/// Where a cache's generated key is.
pub fn key_file(state_dir: &Path, cache: &str) -> PathBuf {
    state_dir.join("keys").join(format!("{cache}.secret"))
}
