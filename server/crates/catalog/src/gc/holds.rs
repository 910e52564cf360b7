//! Paths that pins protect.

use std::collections::HashSet;

use nix_formats::StorePathHash;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder};

use super::IN_LIST;
use crate::entity::field::stored;
use crate::entity::pin;
use crate::pins::Keep;
use crate::{CacheId, CatalogError, PinRecord, UnixTime};

/// Seconds in a day.
const DAY: i64 = 24 * 60 * 60;

/// Returns the revisions that still protect their path. `pins` is ordered by name, each with its newest revision first.
pub(super) fn holding(pins: Vec<PinRecord>, now: UnixTime) -> Vec<PinRecord> {
    let mut newer = 0;
    let mut name = String::new();
    let mut held = Vec::new();
    for pin in pins {
        newer = if pin.name == name { newer + 1 } else { 0 };
        name.clone_from(&pin.name);
        let holds = match pin.keep {
            Keep::All | Keep::Forever => true,
            Keep::Days(days) => pin.created_at.0.saturating_add(i64::from(days) * DAY) > now.0,
            Keep::Revisions(revisions) => newer < revisions.max(1),
        };
        if holds {
            held.push(pin);
        }
    }
    held
}

/// Returns the hashes that a pin protects now, including all of `hashes` that one does.
pub(super) async fn pinned(
    connection: &impl ConnectionTrait,
    cache: CacheId,
    hashes: &[StorePathHash],
    now: UnixTime,
) -> Result<HashSet<StorePathHash>, CatalogError> {
    let pins = pins_on(connection, cache, hashes, now).await?;
    Ok(pins.into_iter().map(|pin| *pin.path.hash()).collect())
}

/// Returns the revisions that protect their path now, of all pins on any of the hashes, including revisions on other paths.
pub(super) async fn pins_on(
    connection: &impl ConnectionTrait,
    cache: CacheId,
    hashes: &[StorePathHash],
    now: UnixTime,
) -> Result<Vec<PinRecord>, CatalogError> {
    let mut names = HashSet::new();
    for some in hashes.chunks(IN_LIST) {
        let on_these = pin::Entity::find()
            .filter(pin::Column::Cache.eq(cache))
            .filter(pin::Column::PathHash.is_in(some.iter().map(stored)))
            .all(connection)
            .await?;
        names.extend(on_these.into_iter().map(|pin| pin.name));
    }
    let names: Vec<String> = names.into_iter().collect();
    let mut held = Vec::new();
    for some in names.chunks(IN_LIST) {
        // All revisions: whether one is kept depends on the number of newer ones.
        let pins = pin::Entity::find()
            .filter(pin::Column::Cache.eq(cache))
            .filter(pin::Column::Name.is_in(some.iter().cloned()))
            .order_by_asc(pin::Column::Name)
            .order_by_desc(pin::Column::Revision)
            .all(connection)
            .await?;
        let pins = pins.into_iter().map(PinRecord::try_from).collect::<Result<_, _>>()?;
        held.append(&mut holding(pins, now));
    }
    Ok(held)
}
