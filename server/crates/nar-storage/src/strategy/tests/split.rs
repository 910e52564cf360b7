use proptest::prelude::*;

use super::*;
use crate::Strategy;

/// Greatest distance of a storage from its share, as a part of all bytes.
fn distance(placement: &Placement) -> f64 {
    let distance = |storage: &StorageSnapshot| (storage.share_wanted.unwrap() - storage.share_actual).abs();
    placement.snapshot().iter().map(distance).fold(0.0, f64::max)
}

#[test]
fn the_storage_that_lacks_the_most_bytes_is_picked() {
    let placement = placement(Strategy::Split, [with_share("a", 75), with_share("b", 25)]);
    assert_eq!(store_many(&placement, 8, 10), "aabaaaba");
    assert_eq!(used(&placement), [60, 20]);
    // Of the 140 bytes that there will be, `a` lacks 45 and `b` lacks 15.
    assert_eq!(&*store(&placement, 60), "a");
}

#[test]
fn shares_are_of_bytes_and_not_of_files() {
    let placement = placement(Strategy::Split, [with_share("a", 50), with_share("b", 50)]);
    assert_eq!(&*store(&placement, 1_000), "a");
    assert_eq!(store_many(&placement, 10, 100), "b".repeat(10));
    assert_eq!(used(&placement), [1_000, 1_000]);
}

#[test]
fn files_under_way_count() {
    let placement = placement(Strategy::Split, [with_share("a", 50), with_share("b", 50)]);
    let first = placement.reserve(100, &[]).unwrap();
    let second = placement.reserve(100, &[]).unwrap();
    assert_eq!((&**first.storage(), &**second.storage()), ("a", "b"));
}

#[test]
fn while_a_storage_is_full_the_others_keep_their_proportion() {
    let full = StorageState { max_size: Some(1_000), ..with_share("a", 50) };
    let placement = placement(Strategy::Split, [full, with_share("b", 40), with_share("c", 10)]);
    store_many(&placement, 1_000, 10);
    let used = used(&placement);
    assert_eq!((used[0], used[1] + used[2]), (1_000, 9_000));
    assert!(used[1].abs_diff(7_200) <= 10, "{used:?}");
}

#[test]
fn a_storage_without_a_share_is_the_last_resort() {
    let placement = placement(Strategy::Split, [storage("a"), with_share("b", 100)]);
    assert_eq!(store_many(&placement, 3, 0), "bbb");
    assert_eq!(store_many(&placement, 3, 10), "bbb");
    placement.set_health("b", Health::Failing);
    assert_eq!(store_many(&placement, 3, 10), "aaa");
}

#[test]
fn changed_shares_are_reached_by_what_comes_in() {
    let placement = placement(Strategy::Split, [with_share("a", 90), with_share("b", 10)]);
    store_many(&placement, 100, 10);
    placement.reconfigure(Strategy::Split, vec![with_share("a", 50), with_share("b", 50)]);
    assert_eq!(store_many(&placement, 80, 10), "b".repeat(80));
    store_many(&placement, 20, 10);
    assert_eq!(used(&placement), [1_000, 1_000]);
}

proptest! {
    #[test]
    fn shares_are_kept_within_2_percent_over_a_thousand_uploads_of_mixed_sizes(
        cuts in prop::collection::btree_set(1_u8..100, 0..4),
        skipped in 0_usize..10_000,
        parallel in 1_usize..16,
    ) {
        let edges: Vec<_> = [0].into_iter().chain(cuts).chain([100]).collect();
        let share = |edge: &[u8]| with_share(&edge[0].to_string(), edge[1] - edge[0]);
        let placement = placement(Strategy::Split, edges.windows(2).map(share));
        let mut open = std::collections::VecDeque::new();
        for (number, size) in mixed_sizes().skip(skipped).take(1_000).enumerate() {
            open.push_back(placement.reserve(size, &[]).unwrap());
            if open.len() >= parallel {
                // One of the oldest, now one then the other, as uploads overtake each other.
                open.remove(number % open.len().min(3)).unwrap().commit();
            }
        }
        open.into_iter().for_each(Reservation::commit);
        prop_assert!(distance(&placement) <= 0.02, "{:?}", placement.snapshot());
    }
}
