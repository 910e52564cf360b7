//! Storages, as they were last probed; no request goes to them.

use nar_storage::{Health, Measured, StorageSnapshot};

use super::all;
use super::samples::Samples;
use crate::cache::Cache;
use crate::cache::storages::{CacheStorage, Standing};
use crate::core::Core;

pub(super) fn collect(core: &Core, samples: &mut Samples) {
    for cache in core.caches().iter() {
        let storages = cache.storages();
        let snapshots = storages.snapshot();
        for storage in storages.iter() {
            if let Some(snapshot) = snapshots.iter().find(|snapshot| &*snapshot.name == storage.name()) {
                room(cache, storage, snapshot, samples);
            }
            operations(cache, storage, samples);
        }
    }
}

fn room(cache: &Cache, storage: &CacheStorage, snapshot: &StorageSnapshot, samples: &mut Samples) {
    let labels = [cache.name(), storage.name()];
    let condition = storage.condition();
    let state = match condition.health {
        Health::Failing => "failing",
        Health::Working | Health::MediumFull if snapshot.full => "full",
        Health::Working | Health::MediumFull => "ok",
    };
    for other in ["ok", "full", "failing"] {
        samples.truth(&all::STORAGE_STATE, &[labels[0], labels[1], other], state == other);
    }
    let used = snapshot.used.saturating_add(snapshot.by_products);
    let room = snapshot.max_size.map(|most| most.saturating_sub(used));
    let least = |values: [Option<u64>; 2]| values.into_iter().flatten().min();
    samples.whole(&all::USED, &labels, used);
    samples.whole(&all::RESERVED, &labels, snapshot.reserved);
    samples.number(&all::LIMIT, &labels, known(snapshot.max_size));
    samples.number(&all::FREE, &labels, known(least([condition.usage.free, room])));
    samples.number(&all::TOTAL, &labels, known(least([condition.usage.total, snapshot.max_size])));
    samples.truth(&all::FOREIGN, &labels, matches!(storage.standing(), Standing::Foreign(_)));
}

fn operations(cache: &Cache, storage: &CacheStorage, samples: &mut Samples) {
    for operation in Measured::ALL {
        let labels = [cache.name(), storage.name(), operation.as_str()];
        let meter = storage.meter.of(operation);
        samples.count(&all::OPERATIONS, &labels, meter.ended.get());
        samples.count(&all::ERRORS, &labels, meter.failed.get());
        if operation != Measured::List {
            samples.histogram(&all::LATENCY, &labels, &meter.durations);
        }
    }
}

fn known(bytes: Option<u64>) -> f64 {
    bytes.map_or(f64::NAN, |bytes| bytes as f64)
}
