//! Signing keys that several daemons share: the first to start generates one, the others adopt it.

use std::fmt;

use sea_orm::{ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter};

use crate::entity::field::stored;
use crate::entity::signing_key;
use crate::keys::{insert, keys_of};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogChange, CatalogError, KeyOrigin};

/// The key that signs a cache, whichever daemon generated it.
#[derive(Clone, PartialEq, Eq)]
pub struct SharedKey {
    /// The Ed25519 public key.
    pub public_key: [u8; 32],
    /// The encrypted secret half. `None` if it was never stored here because it is in a file.
    pub sealed: Option<Vec<u8>>,
}

/// Leaves out the secret half.
impl fmt::Debug for SharedKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SharedKey").field("public_key", &self.public_key).finish_non_exhaustive()
    }
}

impl Catalog {
    /// Publishes a key that this server signs with and stores its secret half, which the caller encrypts, for the other
    /// daemons. If the cache already publishes a server key of that name, returns that key and drops the new one, so daemons
    /// that start at once agree on one key.
    ///
    /// # Errors
    ///
    /// [`CatalogError::KeyNameTaken`] if a client key or a retired key has the name.
    pub async fn share_server_key(
        &self,
        cache: CacheId,
        name: &str,
        public_key: [u8; 32],
        sealed: Vec<u8>,
    ) -> Result<SharedKey, CatalogError> {
        let offered = SharedKey { public_key, sealed: Some(sealed) };
        self.write((cache, name.to_owned(), offered), |transaction, (cache, name, offered)| {
            Box::pin(share(transaction, *cache, name, offered))
        })
        .await
    }

    /// Stores the secret half of a published server key, newly encrypted or for the first time. Does nothing if the cache does
    /// not publish such a key.
    pub async fn reseal_server_key(
        &self,
        cache: CacheId,
        name: &str,
        public_key: [u8; 32],
        sealed: Vec<u8>,
    ) -> Result<(), CatalogError> {
        let input = (cache, name.to_owned(), public_key, sealed);
        self.write(input, |transaction, (cache, name, public_key, sealed)| {
            Box::pin(async move {
                signing_key::Entity::update_many()
                    .col_expr(signing_key::Column::Sealed, sealed.clone().into())
                    .filter(signing_key::Column::Cache.eq(*cache))
                    .filter(signing_key::Column::Name.eq(name.as_str()))
                    .filter(signing_key::Column::PublicKey.eq(stored(public_key)))
                    .filter(signing_key::Column::Origin.eq(stored(&KeyOrigin::Server)))
                    .exec(transaction)
                    .await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }
}

async fn share(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    name: &str,
    offered: &SharedKey,
) -> Result<Written<SharedKey>, CatalogError> {
    let mut same_name = keys_of(transaction, cache).await?;
    same_name.retain(|key| key.name == name);
    let published = same_name.iter().find(|key| key.origin == KeyOrigin::Server && key.retired_at.is_none());
    if let Some(key) = published {
        return Ok(Written::quietly(SharedKey { public_key: key.public_key, sealed: key.sealed.clone() }));
    }
    if !same_name.is_empty() {
        return Err(CatalogError::KeyNameTaken { cache, name: name.to_owned() });
    }
    let SharedKey { public_key, sealed } = offered.clone();
    insert(transaction, cache, name, public_key, KeyOrigin::Server, sealed).await?;
    Ok(Written::with_changes(offered.clone(), vec![CatalogChange::SigningKeys { cache }]))
}
