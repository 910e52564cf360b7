//! Those who proved by a token of an OpenID provider, or by a certificate, who they are.

use std::collections::BTreeMap;

use sea_orm::sea_query::OnConflict;
use sea_orm::{ActiveValue, ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use uuid::Uuid;

use crate::entity::session;
use crate::tokens::{TokenRight, revoke};
use crate::writer::Written;
use crate::{Catalog, CatalogError, TokenCaches, TokenPermission, UnixTime};

/// Somebody who has proved who they are, without a token of this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// The id, under which it is listed and revoked. Paths that it pushes carry it.
    pub id: Uuid,
    /// The OpenID provider; `None` for a certificate.
    pub provider: Option<String>,
    /// Who it is, as the provider or the certificate says.
    pub subject: String,
    /// What was proved. A claim may have several values.
    pub claims: BTreeMap<String, Vec<String>>,
    /// The caches that it opens.
    pub caches: Vec<String>,
    /// What it permits on them.
    pub permission: TokenPermission,
    /// When it began.
    pub created_at: UnixTime,
    /// When it ends.
    pub expires_at: UnixTime,
    /// When it was revoked.
    pub revoked_at: Option<UnixTime>,
}

impl Catalog {
    /// Records a session that begins, unless there is one with its id. Returns the one that there is then.
    pub async fn begin_session(&self, record: SessionRecord) -> Result<SessionRecord, CatalogError> {
        let id = record.id;
        let row = session::ActiveModel {
            id: ActiveValue::Set(record.id.into()),
            provider: ActiveValue::Set(record.provider),
            subject: ActiveValue::Set(record.subject),
            claims: ActiveValue::Set(serde_json::to_string(&record.claims).expect("texts always encode")),
            caches: ActiveValue::Set(TokenCaches::Only(record.caches).into()),
            permission: ActiveValue::Set(TokenRight::Caches(record.permission).into()),
            created_at: ActiveValue::Set(record.created_at),
            expires_at: ActiveValue::Set(record.expires_at),
            revoked_at: ActiveValue::Set(record.revoked_at),
        };
        self.write(row, |transaction, row| {
            Box::pin(async move {
                let at_most_once = OnConflict::column(session::Column::Id).do_nothing().to_owned();
                session::Entity::insert(row.clone())
                    .on_conflict(at_most_once)
                    .exec_without_returning(transaction)
                    .await?;
                Ok(Written::quietly(()))
            })
        })
        .await?;
        let found = self.find_session(id).await?;
        found.ok_or_else(|| CatalogError::corrupt::<session::Entity>("id", "it is gone".to_owned()))
    }

    /// Returns the session with this id.
    pub async fn find_session(&self, id: Uuid) -> Result<Option<SessionRecord>, CatalogError> {
        let row = session::Entity::find_by_id(id).one(self.readers()).await?;
        row.map(SessionRecord::try_from).transpose()
    }

    /// Returns the sessions that end after `time`, oldest first. Revoked ones are among them.
    pub async fn sessions_after(&self, time: UnixTime) -> Result<Vec<SessionRecord>, CatalogError> {
        session::Entity::find()
            .filter(session::Column::ExpiresAt.gt(time))
            .order_by_asc(session::Column::CreatedAt)
            .order_by_asc(session::Column::Id)
            .all(self.readers())
            .await?
            .into_iter()
            .map(SessionRecord::try_from)
            .collect()
    }

    /// Revokes a session. Returns false if it does not exist or was already revoked.
    pub async fn revoke_session(&self, id: Uuid) -> Result<bool, CatalogError> {
        self.write(id, |transaction, id| {
            Box::pin(revoke::<session::Entity>(
                transaction,
                session::Column::Id,
                session::Column::RevokedAt,
                id,
            ))
        })
        .await
    }

    /// Forgets the sessions that ended before `time`. Returns how many there were.
    pub async fn forget_sessions(&self, time: UnixTime) -> Result<u64, CatalogError> {
        self.write(time, |transaction, time| {
            Box::pin(async move {
                let ended = session::Entity::delete_many().filter(session::Column::ExpiresAt.lt(*time));
                Ok(Written::quietly(ended.exec(transaction).await?.rows_affected))
            })
        })
        .await
    }
}

impl TryFrom<session::Model> for SessionRecord {
    type Error = CatalogError;

    fn try_from(row: session::Model) -> Result<Self, CatalogError> {
        let corrupt = |column, found: String| CatalogError::corrupt::<session::Entity>(column, found);
        let caches = match row.caches.into_inner() {
            TokenCaches::Only(names) => names,
            TokenCaches::All => return Err(corrupt("caches", "all names".to_owned())),
        };
        let permission = match *row.permission {
            TokenRight::Caches(permission) => permission,
            other => return Err(corrupt("permission", format!("{other:?}"))),
        };
        Ok(Self {
            id: *row.id,
            provider: row.provider,
            subject: row.subject,
            claims: serde_json::from_str(&row.claims)
                .map_err(|error| corrupt("claims", error.to_string()))?,
            caches,
            permission,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
        })
    }
}
