//! Nodes that are switched on at the same time.

use std::net::UdpSocket;
use std::time::Duration;

use super::support::*;
use crate::{Keyring, Timing};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_start_together_find_each_other_without_waiting_for_the_next_look() {
    const NODES: u32 = 5;
    let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    // Long after this test.
    let never = Duration::from_secs(3600);
    let timing = Timing { keep: never, refresh: never, introduce: never, ..Timing::default() };
    let started = (0..NODES).map(|number| async move {
        let directory = tempfile::tempdir().unwrap();
        let (own, entries) = if number == 0 { (port, vec![]) } else { (0, vec![port]) };
        let keys = Keyring::derive(secret(), []);
        let paths = std::collections::BTreeSet::from([path(number)]);
        TestNode::start_in(directory, number, own, &entries, keys, timing, paths).await
    });
    let nodes = futures_util::future::join_all(started).await;
    for node in &nodes {
        until("all nodes know each other", || async { node.network.peers().len() + 1 == nodes.len() }).await;
        until("that is all there is", || async { node.network.has_completed_discovery() }).await;
        for number in (0..NODES).filter(|number| *number != node.number()) {
            until("its path is found", || async { node.who_has(number).await == [number] }).await;
        }
    }
}
