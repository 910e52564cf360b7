//! `storages` of a cache.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::Context;
use crate::config::claims::{Names, Roots};
use crate::config::fault::Fault;
use crate::config::section::Section;
use crate::config::{
    CacheName, Name, S3Config, ServerConfig, StorageConfig, StorageKind, StorageType, Strategy, keys, values,
};

/// Reads the storages of a cache. `data` has the directories of the caches before; `name` is the name of this cache, if it
/// is valid.
pub fn read(
    cache: &Section<'_>,
    name: Option<&CacheName>,
    (strategy, copies): (Strategy, u32),
    server: &ServerConfig,
    context: &Context<'_>,
    data: &mut Roots,
) -> Vec<StorageConfig> {
    let sections = cache.sections("storages", &keys::STORAGE);
    let mut roots = Roots::default();
    if sections.is_empty() {
        let storage = default_storage(cache, strategy, server);
        if let Some(storage) = &storage {
            claim_directories(cache, "storages", storage, name, &mut roots, data);
        }
        return storage.into_iter().collect();
    }
    let mut names = Names::default();
    let mut storages = Vec::new();
    for section in &sections {
        names.claim(section, "name");
        if let Some(storage) = read_one(section, server, context) {
            claim_directories(section, "root", &storage, name, &mut roots, data);
            warn_of_idle_keys(section, &storage, strategy);
            storages.push(storage);
        }
    }
    // Without a storage that could not be read, checks of all of them would report wrong faults.
    if storages.len() == sections.len() {
        if strategy == Strategy::Split {
            check_shares(cache, &sections, &storages);
        }
        check_durable(&sections, &storages);
        check_moves(&sections, &storages, copies as usize);
        if storages.iter().all(|storage| storage.draining) {
            cache.warn("storages", "every storage is draining, so nothing can be pushed");
        }
    }
    storages
}

fn default_storage(cache: &Section<'_>, strategy: Strategy, server: &ServerConfig) -> Option<StorageConfig> {
    if server.default_storage != StorageType::Local {
        let message = "missing; only with `server.default-storage: local` may a cache have none";
        cache.error("storages", message);
        return None;
    }
    let name: Name = "default".parse().ok()?;
    Some(StorageConfig {
        name,
        kind: StorageKind::Local { root: server.state_dir.join("storage") },
        split: (strategy == Strategy::Split).then_some(100),
        tier: 0,
        durable: false,
        demote_after: None,
        promote: false,
        max_size: None,
        draining: false,
    })
}

fn read_one(section: &Section<'_>, server: &ServerConfig, context: &Context<'_>) -> Option<StorageConfig> {
    let mut storage = StorageConfig::default();
    // The keys of S3 are read once the type is known.
    let is_complete = keys::STORAGE.read_if(|key| !is_of_s3(key), section, context, &mut storage);
    let storage_type = match section.has("type") {
        true => section.read("type", values::word)?,
        false => server.default_storage,
    };
    match storage_type {
        StorageType::Local => storage.kind = read_local(section, server)?,
        StorageType::S3 => read_s3(section, context, &mut storage)?,
    }
    is_complete.then_some(storage)
}

fn read_local(section: &Section<'_>, server: &ServerConfig) -> Option<StorageKind> {
    let root = section.require("root", values::path)?;
    Some(StorageKind::Local { root: values::resolve(&server.state_dir, &root) })
}

fn read_s3(section: &Section<'_>, context: &Context<'_>, storage: &mut StorageConfig) -> Option<()> {
    let root = section.read("root", values::text).unwrap_or_default();
    let mut s3 = S3Config { root: root.trim_matches('/').to_owned(), ..S3Config::default() };
    let has_endpoint = section.has("s3_endpoint");
    if has_endpoint {
        // Services other than AWS know no regions, but the protocol requires one.
        s3.region = "us-east-1".to_owned();
        // Few of them have a host name per bucket.
        s3.force_path_style = true;
    }
    storage.kind = StorageKind::S3(Box::new(s3));
    let is_complete = keys::STORAGE.read_if(is_of_s3, section, context, storage);
    if !has_endpoint {
        section.expect("s3_region");
    }
    let halves = [
        ("s3_access_key", section.has("s3_access_key") || section.has("s3_access_key_file")),
        ("s3_secret_key", section.has("s3_secret_key") || section.has("s3_secret_key_file")),
    ];
    if let [(missing, false), (_, true)] | [(_, true), (missing, false)] = halves {
        section.error(missing, "missing; access key and secret key belong together");
    }
    let has_region = storage.kind.s3().is_some_and(|s3| !s3.region.is_empty());
    (is_complete && has_region).then_some(())
}

fn is_of_s3(key: &str) -> bool {
    key.starts_with(keys::S3_PREFIX)
}

/// Reports roots of one cache that overlap, and directories of caches that overlap below them.
fn claim_directories(
    section: &Section<'_>,
    key: &str,
    storage: &StorageConfig,
    cache: Option<&CacheName>,
    roots: &mut Roots,
    data: &mut Roots,
) {
    let (volume, root) = volume_and_root(&storage.kind);
    let place = section.place(key);
    let claimed = roots.claim(&volume, &root, &place).and_then(|()| match cache {
        Some(name) => data.claim(&volume, &root.join(name.as_str()), &place),
        None => Ok(()),
    });
    if let Err(collision) = claimed {
        section.error(key, collision);
    }
}

fn volume_and_root(kind: &StorageKind) -> (String, PathBuf) {
    match kind {
        StorageKind::Local { root } => (String::new(), root.clone()),
        StorageKind::S3(s3) => {
            let service = s3.endpoint.as_ref().map_or("aws", |endpoint| endpoint.as_str());
            (format!("{service} {}", s3.bucket), Path::new("/").join(&s3.root))
        }
    }
}

fn warn_of_idle_keys(section: &Section<'_>, storage: &StorageConfig, strategy: Strategy) {
    if storage.split.is_some() && strategy != Strategy::Split {
        section.warn("split", "has no effect without `storage-strategy: split`");
    }
    if storage.kind.storage_type() != StorageType::S3 {
        let table: &dyn keys::AnyTable = &keys::STORAGE;
        for key in table.names().filter(|key| is_of_s3(key) && section.has(key)) {
            section.warn(key, "has no effect without `type: s3`");
        }
    }
}

/// The shares of the storages that are written to sum to 100.
fn check_shares(cache: &Section<'_>, sections: &[Section<'_>], storages: &[StorageConfig]) {
    let written = || sections.iter().zip(storages).filter(|(_, storage)| !storage.draining);
    let mut complete = true;
    for (section, _) in written().filter(|(_, storage)| storage.split.is_none()) {
        complete = false;
        if !section.has("split") {
            let message = format!("missing; `storage-strategy: {}` needs it", Strategy::Split);
            let fault = Fault::error(&section.place("split"), message);
            section.report.add(fault.expected("a percentage from 1 to 100"));
        }
    }
    let tiers: BTreeSet<u8> = written().map(|(_, storage)| storage.tier).collect();
    for tier in tiers.iter().filter(|_| complete) {
        let of_tier = written().filter(|(_, storage)| storage.tier == *tier);
        let sum: u32 = of_tier.filter_map(|(_, storage)| storage.split).map(u32::from).sum();
        if sum != 100 {
            let which = if tiers.len() > 1 { format!(" of tier {tier}") } else { String::new() };
            let message = format!("the `split` values of the storages{which} sum to {sum}");
            let fault = Fault::error(&cache.place("storages"), message);
            cache.report.add(fault.expected("100"));
        }
    }
}

/// Files move between a faster tier and a slower one.
fn check_moves(sections: &[Section<'_>], storages: &[StorageConfig], copies: usize) {
    let slowest = storages.iter().map(|storage| storage.tier).max();
    for (section, storage) in sections.iter().zip(storages) {
        if Some(storage.tier) == slowest {
            let given = [("demote-after", storage.demote_after.is_some()), ("promote", storage.promote)];
            for (key, _) in given.into_iter().filter(|(_, is_given)| *is_given) {
                let message = format!("has no effect, as no storage has a slower tier than {}", storage.tier);
                let fault = Fault::warning(&section.place(key), message);
                section.report.add(fault.suggest("give the slower storages a higher `tier`"));
            }
            continue;
        }
        let is_slower = |other: &&StorageConfig| other.tier > storage.tier && !other.draining;
        let slower = storages.iter().filter(is_slower).count();
        if storage.demote_after.is_some() && slower < copies {
            let message = format!(
                "has no effect: {copies} copies of what leaves this storage need {copies} slower storages that are not draining, and there are {slower}"
            );
            section.warn("demote-after", message);
        }
    }
}

/// Copies that are to outlast the others lie on the slowest tier, which nothing is moved off.
fn check_durable(sections: &[Section<'_>], storages: &[StorageConfig]) {
    let Some(slowest) = storages.iter().max_by_key(|storage| storage.tier) else { return };
    for (section, storage) in sections.iter().zip(storages).filter(|(_, storage)| storage.durable) {
        if storage.tier < slowest.tier {
            let message =
                format!("has no effect on tier {}, as tier {} is slower", storage.tier, slowest.tier);
            let fault = Fault::warning(&section.place("durable"), message);
            section.report.add(fault.suggest("give it to storages of the slowest tier"));
        } else if storages.len() == 1 {
            section.warn("durable", "has no effect, as the cache has no other storage");
        }
    }
}
