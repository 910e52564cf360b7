use super::*;
use crate::Strategy;

fn disks_before_bucket(strategy: Strategy) -> Placement {
    placement(
        strategy,
        [
            on_tier(1, storage("s")),
            with_max_size("a", 100),
            with_max_size("b", 100),
            on_tier(1, storage("t")),
        ],
    )
}

#[test]
fn files_go_to_the_fastest_tier_with_room_and_the_strategy_picks_within_it() {
    let round_robin = disks_before_bucket(Strategy::RoundRobin);
    assert_eq!(store_many(&round_robin, 24, 10), "ab".repeat(10) + "stst");
    assert_eq!(
        store_many(&disks_before_bucket(Strategy::InOrder), 22, 10),
        "a".repeat(10) + &"b".repeat(10) + "ss"
    );
    let least_used = disks_before_bucket(Strategy::LeastUsed);
    assert_eq!(store_many(&least_used, 23, 10), "ab".repeat(10) + "sts");
}

#[test]
fn shares_are_those_of_a_tier() {
    let storages = [
        on_tier(1, with_share("s", 100)),
        with_share("a", 25),
        StorageState { max_size: Some(800), ..with_share("b", 75) },
    ];
    let placement = placement(Strategy::Split, storages);
    store_many(&placement, 100, 10);
    assert_eq!(used(&placement), [0, 250, 750]);
    let shares: Vec<_> =
        placement.snapshot().iter().map(|one| (one.share_wanted, one.share_actual)).collect();
    assert_eq!(shares, [(Some(1.0), 0.0), (Some(0.25), 0.25), (Some(0.75), 0.75)]);
}

#[test]
fn a_failing_tier_is_passed_over_and_a_tier_that_is_back_is_not_flooded() {
    let placement = disks_before_bucket(Strategy::RoundRobin);
    for disk in ["a", "b"] {
        placement.set_health(disk, Health::Failing);
    }
    assert_eq!(store_many(&placement, 5, 1), "ststs");
    placement.set_health("b", Health::Working);
    assert_eq!(store_many(&placement, 3, 1), "bbb");
    placement.set_health("a", Health::Working);
    assert_eq!(store_many(&placement, 4, 1), "abab");
    for disk in ["a", "b"] {
        placement.set_health(disk, Health::Failing);
    }
    assert_eq!(store_many(&placement, 3, 1), "tst", "the turns of the slower tier stayed as they were");
}

#[test]
fn what_moves_goes_to_its_tier_then_to_slower_ones_then_to_faster_ones() {
    let tiers = [storage("a"), on_tier(1, storage("b")), on_tier(1, storage("c")), on_tier(2, storage("d"))];
    let placement = placement(Strategy::InOrder, tiers);
    let mut tried = Vec::new();
    let mut order = String::new();
    while let Ok(reservation) = placement.reserve_on_tier(1, 1, true, &tried) {
        order.push_str(reservation.storage());
        tried.push(reservation.storage().clone());
    }
    assert_eq!(order, "bcda");
}

#[test]
fn a_storage_that_changes_its_tier_joins_the_round_there() {
    let placement = placement(Strategy::RoundRobin, [storage("a"), storage("b"), on_tier(1, storage("s"))]);
    store_many(&placement, 40, 1);
    placement.reconfigure(Strategy::RoundRobin, vec![storage("a"), storage("b"), storage("s"), storage("t")]);
    assert_eq!(store_many(&placement, 8, 1), "abstabst");
}
