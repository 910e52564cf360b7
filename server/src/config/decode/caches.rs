//! `caches`.

use super::server::expect_both;
use super::{Context, storages};
use crate::config::claims::{Names, Ports, Roots};
use crate::config::fault::Fault;
use crate::config::section::Section;
use crate::config::{CacheConfig, CopiesBeforeAnswer, ServerConfig, SigningMode, keys};

/// Reads `caches`, takes their names and ports.
pub fn read(
    file: &Section<'_>,
    server: &ServerConfig,
    context: &Context<'_>,
    names: &mut Names,
    ports: &mut Ports,
) -> Vec<CacheConfig> {
    let mut data = Roots::default();
    let sections = file.sections("caches", &keys::CACHE);
    if file.is_mapping() && !file.has("caches") && !file.is_misspelled("caches") {
        // Not a warning: a file that was cut off would take every cache out of service.
        let fault = Fault::error(&file.place("caches"), "missing, so there would be nothing to serve");
        file.report.add(fault.suggest(
            "give a cache at least a name, as in `caches: [{name: main}]`, or write `caches: []` to serve none",
        ));
    } else if file.has_empty_list("caches") {
        let fault = Fault::warning(&file.place("caches"), "is empty, so there is nothing to serve");
        file.report.add(fault.suggest("give at least a name: `caches: [{name: main}]`"));
    }
    let mut caches = Vec::new();
    for section in sections {
        let is_unique = names.claim(&section, "name");
        caches.extend(read_one(&section, is_unique, server, context, &mut data, ports));
    }
    caches
}

fn read_one(
    section: &Section<'_>,
    is_unique: bool,
    server: &ServerConfig,
    context: &Context<'_>,
    data: &mut Roots,
    ports: &mut Ports,
) -> Option<CacheConfig> {
    let mut cache = CacheConfig {
        retention: server.default_retention,
        storage_strategy: server.default_storage_strategy,
        ..CacheConfig::default()
    };
    let is_complete = keys::CACHE.read(section, context, &mut cache);
    if cache.signing == SigningMode::Client && section.has("signing-key-file") {
        section.error("signing-key-file", "is given, but with `signing: client` the server signs nothing");
    }
    expect_both(&section.section_again("tls", &keys::CACHE_TLS));
    if cache.tls.certificate.is_some() && server.tls.certificate.is_none() && cache.port.is_none() {
        let tls = section.section_again("tls", &keys::CACHE_TLS);
        tls.warn("certificate", "has no effect without a `port` of the cache or `server.tls`");
    }
    if cache.federation.keep_max_size.is_some() && !cache.federation.keep {
        let federation = section.section_again("federation", &keys::CACHE_FEDERATION);
        federation.warn("keep-max-size", "has no effect without `keep: true`");
    }
    if cache.pin_upstream && (cache.upstreams.is_empty() || !cache.skip_upstream) {
        let without = if cache.skip_upstream { "`upstreams`" } else { "`skip-upstream: true`" };
        section.warn("pin-upstream", format!("has no effect without {without}"));
    }
    // Two caches of one name would be reported for their directories as well.
    let directory = (is_complete && is_unique).then_some(&cache.name);
    let (strategy, copies) = (cache.storage_strategy, cache.copies);
    cache.storages = storages::read(section, directory, (strategy, copies), server, context, data);
    check_copies(section, &cache);
    // The listener of a disabled cache is not opened, so something else may have its port.
    if let Some(port) = cache.port.filter(|_| cache.enabled) {
        ports.claim(section, "port", port);
    }
    is_complete.then_some(cache)
}

/// No storage holds two copies of a file.
fn check_copies(section: &Section<'_>, cache: &CacheConfig) {
    let (copies, storages) = (cache.copies as usize, cache.storages.len());
    let written = cache.storages.iter().filter(|storage| !storage.draining).count();
    if copies > 1 && copies > storages && storages > 0 {
        let message = format!("{copies} copies need {copies} storages, and the cache has {storages}");
        section.error("copies", message);
    } else if copies > 1 && copies > written {
        section.warn(
            "copies",
            format!("only {written} storages are not draining, so {copies} copies cannot be kept"),
        );
    }
    let is_durable = cache.storages.iter().any(|storage| storage.durable);
    if copies == 1 && !is_durable && cache.copies_before_answer == CopiesBeforeAnswer::All {
        section.warn("copies-before-answer", "has no effect without `copies` or `durable`");
    }
}

/// The original system gave `default-port` to every cache without a port, and so could run only one of them. Here the
/// first one gets it, unless something else has it.
pub fn hand_out_default_port(
    section: &Section<'_>,
    server: &ServerConfig,
    ports: &Ports,
    caches: &mut [CacheConfig],
) {
    let mut without_port = caches.iter_mut().filter(|cache| cache.enabled && cache.port.is_none());
    let Some(cache) = without_port.next() else {
        return;
    };
    match ports.find(server.default_port) {
        None => cache.port = Some(server.default_port),
        Some(taken) if section.has("default-port") && taken.path.starts_with("server.") => {
            let (port, name) = (server.default_port, &cache.name);
            let message = format!("{port} is taken by {taken}, so the cache `{name}` has no port");
            section.warn("default-port", message);
        }
        Some(_) => {}
    }
}
