#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;

fn path(number: u64) -> StorePathHash {
    use sha2::{Digest as _, Sha256};
    let mut bytes = [0; 20];
    bytes.copy_from_slice(&Sha256::digest(number.to_be_bytes())[..20]);
    StorePathHash::from_bytes(bytes)
}

#[test]
fn it_names_all_that_is_there_and_little_else() {
    let paths: Vec<_> = (0..20_000).map(path).collect();
    let mut filter = InventoryFilter::with_room_for(paths.len());
    paths.iter().for_each(|path| filter.insert(path));
    assert!(paths.iter().all(|path| filter.may_contain(path)));
    let wrong = (20_000..120_000).filter(|number| filter.may_contain(&path(*number))).count();
    assert!(wrong < 150, "{wrong} of 100,000");
}

/// What a peer does with the messages.
fn apply(held: &mut Option<(u64, u64, InventoryFilter)>, message: InventoryMessage) {
    match message {
        InventoryMessage::Whole { epoch, position, filter } => *held = Some((epoch, position, filter)),
        InventoryMessage::Added { epoch, position, paths } => {
            let held = held.as_mut().unwrap();
            assert_eq!(held.0, epoch);
            held.1 = position;
            paths.iter().for_each(|path| held.2.insert(path));
        }
    }
}

#[test]
fn additions_bring_an_earlier_version_up_to_date() {
    let mut log = InventoryLog::of(7, &[path(1)]);
    let mut held = None;
    apply(&mut held, log.since(0, 0));
    for number in 2..200 {
        log.add(path(number));
        if number % 50 == 0 {
            let (epoch, position, _) = held.as_ref().unwrap();
            let message = log.since(*epoch, *position);
            assert!(matches!(message, InventoryMessage::Added { .. }));
            apply(&mut held, InventoryMessage::decode(&message.encode()).unwrap());
        }
    }
    assert_eq!(held.as_ref().unwrap().1, 149);
    let (epoch, position, filter) = held.unwrap();
    assert!((1..=150).all(|number| filter.may_contain(&path(number))));
    // A peer whose filter is another one, or newer than ours, gets the whole filter.
    assert!(matches!(log.since(epoch + 1, position), InventoryMessage::Whole { .. }));
    assert!(matches!(log.since(epoch, 1_000_000), InventoryMessage::Whole { .. }));
}

#[test]
fn who_is_too_far_behind_gets_the_whole() {
    let mut log = InventoryLog::of(7, &[]);
    (0..70_000).for_each(|number| log.add(path(number)));
    assert!(matches!(log.since(7, 0), InventoryMessage::Whole { position: 70_000, .. }));
    assert!(matches!(log.since(7, 69_000), InventoryMessage::Added { position: 70_000, .. }));
    assert!(log.is_worn());
}

#[test]
fn removals_wear_it_out() {
    let paths: Vec<_> = (0..1000).map(path).collect();
    let mut log = InventoryLog::of(7, &paths);
    (0..150).for_each(|_| log.remove());
    assert!(!log.is_worn());
    (0..100).for_each(|_| log.remove());
    assert!(log.is_worn());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Some(message) = InventoryMessage::decode(&bytes) {
            if let InventoryMessage::Whole { filter, .. } = &message {
                filter.may_contain(&path(1));
            }
            prop_assert_eq!(message.encode(), bytes);
        }
    }
}
