//! A placement made from what the catalog kept decides as the one before would have.

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::Strategy;

#[derive(Debug, Clone)]
enum Step {
    Store(u64),
    Fail(u64),
    Exclude(usize),
    Remove(usize, u64),
    Report(usize, Health),
}

const STORAGES: usize = 4;

fn name(number: usize) -> String {
    number.to_string()
}

fn step() -> impl Generator<Value = Step> {
    let health = prop_oneof![Just(Health::Working), Just(Health::MediumFull), Just(Health::Failing)];
    prop_oneof![
        6 => (0_u64..100).prop_map(Step::Store),
        1 => (0_u64..100).prop_map(Step::Fail),
        1 => (0..STORAGES).prop_map(Step::Exclude),
        1 => (0..STORAGES, 0_u64..200).prop_map(|(storage, bytes)| Step::Remove(storage, bytes)),
        1 => (0..STORAGES, health).prop_map(|(storage, health)| Step::Report(storage, health)),
    ]
}

/// Does a step and returns which storage was picked, if the step picks one.
fn run(placement: &Placement, step: &Step) -> Option<Result<Arc<str>, NoRoom>> {
    let reserve = |size, exclude: &[Arc<str>], stored| {
        let reservation = placement.reserve(size, exclude)?;
        let storage = reservation.storage().clone();
        if stored {
            reservation.commit()
        } else {
            drop(reservation)
        }
        Ok(storage)
    };
    match *step {
        Step::Store(size) => return Some(reserve(size, &[], true)),
        Step::Fail(size) => return Some(reserve(size, &[], false)),
        Step::Exclude(storage) => return Some(reserve(1, &[name(storage).into()], true)),
        Step::Remove(storage, bytes) => placement.removed(&name(storage), bytes),
        Step::Report(storage, health) => placement.set_health(&name(storage), health),
    }
    None
}

fn states(used: impl IntoIterator<Item = u64>) -> Vec<StorageState> {
    let limits = [Some(600), None, Some(1_500), Some(3_000)];
    let shares = [10, 20, 30, 40];
    let state = |(number, used)| StorageState {
        name: name(number).into(),
        share: shares[number],
        max_size: limits[number],
        draining: false,
        used,
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
    #[test]
    fn decisions_after_a_restart_are_those_without_one(
        strategy in strategy(),
        before in prop::collection::vec(step(), 0..60),
        after in prop::collection::vec(step(), 0..60),
    ) {
        let placement = Placement::new(strategy, states([0; STORAGES]), &Turns::default());
        for step in &before {
            run(&placement, step);
        }
        let kept = placement.turns().to_string().parse().unwrap();
        let restarted = Placement::new(strategy, states(used(&placement)), &kept);
        for storage in placement.snapshot() {
            // The probes at start find what was known before.
            restarted.set_health(&storage.name, storage.health);
        }
        for step in &after {
            prop_assert_eq!(run(&placement, step), run(&restarted, step));
        }
    }
}

#[test]
fn uploads_that_a_crash_ended_leave_no_gap() {
    let placement = placement(Strategy::RoundRobin, ["a", "b", "c"].map(storage));
    assert_eq!(store_many(&placement, 4, 1), "abca");
    let _lost = placement.reserve(1, &[]).unwrap();
    assert_eq!(&*store(&placement, 1), "c");
    let restarted =
        Placement::new(Strategy::RoundRobin, ["a", "b", "c"].map(storage).to_vec(), &placement.turns());
    assert_eq!(store_many(&restarted, 4, 1), "babc");
}

#[test]
fn only_round_robin_has_something_to_remember() {
    for strategy in [Strategy::InOrder, Strategy::Split, Strategy::LeastUsed] {
        let placement = placement(strategy, ["a", "b"].map(storage));
        store_many(&placement, 3, 1);
        assert_eq!(placement.turns(), Turns::default());
    }
}
