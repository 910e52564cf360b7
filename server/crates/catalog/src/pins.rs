//! Pins: names that protect paths from garbage collection, in numbered revisions.

use nix_formats::{StorePath, StorePathHash};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, Condition, DatabaseTransaction, EntityTrait, QueryFilter,
    QueryOrder, QuerySelect,
};

use crate::entity::field::stored;
use crate::entity::pin;
use crate::entity::values::{Count, store_path};
use crate::paths::find_visible;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, UnixTime};

/// How long a revision of a pin protects its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// As long as the pin exists, which is the default.
    All,
    /// For so many days after it was added.
    Days(u32),
    /// Until so many newer revisions exist. The newest is always kept.
    Revisions(u32),
    /// Forever, as requested explicitly.
    Forever,
}

/// A revision to be added to a pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPin {
    /// The cache that holds the path.
    pub cache: CacheId,
    /// The name of the pin.
    pub name: String,
    /// The path that it protects.
    pub path: StorePathHash,
    /// Files inside the path, as the client named them.
    pub artifacts: Vec<String>,
    /// How long it protects the path.
    pub keep: Keep,
}

/// The outcome of adding a pin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinOutcome {
    /// It was added.
    Added {
        /// Its number under the name, from 1.
        revision: u64,
    },
    /// The cache does not have the path, or the path is hidden.
    UnknownPath,
}

/// One revision of a pin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRecord {
    /// The name of the pin.
    pub name: String,
    /// The number of the revision, from 1: higher than that of every older revision that exists.
    pub revision: u64,
    /// The path that it protects.
    pub path: StorePath,
    /// Files inside the path, as the client named them.
    pub artifacts: Vec<String>,
    /// How long it protects the path.
    pub keep: Keep,
    /// When it was added.
    pub created_at: UnixTime,
}

impl Catalog {
    /// Adds a revision under the name. With [`Keep::Revisions`] the oldest revisions beyond that number are removed.
    pub async fn add_pin(&self, pin: NewPin) -> Result<PinOutcome, CatalogError> {
        self.add_pin_at(pin, UnixTime::now()).await
    }

    /// As [`Catalog::add_pin`], at this time.
    pub(crate) async fn add_pin_at(&self, pin: NewPin, now: UnixTime) -> Result<PinOutcome, CatalogError> {
        self.write((pin, now), |transaction, (pin, now)| Box::pin(add_pin(transaction, pin, *now))).await
    }

    /// Removes one revision of a pin, or all of them without `revision`. Returns how many were removed.
    pub async fn remove_pins(
        &self,
        cache: CacheId,
        name: &str,
        revision: Option<u64>,
    ) -> Result<u64, CatalogError> {
        let revision = revision.map(|revision| Count::new("the revision", revision)).transpose()?;
        self.write((cache, name.to_owned(), revision), |transaction, (cache, name, revision)| {
            Box::pin(async move {
                let mut delete = pin::Entity::delete_many()
                    .filter(pin::Column::Cache.eq(*cache))
                    .filter(pin::Column::Name.eq(name.as_str()));
                if let Some(revision) = revision {
                    delete = delete.filter(pin::Column::Revision.eq(revision.signed()));
                }
                Ok(Written::quietly(delete.exec(transaction).await?.rows_affected))
            })
        })
        .await
    }

    /// Returns at most `limit` pins of a cache by name, each with its newest revision first, after the revision `after` of a name.
    pub async fn pins_page(
        &self,
        cache: CacheId,
        after: Option<(&str, u64)>,
        limit: u64,
    ) -> Result<Vec<PinRecord>, CatalogError> {
        let mut query = pin::Entity::find().filter(pin::Column::Cache.eq(cache));
        if let Some((name, revision)) = after {
            let revision = Count::new("the revision", revision)?;
            let same_name = Condition::all()
                .add(pin::Column::Name.eq(name))
                .add(pin::Column::Revision.lt(revision.signed()));
            query = query.filter(Condition::any().add(pin::Column::Name.gt(name)).add(same_name));
        }
        let query = query.order_by_asc(pin::Column::Name).order_by_desc(pin::Column::Revision);
        let rows = query.limit(limit).all(self.readers()).await?;
        rows.into_iter().map(PinRecord::try_from).collect()
    }

    /// Returns at most `limit` pins that protect a path themselves, newest first.
    pub async fn pins_of(
        &self,
        cache: CacheId,
        path: &StorePathHash,
        limit: u64,
    ) -> Result<Vec<PinRecord>, CatalogError> {
        let rows = pin::Entity::find()
            .filter(pin::Column::Cache.eq(cache))
            .filter(pin::Column::PathHash.eq(stored(path)))
            .order_by_desc(pin::Column::CreatedAt)
            .limit(limit)
            .all(self.readers())
            .await?;
        rows.into_iter().map(PinRecord::try_from).collect()
    }

    /// Returns all pins of a cache by name, each with its newest revision first.
    pub async fn list_pins(&self, cache: CacheId) -> Result<Vec<PinRecord>, CatalogError> {
        pin::Entity::find()
            .filter(pin::Column::Cache.eq(cache))
            .order_by_asc(pin::Column::Name)
            .order_by_desc(pin::Column::Revision)
            .all(self.readers())
            .await?
            .into_iter()
            .map(PinRecord::try_from)
            .collect()
    }
}

async fn add_pin(
    transaction: &DatabaseTransaction,
    new: &NewPin,
    now: UnixTime,
) -> Result<Written<PinOutcome>, CatalogError> {
    let Some(path) = find_visible(transaction, new.cache, &new.path).await? else {
        return Ok(Written::quietly(PinOutcome::UnknownPath));
    };
    let of_this_name = || {
        pin::Entity::find()
            .filter(pin::Column::Cache.eq(new.cache))
            .filter(pin::Column::Name.eq(new.name.as_str()))
            .order_by_desc(pin::Column::Revision)
    };
    let revision =
        of_this_name().one(transaction).await?.map_or(Count::ZERO, |newest| *newest.revision).plus(1);
    let (keep_days, keep_revisions, keep_forever) = match new.keep {
        Keep::All => (None, None, false),
        Keep::Days(days) => (Some(days.into()), None, false),
        Keep::Revisions(revisions) => (None, Some(revisions.into()), false),
        Keep::Forever => (None, None, true),
    };
    pin::ActiveModel {
        id: ActiveValue::NotSet,
        cache: ActiveValue::Set(new.cache),
        name: ActiveValue::Set(new.name.clone()),
        revision: ActiveValue::Set(revision.into()),
        path_hash: ActiveValue::Set(path.hash.into_inner().into()),
        path_name: ActiveValue::Set(path.name),
        artifacts: ActiveValue::Set(new.artifacts.clone().into()),
        keep_days: ActiveValue::Set(keep_days),
        keep_revisions: ActiveValue::Set(keep_revisions),
        keep_forever: ActiveValue::Set(keep_forever),
        created_at: ActiveValue::Set(now),
    }
    .insert(transaction)
    .await?;
    if let Keep::Revisions(revisions) = new.keep {
        let oldest_kept =
            of_this_name().offset(u64::from(revisions.saturating_sub(1))).limit(1).one(transaction).await?;
        if let Some(oldest_kept) = oldest_kept {
            pin::Entity::delete_many()
                .filter(pin::Column::Cache.eq(new.cache))
                .filter(pin::Column::Name.eq(new.name.as_str()))
                .filter(pin::Column::Revision.lt(oldest_kept.revision))
                .exec(transaction)
                .await?;
        }
    }
    Ok(Written::quietly(PinOutcome::Added { revision: revision.get() }))
}

impl TryFrom<pin::Model> for PinRecord {
    type Error = CatalogError;

    fn try_from(row: pin::Model) -> Result<Self, CatalogError> {
        let keep = match (row.keep_days, row.keep_revisions, row.keep_forever) {
            (Some(days), _, _) => Keep::Days(*days),
            (None, Some(revisions), _) => Keep::Revisions(*revisions),
            (None, None, true) => Keep::Forever,
            (None, None, false) => Keep::All,
        };
        Ok(Self {
            name: row.name,
            revision: row.revision.get(),
            path: store_path::<pin::Entity>("path_name", *row.path_hash, &row.path_name)?,
            artifacts: row.artifacts.into_inner(),
            keep,
            created_at: row.created_at,
        })
    }
}
