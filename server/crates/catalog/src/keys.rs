//! The public keys that caches publish. Secret keys are in files, or stored here encrypted.

use std::fmt;

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait,
    PaginatorTrait, QueryFilter, QueryOrder,
};

use crate::entity::values::Sealed;
use crate::entity::{signing_key, store_path};
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogChange, CatalogError, UnixTime};

/// Who holds the secret half of a signing key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// This server signs with it. It was generated for the cache, or the configuration names it.
    Server,
    /// This server signs with it. An operator added it, and the server generated it.
    Added,
    /// This server signs with it. An operator added it and provided it.
    Given,
    /// The pushing client signs with it.
    Client,
}

impl KeyOrigin {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Added => "added",
            Self::Given => "given",
            Self::Client => "client",
        }
    }

    pub(crate) fn from_text(text: &str) -> Option<Self> {
        [Self::Server, Self::Added, Self::Given, Self::Client]
            .into_iter()
            .find(|origin| origin.as_str() == text)
    }
}

/// A public key of a cache.
#[derive(Clone, PartialEq, Eq)]
pub struct SigningKeyRecord {
    /// Its row.
    pub id: i64,
    /// The name that stands before the colon in `name:key`.
    pub name: String,
    /// The Ed25519 public key.
    pub public_key: [u8; 32],
    /// Who signs with it.
    pub origin: KeyOrigin,
    /// When it was added.
    pub created_at: UnixTime,
    /// When it stopped being published.
    pub retired_at: Option<UnixTime>,
    /// The encrypted secret half: see [`Catalog::share_server_key`].
    pub sealed: Option<Vec<u8>>,
}

impl SigningKeyRecord {
    /// Returns whether an operator added it to the keys of the cache.
    pub fn is_added(&self) -> bool {
        matches!(self.origin, KeyOrigin::Added | KeyOrigin::Given)
    }
}

/// Leaves out the secret half.
impl fmt::Debug for SigningKeyRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { id, name, public_key, origin, created_at, retired_at, sealed: _ } = self;
        formatter
            .debug_struct("SigningKeyRecord")
            .field("id", id)
            .field("name", name)
            .field("public_key", public_key)
            .field("origin", origin)
            .field("created_at", created_at)
            .field("retired_at", retired_at)
            .finish_non_exhaustive()
    }
}

/// The outcome of registering a client's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegisterKey {
    /// The cache is now signed by the client: the key is published, and every server key is retired.
    Registered,
    /// The cache is already signed with this key.
    AlreadyRegistered,
    /// The cache holds paths that the client did not sign.
    CacheNotEmpty {
        /// How many paths, including hidden ones.
        paths: u64,
    },
    /// Another client key was once published under the name.
    NameTaken,
    /// The cache is signed with another client key.
    OtherClientKey,
}

impl Catalog {
    /// Returns all keys that the cache ever published, including retired ones, in the order in which they were added.
    pub async fn signing_keys(&self, cache: CacheId) -> Result<Vec<SigningKeyRecord>, CatalogError> {
        keys_of(self.readers(), cache).await
    }

    /// Publishes a key that this server signs with. Repeating the same name and key changes nothing and does not republish a
    /// retired key: check `retired_at` of the result.
    ///
    /// # Errors
    ///
    /// [`CatalogError::KeyNameTaken`] if the cache has or had another key of that name.
    pub async fn add_server_key(
        &self,
        cache: CacheId,
        name: &str,
        public_key: [u8; 32],
    ) -> Result<SigningKeyRecord, CatalogError> {
        if let Some(known) = find_server_key(&keys_of(self.readers(), cache).await?, name, public_key) {
            return Ok(known.clone());
        }
        let input = (cache, name.to_owned(), public_key);
        self.write(input, |transaction, (cache, name, public_key)| {
            Box::pin(add_server_key(transaction, *cache, name, *public_key))
        })
        .await
    }

    /// Publishes an additional key that this server signs with.
    ///
    /// # Errors
    ///
    /// [`CatalogError::KeyNameTaken`] if the cache has or had a key of that name.
    pub async fn add_key(
        &self,
        cache: CacheId,
        name: &str,
        public_key: [u8; 32],
        origin: KeyOrigin,
    ) -> Result<SigningKeyRecord, CatalogError> {
        let input = (cache, name.to_owned(), public_key, origin);
        self.write(input, |transaction, (cache, name, public_key, origin)| {
            Box::pin(add_key(transaction, *cache, name, *public_key, *origin))
        })
        .await
    }

    /// Retires a published key and returns it. Returns `None` if no key with this id is published.
    pub async fn retire_key(
        &self,
        cache: CacheId,
        id: i64,
    ) -> Result<Option<SigningKeyRecord>, CatalogError> {
        self.write((cache, id), |transaction, (cache, id)| Box::pin(retire_key(transaction, *cache, *id)))
            .await
    }

    /// Makes the cache client-signed with this key, which is possible only while it holds no paths. The check and the change
    /// are one transaction: no path can be committed between them.
    pub async fn register_client_key(
        &self,
        cache: CacheId,
        name: &str,
        public_key: [u8; 32],
    ) -> Result<RegisterKey, CatalogError> {
        let input = (cache, name.to_owned(), public_key);
        self.write(input, |transaction, (cache, name, public_key)| {
            Box::pin(async move {
                let outcome = register_client_key(transaction, *cache, name, *public_key).await?;
                Ok(match outcome {
                    RegisterKey::Registered => {
                        Written::with_changes(outcome, vec![CatalogChange::SigningKeys { cache: *cache }])
                    }
                    _ => Written::quietly(outcome),
                })
            })
        })
        .await
    }
}

async fn add_server_key(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    name: &str,
    public_key: [u8; 32],
) -> Result<Written<SigningKeyRecord>, CatalogError> {
    let keys = keys_of(transaction, cache).await?;
    if let Some(known) = find_server_key(&keys, name, public_key) {
        return Ok(Written::quietly(known.clone()));
    }
    if keys.iter().any(|key| key.name == name) {
        return Err(CatalogError::KeyNameTaken { cache, name: name.to_owned() });
    }
    let key = insert(transaction, cache, name, public_key, KeyOrigin::Server, None).await?;
    Ok(Written::with_changes(key, vec![CatalogChange::SigningKeys { cache }]))
}

fn find_server_key<'a>(
    keys: &'a [SigningKeyRecord],
    name: &str,
    public_key: [u8; 32],
) -> Option<&'a SigningKeyRecord> {
    let is_meant = |key: &&SigningKeyRecord| key.name == name && key.public_key == public_key;
    keys.iter().filter(is_meant).find(|key| key.origin == KeyOrigin::Server)
}

async fn add_key(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    name: &str,
    public_key: [u8; 32],
    origin: KeyOrigin,
) -> Result<Written<SigningKeyRecord>, CatalogError> {
    if keys_of(transaction, cache).await?.iter().any(|key| key.name == name) {
        return Err(CatalogError::KeyNameTaken { cache, name: name.to_owned() });
    }
    let key = insert(transaction, cache, name, public_key, origin, None).await?;
    Ok(Written::with_changes(key, vec![CatalogChange::SigningKeys { cache }]))
}

async fn retire_key(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    id: i64,
) -> Result<Written<Option<SigningKeyRecord>>, CatalogError> {
    let is_meant = |key: &SigningKeyRecord| key.id == id && key.retired_at.is_none();
    let Some(mut key) = keys_of(transaction, cache).await?.into_iter().find(is_meant) else {
        return Ok(Written::quietly(None));
    };
    let now = UnixTime::now();
    signing_key::Entity::update_many()
        .col_expr(signing_key::Column::RetiredAt, now.into())
        .filter(signing_key::Column::Id.eq(id))
        .exec(transaction)
        .await?;
    key.retired_at = Some(now);
    Ok(Written::with_changes(Some(key), vec![CatalogChange::SigningKeys { cache }]))
}

async fn register_client_key(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    name: &str,
    public_key: [u8; 32],
) -> Result<RegisterKey, CatalogError> {
    let keys = keys_of(transaction, cache).await?;
    let client_keys = || keys.iter().filter(|key| key.origin == KeyOrigin::Client);
    if let Some(current) = client_keys().find(|key| key.retired_at.is_none()) {
        return Ok(if current.public_key == public_key {
            RegisterKey::AlreadyRegistered
        } else {
            RegisterKey::OtherClientKey
        });
    }
    let paths =
        store_path::Entity::find().filter(store_path::Column::Cache.eq(cache)).count(transaction).await?;
    if paths > 0 {
        return Ok(RegisterKey::CacheNotEmpty { paths });
    }
    // A server key may have the name: it has signed nothing that still exists.
    if client_keys().any(|key| key.name == name && key.public_key != public_key) {
        return Ok(RegisterKey::NameTaken);
    }
    signing_key::Entity::update_many()
        .col_expr(signing_key::Column::RetiredAt, UnixTime::now().into())
        .filter(signing_key::Column::Cache.eq(cache))
        .filter(signing_key::Column::RetiredAt.is_null())
        .exec(transaction)
        .await?;
    insert(transaction, cache, name, public_key, KeyOrigin::Client, None).await?;
    Ok(RegisterKey::Registered)
}

/// Returns the keys that the cache ever published, in the order in which they were added.
pub(crate) async fn keys_of(
    connection: &impl ConnectionTrait,
    cache: CacheId,
) -> Result<Vec<SigningKeyRecord>, CatalogError> {
    let rows = signing_key::Entity::find()
        .filter(signing_key::Column::Cache.eq(cache))
        .order_by_asc(signing_key::Column::Id)
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(SigningKeyRecord::from).collect())
}

pub(crate) async fn insert(
    transaction: &DatabaseTransaction,
    cache: CacheId,
    name: &str,
    public_key: [u8; 32],
    origin: KeyOrigin,
    sealed: Option<Vec<u8>>,
) -> Result<SigningKeyRecord, CatalogError> {
    let row = signing_key::ActiveModel {
        id: ActiveValue::NotSet,
        cache: ActiveValue::Set(cache),
        name: ActiveValue::Set(name.to_owned()),
        public_key: ActiveValue::Set(public_key.into()),
        origin: ActiveValue::Set(origin.into()),
        created_at: ActiveValue::Set(UnixTime::now()),
        retired_at: ActiveValue::Set(None),
        sealed: ActiveValue::Set(sealed.map(|sealed| Sealed(sealed).into())),
    }
    .insert(transaction)
    .await?;
    Ok(row.into())
}

impl From<signing_key::Model> for SigningKeyRecord {
    fn from(row: signing_key::Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            public_key: *row.public_key,
            origin: *row.origin,
            created_at: row.created_at,
            retired_at: row.retired_at,
            sealed: row.sealed.map(|sealed| sealed.into_inner().0),
        }
    }
}
