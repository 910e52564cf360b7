//! Which catalog this is, and with which server keys it was used: what tells whether the parts of an installation belong
//! together after a backup was restored or a disk was exchanged.

use sea_orm::{ActiveModelTrait, ActiveValue, EntityTrait, QueryOrder};
use uuid::Uuid;

use crate::entity::{catalog_identity, server_key};
use crate::writer::Written;
use crate::{Catalog, CatalogError, ServerKeyRecord, UnixTime};

/// The id of the only row.
const ROW: i64 = 1;

impl Catalog {
    /// Returns the id of this catalog, made at random when it is first asked for. A backup has the id of its original.
    pub async fn identity(&self) -> Result<Uuid, CatalogError> {
        if let Some(known) = self.find_identity().await? {
            return Ok(known);
        }
        self.write(Uuid::new_v4(), |transaction, new| {
            Box::pin(async move {
                // Another daemon may have made one meanwhile.
                if let Some(known) = catalog_identity::Entity::find_by_id(ROW).one(transaction).await? {
                    return Ok(Written::quietly(*known.catalog));
                }
                let row = catalog_identity::ActiveModel {
                    id: ActiveValue::Set(ROW),
                    catalog: ActiveValue::Set((*new).into()),
                };
                catalog_identity::Entity::insert(row).exec_without_returning(transaction).await?;
                Ok(Written::quietly(*new))
            })
        })
        .await
    }

    /// Returns the id of this catalog, `None` if nobody has asked for it with [`Catalog::identity`].
    pub async fn find_identity(&self) -> Result<Option<Uuid>, CatalogError> {
        let row = catalog_identity::Entity::find_by_id(ROW).one(self.readers()).await?;
        Ok(row.map(|row| *row.catalog))
    }

    /// Returns the server keys that were used with the catalog, the current one last.
    pub async fn server_keys(&self) -> Result<Vec<ServerKeyRecord>, CatalogError> {
        Ok(server_key::Entity::find().order_by_asc(server_key::Column::Id).all(self.readers()).await?)
    }

    /// Records that a server key is in use from now on, unless it is already the current one.
    pub async fn note_server_key(&self, fingerprint: &str) -> Result<(), CatalogError> {
        if self.server_keys().await?.last().is_some_and(|known| known.fingerprint == fingerprint) {
            return Ok(());
        }
        self.write(fingerprint.to_owned(), |transaction, fingerprint| {
            Box::pin(async move {
                let last = server_key::Entity::find().order_by_desc(server_key::Column::Id);
                if last.one(transaction).await?.is_none_or(|last| last.fingerprint != *fingerprint) {
                    let row = server_key::ActiveModel {
                        id: ActiveValue::NotSet,
                        fingerprint: ActiveValue::Set(fingerprint.clone()),
                        since: ActiveValue::Set(UnixTime::now()),
                    };
                    row.insert(transaction).await?;
                }
                Ok(Written::quietly(()))
            })
        })
        .await
    }
}
