//! A placement made from what the catalog kept decides as the one before would have.

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::Strategy;

#[derive(Debug, Clone)]
enum Step {
    Store(u64),
    /// Begins an upload that is still under way when the daemon ends.
    Begin(u64),
    Fail(u64),
    Exclude(usize),
    Remove(usize, u64),
    Report(usize, Health),
    Free(usize, Option<u64>),
}

const STORAGES: usize = 4;

fn name(number: usize) -> String {
    number.to_string()
}

fn step() -> impl Generator<Value = Step> {
    let health = prop_oneof![Just(Health::Working), Just(Health::MediumFull), Just(Health::Failing)];
    prop_oneof![
        6 => (0_u64..100).prop_map(Step::Store),
        1 => (0_u64..100).prop_map(Step::Begin),
        1 => (0_u64..100).prop_map(Step::Fail),
        1 => (0..STORAGES).prop_map(Step::Exclude),
        1 => (0..STORAGES, 0_u64..200).prop_map(|(storage, bytes)| Step::Remove(storage, bytes)),
        1 => (0..STORAGES, health).prop_map(|(storage, health)| Step::Report(storage, health)),
        1 => (0..STORAGES, prop::option::of(0_u64..500)).prop_map(|(storage, free)| Step::Free(storage, free)),
    ]
}

/// Does a step and returns which storage was picked, if the step picks one. Uploads that go on are added to `open`.
fn run(placement: &Placement, step: &Step, open: &mut Vec<Reservation>) -> Option<Result<Arc<str>, NoRoom>> {
    let picked = |reservation: &Reservation| reservation.storage().clone();
    let commit = |reservation: Reservation| {
        let storage = picked(&reservation);
        reservation.commit();
        storage
    };
    match *step {
        Step::Store(size) => return Some(placement.reserve(size, &[]).map(commit)),
        Step::Exclude(storage) => return Some(placement.reserve(1, &[name(storage).into()]).map(commit)),
        Step::Fail(size) => return Some(placement.reserve(size, &[]).map(|failed| picked(&failed))),
        Step::Begin(size) => {
            let begun = placement.reserve(size, &[]);
            return Some(begun.map(|begun| {
                let storage = picked(&begun);
                open.push(begun);
                storage
            }));
        }
        Step::Remove(storage, bytes) => placement.removed(&name(storage), bytes),
        Step::Report(storage, health) => placement.set_health(&name(storage), health),
        Step::Free(storage, free) => placement.set_free(&name(storage), free),
    }
    None
}

fn states(used: impl IntoIterator<Item = u64>) -> Vec<StorageState> {
    let limits = [Some(600), None, Some(1_500), Some(3_000)];
    let shares = [10, 20, 30, 40];
    let state = |(number, used)| StorageState {
        name: name(number).into(),
        share: shares[number],
        tier: 0,
        max_size: limits[number],
        draining: false,
        used,
        by_products: 0,
    };
    used.into_iter().enumerate().map(state).collect()
}

fn strategy() -> impl Generator<Value = Strategy> {
    prop_oneof![
        3 => Just(Strategy::RoundRobin),
        1 => Just(Strategy::InOrder),
        1 => Just(Strategy::Split),
        1 => Just(Strategy::LeastUsed),
    ]
}

proptest! {
    /// The turns are kept with the last file of those under way, as the catalog keeps them with each.
    #[test]
    fn decisions_after_a_restart_are_those_without_one(
        strategy in strategy(),
        before in prop::collection::vec(step(), 0..60),
        after in prop::collection::vec(step(), 0..60),
    ) {
        let placement = Placement::new(strategy, states([0; STORAGES]), &Turns::default());
        let mut open = Vec::new();
        for step in &before {
            run(&placement, step, &mut open);
        }
        let kept = placement.turns().to_string().parse().unwrap();
        open.into_iter().for_each(Reservation::commit);
        prop_assert_eq!(&placement.turns(), &kept);
        let restarted = Placement::new(strategy, states(used(&placement)), &kept);
        for storage in placement.snapshot() {
            // The probes at start find what was known before.
            restarted.set_health(&storage.name, storage.health);
            restarted.set_free(&storage.name, storage.free);
        }
        let mut open = Vec::new();
        for step in &after {
            prop_assert_eq!(run(&placement, step, &mut open), run(&restarted, step, &mut open));
        }
    }
}

#[test]
fn what_is_kept_with_a_file_has_the_turn_of_that_file() {
    let storages = || ["a", "b", "c"].map(storage).to_vec();
    let placement = Placement::new(Strategy::RoundRobin, storages(), &Turns::default());
    assert_eq!(store_many(&placement, 4, 1), "abca");
    let committing = placement.reserve(1, &[]).unwrap();
    assert_eq!(&**committing.storage(), "b");
    let kept = placement.turns();
    committing.commit();
    let restarted = Placement::new(Strategy::RoundRobin, storages(), &kept);
    assert_eq!(store_many(&restarted, 5, 1), "cabca");
    assert_eq!(store_many(&placement, 5, 1), "cabca");
}

#[test]
fn an_upload_that_a_crash_ended_has_had_its_turn() {
    let placement = placement(Strategy::RoundRobin, ["a", "b", "c"].map(storage));
    assert_eq!(store_many(&placement, 4, 1), "abca");
    let _lost = placement.reserve(1, &[]).unwrap();
    assert_eq!(&*store(&placement, 1), "c");
    let restarted =
        Placement::new(Strategy::RoundRobin, ["a", "b", "c"].map(storage).to_vec(), &placement.turns());
    assert_eq!(store_many(&restarted, 4, 1), "abca");
}

#[test]
fn only_round_robin_has_something_to_remember() {
    for strategy in [Strategy::InOrder, Strategy::Split, Strategy::LeastUsed] {
        let placement = placement(strategy, ["a", "b"].map(storage));
        store_many(&placement, 3, 1);
        assert_eq!(placement.turns(), Turns::default());
    }
}
