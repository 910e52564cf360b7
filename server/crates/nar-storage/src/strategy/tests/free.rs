//! What is known of the media.

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::Strategy;

#[test]
fn a_storage_whose_medium_has_no_room_is_passed_over_like_a_full_one() {
    let placement = placement(Strategy::InOrder, ["a", "b"].map(storage));
    placement.set_free("a", Some(100));
    assert_eq!(&*store(&placement, 101), "b");
    assert_eq!(&*store(&placement, 100), "a");
    assert_eq!(&*store(&placement, 1), "b");
    placement.set_free("b", Some(5));
    assert_eq!(placement.reserve(6, &[]).unwrap_err(), NoRoom::Full);
}

#[test]
fn what_is_on_its_way_and_what_was_stored_since_the_report_is_not_free() {
    let placement = placement(Strategy::InOrder, [storage("a")]);
    placement.set_free("a", Some(100));
    let open = placement.reserve(40, &[]).unwrap();
    placement.reserve(30, &[]).unwrap().commit();
    assert_eq!(placement.snapshot()[0].free, Some(70));
    assert_eq!(placement.reserve(31, &[]).unwrap_err(), NoRoom::Full);
    drop(open);
    placement.reserve(70, &[]).unwrap().commit();
    assert_eq!(placement.reserve(0, &[]).unwrap_err(), NoRoom::Full);
    // The next report knows of all of it.
    placement.set_free("a", Some(20));
    placement.reserve(20, &[]).unwrap().commit();
}

#[test]
fn a_medium_that_does_not_tell_has_room() {
    let placement = placement(Strategy::InOrder, [storage("a")]);
    placement.set_free("a", Some(0));
    assert_eq!(placement.reserve(1, &[]).unwrap_err(), NoRoom::Full);
    placement.set_free("a", None);
    placement.reserve(1 << 60, &[]).unwrap().commit();
    assert_eq!(placement.snapshot()[0].free, None);
}

#[test]
fn a_file_of_unknown_size_needs_a_free_byte() {
    let placement = placement(Strategy::InOrder, ["a", "b"].map(storage));
    placement.set_free("a", Some(0));
    assert_eq!(&*placement.propose(None).unwrap(), "b");
    placement.set_free("a", Some(1));
    assert_eq!(&*placement.propose(None).unwrap(), "a");
}

#[test]
fn free_bytes_and_the_maximum_both_limit_a_storage() {
    let placement = placement(Strategy::InOrder, [with_max_size("a", 10), storage("b")]);
    placement.set_free("a", Some(1_000));
    assert_eq!(&*store(&placement, 11), "b");
    placement.set_free("a", Some(5));
    assert_eq!(&*store(&placement, 6), "b");
    assert_eq!(&*store(&placement, 5), "a");
}

#[test]
fn a_file_in_the_spool_of_a_storage_takes_no_more_of_its_medium() {
    let placement = placement(Strategy::InOrder, [with_max_size("a", 100), storage("b")]);
    // 60 bytes are in the spool, which the report has seen.
    placement.set_free("a", Some(40));
    assert_eq!(&**placement.reserve(60, &[]).unwrap().storage(), "b");
    assert_eq!(&**placement.reserve_new(60, Some("b"), &[]).unwrap().storage(), "b");
    let reservation = placement.reserve_new(60, Some("a"), &[]).unwrap();
    assert_eq!(&**reservation.storage(), "a");
    reservation.commit();
    // Its limit is another matter.
    assert_eq!(&**placement.reserve_new(41, Some("a"), &[]).unwrap().storage(), "b");
}

#[test]
fn free_bytes_outlive_a_change_of_the_configuration_and_not_an_absence() {
    let placement = placement(Strategy::InOrder, ["a", "b"].map(storage));
    placement.set_free("a", Some(10));
    placement.reconfigure(Strategy::LeastUsed, vec![storage("b"), storage("a")]);
    assert_eq!(placement.snapshot()[1].free, Some(10));
    placement.reconfigure(Strategy::LeastUsed, vec![storage("b")]);
    placement.reconfigure(Strategy::LeastUsed, ["a", "b"].map(storage).to_vec());
    assert_eq!(placement.snapshot()[0].free, None);
}

#[test]
fn a_storage_that_finds_room_again_is_not_flooded() {
    let placement = placement(Strategy::RoundRobin, ["a", "b"].map(storage));
    placement.set_free("a", Some(0));
    assert_eq!(store_many(&placement, 50, 1), "b".repeat(50));
    placement.set_free("a", Some(1_000));
    assert_eq!(store_many(&placement, 4, 1), "abab");
}

fn strategy() -> impl Generator<Value = Strategy> {
    prop::sample::select(vec![Strategy::RoundRobin, Strategy::InOrder, Strategy::Split, Strategy::LeastUsed])
}

proptest! {
    /// Disks of known size that only we write to: their reports, whenever they come, say what is really free.
    #[test]
    fn a_disk_is_never_overfilled_and_never_refused_while_it_has_room(
        strategy in strategy(),
        disks in prop::collection::vec(0_u64..2_000, 1..5),
        files in prop::collection::vec((0_u64..300, prop::bool::weighted(0.1), any::<prop::sample::Index>()), 1..100),
    ) {
        let name = |number: usize| number.to_string();
        let share = |number| with_share(&name(number), 100 / u8::try_from(disks.len()).unwrap());
        let placement = placement(strategy, (0..disks.len()).map(share));
        let mut free = disks.clone();
        for (number, free) in free.iter().enumerate() {
            placement.set_free(&name(number), Some(*free));
        }
        for (size, fails, reported) in files {
            let fits = |free: &u64| *free >= size.max(1);
            match placement.reserve(size, &[]) {
                Ok(reservation) => {
                    let disk: usize = reservation.storage().parse().unwrap();
                    prop_assert!(fits(&free[disk]), "{size} bytes do not fit {}", free[disk]);
                    if !fails {
                        reservation.commit();
                        free[disk] -= size;
                    }
                }
                Err(refusal) => {
                    prop_assert_eq!(refusal, NoRoom::Full);
                    prop_assert!(!free.iter().any(fits), "{size} bytes fit one of {free:?}");
                }
            }
            let reported = reported.index(disks.len());
            placement.set_free(&name(reported), Some(free[reported]));
        }
    }
}
