//! A network whose datagrams are lost again and again, and one that loses records.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::net::UdpSocket;

use super::support::*;
use crate::record::{Holder, Name, Providers};
use crate::{Keyring, Timing};

/// Of a hundred datagrams so many are lost.
const LOST: u64 = 30;

/// Stands between all nodes: each knows the others by a socket here, which passes on what it gets. Whoever sends something
/// gets such a socket, so that answers, and what others are told about it, come this way as well.
#[derive(Default)]
struct Lossy {
    fronts: Mutex<HashMap<SocketAddr, Arc<UdpSocket>>>,
    count: AtomicU64,
    lost: AtomicU64,
}

impl Lossy {
    /// The socket that stands for the node at this address.
    fn front_of(self: &Arc<Self>, node: SocketAddr) -> Arc<UdpSocket> {
        let mut fronts = self.fronts.lock();
        if let Some(front) = fronts.get(&node) {
            return front.clone();
        }
        let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_nonblocking(true).unwrap();
        let front = Arc::new(UdpSocket::from_std(socket).unwrap());
        fronts.insert(node, front.clone());
        tokio::spawn(self.clone().pass_on(front.clone(), node));
        front
    }

    async fn pass_on(self: Arc<Self>, front: Arc<UdpSocket>, node: SocketAddr) {
        let mut datagram = [0; 2048];
        loop {
            // A node that is gone is told of as an error.
            let Ok((length, sender)) = front.recv_from(&mut datagram).await else { continue };
            if !self.loses() {
                let _ = self.front_of(sender).send_to(&datagram[..length], node).await;
            }
        }
    }

    /// The same share in each run, in an order without a pattern.
    fn loses(&self) -> bool {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mixed = (count ^ (count >> 3)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let lost = (mixed >> 33) % 100 < LOST;
        self.lost.fetch_add(u64::from(lost), Ordering::Relaxed);
        lost
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_find_each_other_though_a_third_of_all_datagrams_is_lost() {
    let lossy = Arc::new(Lossy::default());
    // What could not be announced is announced again soon.
    let timing = Timing { reannounce: Duration::from_secs(2), ..fast() };
    let start = |number, entries: Vec<u16>| async move {
        TestNode::start(number, &entries, Keyring::derive(secret(), []), timing).await
    };
    let first = start(0, vec![]).await;
    let real = SocketAddr::from((Ipv4Addr::LOCALHOST, first.port().await));
    let entry = lossy.front_of(real).local_addr().unwrap().port();
    let mut nodes = vec![first];
    for number in 1..5 {
        nodes.push(start(number, vec![entry]).await);
    }
    for (number, node) in (0..).zip(&nodes) {
        node.add(number);
    }
    for (own, node) in (0..).zip(&nodes) {
        for other in (0..5).filter(|other| *other != own) {
            until("it is found", || async { node.who_has(other).await == [other] }).await;
        }
    }
    nodes[1].remove(1);
    until("it is withdrawn", || async { nodes[4].who_has(1).await.is_empty() }).await;
    let (count, lost) = (lossy.count.load(Ordering::Relaxed), lossy.lost.load(Ordering::Relaxed));
    assert!(lost * 4 > count, "only {lost} of {count} datagrams were lost");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_the_network_has_lost_are_announced_again() {
    // Nothing else makes a node announce its paths again in less than hours.
    let timing = Timing { verify: Duration::from_millis(200), beginning: Duration::ZERO, ..fast() };
    let nodes = network_of(3, timing).await;
    for number in 0..4 {
        nodes[0].add(number);
    }
    for number in 0..4 {
        until("it is found", || async { nodes[1].who_has(number).await == [0] }).await;
    }
    let holder = Holder { node: nodes[0].network.id(), cache: 1 };
    for number in 0..4 {
        let forget = |providers: &mut Providers| providers.remove(&holder);
        nodes[2].network.dht().update(&Name::Providers(hash(number)), &timing, forget).await.unwrap();
    }
    for number in 0..4 {
        until("it is found again", || async { nodes[1].who_has(number).await == [0] }).await;
    }
}
