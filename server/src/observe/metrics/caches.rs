//! Caches: what was asked of them, pushed to them and collected in them.

use std::collections::HashMap;

use super::all;
use super::samples::Samples;
use crate::config::WhenFull;
use crate::core::Core;

pub(super) fn collect(core: &Core, samples: &mut Samples) {
    let mut open = HashMap::<_, u64>::new();
    for upload in core.uploads.all() {
        *open.entry(upload.cache).or_default() += 1;
    }
    for cache in core.caches().iter() {
        let (name, counters) = (cache.name(), &cache.counters);
        for (result, counter) in [
            ("hit", &counters.narinfo_hits),
            ("federated", &counters.narinfo_federated),
            ("upstream", &counters.narinfo_upstream),
            ("miss", &counters.narinfo_misses),
            ("unfinished", &counters.narinfo_unfinished),
        ] {
            samples.count(&all::NARINFO, &[name, result], counter.get());
        }
        samples.count(&all::PUSHES, &[name], counters.pushes.get());
        samples.count(&all::PUSHED, &[name], counters.pushed_bytes.get());
        samples.count(&all::COLLECTED, &[name], counters.collected_paths.get());
        samples.count(&all::FREED, &[name], counters.collected_bytes.get());
        samples.whole(&all::UPLOADS, &[name], open.get(&cache.id).copied().unwrap_or(0));
        let used =
            cache.storages().snapshot().iter().map(|one| one.used.saturating_add(one.by_products)).sum();
        samples.whole(&all::CACHE_USED, &[name], used);
        let config = cache.config();
        let when_full = match config.when_full {
            WhenFull::Refuse => "refuse",
            WhenFull::Collect => "collect",
        };
        let limit = config.max_size.map_or(f64::NAN, |limit| limit as f64);
        samples.number(&all::CACHE_LIMIT, &[name, when_full], limit);
        let held = cache.held_collection.read().map_or(0, |held| held.paths);
        samples.whole(&all::HELD, &[name], held);
    }
}
