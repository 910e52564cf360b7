//! How much was pushed today with tokens that have a limit. Days are those of UTC.
//!
//! Kept in memory, by each daemon for itself; after a restart it begins with what the catalog has of the day.

use std::collections::HashMap;

use catalog::{Catalog, UnixTime};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::auth::TokenRef;
use crate::cache::PushError;

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// The bytes that were pushed today with each token that has a limit.
#[derive(Default)]
pub(super) struct DailyUse(Mutex<HashMap<Uuid, Today>>);

struct Today {
    day: i64,
    bytes: u64,
}

impl DailyUse {
    /// Makes sure that it is known what was pushed today with a token, and fails unless `announced` more bytes may come.
    pub(super) async fn begin(
        &self,
        catalog: &Catalog,
        token: Option<TokenRef>,
        announced: Option<u64>,
        now: UnixTime,
    ) -> Result<(), PushError> {
        let Some((token, limit)) = limited(token) else { return Ok(()) };
        let day = now.0.div_euclid(DAY);
        let is_known = |known: &Today| known.day == day;
        if !self.0.lock().get(&token).is_some_and(is_known) {
            let bytes = catalog.pushed_since(token, UnixTime(day * DAY)).await?;
            let mut tokens = self.0.lock();
            // Of other days nothing is needed any more.
            tokens.retain(|_, known| known.day == day);
            tokens.entry(token).or_insert(Today { day, bytes });
        }
        let used = self.0.lock().get(&token).map_or(0, |known| known.bytes);
        if used.saturating_add(announced.unwrap_or(1)) > limit {
            return Err(PushError::OverDailyLimit { seconds: seconds_left(now) });
        }
        Ok(())
    }

    /// Counts bytes that were pushed with a token. Returns whether they are within its limit.
    pub(super) fn take(&self, token: Option<TokenRef>, bytes: usize) -> bool {
        let Some((token, limit)) = limited(token) else { return true };
        let mut tokens = self.0.lock();
        let Some(known) = tokens.get_mut(&token) else { return true };
        known.bytes = known.bytes.saturating_add(bytes as u64);
        known.bytes <= limit
    }
}

/// The id of a token that has a limit, and the limit.
fn limited(token: Option<TokenRef>) -> Option<(Uuid, u64)> {
    let token = token?;
    Some((token.id(), token.daily_limit()?))
}

/// The seconds until the next day begins.
pub(super) fn seconds_left(now: UnixTime) -> u64 {
    u64::try_from(DAY - now.0.rem_euclid(DAY)).unwrap_or(0)
}
