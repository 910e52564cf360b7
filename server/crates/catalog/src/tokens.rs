//! Issued access tokens, so that they can be listed and revoked.

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, IntoActiveModel,
    QueryFilter, QueryOrder,
};
use uuid::Uuid;

use crate::entity::field::{Stored, stored};
use crate::entity::token;
use crate::writer::Written;
use crate::{Catalog, CatalogChange, CatalogError, UnixTime};

/// The caches that a token gives access to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenCaches {
    /// All caches, including those declared later.
    All,
    /// The caches with these names.
    Only(Vec<String>),
}

/// What a token permits on caches. Each permission includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TokenPermission {
    /// Reading.
    Read,
    /// Pushing.
    Write,
    /// Administering the caches.
    Admin,
}

impl TokenPermission {
    /// Returns the name: `read`, `write` or `admin`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// Returns the permission with this name.
    pub fn from_text(text: &str) -> Option<Self> {
        [Self::Read, Self::Write, Self::Admin].into_iter().find(|permission| permission.as_str() == text)
    }
}

/// What a token gives access to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenScope {
    /// Access to caches.
    Caches {
        /// The caches.
        caches: TokenCaches,
        /// What it permits on them.
        permission: TokenPermission,
    },
    /// Being the deploy agent of this name, and reading the cache of its workspace.
    Agent(String),
    /// Activating deployments in the workspace of this name, and watching them.
    Activate(String),
}

/// An issued token. The token itself is not stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// The id in the token.
    pub id: Uuid,
    /// The holder.
    pub subject: String,
    /// What it gives access to.
    pub scope: TokenScope,
    /// When it was issued.
    pub created_at: UnixTime,
    /// When it expires, if ever.
    pub expires_at: Option<UnixTime>,
    /// When it was revoked.
    pub revoked_at: Option<UnixTime>,
    /// The most bytes that may be pushed with it on one day.
    pub daily_limit: Option<u64>,
}

/// What the `permission` of a row says: a permission on caches, or what else the token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenRight {
    /// [`TokenScope::Caches`].
    Caches(TokenPermission),
    /// [`TokenScope::Agent`].
    Agent,
    /// [`TokenScope::Activate`].
    Activate,
}

impl Catalog {
    /// Records a token that is being issued.
    pub async fn insert_token(&self, token: TokenRecord) -> Result<(), CatalogError> {
        let (names, right) = token.scope.into_columns();
        let row = token::ActiveModel {
            id: ActiveValue::Set(token.id.into()),
            subject: ActiveValue::Set(token.subject),
            caches: ActiveValue::Set(names.into()),
            permission: ActiveValue::Set(right.into()),
            created_at: ActiveValue::Set(token.created_at),
            expires_at: ActiveValue::Set(token.expires_at),
            revoked_at: ActiveValue::Set(token.revoked_at),
            daily_limit: ActiveValue::Set(
                token.daily_limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX)),
            ),
        };
        self.write(row, |transaction, row| {
            Box::pin(async move {
                row.clone().insert(transaction).await?;
                Ok(Written::with_changes((), vec![CatalogChange::Tokens]))
            })
        })
        .await
    }

    /// Revokes a token. Returns false if it does not exist or was already revoked.
    pub async fn revoke_token(&self, id: Uuid) -> Result<bool, CatalogError> {
        self.write(id, |transaction, id| {
            Box::pin(revoke::<token::Entity>(transaction, token::Column::Id, token::Column::RevokedAt, id))
        })
        .await
    }

    /// Returns all issued tokens, including expired and revoked ones, oldest first.
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>, CatalogError> {
        token::Entity::find()
            .order_by_asc(token::Column::CreatedAt)
            .order_by_asc(token::Column::Id)
            .all(self.readers())
            .await?
            .into_iter()
            .map(TokenRecord::try_from)
            .collect()
    }
}

/// Notes that a token of either kind is revoked, unless that was noted before. Returns whether it was not.
pub(crate) async fn revoke<E: EntityTrait>(
    transaction: &DatabaseTransaction,
    id: E::Column,
    revoked_at: E::Column,
    token: &Uuid,
) -> Result<Written<bool>, CatalogError> {
    let revoked = E::update_many()
        .col_expr(revoked_at, UnixTime::now().into())
        .filter(id.eq(stored(token)))
        .filter(revoked_at.is_null())
        .exec(transaction)
        .await?;
    Ok(match revoked.rows_affected {
        0 => Written::quietly(false),
        _ => Written::with_changes(true, vec![CatalogChange::Tokens]),
    })
}

/// Ends the tokens that are for this cache alone, and takes it from those that are for others as well: a cache that is made
/// under its name later is another one. Returns whether there were any.
pub(crate) async fn take_from_tokens(
    transaction: &DatabaseTransaction,
    cache: &str,
) -> Result<bool, CatalogError> {
    let mut any = false;
    let valid = token::Entity::find().filter(token::Column::RevokedAt.is_null()).all(transaction).await?;
    for row in valid {
        let TokenScope::Caches { caches: TokenCaches::Only(names), permission } =
            TokenScope::from_columns(row.caches.clone().into_inner(), *row.permission)?
        else {
            continue;
        };
        let others: Vec<String> = names.iter().filter(|name| *name != cache).cloned().collect();
        if others.len() == names.len() {
            continue;
        }
        let mut changed = row.into_active_model();
        if others.is_empty() {
            // The names stay, so that operators see what it was for.
            changed.revoked_at = ActiveValue::Set(Some(UnixTime::now()));
        } else {
            let scope = TokenScope::Caches { caches: TokenCaches::Only(others), permission };
            changed.caches = ActiveValue::Set(scope.into_columns().0.into());
        }
        changed.update(transaction).await?;
        any = true;
    }
    Ok(any)
}

impl TokenScope {
    fn into_columns(self) -> (TokenCaches, TokenRight) {
        match self {
            Self::Caches { caches, permission } => (caches, TokenRight::Caches(permission)),
            Self::Agent(name) => (TokenCaches::Only(vec![name]), TokenRight::Agent),
            Self::Activate(workspace) => (TokenCaches::Only(vec![workspace]), TokenRight::Activate),
        }
    }

    fn from_columns(names: TokenCaches, right: TokenRight) -> Result<Self, CatalogError> {
        Ok(match right {
            TokenRight::Caches(permission) => Self::Caches { caches: names, permission },
            TokenRight::Agent => Self::Agent(only_name(names)?),
            TokenRight::Activate => Self::Activate(only_name(names)?),
        })
    }
}

fn only_name(names: TokenCaches) -> Result<String, CatalogError> {
    let found = match names {
        TokenCaches::All => "all names".to_owned(),
        TokenCaches::Only(names) => match <[String; 1]>::try_from(names) {
            Ok([name]) => return Ok(name),
            Err(names) => format!("{} names", names.len()),
        },
    };
    Err(CatalogError::corrupt::<token::Entity>("caches", found))
}

/// `*` for all caches, which no JSON list looks like, or a JSON list of names.
impl Stored for TokenCaches {
    type Raw = String;

    fn to_raw(&self) -> String {
        match self {
            Self::All => "*".to_owned(),
            Self::Only(names) => names.to_raw(),
        }
    }

    fn from_raw(raw: String) -> Result<Self, String> {
        if raw == "*" { Ok(Self::All) } else { Stored::from_raw(raw).map(Self::Only) }
    }
}

/// The name of a permission, `agent` or `activate`.
impl Stored for TokenRight {
    type Raw = String;

    fn to_raw(&self) -> String {
        let word = match self {
            Self::Caches(permission) => permission.as_str(),
            Self::Agent => "agent",
            Self::Activate => "activate",
        };
        word.to_owned()
    }

    fn from_raw(raw: String) -> Result<Self, String> {
        match raw.as_str() {
            "agent" => Ok(Self::Agent),
            "activate" => Ok(Self::Activate),
            word => TokenPermission::from_text(word).map(Self::Caches).ok_or_else(|| format!("{word:?}")),
        }
    }
}

impl TryFrom<token::Model> for TokenRecord {
    type Error = CatalogError;

    fn try_from(row: token::Model) -> Result<Self, CatalogError> {
        Ok(Self {
            id: *row.id,
            subject: row.subject,
            scope: TokenScope::from_columns(row.caches.into_inner(), *row.permission)?,
            created_at: row.created_at,
            expires_at: row.expires_at,
            revoked_at: row.revoked_at,
            daily_limit: row.daily_limit.and_then(|limit| u64::try_from(limit).ok()),
        })
    }
}
