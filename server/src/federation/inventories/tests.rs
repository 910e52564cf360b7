#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use peer_network::record::NodeDescription;
use peer_network::{HeldPath, Peer, Stamp};

use super::*;

fn path(number: u8) -> StorePathHash {
    StorePathHash::from_bytes([number; 20])
}

fn node(number: u8) -> NodeId {
    NodeId::from_bytes([number; NodeId::LEN])
}

fn description() -> NodeDescription {
    let url = "http://a.example".parse().unwrap();
    NodeDescription {
        url,
        load: 0,
        free: 0,
        inventory_version: 1,
        run: 0,
        said: Stamp::now(),
        caches: Vec::new(),
    }
}

fn peers(numbers: &[u8]) -> Peers {
    let peer = |number: &u8| Arc::new(Peer { id: node(*number), description: description() });
    numbers.iter().map(|number| (node(*number), peer(number))).collect()
}

fn whole(paths: &[StorePathHash]) -> InventoryMessage {
    InventoryLog::of(7, paths).since(0, 0)
}

#[test]
fn a_path_is_excluded_when_every_node_has_said_that_it_has_not() {
    let inventories = Inventories::default();
    let two = peers(&[1, 2]);
    assert!(!inventories.exclude(&path(9), &peers(&[])), "nobody is known yet");
    assert!(!inventories.exclude(&path(9), &two));
    inventories.learn(node(1), Ok(whole(&[path(1)]))).unwrap();
    assert!(!inventories.exclude(&path(9), &two), "the second was not asked yet");
    inventories.learn(node(2), Ok(whole(&[path(2)]))).unwrap();
    assert!(inventories.exclude(&path(9), &two));
    assert!(!inventories.exclude(&path(1), &two) && !inventories.exclude(&path(2), &two));
    // What comes later is known as well, and told.
    let added = InventoryMessage::Added { epoch: 7, position: 1, paths: vec![path(9)] };
    assert_eq!(inventories.learn(node(2), Ok(added)).unwrap(), [path(9)]);
    assert!(!inventories.exclude(&path(9), &two));
    assert_eq!(inventories.version_of(&node(2)), (7, 1));
    // A new node may have anything.
    assert!(!inventories.exclude(&path(8), &peers(&[1, 2, 3])));
}

#[test]
fn a_node_that_gives_no_inventory_may_have_anything_but_one_that_is_silent_has_nothing() {
    let inventories = Inventories::default();
    let one = peers(&[1]);
    inventories.learn(node(1), Err(InventoryError::Status(StatusCode::NOT_FOUND))).unwrap_err();
    assert!(!inventories.exclude(&path(9), &one));
    inventories.learn(node(1), Err(InventoryError::Malformed)).unwrap_err();
    assert!(!inventories.exclude(&path(9), &one));
    inventories.learn(node(1), Err(ClientError::Timeout.into())).unwrap_err();
    assert!(inventories.exclude(&path(9), &one));
    inventories.retain(&peers(&[]));
    assert!(!inventories.exclude(&path(9), &one), "it is known no longer");
}

#[test]
fn additions_to_another_inventory_are_not_taken() {
    let inventories = Inventories::default();
    let added = |epoch| Ok(InventoryMessage::Added { epoch, position: 1, paths: vec![path(9)] });
    assert!(matches!(inventories.learn(node(1), added(7)), Err(InventoryError::Malformed)));
    inventories.learn(node(1), Ok(whole(&[]))).unwrap();
    assert!(matches!(inventories.learn(node(1), added(8)), Err(InventoryError::Malformed)));
    assert!(inventories.learn(node(1), added(7)).is_ok());
}

/// Paths that come while they are being listed.
struct Busy(&'static Inventories);

impl LocalInventory for Busy {
    fn describe(&self) -> NodeDescription {
        description()
    }

    fn paths(&self) -> Vec<HeldPath> {
        self.0.note(path(2), true);
        vec![HeldPath { cache: 1, hash: path(1) }]
    }

    fn holds(&self, _: &HeldPath) -> bool {
        true
    }
}

#[test]
fn what_comes_while_our_inventory_is_built_is_in_it() {
    let inventories: &'static Inventories = Box::leak(Box::default());
    let names = |inventory: &InventoryFilter, number: u8| inventory.may_contain(&path(number));
    let InventoryMessage::Whole { epoch, position, filter: inventory } =
        inventories.since(0, 0, &Busy(inventories))
    else {
        panic!("a part of it")
    };
    assert!(names(&inventory, 1) && names(&inventory, 2) && !names(&inventory, 3));
    inventories.note(path(3), true);
    let added = inventories.since(epoch, position, &Busy(inventories));
    assert_eq!(added, InventoryMessage::Added { epoch, position: position + 1, paths: vec![path(3)] });
    inventories.forget_own();
    assert!(matches!(inventories.since(epoch, position, &Busy(inventories)), InventoryMessage::Whole { .. }));
}
