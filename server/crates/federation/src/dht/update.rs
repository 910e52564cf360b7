//! Changing records that others change too, so that nobody's entry is lost.
//!
//! Each node that stores a record refuses a version that was not made from the one it has (compare and swap). But every
//! node decides for itself, so of two writers at once each may win at some nodes. Hence a change only counts as done when
//! every node that answers has the newest version and the change is in it. Nodes that are behind are given the newest
//! version first, whoever made it, so that a version once seen as the newest everywhere is what the next one is made from.

use std::time::Duration;

use mainline::MutableItem;
use mainline::async_dht::AsyncDht;
use mainline::errors::{PutMutableError, PutQueryError};

use super::read::decode;
use super::{Dht, DhtError};
use crate::network_key::NetworkKey;
use crate::record::{Name, Record};
use crate::{Stamp, Timing};

/// Attempts before a change is given up for now.
const ATTEMPTS: u32 = 24;
/// Attempts that nobody answers.
const UNANSWERED: u32 = 3;
/// Nodes that a record is stored at, where there are as many.
const COPIES: u32 = 20;
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

impl Dht {
    /// Reads the record, changes it and writes it back, under each key of the network. `change` may be called several
    /// times and must not change anything when its change is made already.
    pub async fn update<R: Record>(
        &self,
        name: &Name,
        timing: &Timing,
        change: impl Fn(&mut R) + Send + Sync,
    ) -> Result<(), DhtError> {
        for key in self.keys.iter() {
            self.update_under(key, name, timing, &change).await?;
        }
        Ok(())
    }

    async fn update_under<R: Record>(
        &self,
        key: &NetworkKey,
        name: &Name,
        timing: &Timing,
        change: &(impl Fn(&mut R) + Send + Sync),
    ) -> Result<(), DhtError> {
        let salt = name.salt();
        let mut unanswered = 0;
        for attempt in 0..ATTEMPTS {
            pause(attempt).await?;
            let node = self.node().ok_or(DhtError::Alone)?;
            let reading = self.read_all(key, name).await;
            if reading.answered == 0 {
                unanswered += 1;
                if node.to_bootstrap().await.is_empty() {
                    return Err(DhtError::Alone);
                }
                if unanswered == UNANSWERED {
                    break;
                }
                continue;
            }
            if let Some(newest) = reading.newest.as_ref().filter(|_| reading.behind > 0) {
                // Nodes that have something else now refuse it, and then there is something newer to read.
                let _ = node.put_mutable(newest.clone(), None).await;
                continue;
            }
            let before: R =
                reading.newest.as_ref().and_then(|item| decode(key, name, item, timing)).unwrap_or_default();
            let mut after = before.clone();
            change(&mut after);
            let wanted = reading.answered.min(COPIES);
            if after == before {
                if let Some(newest) = reading.newest.filter(|_| reading.copies < wanted as usize / 2) {
                    // Nodes have gone or come since. Whether they take it now is not worth another round.
                    let _ = node.put_mutable(newest, None).await;
                }
                return Ok(());
            }
            let sequence = reading.newest.as_ref().map_or(0, MutableItem::seq);
            let value = key.seal(&salt, &after.encode())?;
            let next = next_sequence(sequence)?;
            let item = MutableItem::new(key.writer().clone(), &value, next, Some(&salt));
            match put(&node, item, sequence).await {
                Ok(stored_at) if stored_at >= wanted => return Ok(()),
                Ok(_) | Err(Refusal::Conflict) => {}
                Err(Refusal::Unanswered) => unanswered += 1,
            }
            if unanswered == UNANSWERED {
                break;
            }
        }
        match unanswered {
            UNANSWERED => Err(DhtError::Unanswered(name.to_string())),
            _ => Err(DhtError::Contended(name.to_string())),
        }
    }
}

enum Refusal {
    /// Somebody else wrote.
    Conflict,
    /// Nobody is there.
    Unanswered,
}

/// Writes what was made from the version with this sequence number; 0 for none, which no record has.
async fn put(node: &AsyncDht, item: MutableItem, made_from: i64) -> Result<u32, Refusal> {
    match node.put_mutable(item, Some(made_from)).await {
        Ok(outcome) => Ok(outcome.stored_at),
        Err(PutMutableError::Concurrency(_)) => Err(Refusal::Conflict),
        Err(PutMutableError::Query(PutQueryError::ErrorResponse(_))) => Err(Refusal::Conflict),
        Err(PutMutableError::Query(_)) => Err(Refusal::Unanswered),
    }
}

/// A number above the one before, and above those of any earlier record of this name that somebody may have kept. Two
/// writers never find the same: nodes take the second of two records with one number for an update of the first.
fn next_sequence(before: i64) -> Result<i64, DhtError> {
    let by_time = i64::from(Stamp::now().0) << 20;
    Ok(by_time.max(before + 1) + i64::from(getrandom::u32()? & 0xffff))
}

/// Waits longer from attempt to attempt, and never as long as another writer.
async fn pause(attempt: u32) -> Result<(), DhtError> {
    if attempt > 0 {
        let longest = Duration::from_millis(10 << attempt.min(8)).min(LONGEST_PAUSE);
        let share = f64::from(getrandom::u32()?) / f64::from(u32::MAX);
        tokio::time::sleep(longest.mul_f64(share)).await;
    }
    Ok(())
}
