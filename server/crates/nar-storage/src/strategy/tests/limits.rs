//! Which storages can take a file, and in-order, which has no other rule.

use super::*;

#[test]
fn in_order_moves_on_when_a_storage_is_full_and_returns_when_it_has_room() {
    let placement =
        placement(Strategy::InOrder, [with_max_size("a", 30), with_max_size("b", 20), storage("c")]);
    assert_eq!(store_many(&placement, 7, 10), "aaabbcc");
    placement.removed("b", 10);
    assert_eq!(store_many(&placement, 2, 10), "bc");
    placement.removed("a", 20);
    assert_eq!(store_many(&placement, 3, 10), "aac");
}

#[test]
fn in_order_gives_a_small_file_to_the_first_storage_when_a_large_one_does_not_fit() {
    let placement = placement(Strategy::InOrder, [with_max_size("a", 30), storage("b")]);
    assert_eq!(&*store(&placement, 31), "b");
    assert_eq!(&*store(&placement, 30), "a");
    assert_eq!(&*store(&placement, 1), "b");
}

#[test]
fn a_storage_may_be_filled_to_the_last_byte_and_takes_nothing_then() {
    let placement = placement(Strategy::InOrder, [with_max_size("a", 10)]);
    placement.reserve(10, &[]).unwrap().commit();
    assert_eq!(placement.reserve(0, &[]).unwrap_err(), NoRoom::Full);
}

#[test]
fn a_storage_whose_maximum_was_lowered_below_its_use_takes_nothing() {
    let full = StorageState { max_size: Some(10), ..with_used("a", 20) };
    assert_eq!(placement(Strategy::InOrder, [full]).reserve(1, &[]).unwrap_err(), NoRoom::Full);
}

#[test]
fn a_storage_comes_back_when_it_works_again_or_its_medium_has_room() {
    for trouble in [Health::Failing, Health::MediumFull] {
        let placement = placement(Strategy::InOrder, ["a", "b"].map(storage));
        placement.set_health("a", trouble);
        assert_eq!(store_many(&placement, 2, 1), "bb");
        placement.set_health("a", Health::Working);
        assert_eq!(store_many(&placement, 2, 1), "aa");
    }
}

#[test]
fn a_draining_storage_takes_nothing() {
    let placement = placement(Strategy::LeastUsed, [draining("a"), with_used("b", 100)]);
    assert_eq!(store_many(&placement, 3, 10), "bbb");
}

#[test]
fn sizes_beyond_all_measure_do_not_fit() {
    let placement = placement(Strategy::Split, [with_share("a", 50), with_share("b", 50)]);
    let _huge: Vec<_> = (0..4).map(|_| placement.reserve(u64::MAX, &[]).unwrap()).collect();
    let limited = super::placement(Strategy::InOrder, [with_max_size("a", u64::MAX - 1)]);
    assert_eq!(limited.reserve(u64::MAX, &[]).unwrap_err(), NoRoom::Full);
}

#[test]
fn a_refusal_says_whether_trying_again_later_may_help() {
    let refusal = |storages: &[StorageState], troubles: &[(&str, Health)], size| {
        let placement = placement(Strategy::InOrder, storages.iter().cloned());
        troubles.iter().for_each(|(name, health)| placement.set_health(name, *health));
        placement.reserve(size, &[]).unwrap_err()
    };
    let small = || with_max_size("s", 10);
    assert_eq!(refusal(&[], &[], 1), NoRoom::NotWritten);
    assert_eq!(refusal(&[draining("d")], &[], 1), NoRoom::NotWritten);
    assert_eq!(refusal(&[draining("d"), small()], &[], 11), NoRoom::Full);
    assert_eq!(refusal(&[storage("a")], &[("a", Health::MediumFull)], 1), NoRoom::Full);
    assert_eq!(refusal(&[storage("a"), small()], &[("a", Health::Failing)], 11), NoRoom::Failing);
    // It would have no room either if it worked.
    assert_eq!(refusal(&[small()], &[("s", Health::Failing)], 11), NoRoom::Full);
    assert_eq!(refusal(&[small()], &[("s", Health::Failing)], 10), NoRoom::Failing);
}

#[test]
fn by_products_take_room_but_are_no_load() {
    let limited = || with_max_size("a", 100);
    let placement = super::placement(Strategy::LeastUsed, [limited(), with_used("b", 50)]);
    placement.by_products_changed("a", 90);
    assert_eq!(placement.propose(Some(10)).unwrap().as_ref(), "a");
    assert_eq!(placement.propose(Some(11)).unwrap().as_ref(), "b");
    placement.by_products_changed("a", -1);
    assert_eq!(placement.propose(Some(11)).unwrap().as_ref(), "a");
    // A reload keeps the count, and more cannot be gone than was there.
    placement.reconfigure(Strategy::LeastUsed, vec![limited(), storage("b")]);
    assert_eq!(placement.snapshot()[0].by_products, 89);
    placement.by_products_changed("a", -500);
    assert_eq!(placement.snapshot()[0].by_products, 0);
    placement.set_by_products("a", 100);
    assert!(placement.snapshot()[0].full);
}

#[test]
fn all_storages_together_hold_no_more_than_the_limit_of_the_cache() {
    let placement = super::placement(Strategy::InOrder, [with_used("a", 60), with_used("b", 20)]);
    placement.set_max_total(Some(100));
    placement.by_products_changed("b", 5);
    assert_eq!(placement.propose(Some(16)), Err(NoRoom::Limit));
    let reservation = placement.reserve_new(15, None, &[]).unwrap();
    assert_eq!(placement.reserve_new(1, Some("a"), &[]).unwrap_err(), NoRoom::Limit);
    // What only moves is there already.
    let moved = placement.reserve(20, &["b".into()]).unwrap();
    assert_eq!(moved.storage().as_ref(), "a");
    drop((moved, reservation));
    placement.reserve_new(10, None, &[]).unwrap().commit();
    placement.by_products_changed("b", 5);
    assert_eq!(placement.propose(None).unwrap_err(), NoRoom::Limit);
    placement.removed("a", 6);
    assert!(placement.propose(Some(6)).is_ok());
    placement.set_max_total(None);
    assert!(placement.propose(Some(1_000)).is_ok());
}
