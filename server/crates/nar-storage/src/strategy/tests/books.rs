//! Reservations, and what is told of files and storages.

use super::*;

#[test]
fn a_dropped_reservation_gives_the_room_back() {
    let placement = placement(Strategy::InOrder, [with_max_size("a", 100)]);
    let reservation = placement.reserve(100, &[]).unwrap();
    assert_eq!((reservation.size(), &**reservation.storage()), (100, "a"));
    assert_eq!(placement.reserve(1, &[]).unwrap_err(), NoRoom::Full);
    drop(reservation);
    assert_eq!((used(&placement), reserved(&placement)), (vec![0], vec![0]));
    placement.reserve(100, &[]).unwrap().commit();
    assert_eq!((used(&placement), reserved(&placement)), (vec![100], vec![0]));
}

#[test]
fn parallel_uploads_see_each_other() {
    let placement = placement(Strategy::LeastUsed, ["a", "b", "c"].map(storage));
    let open: Vec<_> = (0..6).map(|_| placement.reserve(10, &[]).unwrap()).collect();
    let storages: String = open.iter().map(|reservation| reservation.storage().to_string()).collect();
    assert_eq!(storages, "abcabc");
    assert_eq!(reserved(&placement), [20, 20, 20]);
}

#[test]
fn an_excluded_storage_is_not_tried_again() {
    let placement = placement(Strategy::InOrder, ["a", "b"].map(storage));
    let mut tried = Vec::new();
    for name in ["a", "b"] {
        let reservation = placement.reserve(1, &tried).unwrap();
        assert_eq!(&**reservation.storage(), name);
        tried.push(reservation.storage().clone());
    }
    // They work as far as is known, but not for this file: that may change, and is not a matter of room.
    assert_eq!(placement.reserve(1, &tried).unwrap_err(), NoRoom::Failing);
}

#[test]
fn a_proposal_is_where_the_file_would_go_and_reserves_nothing() {
    for strategy in [Strategy::RoundRobin, Strategy::InOrder, Strategy::Split, Strategy::LeastUsed] {
        let placement = placement(strategy, [with_share("a", 20), with_share("b", 80)]);
        for size in mixed_sizes().take(100) {
            let proposed = placement.propose(Some(size)).unwrap();
            assert_eq!(proposed, placement.propose(Some(size)).unwrap());
            assert_eq!(reserved(&placement), [0, 0]);
            assert_eq!(proposed, store(&placement, size));
        }
    }
}

#[test]
fn a_file_of_unknown_size_is_refused_only_when_nothing_fits() {
    let placement = placement(Strategy::InOrder, [with_max_size("a", 10)]);
    placement.reserve(9, &[]).unwrap().commit();
    assert_eq!(&*placement.propose(None).unwrap(), "a");
    placement.reserve(1, &[]).unwrap().commit();
    assert_eq!(placement.propose(None).unwrap_err(), NoRoom::Full);
}

#[test]
fn removing_files_makes_room() {
    let placement = placement(Strategy::InOrder, [with_max_size("a", 10), storage("b")]);
    assert_eq!(store_many(&placement, 3, 5), "aab");
    placement.removed("a", 5);
    assert_eq!(store_many(&placement, 2, 5), "ab");
    placement.removed("a", 1_000);
    assert_eq!(used(&placement), [0, 10]);
}

#[test]
fn counted_bytes_replace_what_was_known_and_leave_what_is_reserved() {
    let placement = placement(Strategy::LeastUsed, [with_used("a", 10), storage("b")]);
    let reservation = placement.reserve(4, &[]).unwrap();
    placement.set_used("b", 100);
    assert_eq!((used(&placement), reserved(&placement)), (vec![10, 100], vec![0, 4]));
    reservation.commit();
    assert_eq!((used(&placement), reserved(&placement)), (vec![10, 104], vec![0, 0]));
}

#[test]
fn reports_of_unknown_storages_change_nothing() {
    let placement = placement(Strategy::InOrder, [with_used("a", 10)]);
    let before = placement.snapshot();
    placement.set_health("z", Health::Failing);
    placement.removed("z", 10);
    placement.set_used("z", 10);
    placement.set_free("z", Some(10));
    assert_eq!(placement.snapshot(), before);
}

#[test]
fn a_thread_that_panics_keeps_nothing_reserved() {
    let placement = placement(Strategy::InOrder, [storage("a")]);
    let panicking = placement.clone();
    let upload = std::thread::spawn(move || {
        let _reservation = panicking.reserve(10, &[]).unwrap();
        panic!("the upload fails");
    });
    assert!(upload.join().is_err());
    assert_eq!(reserved(&placement), [0]);
}
