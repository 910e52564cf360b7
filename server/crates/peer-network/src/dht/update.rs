//! Changing records that others change too, so that nobody's entry is lost.
//!
//! Each node that stores a record refuses a version that was not made from the one it has (compare and swap). But every
//! node decides for itself, and some do not answer in time: of two writers at once each may win at some nodes. Hence a
//! change only counts as done when all nodes took it, or when every node that answers afterwards has it. Where nodes have
//! different versions, nothing that is in one of them is dropped: they are merged, the newest version is brought to all
//! nodes, so that compare and swap works again, and the merged one is made from that.

use std::time::Duration;

use mainline::MutableItem;
use mainline::async_dht::AsyncDht;
use mainline::errors::{PutMutableError, PutQueryError};

use super::read::{Reading, decode};
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
        for key in self.keys().iter() {
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
        // What was in versions that have been replaced meanwhile.
        let mut rescued: Option<R> = None;
        for attempt in 0..ATTEMPTS {
            pause(attempt).await?;
            let node = self.node().ok_or(DhtError::Alone)?;
            let Reading { newest, copies, older, answered, asked } = self.read_all(key, name).await;
            if answered == 0 {
                if node.to_bootstrap().await.is_empty() {
                    return Err(DhtError::Alone);
                }
                unanswered += 1;
                if unanswered == UNANSWERED {
                    return Err(DhtError::Unanswered(name.to_string()));
                }
                continue;
            }
            if let Some(newest) = newest.as_ref().filter(|_| !older.is_empty()) {
                let versions = older.iter().filter_map(|item| decode::<R>(key, name, item, timing));
                versions.for_each(|version| rescued.get_or_insert_default().merge(version));
                // Nodes that have something newer by now refuse it, and then there is that to read.
                let _ = node.put_mutable(newest.clone(), None).await;
                continue;
            }
            let before: R =
                newest.as_ref().and_then(|item| decode(key, name, item, timing)).unwrap_or_default();
            let mut after = before.clone();
            rescued.iter().for_each(|rescued| after.merge(rescued.clone()));
            change(&mut after);
            if after == before {
                let wanted = answered.min(COPIES) as usize;
                if let Some(newest) = newest.filter(|_| copies * 4 < wanted * 3) {
                    // Nodes have gone or come since. Whether they take it now is not worth another round.
                    let _ = node.put_mutable(newest, None).await;
                }
                return Ok(());
            }
            let sequence = newest.as_ref().map_or(0, MutableItem::seq);
            let value = key.seal(&salt, &after.encode())?;
            let item = MutableItem::new(key.writer().clone(), &value, next_sequence(sequence)?, Some(&salt));
            match put(&node, item, sequence).await {
                Ok(stored_at) if stored_at >= asked.min(COPIES) => return Ok(()),
                Ok(_) | Err(Refusal::Conflict) => {}
                Err(Refusal::Unanswered) => unanswered += 1,
            }
            if unanswered == UNANSWERED {
                return Err(DhtError::Unanswered(name.to_string()));
            }
        }
        Err(DhtError::Contended(name.to_string()))
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
