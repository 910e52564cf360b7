//! Eight pushers at once.

use std::thread;

use proptest::prelude::*;

use super::*;
use crate::Strategy;

const PUSHERS: usize = 8;
const FILES: usize = 1_000;

/// Stores files of these sizes from eight threads, and returns where each went. With `failures` every fifth upload
/// fails at first and is tried again.
fn push_from_all_sides(placement: &Placement, sizes: &[u64], failures: bool) -> Vec<(Arc<str>, u64)> {
    let push = |pusher: usize| {
        let mut stored = Vec::new();
        for (number, &size) in sizes.iter().enumerate().skip(pusher).step_by(PUSHERS) {
            if failures && number % 5 == 0 {
                drop(placement.reserve(size, &[]).unwrap());
            }
            let reservation = placement.reserve(size, &[]).unwrap();
            thread::yield_now();
            stored.push((reservation.storage().clone(), size));
            reservation.commit();
        }
        stored
    };
    thread::scope(|scope| {
        let pushers: Vec<_> = (0..PUSHERS).map(|pusher| scope.spawn(move || push(pusher))).collect();
        pushers.into_iter().flat_map(|pusher| pusher.join().unwrap()).collect()
    })
}

fn sizes(skipped: usize) -> Vec<u64> {
    mixed_sizes().skip(skipped).take(FILES).collect()
}

#[test]
fn nothing_is_lost_or_counted_twice() {
    for strategy in [Strategy::RoundRobin, Strategy::InOrder, Strategy::Split, Strategy::LeastUsed] {
        let placement = placement(strategy, [with_share("a", 70), with_share("b", 30)]);
        let sizes = sizes(0);
        push_from_all_sides(&placement, &sizes, true);
        assert_eq!(used(&placement).iter().sum::<u64>(), sizes.iter().sum::<u64>());
        let snapshot = placement.snapshot();
        assert!(snapshot.iter().all(|storage| (storage.reserved, storage.reservations) == (0, 0)));
    }
}

#[test]
fn a_limit_is_never_exceeded() {
    let placement = placement(
        Strategy::LeastUsed,
        [with_max_size("a", 100_000_000), with_max_size("b", 7_000_000), storage("c")],
    );
    push_from_all_sides(&placement, &sizes(0), true);
    let used = used(&placement);
    assert!(used[0] <= 100_000_000 && used[1] <= 7_000_000, "{used:?}");
}

#[test]
fn round_robin_deals_evenly_though_uploads_fail() {
    let placement = placement(Strategy::RoundRobin, ["a", "b", "c"].map(storage));
    thread::scope(|scope| {
        for _ in 0..PUSHERS {
            scope.spawn(|| {
                for _ in 0..125 {
                    let failed = placement.reserve(1, &[]).unwrap();
                    thread::yield_now();
                    drop(failed);
                    placement.reserve(1, &[]).unwrap().commit();
                }
            });
        }
    });
    // Turns that are given back late leave the last few files uneven; a round later nothing is left of that.
    store_many(&placement, PUSHERS * 3, 1);
    let files = used(&placement);
    assert_eq!(files.iter().sum::<u64>(), 1_024);
    assert!(files.iter().max().unwrap() - files.iter().min().unwrap() <= 1, "{files:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn split_keeps_its_shares_within_2_percent(
        cuts in prop::collection::btree_set(1_u8..100, 0..4),
        skipped in 0_usize..10_000,
        failures: bool,
    ) {
        let edges: Vec<_> = [0].into_iter().chain(cuts).chain([100]).collect();
        let share = |edge: &[u8]| with_share(&edge[0].to_string(), edge[1] - edge[0]);
        let placement = placement(Strategy::Split, edges.windows(2).map(share));
        push_from_all_sides(&placement, &sizes(skipped), failures);
        for storage in placement.snapshot() {
            let distance = storage.share_wanted.unwrap() - storage.share_actual;
            prop_assert!(distance.abs() <= 0.02, "{:?}", storage);
        }
    }

    #[test]
    fn round_robin_is_exact(storages in 1_usize..7) {
        let placement =
            placement(Strategy::RoundRobin, (0..storages).map(|number| storage(&number.to_string())));
        let stored = push_from_all_sides(&placement, &sizes(0), false);
        for number in 0..storages {
            let name = number.to_string();
            let files = stored.iter().filter(|(storage, _)| **storage == *name).count();
            // Who comes first gets one of the files that are left over.
            prop_assert_eq!(files, FILES / storages + usize::from(number < FILES % storages));
        }
    }

    #[test]
    fn in_order_moves_on_only_from_what_is_too_full_and_comes_back(
        limits in prop::collection::vec(0_u64..100_000_000, 1..4),
        skipped in 0_usize..10_000,
    ) {
        let limited = limits.iter().enumerate().map(|(number, limit)| with_max_size(&number.to_string(), *limit));
        let placement = placement(Strategy::InOrder, limited.chain([storage("last")]));
        let stored = push_from_all_sides(&placement, &sizes(skipped), false);
        // Nothing is ever given back, so that what does not fit in the end is all that can have been passed on.
        let used = used(&placement);
        for (number, limit) in limits.iter().enumerate() {
            prop_assert!(used[number] <= *limit);
            let later = |storage: &str| storage.parse().map_or(true, |other: usize| other > number);
            for (_, size) in stored.iter().filter(|(storage, _)| later(storage)) {
                prop_assert!(used[number] + size > *limit, "{size} bytes would fit storage {number}");
            }
        }
        placement.removed("0", used[0]);
        if limits[0] > 0 {
            prop_assert_eq!(&*store(&placement, 1), "0");
        }
    }

    #[test]
    fn least_used_leaves_no_storage_fuller_than_by_a_file(
        before in prop::collection::vec(0_u64..10_000_000, 1..6),
        skipped in 0_usize..10_000,
    ) {
        let state = |(number, used): (usize, &u64)| with_used(&number.to_string(), *used);
        let placement = placement(Strategy::LeastUsed, before.iter().enumerate().map(state));
        let sizes = sizes(skipped);
        let stored = push_from_all_sides(&placement, &sizes, false);
        let used = used(&placement);
        let (least, largest) = (used.iter().min().unwrap(), sizes.iter().max().unwrap());
        for (storage, _) in stored {
            let used = used[storage.parse::<usize>().unwrap()];
            prop_assert!(used <= least + largest, "{storage} got a file and has {used} bytes, another one {least}");
        }
    }
}
