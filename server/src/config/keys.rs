//! The keys of the file, mapping by mapping. What is not listed here is refused.

/// The keys of one mapping.
#[derive(Debug)]
pub struct Keys {
    /// How the mapping is called, for messages.
    pub title: &'static str,
    /// Its keys, in the order of the documentation.
    pub keys: &'static [&'static str],
}

/// The file.
pub const FILE: Keys = Keys { title: "the top level", keys: &["server", "caches", "workspaces", "agents"] };

/// `server`.
pub const SERVER: Keys = Keys {
    title: "`server`",
    keys: &[
        "hostname",
        "server-port",
        "deploy-port",
        "public-url",
        "node-url",
        "database",
        "database-password-file",
        "state-dir",
        "admin-socket",
        "admin-socket-mode",
        "admin-socket-group",
        "key",
        "key-file",
        "default-port",
        "default-retention",
        "default-storage",
        "default-storage-strategy",
        "log",
        "drain-timeout",
        "upload-expiry",
        "gc-interval",
        "gc-grace",
        "deploy-timeout",
        "deploy-pending-timeout",
        "max-connections",
        "narinfo-memory",
        "standalone",
        "dht-port",
        "dht-bind-address",
        "dht-public-address",
        "dht-bootstrap-host",
        "dht-bootstrap-port",
        "dht-network-key-file",
        "dht-max-records",
        "federation",
    ],
};

/// `server.log`.
pub const LOG: Keys = Keys { title: "`server.log`", keys: &["filter", "format"] };

/// `server.federation`.
pub const FEDERATION: Keys = Keys { title: "`server.federation`", keys: &["lookup-timeout"] };

/// An entry of `caches`.
pub const CACHE: Keys = Keys {
    title: "an entry of `caches`",
    keys: &[
        "name",
        "enabled",
        "access",
        "retention",
        "port",
        "priority",
        "compression",
        "signing",
        "signing-key-file",
        "trusted-public-keys",
        "upstreams",
        "federation",
        "storage-strategy",
        "storages",
    ],
};

/// `caches[].federation`.
pub const CACHE_FEDERATION: Keys =
    Keys { title: "`federation` of a cache", keys: &["keep", "keep-max-size"] };

/// An entry of `caches[].storages`.
pub const STORAGE: Keys = Keys {
    title: "an entry of `storages`",
    keys: &[
        "name",
        "type",
        "root",
        "split",
        "max-size",
        "draining",
        "s3_bucket",
        "s3_region",
        "s3_endpoint",
        "s3_force_path_style",
        "s3_redirect",
        "s3_access_key",
        "s3_access_key_file",
        "s3_secret_key",
        "s3_secret_key_file",
    ],
};

/// An entry of `workspaces`.
pub const WORKSPACE: Keys = Keys { title: "an entry of `workspaces`", keys: &["name", "cache"] };

/// An entry of `agents`.
pub const AGENT: Keys = Keys { title: "an entry of `agents`", keys: &["name", "workspace"] };

/// Every mapping that the file can have.
pub const ALL: [&Keys; 9] =
    [&FILE, &SERVER, &LOG, &FEDERATION, &CACHE, &CACHE_FEDERATION, &STORAGE, &WORKSPACE, &AGENT];

impl Keys {
    /// The key that a person meant by one that is not here.
    pub fn nearest(&self, key: &str) -> Option<&'static str> {
        nearest(key, self.keys.iter().copied())
    }

    /// What to tell a person who wrote `key`, which is not a key of this mapping.
    pub fn suggest(&self, key: &str) -> Option<String> {
        if let Some(meant) = self.nearest(key) {
            return Some(format!("did you mean `{meant}`?"));
        }
        let elsewhere = ALL.into_iter().find(|other| other.keys.contains(&key))?;
        Some(format!("it belongs into {}", elsewhere.title))
    }
}

/// The candidate that a person most likely meant by `word`, if one is near enough.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = canonical(word);
    let length = word.chars().count();
    // A third of the word may be wrong; of a short one a letter, but not all of it.
    let bound = (length / 3).max(1).min(length.saturating_sub(1));
    let near = candidates.filter_map(|candidate| {
        let distance = strsim::damerau_levenshtein(&word, &canonical(candidate));
        (distance <= bound).then_some((distance, candidate))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Both separators occur in our keys, so mixing them up is no distance at all.
fn canonical(word: &str) -> String {
    word.to_lowercase().replace('_', "-")
}
