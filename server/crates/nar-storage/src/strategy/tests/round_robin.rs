use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::Strategy;

fn round_robin(names: &[&str]) -> Placement {
    placement(Strategy::RoundRobin, names.iter().map(|name| storage(name)))
}

#[test]
fn files_go_around_in_listed_order() {
    assert_eq!(store_many(&round_robin(&["a", "b", "c"]), 8, 10), "abcabcab");
}

#[test]
fn parallel_uploads_go_to_successive_storages() {
    let placement = round_robin(&["a", "b", "c"]);
    let open: Vec<_> = (0..5).map(|_| placement.reserve(1, &[]).unwrap()).collect();
    let storages: String = open.iter().map(|reservation| reservation.storage().to_string()).collect();
    assert_eq!(storages, "abcab");
}

#[test]
fn a_turn_that_came_to_nothing_is_taken_by_the_next_file() {
    let placement = round_robin(&["a", "b", "c"]);
    let failed = placement.reserve(1, &[]).unwrap();
    assert_eq!(store_many(&placement, 2, 1), "bc");
    drop(failed);
    assert_eq!(store_many(&placement, 4, 1), "aabc");
}

#[test]
fn what_cannot_take_its_turn_is_skipped_and_the_others_go_on_in_turn() {
    let placement = round_robin(&["a", "b", "c"]);
    placement.set_health("b", Health::Failing);
    assert_eq!(store_many(&placement, 5, 1), "acaca");
}

#[test]
fn a_storage_that_is_back_is_not_flooded_with_what_it_missed() {
    let placement = round_robin(&["a", "b", "c"]);
    placement.set_health("b", Health::Failing);
    store_many(&placement, 100, 1);
    placement.set_health("b", Health::Working);
    assert_eq!(store_many(&placement, 6, 1), "abcabc");
}

#[test]
fn a_storage_too_full_for_large_files_is_not_flooded_with_small_ones() {
    let placement = placement(Strategy::RoundRobin, [storage("a"), with_max_size("b", 100), storage("c")]);
    assert_eq!(store_many(&placement, 20, 1_000), "ac".repeat(10));
    assert_eq!(store_many(&placement, 6, 1), "abcabc");
}

#[test]
fn an_excluded_storage_catches_up_by_one_turn() {
    let placement = round_robin(&["a", "b"]);
    for _ in 0..50 {
        placement.reserve(1, &["a".into()]).unwrap().commit();
    }
    assert_eq!(store_many(&placement, 6, 1), "aababa");
}

#[test]
fn an_upload_that_one_storage_failed_goes_to_the_next_one() {
    let placement = round_robin(&["a", "b", "c"]);
    let failed = placement.reserve(1, &[]).unwrap();
    let tried = [failed.storage().clone()];
    drop(failed);
    placement.set_health("a", Health::Failing);
    let second = placement.reserve(1, &tried).unwrap();
    assert_eq!(&**second.storage(), "b");
    second.commit();
    assert_eq!(store_many(&placement, 3, 1), "cbc");
    placement.set_health("a", Health::Working);
    assert_eq!(store_many(&placement, 6, 1), "abcabc");
}

proptest! {
    /// Uploads run in parallel, end in any order, and some fail and are tried again, as the client does.
    #[test]
    fn a_thousand_uploads_are_dealt_out_evenly(
        storages in 1_usize..6,
        parallel in 1_usize..20,
        choices in prop::collection::vec((any::<prop::sample::Index>(), prop::bool::weighted(0.2)), 2_000),
    ) {
        let names: Vec<_> = (0..storages).map(|number| number.to_string()).collect();
        let placement = placement(Strategy::RoundRobin, names.iter().map(|name| storage(name)));
        let mut open = VecDeque::new();
        let mut stored = 0;
        for (which, fails) in choices {
            while open.len() < parallel && stored + open.len() < 1_000 {
                open.push_back(placement.reserve(1, &[]).unwrap());
            }
            if open.is_empty() {
                break;
            }
            let upload = open.remove(which.index(open.len())).unwrap();
            if !fails {
                upload.commit();
                stored += 1;
            }
        }
        for upload in open {
            upload.commit();
            stored += 1;
        }
        prop_assert!(stored == 1_000);
        let files = used(&placement);
        let (fewest, most) = (files.iter().min().unwrap(), files.iter().max().unwrap());
        prop_assert!(most - fewest <= 1, "{files:?}");
    }

    /// Whatever the other storages do, one that always works and has room has its turn at least once in two rounds.
    #[test]
    fn a_storage_that_always_works_never_starves(
        steps in prop::collection::vec((1_usize..5, 0_u8..3, 1_usize..4), 1..200),
    ) {
        let placement = placement(Strategy::RoundRobin, (0..5).map(|number| storage(&number.to_string())));
        let mut waiting = 0;
        for (number, state, files) in steps {
            let (health, free) = [
                (Health::Working, Some(100)),
                (Health::Working, Some(0)),
                (Health::Failing, None),
            ][usize::from(state)];
            placement.set_health(&number.to_string(), health);
            placement.set_free(&number.to_string(), free);
            for _ in 0..files {
                waiting = if &*store(&placement, 1) == "0" { 0 } else { waiting + 1 };
                prop_assert!(waiting <= 8, "starves");
            }
        }
    }
}
