//! `caches`.

use super::{Context, storages};
use crate::config::claims::{Names, Ports, Roots};
use crate::config::fault::Fault;
use crate::config::section::Section;
use crate::config::{
    Access, CacheConfig, CacheFederation, PreferredCompression, ServerConfig, SigningMode, keys, values,
};

/// Default of `priority`: before cache.nixos.org, which says 40, so that what is here is not fetched from far away.
const DEFAULT_PRIORITY: u32 = 30;

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
        let fault = Fault::error(&file.place("caches"), "missing: there would be nothing to serve");
        file.report.add(fault.suggest(
            "give a cache at least a name, as in `caches: [{name: main}]`, or write `caches: []` to serve none",
        ));
    } else if file.has_empty_list("caches") {
        let fault = Fault::warning(&file.place("caches"), "no cache: there is nothing to serve");
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
    let name = section.require("name", values::cache_name);
    let strategy = section.read("storage-strategy", values::word).unwrap_or(server.default_storage_strategy);
    let signing = section.read("signing", values::word).unwrap_or(SigningMode::Auto);
    if signing == SigningMode::Client && section.has("signing-key-file") {
        section.error("signing-key-file", "given, though with `signing: client` the server signs nothing");
    }
    // Two caches of one name would be told about their directories as well.
    let directory = name.as_ref().filter(|_| is_unique);
    let storages = storages::read(section, directory, strategy, server, context, data);
    let enabled = section.read("enabled", values::truth).unwrap_or(true);
    let port = section.read("port", values::port);
    // The listener of a disabled cache is not opened, so something else may have its port.
    if let Some(port) = port.filter(|_| enabled) {
        ports.claim(section, "port", port);
    }
    let cache = CacheConfig {
        enabled,
        access: section.read("access", values::word).unwrap_or(Access::Public),
        retention: section.read("retention", values::days).unwrap_or(server.default_retention),
        port,
        priority: section.read("priority", values::priority).unwrap_or(DEFAULT_PRIORITY),
        compression: section.read("compression", values::word).unwrap_or(PreferredCompression::Zstd),
        signing,
        signing_key_files: section.read_all("signing-key-file", |text| context.secret_file(text)),
        trusted_public_keys: section.read_all("trusted-public-keys", values::public_key),
        upstreams: section.read_all("upstreams", values::upstream),
        federation: federation(&section.section("federation", &keys::CACHE_FEDERATION)),
        storage_strategy: strategy,
        storages,
        name: name?,
    };
    Some(cache)
}

fn federation(section: &Section<'_>) -> CacheFederation {
    let keep = section.read("keep", values::truth).unwrap_or(false);
    let keep_max_size = section.read("keep-max-size", values::size);
    if keep_max_size.is_some() && !keep {
        section.warn("keep-max-size", "means nothing without `keep: true`");
    }
    CacheFederation { keep, keep_max_size }
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
