//! What others may send.

use std::net::Ipv4Addr;

use mainline::async_dht::AsyncDht;
use mainline::errors::PutMutableError;
use mainline::{Dht as Mainline, MutableItem, SigningKey};

use super::support::*;
use crate::network_key::NetworkKey;
use crate::record::{Holder, Name, Providers, Record};
use crate::{Keyring, NodeId, Stamp};

/// A node of the DHT that is not one of ours.
async fn stranger(port: u16) -> AsyncDht {
    let mut builder = Mainline::builder();
    builder.bind_address(Ipv4Addr::LOCALHOST).port(0).bootstrap(&[("127.0.0.1", port)]);
    let node = builder.build().unwrap().as_async();
    assert!(node.bootstrapped().await);
    node
}

fn name() -> Name {
    Name::Providers(hash(1))
}

fn entry(node: NodeId) -> Vec<u8> {
    let mut providers = Providers::default();
    providers.set(Holder { node, cache: 1 }, Stamp::now());
    providers.encode()
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_with_another_key_see_nothing_and_write_nothing() {
    let nodes = network(2).await;
    nodes[0].add(1);
    until("it is found", || async { nodes[1].who_has(1).await == [0] }).await;
    let port = nodes[0].port().await;
    let other = TestNode::start(7, &[port], Keyring::derive(b"another secret", []), fast()).await;
    other.add(2);
    until("the other node is connected", || async { !other.network.dht_status().await.nodes.is_empty() })
        .await;
    // It stores its records itself, and may fail to find anybody else who does.
    until("it has announced", || async {
        let announcing = other.network.announcing();
        announcing.written + announcing.failed > 0
    })
    .await;
    other.network.refresh().await;
    assert!(other.network.peers().is_empty());
    assert!(other.who_has(1).await.is_empty());
    nodes[0].network.refresh().await;
    assert_eq!(nodes[0].network.peers().len(), 1);
    assert!(nodes[0].who_has(2).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_record_is_not_taken() {
    let nodes = network(3).await;
    nodes[0].add(1);
    until("it is found", || async { nodes[1].who_has(1).await == [0] }).await;
    let stranger = stranger(nodes[0].port().await).await;
    let key = NetworkKey::derive(secret());
    let salt = name().salt();
    let sealed = key.seal(&salt, &entry(nodes[2].network.id())).unwrap();
    // Under the network's key, but signed with another one.
    let far = i64::MAX / 2;
    let signed_by_other = MutableItem::new(SigningKey::from_bytes(&[7; 32]), &sealed, far, Some(&salt));
    let forged = MutableItem::new_signed_unchecked(
        key.public_key(),
        *signed_by_other.signature(),
        &sealed,
        far,
        Some(&salt),
    );
    let refused = stranger.put_mutable(forged, None).await;
    assert!(refused.is_err());
    assert_eq!(nodes[1].who_has(1).await, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_record_that_is_sent_again_changes_nothing() {
    let nodes = network(3).await;
    let stranger = stranger(nodes[0].port().await).await;
    let key = NetworkKey::derive(secret());
    nodes[0].add(1);
    until("it is found", || async { nodes[1].who_has(1).await == [0] }).await;
    let old = stranger.get_mutable_most_recent(&key.public_key(), Some(&name().salt())).await.unwrap();
    nodes[0].remove(1);
    until("it is withdrawn", || async { nodes[1].who_has(1).await.is_empty() }).await;
    let refused = stranger.put_mutable(old, None).await;
    assert!(matches!(refused, Err(PutMutableError::Concurrency(_))), "{refused:?}");
    assert!(nodes[1].who_has(1).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_long_is_not_taken() {
    let nodes = network(2).await;
    let stranger = stranger(nodes[0].port().await).await;
    let key = NetworkKey::derive(secret());
    let long = MutableItem::new(key.writer().clone(), &[0; 1001], 1, Some(&name().salt()));
    assert!(stranger.put_mutable(long, None).await.is_err());
    assert!(stranger.get_mutable_most_recent(&key.public_key(), Some(&name().salt())).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_of_rubbish_is_overwritten_and_not_believed() {
    let nodes = network(2).await;
    let stranger = stranger(nodes[0].port().await).await;
    let key = NetworkKey::derive(secret());
    let rubbish = MutableItem::new(key.writer().clone(), b"rubbish", 1, Some(&name().salt()));
    stranger.put_mutable(rubbish, None).await.unwrap();
    assert!(nodes[1].who_has(1).await.is_empty());
    nodes[0].add(1);
    until("it is found", || async { nodes[1].who_has(1).await == [0] }).await;
}
