use std::collections::BTreeSet;
use std::time::Duration;

use super::support::*;
use crate::{Keyring, Timing};

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_find_what_the_other_has() {
    let nodes = network(2).await;
    nodes[0].add(1);
    nodes[1].add(2);
    until("node 1 finds it", || async { nodes[1].who_has(1).await == [0] }).await;
    until("node 0 finds it", || async { nodes[0].who_has(2).await == [1] }).await;
    assert!(nodes[0].who_has(3).await.is_empty());
    // Nobody is told about itself.
    assert!(nodes[0].who_has(1).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_withdrawn_is_not_found_any_more() {
    let nodes = network(3).await;
    nodes[0].add(1);
    nodes[1].add(1);
    until("both are found", || async { nodes[2].who_has(1).await == [0, 1] }).await;
    nodes[0].remove(1);
    until("one is left", || async { nodes[2].who_has(1).await == [1] }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_ten_nodes_find_what_any_of_them_has() {
    let nodes = network(10).await;
    for (number, node) in (0..).zip(&nodes) {
        node.add(number);
        node.add(100);
    }
    let found = (0..).zip(&nodes).map(|(own, node)| async move {
        let others: Vec<u32> = (0..10).filter(|other| *other != own).collect();
        for other in &others {
            until("it is found", || async { node.who_has(*other).await == [*other] }).await;
        }
        until("all are found", || async { node.who_has(100).await == others }).await;
    });
    futures_util::future::join_all(found).await;
}

/// Most of the nodes only store records: more do not fit into one process that is to have time for anything else.
#[tokio::test(flavor = "multi_thread")]
async fn in_a_dht_of_fifty_nodes_records_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let pause = Duration::from_secs(4);
    let timing = Timing { keep: pause, refresh: pause, introduce: pause, ..fast() };
    let first = TestNode::start(0, &[], Keyring::derive(secret(), []), timing).await;
    let port = first.port().await;
    let mut storing = Vec::new();
    for number in 0..46 {
        let own = directory.path().join(number.to_string());
        storing.push(bare(&own, &[port], Keyring::derive(secret(), [])).await);
    }
    for node in &storing {
        until("they are connected", || async { !node.status().await.nodes.is_empty() }).await;
    }
    let mut nodes = vec![first];
    for number in 1..4 {
        let entry = storing[10 * number as usize].address().port();
        nodes.push(TestNode::start(number, &[entry], Keyring::derive(secret(), []), timing).await);
    }
    for (number, node) in (0..).zip(&nodes) {
        node.add(number);
        node.add(100);
    }
    for (own, node) in (0..).zip(&nodes) {
        let others: Vec<u32> = (0..4).filter(|other| *other != own).collect();
        for other in &others {
            until("it is found", || async { node.who_has(*other).await == [*other] }).await;
        }
        until("all are found", || async { node.who_has(100).await == others }).await;
    }
    nodes[3].remove(3);
    until("it is withdrawn", || async { nodes[1].who_has(3).await.is_empty() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_at_the_start_is_announced_too() {
    let first = TestNode::start(0, &[], Keyring::derive(secret(), []), fast()).await;
    let port = first.port().await;
    let paths: BTreeSet<_> = (1..=50).map(path).collect();
    let second = TestNode::start_with(1, &[port], Keyring::derive(secret(), []), fast(), paths).await;
    for number in 1..=50 {
        until("it is found", || async { first.who_has(number).await == [1] }).await;
    }
    until("all are announced", || async { second.network.announcing().waiting == 0 }).await;
    assert!(second.network.announcing().written >= 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_announces_again_is_forgotten() {
    let timing =
        Timing { provider_max_age: Duration::from_secs(3), reannounce: Duration::from_secs(3600), ..fast() };
    let nodes = network_of(2, timing).await;
    nodes[0].add(1);
    until("it is found", || async { nodes[1].who_has(1).await == [0] }).await;
    until("it is forgotten", || async { nodes[1].who_has(1).await.is_empty() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_again_is_not_forgotten() {
    let timing =
        Timing { provider_max_age: Duration::from_secs(12), reannounce: Duration::from_secs(2), ..fast() };
    let nodes = network_of(2, timing).await;
    nodes[0].add(1);
    until("it is announced", || async { nodes[0].network.announcing().written >= 1 }).await;
    until("it is announced again and again", || async { nodes[0].network.announcing().written >= 8 }).await;
    assert_eq!(nodes[1].who_has(1).await, [0]);
}
