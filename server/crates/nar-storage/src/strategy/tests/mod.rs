#![allow(clippy::unwrap_used)]

mod books;
mod free;
mod limits;
mod model;
mod reload;
mod restart;
mod round_robin;
mod split;
mod status;
mod threads;
mod tiers;
mod turns;

use std::sync::Arc;

use super::*;
use crate::Health;

/// A storage without limits.
fn storage(name: &str) -> StorageState {
    StorageState {
        name: name.into(),
        share: 0,
        tier: 0,
        max_size: None,
        draining: false,
        used: 0,
        by_products: 0,
    }
}

fn with_share(name: &str, share: u8) -> StorageState {
    StorageState { share, ..storage(name) }
}

fn with_max_size(name: &str, max_size: u64) -> StorageState {
    StorageState { max_size: Some(max_size), ..storage(name) }
}

fn on_tier(tier: u8, storage: StorageState) -> StorageState {
    StorageState { tier, ..storage }
}

fn with_used(name: &str, used: u64) -> StorageState {
    StorageState { used, ..storage(name) }
}

fn draining(name: &str) -> StorageState {
    StorageState { draining: true, ..storage(name) }
}

fn placement(strategy: Strategy, storages: impl IntoIterator<Item = StorageState>) -> Placement {
    Placement::new(strategy, storages.into_iter().collect(), &Turns::default())
}

/// Stores a file of `size` bytes and returns where.
fn store(placement: &Placement, size: u64) -> Arc<str> {
    let reservation = placement.reserve(size, &[]).unwrap();
    let storage = reservation.storage().clone();
    reservation.commit();
    storage
}

/// Stores files of `size` bytes, and returns where as one word of one-letter names.
fn store_many(placement: &Placement, files: usize, size: u64) -> String {
    (0..files).map(|_| store(placement, size).to_string()).collect()
}

/// Used bytes in listed order.
fn used(placement: &Placement) -> Vec<u64> {
    placement.snapshot().iter().map(|storage| storage.used).collect()
}

/// Reserved bytes in listed order.
fn reserved(placement: &Placement) -> Vec<u64> {
    placement.snapshot().iter().map(|storage| storage.reserved).collect()
}

/// Sizes from 1 KiB to 4 MiB, as many in every octave, in an order without a pattern.
fn mixed_sizes() -> impl Iterator<Item = u64> {
    let mut state = 1_u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = state >> 33;
        (1 << (10 + random % 12)) + (random >> 8) % 1024
    })
}
