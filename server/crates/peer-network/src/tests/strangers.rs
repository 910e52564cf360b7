//! What hosts outside of the network can make our node store.

use std::net::Ipv4Addr;

use mainline::async_dht::AsyncDht;
use mainline::{Dht as Mainline, Id, MutableItem, SigningKey};

use super::support::*;
use crate::Keyring;
use crate::network_key::NetworkKey;
use crate::record::{Holder, Name, Providers, Record};
use crate::{NodeId, Stamp};

async fn stranger(port: u16) -> AsyncDht {
    let mut builder = Mainline::builder();
    builder.bind_address(Ipv4Addr::LOCALHOST).port(0).bootstrap(&[("127.0.0.1", port)]);
    let node = builder.build().unwrap().as_async();
    assert!(node.bootstrapped().await);
    node
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_stored_but_what_the_network_writes() {
    let nodes = network(2).await;
    let stranger = stranger(nodes[0].port().await).await;
    assert!(stranger.put_immutable(b"anything").await.is_err());
    assert!(stranger.announce_peer(Id::random(), Some(1)).await.is_err());
    let foreign = SigningKey::from_bytes(&[7; 32]);
    for salt in [None, Some(Name::Providers(hash(1)).salt())] {
        let item = MutableItem::new(foreign.clone(), b"anything", 1, salt.as_deref());
        assert!(stranger.put_mutable(item, None).await.is_err());
        let public = foreign.verifying_key().to_bytes();
        assert!(stranger.get_mutable_most_recent(&public, salt.as_deref()).await.is_none());
    }
    // Any host may bring records that are written with the key of the network, however large.
    let key = NetworkKey::derive(secret());
    let salt = Name::Providers(hash(1)).salt();
    for size in [1, 1000] {
        let item = MutableItem::new(key.writer().clone(), &vec![0xff; size], size as i64, Some(&salt));
        stranger.put_mutable(item, None).await.unwrap();
    }
    nodes[0].add(1);
    until("it is found", || async { nodes[1].who_has(1).await == [0] }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_that_may_write_follow_the_keys_of_the_network() {
    let nodes = network(2).await;
    let stranger = stranger(nodes[0].port().await).await;
    let other = NetworkKey::derive(b"another secret");
    let salt = Name::Providers(hash(1)).salt();
    let record = || {
        let mut providers = Providers::default();
        providers.set(Holder { node: NodeId::from_bytes([1; NodeId::LEN]), cache: 1 }, Stamp::now());
        let sealed = other.seal(&salt, &providers.encode()).unwrap();
        MutableItem::new(other.writer().clone(), &sealed, 1, Some(&salt))
    };
    assert!(stranger.put_mutable(record(), None).await.is_err());
    for node in &nodes {
        node.network.set_keys(Keyring::derive(secret(), [b"another secret".as_slice()]));
    }
    stranger.put_mutable(record(), None).await.unwrap();
}
