//! Concurrent updates of shared records without lost entries.
//!
//! Each node that stores a record refuses a version that is not based on the one it has (compare and swap). But every node
//! decides for itself, and some do not reply in time: two concurrent writers may each win on some nodes. So an update succeeds
//! only when all nodes accepted it, or when every node that replies afterwards has it. If nodes have different versions, these
//! are merged: the newest version is first written to all nodes, so that compare and swap works again, and the merged version is
//! then based on it.

use std::time::Duration;

use mainline::MutableItem;
use mainline::async_dht::AsyncDht;
use mainline::errors::{PutMutableError, PutQueryError};

use super::read::{Reading, decode};
use super::{Dht, DhtError};
use crate::network_key::NetworkKey;
use crate::record::{Name, Record};
use crate::{Stamp, Timing};

/// The attempts before an update fails.
const ATTEMPTS: u32 = 24;
/// The attempts without any reply before an update fails.
const UNANSWERED: u32 = 3;
/// The number of nodes that store a record, if there are that many.
const COPIES: u32 = 20;
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(800);

impl Dht {
    /// Reads the record, changes it and writes it back under each key of the network. `change` may be called several times and
    /// must be idempotent.
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
        // The entries of versions that were replaced meanwhile.
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
                // Nodes with a newer version refuse it, and the next attempt reads that.
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
                    // Nodes have left or joined since. Their acceptance is not worth another round.
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
    /// Another node wrote the record.
    Conflict,
    /// No node replied.
    Unanswered,
}

/// Writes a record based on the version with this sequence number; 0 for none, which no record has.
async fn put(node: &AsyncDht, item: MutableItem, made_from: i64) -> Result<u32, Refusal> {
    match node.put_mutable(item, Some(made_from)).await {
        Ok(outcome) => Ok(outcome.stored_at),
        Err(PutMutableError::Concurrency(_)) => Err(Refusal::Conflict),
        Err(PutMutableError::Query(PutQueryError::ErrorResponse(_))) => Err(Refusal::Conflict),
        Err(PutMutableError::Query(_)) => Err(Refusal::Unanswered),
    }
}

/// Returns a sequence number above the previous one and above those of all earlier records of this name that a node may still
/// have. Two writers never get the same number: nodes would take the second record for an update of the first.
fn next_sequence(before: i64) -> Result<i64, DhtError> {
    let by_time = i64::from(Stamp::now().0) << 20;
    Ok(by_time.max(before + 1) + i64::from(getrandom::u32()? & 0xffff))
}

/// Waits longer with each attempt, for a random time that differs from that of other writers.
async fn pause(attempt: u32) -> Result<(), DhtError> {
    if attempt > 0 {
        let longest = Duration::from_millis(10 << attempt.min(8)).min(LONGEST_PAUSE);
        let share = f64::from(getrandom::u32()?) / f64::from(u32::MAX);
        tokio::time::sleep(longest.mul_f64(share)).await;
    }
    Ok(())
}
