//! Entries of `storages`.

use serde_yaml::Value;

use super::field::{Maybe, One, OnlyPrinted};
use super::field_secret::{FileOfSecret, SecretOrFile};
use super::key::Key;
use super::kind::Kind;
use super::lens::{Lens, lens};
use super::table::{Table, Topic};
use super::types::{BOOL, HTTP_URL, NAME, PERCENTAGE, POSITIVE_DURATION, SIZE, TEXT, TIER};
use crate::config::values::Word;
use crate::config::{StorageConfig, StorageKind, StorageType};

/// The keys that only storages of the type `s3` have begin with this.
pub const S3_PREFIX: &str = "s3_";

/// An entry of `storages`.
pub const STORAGE: Table<StorageConfig> =
    Table { title: "an entry of `storages`", path: "caches[].storages[]", topics: &[EVERY, S3] };

const EVERY: Topic<StorageConfig> = Topic {
    title: "Every storage",
    keys: &[
        Key::new("name", &One(lens!(StorageConfig, name), NAME))
            .required()
            .applied_on_reload()
            .summary("Name of the storage, unique within the cache")
            .details("The catalog knows the storage by this name, so a storage with another name is another storage.")
            .example("ssd"),
        Key::new("type", &OnlyPrinted { kind: Kind::Words(StorageType::WORDS), print: print_type })
            .derived("`server.default-storage`")
            .applied_on_reload()
            .summary("Type of the storage: `local` for a directory, `s3` for a bucket")
            .example("local"),
        Key::new("root", &OnlyPrinted { kind: Kind::Path, print: print_root })
            .derived("the whole bucket; a local storage requires it")
            .applied_on_reload()
            .summary("Directory of a local storage, or prefix of the keys in a bucket")
            .details("A relative directory begins in `server.state-dir`.")
            .example("/mnt/ssd"),
        Key::new("split", &Maybe(lens!(StorageConfig, split), PERCENTAGE))
            .applied_on_reload()
            .summary("Share of the bytes in percent, for `storage-strategy: split`")
            .details("The shares of the storages that are not draining sum to 100, in each `tier`.")
            .example("30"),
        Key::new("tier", &One(lens!(StorageConfig, tier), TIER))
            .default("0")
            .applied_on_reload()
            .summary("How fast the storage is: 0 for the fastest tier, higher numbers for slower ones")
            .details(
                "A push goes to the fastest tier that has room; within a tier, `storage-strategy` chooses. Readers prefer copies on \
                 faster tiers.",
            )
            .example("1"),
        Key::new("durable", &One(lens!(StorageConfig, durable), BOOL))
            .default("false")
            .applied_on_reload()
            .summary("Whether each NAR is copied to this storage, or to another storage with `durable`, as soon as it is pushed")
            .details(
                "This counts as one of the `copies`. With `copies: 1`, a NAR that was pushed to another storage has two copies. Only \
                 storages of the slowest tier can be durable.",
            )
            .example("true"),
        Key::new("demote-after", &Maybe(lens!(StorageConfig, demote_after), POSITIVE_DURATION))
            .applied_on_reload()
            .summary("How long a NAR stays here after its last use before it moves to a slower tier")
            .details(
                "If slower storages already have as many copies as `copies` asks for, the copy here is deleted. Otherwise the NAR \
                 is copied to a slower storage first. When less than a tenth of the storage is free, the least recently used NARs \
                 move earlier.",
            )
            .example("14d"),
        Key::new("promote", &One(lens!(StorageConfig, promote), BOOL))
            .default("false")
            .applied_on_reload()
            .summary("Whether NARs that are read from slower tiers are copied here")
            .details(
                "A tenth of the storage stays free for pushes. When the rest is full, a NAR replaces others only when it is read a \
                 second time, and only those that were not used since its first read.",
            )
            .example("true"),
        Key::new("max-size", &Maybe(lens!(StorageConfig, max_size), SIZE))
            .applied_on_reload()
            .summary("Size at which the storage counts as full")
            .details(
                "NARs, listings, logs and everything else on it count. Unfinished uploads may take as much again, but no more: the \
                 size of an upload is known only at its end. A local storage is also full when its file system is 95 % used.",
            )
            .example("500GB"),
        Key::new("draining", &One(lens!(StorageConfig, draining), BOOL))
            .default("false")
            .applied_on_reload()
            .summary("Whether the storage takes no new files")
            .details("Files on it are still served. `cachectl storage drain` moves them away."),
    ],
};

fn print_type(storage: &StorageConfig) -> Option<Value> {
    Some(storage.kind.storage_type().as_str().into())
}

fn print_root(storage: &StorageConfig) -> Option<Value> {
    Some(match &storage.kind {
        StorageKind::Local { root } => root.display().to_string().into(),
        StorageKind::S3(s3) if s3.root.is_empty() => Value::Null,
        StorageKind::S3(s3) => s3.root.clone().into(),
    })
}

/// The [`Lens`] for a field of the bucket, which other storages do not have.
macro_rules! s3 {
    ($field:ident) => {
        Lens {
            get: |storage: &StorageConfig| storage.kind.s3().map(|s3| &s3.$field),
            get_mut: |storage: &mut StorageConfig| storage.kind.s3_mut().map(|s3| &mut s3.$field),
        }
    };
}

const S3: Topic<StorageConfig> = Topic {
    title: "S3",
    keys: &[
        Key::new("s3_bucket", &One(s3!(bucket), TEXT))
            .required()
            .applied_on_reload()
            .summary("Name of the bucket")
            .example("cache-1"),
        Key::new("s3_region", &One(s3!(region), TEXT))
            .derived("`us-east-1` with `s3_endpoint`; required for AWS")
            .applied_on_reload()
            .summary("Region of the bucket")
            .example("eu-central-1"),
        Key::new("s3_endpoint", &Maybe(s3!(endpoint), HTTP_URL))
            .derived("the service of AWS in the region")
            .applied_on_reload()
            .summary("URL of the service, for any other than AWS")
            .example("https://s3.example.org"),
        // Services other than AWS rarely have a host name per bucket.
        Key::new("s3_force_path_style", &One(s3!(force_path_style), BOOL))
            .derived("`true` with `s3_endpoint`, `false` for AWS")
            .applied_on_reload()
            .summary("Whether the bucket is named in the path instead of the host name")
            .example("true"),
        Key::new("s3_redirect", &One(s3!(redirect), BOOL))
            .default("false")
            .applied_on_reload()
            .summary("Whether readers of NARs are sent to the service itself, with links that expire"),
        Key::new("s3_access_key", &ACCESS_KEY)
            .applied_on_reload()
            .summary("Access key id")
            .details(
                "Goes together with a secret key. Without both, the daemon looks for credentials where AWS's own tools do.",
            )
            .example("AKIAIOSFODNN7EXAMPLE"),
        Key::new("s3_access_key_file", &FileOfSecret { get: ACCESS_KEY.get })
            .applied_on_reload()
            .summary("File with the access key id, instead of `s3_access_key`")
            .example("/run/secrets/s3-access-key"),
        Key::new("s3_secret_key", &SECRET_KEY).applied_on_reload().summary("Secret access key"),
        Key::new("s3_secret_key_file", &FileOfSecret { get: SECRET_KEY.get })
            .applied_on_reload()
            .summary("File with the secret access key, instead of `s3_secret_key`")
            .example("/run/secrets/s3-secret-key"),
    ],
};

const ACCESS_KEY: SecretOrFile<StorageConfig> = SecretOrFile {
    get: |storage| storage.kind.s3().map(|s3| s3.access_key.clone()),
    set: |storage, source| {
        if let Some(s3) = storage.kind.s3_mut() {
            s3.access_key = source;
        }
    },
    file_key: "s3_access_key_file",
    if_empty: None,
};

const SECRET_KEY: SecretOrFile<StorageConfig> = SecretOrFile {
    get: |storage| storage.kind.s3().map(|s3| s3.secret_key.clone()),
    set: |storage, source| {
        if let Some(s3) = storage.kind.s3_mut() {
            s3.secret_key = source;
        }
    },
    file_key: "s3_secret_key_file",
    if_empty: None,
};
