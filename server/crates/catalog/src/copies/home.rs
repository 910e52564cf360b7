//! Making another sound copy the home of a file.

use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, ConnectionTrait, DatabaseTransaction, EntityTrait,
    QueryFilter,
};

use super::{CopyState, rows_of};
use crate::entity::field::stored;
use crate::entity::{nar, nar_copy};
use crate::storages::Storages;
use crate::{CatalogError, NarId, StorageId};

/// Makes a sound copy the home of a file. What was its home becomes a further copy, damaged if the file was.
pub(super) async fn swap(
    transaction: &DatabaseTransaction,
    nar: &nar::Model,
    copy: &nar_copy::Model,
    exposure: i64,
) -> Result<(), CatalogError> {
    let Some(storage) = copy.storage else { return Ok(()) };
    let row = nar::ActiveModel {
        id: ActiveValue::Unchanged(nar.id),
        storage: ActiveValue::Set(storage),
        damaged: ActiveValue::Set(false),
        ..Default::default()
    };
    row.update(transaction).await?;
    let state = if nar.damaged { CopyState::Damaged } else { CopyState::There };
    let former = nar_copy::ActiveModel {
        id: ActiveValue::Unchanged(copy.id),
        storage: ActiveValue::Set(Some(nar.storage)),
        state: ActiveValue::Set(state.into()),
        exposure: ActiveValue::Set(exposure),
        checked_at: ActiveValue::Set(None),
        ..Default::default()
    };
    former.update(transaction).await?;
    Ok(())
}

/// What a report of damage came to.
pub(crate) enum Saved {
    /// The file is read from elsewhere, and the copy is to be replaced.
    ByCopy,
    /// There is no other sound copy.
    No,
    /// It was about a copy that is not recorded, or known to be damaged.
    Unconcerned,
}

/// Takes note that a file is missing or changed on a storage. If that is its home, another sound copy becomes that.
pub(crate) async fn save_from_damage(
    transaction: &DatabaseTransaction,
    nar: NarId,
    storage: StorageId,
) -> Result<Saved, CatalogError> {
    let Some(row) = nar::Entity::find_by_id(nar).one(transaction).await? else {
        return Ok(Saved::Unconcerned);
    };
    let copies = rows_of(transaction, &[nar]).await?;
    let is_sound = |copy: &&nar_copy::Model| *copy.state == CopyState::There;
    let sound = i64::try_from(copies.iter().filter(is_sound).count()).unwrap_or(i64::MAX);
    if row.storage == storage {
        if copies.is_empty() {
            return Ok(Saved::No);
        }
        let storages = Storages::of(transaction, row.cache).await?;
        let is_enabled = |copy: &&nar_copy::Model| copy.storage.is_some_and(|at| storages.is_enabled(at));
        let Some(copy) = copies.iter().filter(is_sound).find(is_enabled) else { return Ok(Saved::No) };
        swap(transaction, &nar::Model { damaged: true, ..row }, copy, sound).await?;
        return Ok(Saved::ByCopy);
    }
    let Some(copy) = copies.iter().find(|copy| copy.storage == Some(storage)) else {
        return Ok(Saved::Unconcerned);
    };
    if !is_sound(&copy) {
        return Ok(Saved::Unconcerned);
    }
    let damaged = nar_copy::ActiveModel {
        id: ActiveValue::Unchanged(copy.id),
        state: ActiveValue::Set(CopyState::Damaged.into()),
        exposure: ActiveValue::Set(sound - i64::from(row.damaged)),
        claimed_at: ActiveValue::Set(None),
        ..Default::default()
    };
    damaged.update(transaction).await?;
    Ok(Saved::ByCopy)
}

/// Gives the files of a storage that is no longer declared another home, where they have a sound copy on one that is.
pub(crate) async fn leave_storage(
    transaction: &DatabaseTransaction,
    from: StorageId,
    enabled: &[StorageId],
) -> Result<(), CatalogError> {
    let any = nar_copy::Entity::find()
        .filter(nar_copy::Column::Storage.is_in(enabled.iter().copied()))
        .filter(nar_copy::Column::State.eq(stored(&CopyState::There)))
        .one(transaction)
        .await?;
    if any.is_none() {
        return Ok(());
    }
    // In two statements, as there may be millions. All values are numbers.
    let ids: Vec<String> = enabled.iter().map(|id| id.0.to_string()).collect();
    let (from, enabled) = (from.0, ids.join(", "));
    let copies =
        format!("FROM nar_copy AS c WHERE c.nar = nar.id AND c.state = 'there' AND c.storage IN ({enabled})");
    transaction
        .execute_unprepared(&format!(
            "UPDATE nar SET storage = (SELECT MIN(c.storage) {copies}) \
             WHERE storage = {from} AND damaged = FALSE AND EXISTS (SELECT 1 {copies})"
        ))
        .await?;
    transaction
        .execute_unprepared(&format!(
            "UPDATE nar_copy SET storage = {from} WHERE state = 'there' AND storage IN ({enabled}) AND EXISTS \
             (SELECT 1 FROM nar AS n WHERE n.id = nar_copy.nar AND n.storage = nar_copy.storage)"
        ))
        .await?;
    Ok(())
}
