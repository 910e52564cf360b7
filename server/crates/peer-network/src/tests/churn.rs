use std::collections::BTreeSet;

use super::support::*;
use crate::Keyring;

/// A port that is free now, for a node that comes back.
fn free_port() -> u16 {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

async fn start_at(directory: tempfile::TempDir, number: u32, port: u16, entries: &[u16]) -> TestNode {
    let paths = BTreeSet::from([path(number)]);
    TestNode::start_in(directory, number, port, entries, Keyring::derive(secret(), []), fast(), paths).await
}

/// Ends the node and waits until its socket is closed. Returns its directory.
async fn end(mut node: TestNode) -> tempfile::TempDir {
    let port = node.port().await;
    // Not a copy: the node may be writing a file there until it has ended.
    let directory = std::mem::replace(&mut node.directory, tempfile::tempdir().unwrap());
    drop(node);
    until("the socket is closed", || async { std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok() }).await;
    directory
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_node_finds_its_network_again_after_a_restart() {
    let port = free_port();
    let first = start_at(tempfile::tempdir().unwrap(), 0, port, &[]).await;
    let second = start_at(tempfile::tempdir().unwrap(), 1, 0, &[port]).await;
    until("they know each other", || async {
        first.who_has(1).await == [1] && second.who_has(0).await == [0]
    })
    .await;
    until("the nodes are saved", || async { first.directory.path().join("dht-nodes").exists() }).await;
    let id = first.network.id();
    let directory = end(first).await;
    let first = start_at(directory, 0, port, &[]).await;
    assert_eq!(first.network.id(), id);
    until("it is back", || async { first.who_has(1).await == [1] && second.who_has(0).await == [0] }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_started_before_its_entry_joins_when_that_is_there() {
    let port = free_port();
    let second = start_at(tempfile::tempdir().unwrap(), 1, 0, &[port]).await;
    let first = start_at(tempfile::tempdir().unwrap(), 0, port, &[]).await;
    until("they know each other", || async {
        first.who_has(1).await == [1] && second.who_has(0).await == [0]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_may_name_the_same_entries_themselves_included() {
    let ports = [free_port(), free_port()];
    let first = start_at(tempfile::tempdir().unwrap(), 0, ports[0], &ports[..1]).await;
    let second = start_at(tempfile::tempdir().unwrap(), 1, ports[1], &ports).await;
    until("they know each other", || async {
        first.who_has(1).await == [1] && second.who_has(0).await == [0]
    })
    .await;
    // A node that joins through itself never has another one in its table.
    let status = first.network.dht_status().await;
    assert_eq!(status.nodes.len(), 1, "{:?}", status.nodes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_outlives_its_first_node_and_takes_it_back_without_its_memory() {
    let port = free_port();
    let first = start_at(tempfile::tempdir().unwrap(), 0, port, &[]).await;
    let second = start_at(tempfile::tempdir().unwrap(), 1, 0, &[port]).await;
    let third = start_at(tempfile::tempdir().unwrap(), 2, 0, &[port]).await;
    until("they know each other", || async {
        first.network.peers().len() == 2 && second.network.peers().len() == 2 && third.who_has(1).await == [1]
    })
    .await;
    end(first).await;
    until("the others still find each other", || async {
        second.who_has(2).await == [2] && third.who_has(1).await == [1]
    })
    .await;
    // With its directory it has lost its key, so it is another node. The old one counts as a peer until its last announcement
    // expires, after a minute, so the new one has a path of its own.
    let again = start_at(tempfile::tempdir().unwrap(), 3, port, &[]).await;
    until("it is found", || async { second.who_has(3).await == [3] && third.who_has(3).await == [3] }).await;
    until("it finds the others", || async { again.who_has(1).await == [1] && again.who_has(2).await == [2] })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_only_entry_has_died_joins_through_those_that_know_it() {
    // The entry dies before the node has learned of any other from it.
    let entry = TestNode::start(0, &[], Keyring::derive(secret(), []), fast()).await;
    let lonely = start_at(tempfile::tempdir().unwrap(), 1, 0, &[entry.port().await]).await;
    until("it knows its entry", || async { !lonely.network.dht_status().await.nodes.is_empty() }).await;
    end(entry).await;
    let lonely_port = lonely.port().await;
    let second = start_at(tempfile::tempdir().unwrap(), 2, 0, &[lonely_port]).await;
    until("they know each other", || async {
        lonely.who_has(2).await == [2] && second.who_has(1).await == [1]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_stands_nodes_that_die_and_come_back_again_and_again() {
    const NODES: u32 = 6;
    let ports: Vec<u16> = (0..NODES).map(|_| free_port()).collect();
    let entries = |number: u32| if number == 0 { &ports[1..] } else { &ports[..1] };
    let mut nodes = Vec::new();
    for number in 0..NODES {
        let directory = tempfile::tempdir().unwrap();
        let port = ports[number as usize];
        nodes.push(Some(start_at(directory, number, port, entries(number)).await));
    }
    // Which go is of no pattern, but the same each time; the first one is among them.
    for gone in [[3, 5], [0, 2], [4, 0], [1, 5]] {
        let mut directories = Vec::new();
        for number in gone {
            directories.push((number, end(nodes[number as usize].take().unwrap()).await));
        }
        let left: Vec<u32> = (0..NODES).filter(|number| !gone.contains(number)).collect();
        for pair in left.windows(2) {
            let node = nodes[pair[0] as usize].as_ref().unwrap();
            until("the others still find each other", || async { node.who_has(pair[1]).await == [pair[1]] })
                .await;
        }
        for (number, directory) in directories {
            let back = start_at(directory, number, ports[number as usize], entries(number)).await;
            nodes[number as usize] = Some(back);
        }
        for number in gone {
            let back = nodes[number as usize].as_ref().unwrap();
            let other = nodes[left[0] as usize].as_ref().unwrap();
            until("who came back is found", || async { other.who_has(number).await == [number] }).await;
            until("who came back finds others", || async { back.who_has(left[1]).await == [left[1]] }).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_outlives_a_restart_of_every_node_in_turn() {
    const NODES: u32 = 4;
    let port = free_port();
    let entries = |number: u32| if number == 0 { Vec::new() } else { vec![port] };
    let mut nodes = Vec::new();
    for number in 0..NODES {
        let port = if number == 0 { port } else { 0 };
        nodes.push(Some(start_at(tempfile::tempdir().unwrap(), number, port, &entries(number)).await));
    }
    let all_is_found = async |nodes: &[Option<TestNode>]| {
        for (seeker, node) in (0..).zip(nodes) {
            for number in (0..NODES).filter(|number| *number != seeker) {
                until("all is found", || async { node.as_ref().unwrap().who_has(number).await == [number] })
                    .await;
            }
        }
    };
    all_is_found(&nodes).await;
    // The first one does not tell anything itself after this.
    for number in 1..NODES {
        let node = nodes[number as usize].take().unwrap();
        let port = node.port().await;
        let directory = end(node).await;
        nodes[number as usize] = Some(start_at(directory, number, port, &entries(number)).await);
        all_is_found(&nodes).await;
    }
}
