//! Random histories against books that are kept in the plainest way.

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;

use super::*;
use crate::Strategy;

#[derive(Debug, Clone)]
enum Step {
    Reserve { size: u64, exclude: Vec<usize> },
    Commit(prop::sample::Index),
    Drop(prop::sample::Index),
    Remove(usize, u64),
    Report(usize, Health),
    Free(usize, Option<u64>),
}

/// What a test knows of a storage.
#[derive(Debug)]
struct Known {
    state: StorageState,
    health: Health,
    free: Option<u64>,
    reserved: u64,
}

impl Known {
    fn load(&self) -> u64 {
        self.state.used + self.reserved
    }

    fn has_room(&self, size: u64) -> bool {
        let full = |max_size| self.load() >= max_size || self.load() + size > max_size;
        let on_medium = |free| size.max(1) + self.reserved <= free;
        self.health != Health::MediumFull
            && !self.state.max_size.is_some_and(full)
            && self.free.is_none_or(on_medium)
    }
}

fn storages() -> impl Generator<Value = Vec<StorageState>> {
    let storage = (1_u8..100, prop::option::of(0_u64..1_000), prop::bool::weighted(0.1), 0_u64..300);
    prop::collection::vec(storage, 1..5).prop_map(|storages| {
        let state = |(number, (share, max_size, draining, used)): (usize, _)| StorageState {
            name: number.to_string().into(),
            share,
            tier: 0,
            max_size,
            draining,
            used,
            by_products: 0,
        };
        storages.into_iter().enumerate().map(state).collect()
    })
}

fn step() -> impl Generator<Value = Step> {
    let health =
        prop_oneof![4 => Just(Health::Working), 1 => Just(Health::MediumFull), 1 => Just(Health::Failing)];
    let exclude = prop_oneof![3 => Just(Vec::new()), 1 => prop::collection::vec(0_usize..5, 1..3)];
    prop_oneof![
        5 => (0_u64..200, exclude).prop_map(|(size, exclude)| Step::Reserve { size, exclude }),
        3 => any::<prop::sample::Index>().prop_map(Step::Commit),
        1 => any::<prop::sample::Index>().prop_map(Step::Drop),
        1 => (0_usize..5, 0_u64..300).prop_map(|(storage, bytes)| Step::Remove(storage, bytes)),
        1 => (0_usize..5, health).prop_map(|(storage, health)| Step::Report(storage, health)),
        1 => (0_usize..5, prop::option::of(0_u64..1_000)).prop_map(|(storage, free)| Step::Free(storage, free)),
    ]
}

fn strategy() -> impl Generator<Value = Strategy> {
    prop::sample::select(vec![Strategy::RoundRobin, Strategy::InOrder, Strategy::Split, Strategy::LeastUsed])
}

/// Bytes that a storage lacks to its share of what there would be, the file included.
fn lacks(storage: &Known, able: &[&Known], size: u64) -> f64 {
    let shares: f64 = able.iter().map(|other| f64::from(other.state.share)).sum();
    let bytes = able.iter().map(|other| other.load()).sum::<u64>() + size.max(1);
    bytes as f64 * f64::from(storage.state.share) / shares - storage.load() as f64
}

fn check_choice(strategy: Strategy, chosen: &Known, able: &[&Known], size: u64) -> Result<(), TestCaseError> {
    match strategy {
        Strategy::InOrder => prop_assert_eq!(&chosen.state.name, &able[0].state.name),
        Strategy::LeastUsed => prop_assert!(able.iter().all(|other| chosen.load() <= other.load())),
        Strategy::Split => {
            let most = able.iter().map(|other| lacks(other, able, size)).fold(f64::MIN, f64::max);
            prop_assert!(lacks(chosen, able, size) > most - 1e-6);
        }
        // Depends on the history; has tests of its own.
        Strategy::RoundRobin => {}
    }
    Ok(())
}

proptest! {
    #[test]
    fn only_storages_that_can_take_a_file_are_picked_and_the_books_are_right(
        strategy in strategy(),
        storages in storages(),
        steps in prop::collection::vec(step(), 0..80),
    ) {
        let placement = Placement::new(strategy, storages.clone(), &Turns::default());
        let mut known: Vec<_> = storages
            .into_iter()
            .map(|state| Known { state, health: Health::Working, free: None, reserved: 0 })
            .collect();
        let mut open: Vec<Reservation> = Vec::new();
        for step in steps {
            match step {
                Step::Reserve { size, exclude } => {
                    let names: Vec<_> = exclude.iter().map(|number| Arc::from(number.to_string())).collect();
                    let written: Vec<_> = known.iter().filter(|storage| !storage.state.draining).collect();
                    let able: Vec<_> = written
                        .iter()
                        .copied()
                        .filter(|storage| storage.health == Health::Working && storage.has_room(size))
                        .filter(|storage| !names.contains(&storage.state.name))
                        .collect();
                    match placement.reserve(size, &names) {
                        Ok(reservation) => {
                            let chosen = able.iter().find(|able| able.state.name == *reservation.storage());
                            prop_assert!(chosen.is_some(), "{reservation:?} cannot take it");
                            check_choice(strategy, chosen.unwrap(), &able, size)?;
                            let number: usize = reservation.storage().parse().unwrap();
                            known[number].reserved += size;
                            open.push(reservation);
                        }
                        Err(refusal) => {
                            prop_assert!(able.is_empty());
                            let expected = match written.iter().any(|storage| storage.has_room(size)) {
                                _ if written.is_empty() => NoRoom::NotWritten,
                                true => NoRoom::Failing,
                                false => NoRoom::Full,
                            };
                            prop_assert_eq!(refusal, expected);
                        }
                    }
                }
                Step::Commit(which) | Step::Drop(which) if !open.is_empty() => {
                    let reservation = open.swap_remove(which.index(open.len()));
                    let storage = &mut known[reservation.storage().parse::<usize>().unwrap()];
                    storage.reserved -= reservation.size();
                    if matches!(step, Step::Commit(_)) {
                        storage.state.used += reservation.size();
                        storage.free = storage.free.map(|free| free.saturating_sub(reservation.size()));
                        reservation.commit();
                    }
                }
                Step::Commit(_) | Step::Drop(_) => {}
                Step::Remove(number, bytes) => {
                    placement.removed(&number.to_string(), bytes);
                    if let Some(storage) = known.get_mut(number) {
                        storage.state.used = storage.state.used.saturating_sub(bytes);
                    }
                }
                Step::Report(number, health) => {
                    placement.set_health(&number.to_string(), health);
                    if let Some(storage) = known.get_mut(number) {
                        storage.health = health;
                    }
                }
                Step::Free(number, free) => {
                    placement.set_free(&number.to_string(), free);
                    if let Some(storage) = known.get_mut(number) {
                        storage.free = free;
                    }
                }
            }
            let expected: Vec<_> =
                known.iter().map(|storage| (storage.state.used, storage.reserved)).collect();
            let books: Vec<_> =
                placement.snapshot().iter().map(|storage| (storage.used, storage.reserved)).collect();
            prop_assert_eq!(books, expected);
        }
        drop(open);
        prop_assert!(placement.snapshot().iter().all(|storage| storage.reservations == 0));
        prop_assert!(reserved(&placement).iter().all(|&reserved| reserved == 0));
    }
}
