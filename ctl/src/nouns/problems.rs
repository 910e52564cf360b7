//! What in the status of the daemon needs an operator.

use admin_api::{
    CacheSummary, CopiesSummary, Status, StorageState, StorageSummary, UpstreamInfo, UpstreamState,
};

use crate::output::{age, count, counted, plain, size};

/// Returns what is not as it should be, a line each.
pub fn of(status: &Status) -> Vec<String> {
    let mut problems = Vec::new();
    if let Some(failure) = &status.catalog_failure {
        problems.push(format!("the catalog cannot be written: {}", plain(&failure.reason)));
    }
    let closed = status.listeners.iter().filter_map(|listener| {
        let error = listener.error.as_deref()?;
        Some(format!("cannot listen on {}: {}", plain(&listener.address), plain(error)))
    });
    problems.extend(closed);
    problems.extend(status.storages.iter().filter_map(of_storage));
    problems.extend(status.upstreams.iter().filter_map(of_upstream));
    problems.extend(status.caches.iter().flat_map(|cache| of_cache(cache, &status.storages)));
    problems
}

/// A storage that is full is no problem as long as its cache has another one.
fn of_storage(storage: &StorageSummary) -> Option<String> {
    let name = || format!("storage {} of cache {}", plain(&storage.name), plain(&storage.cache));
    if storage.state == StorageState::Failing {
        let error = storage.last_error.as_deref().map(|error| format!(": {}", plain(error)));
        return Some(format!("{} is failing{}", name(), error.unwrap_or_default()));
    }
    let damaged = storage.damaged;
    (damaged > 0).then(|| format!("{} has {} missing or damaged", name(), counted(damaged, "file")))
}

/// An upstream that fails is tried again by itself; one that does not accept the credentials needs somebody.
fn of_upstream(upstream: &UpstreamInfo) -> Option<String> {
    let is_refusing = upstream.state == UpstreamState::Refusing;
    let error = upstream.last_error.as_deref().unwrap_or_default();
    is_refusing.then(|| format!("upstream {} is of no use: {}", plain(&upstream.url), plain(error)))
}

fn of_cache(cache: &CacheSummary, storages: &[StorageSummary]) -> Vec<String> {
    let name = plain(&cache.name);
    let mut problems = Vec::new();
    let own = || storages.iter().filter(|storage| storage.cache == cache.name);
    let takes_files = |storage: &StorageSummary| storage.state == StorageState::Ok && !storage.draining;
    if cache.enabled && own().any(|storage| storage.state == StorageState::Full) && !own().any(takes_files) {
        problems.push(format!("cache {name} is full, so pushes to it are refused"));
    }
    if let Some(copies) = cache.copies.filter(|copies| copies.missing > 0) {
        problems.push(missing_copies(&name, &copies));
    }
    if cache.gc_held_back > 0 {
        let paths = counted(cache.gc_held_back, "path");
        problems
            .push(format!("a collection of cache {name} would remove {paths} and waits for `cachectl gc`"));
    }
    problems
}

/// Says how many copies are missing, and how long it takes until they are there.
pub fn missing_copies(cache: &str, copies: &CopiesSummary) -> String {
    let bytes = size(copies.missing_bytes);
    let time = match copies.seconds_left {
        Some(seconds) => format!("about {} left", age(seconds)),
        None => "none could be made lately".to_owned(),
    };
    let exposed = match copies.exposed {
        0 => String::new(),
        files => format!("; {} of them are of files that have only one", count(files)),
    };
    format!("{} of cache {cache} are missing ({bytes}, {time}){exposed}", counted_copies(copies.missing))
}

fn counted_copies(copies: u64) -> String {
    if copies == 1 { "1 copy".to_owned() } else { format!("{} copies", count(copies)) }
}
