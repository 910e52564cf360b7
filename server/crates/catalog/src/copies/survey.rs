//! Finding files with too few copies, or too many, from the catalog alone.

use std::cmp::Reverse;

use nix_formats::StorePathHash;
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{
    ActiveModelTrait, ActiveValue, ColumnTrait, DatabaseTransaction, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect,
};

use super::home::swap;
use super::{CopyState, NOT_MISSED, by_nar, new_row, rows_of};
use crate::entity::{nar, nar_copy};
use crate::gc::{paths_with_it, trashed_with_it};
use crate::paths::paths_of;
use crate::writer::Written;
use crate::{CacheId, Catalog, CatalogError, CopyId, NarId, PathChange, StorageId, closures};

/// What the copies of a cache are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The cache.
    pub cache: CacheId,
    /// How many copies of each file there should be, the one at its home included.
    pub copies: u64,
    /// The storages whose copies count: those that are declared, not draining, and not away for long.
    pub counted: Vec<StorageId>,
    /// The storages of which one is to have a copy of each file. None if any will do.
    pub durable: Vec<StorageId>,
    /// The storages that are not on the slowest tier. A copy there that is one too many stays: readers are served from it.
    pub fast: Vec<StorageId>,
    /// How many storages take new files when they work. There cannot be more copies.
    pub written: u64,
    /// The storages that can be read at the moment. Nothing is removed from others, nor because of what others have.
    pub readable: Vec<StorageId>,
}

/// What a step of a survey came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surveyed {
    /// The last file that was looked at, to go on behind it. `None` at the end.
    pub last: Option<NarId>,
    /// Copies that are to be made, in addition to those that were known.
    pub wanted: u64,
    /// Copies that are to be removed.
    pub surplus: u64,
    /// Paths that became visible again.
    pub revealed: Vec<StorePathHash>,
    /// Files that have another home.
    pub moved: u64,
}

/// What is to be done about one file.
#[derive(Debug, Default, PartialEq, Eq)]
struct Verdict {
    /// The copy that is to be the home.
    home: Option<CopyId>,
    /// So many copies are to be made.
    wanted: i64,
    /// Copies that are not wanted any more.
    unwanted: Vec<CopyId>,
    /// Copies that are to be removed.
    leaving: Vec<CopyId>,
    /// Sound copies that count.
    sound: i64,
}

impl Verdict {
    fn is_quiet(&self) -> bool {
        self.home.is_none() && self.wanted == 0 && self.unwanted.is_empty() && self.leaving.is_empty()
    }
}

impl Survey {
    fn counts(&self, storage: Option<StorageId>) -> bool {
        storage.is_some_and(|storage| self.counted.contains(&storage))
    }

    fn is_durable(&self, storage: Option<StorageId>) -> bool {
        storage.is_some_and(|storage| self.durable.contains(&storage))
    }

    fn is_fast(&self, storage: Option<StorageId>) -> bool {
        storage.is_some_and(|storage| self.fast.contains(&storage))
    }

    fn reads(&self, storage: Option<StorageId>) -> bool {
        storage.is_some_and(|storage| self.readable.contains(&storage))
    }

    /// Decides about a file from its row and those of its further copies.
    fn judge(&self, nar: &nar::Model, copies: &[nar_copy::Model]) -> Verdict {
        let mut verdict = Verdict::default();
        let of = |state| copies.iter().filter(move |copy| *copy.state == state);
        let home_counts = !nar.damaged && self.counts(Some(nar.storage));
        let mut sound: Vec<_> = of(CopyState::There).filter(|copy| self.counts(copy.storage)).collect();
        let mut home = Some(nar.storage).filter(|_| home_counts);
        // Those that were looked at last stay.
        sound.sort_by_key(|copy| (Reverse(copy.checked_at.map(|at| at.0)), copy.id));
        verdict.sound = sound.len() as i64 + i64::from(home_counts);
        if !home_counts && let Some(first) = sound.first() {
            verdict.home = Some(first.id);
            home = first.storage;
        } else if nar.damaged
            && let Some(any) = of(CopyState::There).find(|copy| self.reads(copy.storage))
        {
            verdict.home = Some(any.id);
        }
        if nar.damaged && verdict.home.is_none() {
            return verdict;
        }
        // What is damaged on a storage that does not count is made elsewhere.
        let (repaired, given_up): (Vec<_>, Vec<_>) =
            of(CopyState::Damaged).partition(|copy| self.counts(copy.storage));
        verdict.leaving.extend(given_up.iter().map(|copy| copy.id));
        let wanted: Vec<_> = of(CopyState::Wanted).collect();
        let is_missed = |copy: &&nar_copy::Model| copy.exposure != NOT_MISSED;
        let coming: Vec<_> = of(CopyState::Copying).filter(is_missed).chain(repaired).collect();
        let pending = (coming.len() + wanted.len()) as i64;
        let target = i64::try_from(self.copies).unwrap_or(i64::MAX);
        let mut missing = target - verdict.sound - pending;
        let lacks_durable = !self.durable.is_empty()
            && !self.is_durable(home)
            && !sound.iter().chain(&coming).any(|copy| self.is_durable(copy.storage));
        if lacks_durable {
            // The next one that is made is durable.
            missing = Ord::max(missing, 1 - wanted.len() as i64);
        }
        if missing > 0 {
            verdict.wanted = missing;
        } else {
            let unwanted = usize::try_from(-missing).unwrap_or(0).min(wanted.len());
            let free = wanted.iter().filter(|copy| copy.claimed_at.is_none());
            verdict.unwanted.extend(free.take(unwanted).map(|copy| copy.id));
        }
        // Those that are to stay have to be there.
        let may_rely = sound.iter().all(|copy| self.reads(copy.storage))
            && (!home_counts || self.reads(Some(nar.storage)));
        if may_rely && !lacks_durable {
            verdict.leaving.extend(self.surplus(home, &sound, target));
        }
        // Those on storages that are being emptied, once there are as many elsewhere as there can be.
        let possible = Ord::min(target, i64::try_from(self.written).unwrap_or(i64::MAX));
        if may_rely && !lacks_durable && verdict.sound >= Ord::max(possible, 1) {
            let emptied = of(CopyState::There)
                .filter(|copy| !self.counts(copy.storage) && self.reads(copy.storage))
                .filter(|copy| verdict.home != Some(copy.id));
            let emptied: Vec<CopyId> = emptied.map(|copy| copy.id).collect();
            verdict.leaving.extend(emptied);
        }
        verdict
    }

    /// Picks those of the `sound` copies beside a file's `home` that are too many, if `target` copies are to be kept in all.
    fn surplus(&self, home: Option<StorageId>, sound: &[&nar_copy::Model], target: i64) -> Vec<CopyId> {
        let mut rest: Vec<_> = sound.iter().filter(|copy| copy.storage != home).collect();
        let places = || rest.iter().map(|copy| copy.storage).chain([home]);
        let fast = places().filter(|place| self.is_fast(*place)).count() as i64;
        let all = places().count() as i64;
        // Where the slowest tier alone has enough, one on a faster tier is kept besides; and a durable one beside any other home.
        let kept = target + i64::from(fast > 0 && all - fast >= target);
        let kept = Ord::max(kept, 1 + i64::from(!self.durable.is_empty() && !self.is_durable(home)));
        let mut keep_first = |is_wanted: &dyn Fn(Option<StorageId>) -> bool| {
            if !is_wanted(home)
                && let Some(first) = rest.iter().position(|copy| is_wanted(copy.storage))
            {
                rest[..=first].rotate_right(1);
            }
        };
        keep_first(&|place| self.is_fast(place));
        keep_first(&|place| self.is_durable(place));
        let surplus = usize::try_from(all - kept).unwrap_or(0);
        rest.iter().rev().take(surplus).map(|copy| copy.id).collect()
    }
}

impl Catalog {
    /// Compares at most `limit` files behind `after` with what there should be, and records what is to be done: copies that are
    /// wanted, copies that are to be removed, and other homes.
    pub async fn survey_copies(
        &self,
        survey: &Survey,
        after: Option<NarId>,
        limit: u64,
    ) -> Result<Surveyed, CatalogError> {
        let nars = nar::Entity::find()
            .filter(nar::Column::Cache.eq(survey.cache))
            .filter(nar::Column::Id.gt(after.unwrap_or(NarId(0))))
            .order_by_asc(nar::Column::Id)
            .limit(limit)
            .all(self.readers())
            .await?;
        let Some(last) = nars.last().map(|nar| nar.id) else { return Ok(Surveyed::default()) };
        let ids: Vec<NarId> = nars.iter().map(|nar| nar.id).collect();
        let copies = by_nar(rows_of(self.readers(), &ids).await?);
        let of = |nar: &nar::Model| copies.get(&nar.id).map_or(&[][..], Vec::as_slice);
        let judged = nars.iter().filter(|nar| !survey.judge(nar, of(nar)).is_quiet());
        let changing: Vec<NarId> = judged.map(|nar| nar.id).collect();
        if changing.is_empty() {
            return Ok(Surveyed { last: Some(last), ..Surveyed::default() });
        }
        let surveyed = self
            .write((survey.clone(), changing), |transaction, (survey, nars)| {
                Box::pin(settle(transaction, survey, nars))
            })
            .await?;
        Ok(Surveyed { last: Some(last), ..surveyed })
    }
}

async fn settle(
    transaction: &DatabaseTransaction,
    survey: &Survey,
    nars: &[NarId],
) -> Result<Written<Surveyed>, CatalogError> {
    let mut copies = by_nar(rows_of(transaction, nars).await?);
    // Files that nothing needs are about to be removed.
    let needed = nar::Entity::find()
        .filter(nar::Column::Id.is_in(nars.iter().copied()))
        .filter(Expr::exists(paths_with_it()).or(Expr::exists(trashed_with_it())))
        .all(transaction)
        .await?;
    let mut surveyed = Surveyed::default();
    let mut changes = Vec::new();
    for nar in needed {
        let copies = copies.remove(&nar.id).unwrap_or_default();
        let verdict = survey.judge(&nar, &copies);
        if let Some(home) = verdict.home
            && let Some(copy) = copies.iter().find(|copy| copy.id == home)
        {
            swap(transaction, &nar, copy, verdict.sound).await?;
            surveyed.moved += 1;
            let paths = paths_of(transaction, nar.id).await?;
            let change = if nar.damaged { PathChange::Inserted } else { PathChange::Updated };
            changes.extend(paths.iter().map(|path| path.change(change)));
            if nar.damaged {
                let hashes: Vec<StorePathHash> = paths.iter().map(|path| path.hash).collect();
                closures::settle(transaction, nar.cache, &hashes).await?;
                surveyed.revealed.extend(hashes);
            }
        }
        if verdict.wanted > 0 {
            let rows = (0..verdict.wanted)
                .map(|number| new_row(&nar, CopyState::Wanted, Ord::max(verdict.sound, 1) + number));
            nar_copy::Entity::insert_many(rows).exec_without_returning(transaction).await?;
            surveyed.wanted += verdict.wanted.unsigned_abs();
        }
        for id in verdict.unwanted {
            nar_copy::Entity::delete_by_id(id).exec(transaction).await?;
        }
        for id in verdict.leaving {
            let leaving = nar_copy::ActiveModel {
                id: ActiveValue::Unchanged(id),
                state: ActiveValue::Set(CopyState::Leaving.into()),
                claimed_at: ActiveValue::Set(None),
                ..Default::default()
            };
            leaving.update(transaction).await?;
            surveyed.surplus += 1;
        }
    }
    Ok(Written::with_changes(surveyed, changes))
}

#[cfg(test)]
mod tests;
