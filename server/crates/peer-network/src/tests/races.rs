use std::collections::BTreeSet;

use super::support::*;
use crate::record::{Holder, Name, Providers};
use crate::{Keyring, NodeId, Stamp, Timing};

fn holder(number: u8) -> Holder {
    Holder { node: NodeId::from_bytes([number; 16]), cache: 1 }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_writers_of_one_record_lose_nobodys_entry() {
    let directory = tempfile::tempdir().unwrap();
    let first = bare(&directory.path().join("0"), &[], Keyring::derive(secret(), [])).await;
    let port = first.address().port();
    let mut writers = vec![first];
    for number in 1..10 {
        let own = directory.path().join(number.to_string());
        writers.push(bare(&own, &[port], Keyring::derive(secret(), [])).await);
    }
    for writer in &writers {
        until("the writers know each other", || async { !writer.status().await.nodes.is_empty() }).await;
    }
    let timing = Timing::default();
    let name = Name::Providers(hash(1));
    let mut writing = tokio::task::JoinSet::new();
    for (number, writer) in (0..).zip(&writers) {
        let writer = writer.clone();
        writing.spawn(async move {
            let now = Stamp::now();
            let change = move |there: &mut Providers| there.set(holder(number), now);
            while let Err(error) = writer.update(&name, &timing, change).await {
                assert!(matches!(error, crate::DhtError::Contended(_)), "{error}");
            }
        });
    }
    while let Some(written) = writing.join_next().await {
        written.unwrap();
    }
    let all: BTreeSet<Holder> = (0..10).map(holder).collect();
    for reader in &writers {
        let read = reader.read::<Providers>(&name, &timing).await;
        let found: BTreeSet<Holder> =
            read.iter().flat_map(Providers::iter).map(|(holder, _)| holder).collect();
        assert_eq!(found, all);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_made_already_is_not_written_again() {
    let directory = tempfile::tempdir().unwrap();
    let first = bare(&directory.path().join("0"), &[], Keyring::derive(secret(), [])).await;
    let port = first.address().port();
    let second = bare(&directory.path().join("1"), &[port], Keyring::derive(secret(), [])).await;
    until("they know each other", || async { !second.status().await.nodes.is_empty() }).await;
    let (timing, name, now) = (Timing::default(), Name::Providers(hash(1)), Stamp::now());
    let change = move |there: &mut Providers| there.set(holder(1), now);
    second.update(&name, &timing, change).await.unwrap();
    let keys = second.keys();
    let key = keys.iter().next().unwrap();
    let before = second.read_all(key, &name).await.newest.unwrap().seq();
    second.update(&name, &timing, change).await.unwrap();
    assert_eq!(second.read_all(key, &name).await.newest.unwrap().seq(), before);
}
