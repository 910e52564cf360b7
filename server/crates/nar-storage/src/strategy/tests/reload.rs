//! A changed configuration under running uploads.

use super::*;

#[test]
fn what_stays_listed_keeps_its_books_whatever_its_place() {
    let placement = placement(Strategy::InOrder, ["a", "b"].map(storage));
    placement.reserve(10, &[]).unwrap().commit();
    let open = placement.reserve(5, &[]).unwrap();
    placement.set_health("a", Health::Failing);
    placement.reconfigure(Strategy::InOrder, vec![with_used("c", 7), with_used("a", 999)]);
    let snapshot = placement.snapshot();
    let books: Vec<_> = snapshot.iter().map(|s| (&*s.name, s.used, s.reserved, s.health)).collect();
    assert_eq!(books, [("c", 7, 0, Health::Working), ("a", 10, 5, Health::Failing)]);
    open.commit();
    assert_eq!((used(&placement), reserved(&placement)), (vec![7, 15], vec![0, 0]));
}

#[test]
fn limits_shares_and_draining_are_taken_over() {
    let placement = placement(Strategy::InOrder, ["a", "b", "c"].map(storage));
    placement.reserve(10, &[]).unwrap().commit();
    placement.reconfigure(Strategy::InOrder, vec![with_max_size("a", 12), draining("b"), storage("c")]);
    assert_eq!(store_many(&placement, 3, 2), "acc");
}

#[test]
fn a_storage_that_was_taken_out_takes_no_more_files_and_what_was_on_its_way_is_no_harm() {
    let placement = placement(Strategy::InOrder, ["a", "b"].map(storage));
    let (stored, failed) = (placement.reserve(10, &[]).unwrap(), placement.reserve(10, &[]).unwrap());
    placement.reconfigure(Strategy::InOrder, vec![storage("b")]);
    assert_eq!(&*store(&placement, 1), "b");
    stored.commit();
    // What the catalog says by now, with the file that is stored.
    placement.reconfigure(Strategy::InOrder, vec![with_used("a", 10), storage("b")]);
    assert_eq!((used(&placement), reserved(&placement)), (vec![10, 1], vec![10, 0]));
    drop(failed);
    assert_eq!((used(&placement), reserved(&placement)), (vec![10, 1], vec![0, 0]));
}

#[test]
fn a_storage_that_returns_is_given_a_chance() {
    let placement = placement(Strategy::InOrder, ["a", "b"].map(storage));
    placement.set_health("a", Health::Failing);
    placement.reconfigure(Strategy::InOrder, vec![storage("b")]);
    placement.reconfigure(Strategy::InOrder, vec![storage("a"), storage("b")]);
    assert_eq!(&*store(&placement, 1), "a");
}

#[test]
fn a_new_storage_joins_the_round_and_is_not_flooded() {
    let placement = placement(Strategy::RoundRobin, ["a", "b"].map(storage));
    store_many(&placement, 101, 1);
    placement.reconfigure(Strategy::RoundRobin, ["a", "b", "c"].map(storage).to_vec());
    assert_eq!(store_many(&placement, 5, 1), "bcabc");
}

#[test]
fn a_storage_that_returns_joins_the_round_and_is_not_flooded() {
    let placement = placement(Strategy::RoundRobin, ["a", "b"].map(storage));
    placement.reconfigure(Strategy::RoundRobin, vec![storage("a")]);
    store_many(&placement, 100, 1);
    placement.reconfigure(Strategy::RoundRobin, ["a", "b"].map(storage).to_vec());
    assert_eq!(store_many(&placement, 4, 1), "abab");
}

#[test]
fn a_storage_that_was_draining_is_not_flooded() {
    let placement = placement(Strategy::RoundRobin, [storage("a"), draining("b")]);
    store_many(&placement, 100, 1);
    placement.reconfigure(Strategy::RoundRobin, ["a", "b"].map(storage).to_vec());
    assert_eq!(store_many(&placement, 4, 1).matches('b').count(), 2);
}

#[test]
fn the_strategy_can_be_changed_and_changed_back() {
    let storages = || ["a", "b"].map(storage).to_vec();
    let placement = placement(Strategy::RoundRobin, storages());
    assert_eq!(store_many(&placement, 3, 10), "aba");
    placement.reconfigure(Strategy::LeastUsed, storages());
    assert_eq!(store_many(&placement, 2, 10), "ba");
    placement.reconfigure(Strategy::InOrder, storages());
    assert_eq!(store_many(&placement, 50, 10), "a".repeat(50));
    placement.reconfigure(Strategy::RoundRobin, storages());
    assert_eq!(store_many(&placement, 4, 10), "abab");
}

#[test]
fn reading_the_same_configuration_again_changes_no_decision() {
    let storages = || ["a", "b", "c"].map(storage).to_vec();
    let placement = placement(Strategy::RoundRobin, storages());
    for turn in ["a", "b", "c", "a"] {
        placement.reconfigure(Strategy::RoundRobin, storages());
        assert_eq!(&*store(&placement, 1), turn);
    }
}
