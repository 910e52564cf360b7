//! Reading records.

use std::time::Duration;

use futures_util::{Stream, StreamExt};
use mainline::MutableItem;
use tokio::time::{Instant, timeout_at};

use super::Dht;
use crate::network_key::NetworkKey;
use crate::record::{Name, Record};
use crate::{Stamp, Timing};

/// The replies of the network about a record.
pub(crate) struct Reading {
    /// The newest version.
    pub newest: Option<MutableItem>,
    /// The number of nodes that have it.
    pub copies: usize,
    /// The older versions on other nodes.
    pub older: Vec<MutableItem>,
    /// The number of nodes that replied.
    pub answered: u32,
    /// The number of nodes that were queried.
    pub asked: u32,
}

impl Dht {
    /// Queries all nodes that may have the record.
    pub(crate) async fn read_all(&self, key: &NetworkKey, name: &Name) -> Reading {
        let mut reading = Reading { newest: None, copies: 0, older: Vec::new(), answered: 0, asked: 0 };
        let Some(node) = self.node() else { return reading };
        let salt = name.salt();
        let mut answers = node.get_mutable_detailed(&key.public_key(), Some(&salt), None);
        let mut items = Vec::new();
        while let Some(item) = answers.items.next().await {
            items.push(item);
        }
        let outcome = answers.outcome.recv().await;
        (reading.answered, reading.asked) = (outcome.responded(), outcome.queried);
        let newest = items.iter().map(MutableItem::seq).max();
        let (newest, older): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|item| Some(item.seq()) == newest);
        reading.copies = newest.len();
        reading.newest = newest.into_iter().next();
        reading.older = older;
        reading
    }

    /// Returns the newest version of the record under each of the keys, without expired entries.
    pub async fn read<R: Record>(&self, name: &Name, timing: &Timing) -> Vec<R> {
        let mut found = Vec::new();
        for key in self.keys().iter() {
            let reading = self.read_all(key, name).await;
            found.extend(reading.newest.and_then(|item| decode(key, name, &item, timing)));
        }
        found
    }

    /// As [`Dht::read`], but faster: after the first reply with the record the other nodes have `grace` to reply with a newer
    /// one, and nothing is awaited after the `deadline`.
    pub async fn read_soon<R: Record>(
        &self,
        name: &Name,
        timing: &Timing,
        grace: Duration,
        deadline: Instant,
    ) -> Vec<R> {
        let Some(node) = self.node() else { return Vec::new() };
        let salt = name.salt();
        let node = &node;
        let salt = salt.as_slice();
        let keys = self.keys();
        let asked = keys.iter().map(|key| async move {
            let answers = node.get_mutable(&key.public_key(), Some(salt), None);
            let item = newest(answers, grace, deadline).await?;
            decode(key, name, &item, timing)
        });
        futures_util::future::join_all(asked).await.into_iter().flatten().collect()
    }
}

async fn newest(
    mut answers: impl Stream<Item = MutableItem> + Unpin,
    grace: Duration,
    mut deadline: Instant,
) -> Option<MutableItem> {
    let mut newest: Option<MutableItem> = None;
    while let Ok(Some(item)) = timeout_at(deadline, answers.next()).await {
        if newest.is_none() {
            deadline = deadline.min(Instant::now() + grace);
        }
        if newest.as_ref().is_none_or(|known| known.seq() < item.seq()) {
            newest = Some(item);
        }
    }
    newest
}

/// Opens a record; `None` if it is not a record of our network.
pub(super) fn decode<R: Record>(
    key: &NetworkKey,
    name: &Name,
    item: &MutableItem,
    timing: &Timing,
) -> Option<R> {
    let mut record = R::decode(name, &key.open(&name.salt(), item.value())?)?;
    record.prune(Stamp::now(), timing);
    Some(record)
}
