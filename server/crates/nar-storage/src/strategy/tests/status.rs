use super::*;

#[test]
fn the_snapshot_shows_what_is_used_reserved_wanted_and_wrong() {
    let limited = StorageState { max_size: Some(100), used: 60, ..with_share("a", 30) };
    let gone = StorageState { used: 30, share: 40, ..draining("c") };
    let placement = placement(Strategy::Split, [limited, with_share("b", 30), gone]);
    placement.reserve(10, &["a".into()]).unwrap().commit();
    let _open = placement.reserve(40, &["b".into()]).unwrap();
    placement.set_health("b", Health::Failing);
    placement.set_free("a", Some(1_000));
    let expected = [
        StorageSnapshot {
            name: "a".into(),
            tier: 0,
            health: Health::Working,
            draining: false,
            full: true,
            max_size: Some(100),
            free: Some(1_000),
            used: 60,
            by_products: 0,
            reserved: 40,
            reservations: 1,
            share_wanted: Some(0.5),
            share_actual: 0.6,
        },
        StorageSnapshot {
            name: "b".into(),
            tier: 0,
            health: Health::Failing,
            draining: false,
            full: false,
            max_size: None,
            free: None,
            used: 10,
            by_products: 0,
            reserved: 0,
            reservations: 0,
            share_wanted: Some(0.5),
            share_actual: 0.1,
        },
        StorageSnapshot {
            name: "c".into(),
            tier: 0,
            health: Health::Working,
            draining: true,
            full: false,
            max_size: None,
            free: None,
            used: 30,
            by_products: 0,
            reserved: 0,
            reservations: 0,
            share_wanted: Some(0.0),
            share_actual: 0.3,
        },
    ];
    assert_eq!(placement.snapshot(), expected);
}

#[test]
fn a_full_medium_shows_as_full() {
    let placement = placement(Strategy::InOrder, [storage("a")]);
    placement.set_health("a", Health::MediumFull);
    assert!(placement.snapshot()[0].full);
}

#[test]
fn a_medium_without_a_free_byte_shows_as_full() {
    let placement = placement(Strategy::InOrder, [storage("a")]);
    placement.set_free("a", Some(10));
    placement.reserve(9, &[]).unwrap().commit();
    assert_eq!((placement.snapshot()[0].free, placement.snapshot()[0].full), (Some(1), false));
    let _open = placement.reserve(1, &[]).unwrap();
    assert_eq!((placement.snapshot()[0].free, placement.snapshot()[0].full), (Some(1), true));
}

#[test]
fn only_split_wants_shares_and_an_empty_cache_has_none() {
    let placement = placement(Strategy::InOrder, [with_share("a", 100)]);
    let snapshot = &placement.snapshot()[0];
    assert_eq!((snapshot.share_wanted, snapshot.share_actual), (None, 0.0));
}
