//! Sessions of people who have logged in to the web pages. All daemons that share the catalog know them.

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use crate::entity::web_session;
use crate::writer::Written;
use crate::{Catalog, CatalogError, UnixTime};

/// The most sessions that are kept; the oldest make room.
const MOST: u64 = 10_000;
/// The most sessions of one token.
const MOST_OF_TOKEN: u64 = 20;

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSession {
    /// A keyed hash of the secret that the browser holds.
    pub id: [u8; 32],
    /// The token that was presented.
    pub token: Uuid,
    /// When the session ends.
    pub expires_at: UnixTime,
}

impl Catalog {
    /// Records a session that begins now. Expired sessions are removed, and so is the oldest of too many.
    pub async fn add_web_session(&self, session: WebSession) -> Result<(), CatalogError> {
        self.write(session, |transaction, session| {
            Box::pin(async move { add(transaction, session).await.map(Written::quietly) })
        })
        .await
    }

    /// Returns the token of a session that has not expired.
    pub async fn find_web_session(&self, id: &[u8; 32]) -> Result<Option<Uuid>, CatalogError> {
        let row = web_session::Entity::find_by_id(id.to_vec())
            .filter(web_session::Column::ExpiresAt.gt(UnixTime::now()))
            .one(self.readers())
            .await?;
        Ok(row.and_then(|row| row.token.parse().ok()))
    }

    /// Ends a session.
    pub async fn remove_web_session(&self, id: [u8; 32]) -> Result<(), CatalogError> {
        self.write(id, |transaction, id| {
            Box::pin(async move {
                web_session::Entity::delete_by_id(id.to_vec()).exec(transaction).await?;
                Ok(Written::quietly(()))
            })
        })
        .await
    }
}

async fn add(transaction: &DatabaseTransaction, session: &WebSession) -> Result<(), CatalogError> {
    let now = UnixTime::now();
    web_session::Entity::delete_many()
        .filter(web_session::Column::ExpiresAt.lte(now))
        .exec(transaction)
        .await?;
    let token = session.token.to_string();
    make_room(transaction, Some(&token), MOST_OF_TOKEN).await?;
    make_room(transaction, None, MOST).await?;
    web_session::ActiveModel {
        id: ActiveValue::Set(session.id.to_vec()),
        token: ActiveValue::Set(token),
        created_at: ActiveValue::Set(now),
        expires_at: ActiveValue::Set(session.expires_at),
    }
    .insert(transaction)
    .await?;
    Ok(())
}

/// Removes the oldest sessions, of one token or all, until there is room for one more.
async fn make_room(
    transaction: &DatabaseTransaction,
    token: Option<&str>,
    most: u64,
) -> Result<(), CatalogError> {
    let mut query = web_session::Entity::find();
    if let Some(token) = token {
        query = query.filter(web_session::Column::Token.eq(token));
    }
    let excess = (query.clone().count(transaction).await? + 1).saturating_sub(most);
    if excess == 0 {
        return Ok(());
    }
    let oldest: Vec<Vec<u8>> = query
        .select_only()
        .column(web_session::Column::Id)
        .order_by_asc(web_session::Column::CreatedAt)
        .order_by_asc(web_session::Column::Id)
        .limit(excess)
        .into_tuple()
        .all(transaction)
        .await?;
    for id in oldest {
        web_session::Entity::delete_by_id(id).exec(transaction).await?;
    }
    Ok(())
}
