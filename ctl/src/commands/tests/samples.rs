//! What a daemon could say.

use admin_api::{
    Access, CacheInfo, CacheSummary, KeyInfo, KeyOrigin, Listener, PathInfo, Permission, Purpose, SetupStep,
    Signing, Status, StorageKind, StorageState, StorageSummary, TokenInfo,
};

/// The present: 2025-11-22 10:51:00 UTC.
pub const NOW: i64 = 1_763_808_660;

const DAY: i64 = 86_400;
const GIB: u64 = 1 << 30;
const KEY: &str = "main.cache.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

pub fn status() -> Status {
    Status {
        version: "0.1.0".into(),
        api_version: 1,
        started_at: NOW - 3 * DAY - 4 * 3600,
        uptime_seconds: 3 * 86_400 + 4 * 3600,
        config: Some("/etc/cache-server/config.yaml".into()),
        state_dir: "/var/lib/cache-server".into(),
        listeners: vec![
            listener(Purpose::Api, "0.0.0.0:5000", None),
            listener(Purpose::Deploy, "0.0.0.0:5001", None),
            listener(Purpose::Cache, "0.0.0.0:8080", Some("main")),
            listener(Purpose::Admin, "/run/cache-server/admin.sock", None),
        ],
        caches: vec![
            summary(),
            CacheSummary {
                name: "old".into(),
                enabled: false,
                access: Access::Private,
                paths: 0,
                file_bytes: 0,
                nar_bytes: 0,
                url: "http://old.cache.example.org".into(),
                public_keys: vec![],
                signing: Signing::Client,
            },
        ],
        storages: vec![local(), s3()],
    }
}

fn listener(purpose: Purpose, address: &str, cache: Option<&str>) -> Listener {
    Listener { purpose, address: address.into(), cache: cache.map(Into::into) }
}

fn summary() -> CacheSummary {
    CacheSummary {
        name: "main".into(),
        enabled: true,
        access: Access::Public,
        paths: 12_345,
        file_bytes: 43 * GIB,
        nar_bytes: 172 * GIB,
        url: "http://main.cache.example.org".into(),
        public_keys: vec![KEY.into()],
        signing: Signing::Auto,
    }
}

fn local() -> StorageSummary {
    StorageSummary {
        cache: "main".into(),
        name: "default".into(),
        kind: StorageKind::Local,
        location: "/var/lib/cache-server/storage".into(),
        used_bytes: 42 * GIB,
        free_bytes: Some(80 * GIB),
        total_bytes: Some(200 * GIB),
        state: StorageState::Ok,
        last_error: None,
    }
}

fn s3() -> StorageSummary {
    StorageSummary {
        cache: "main".into(),
        name: "offsite".into(),
        kind: StorageKind::S3,
        location: "s3://nars/main".into(),
        used_bytes: GIB,
        free_bytes: None,
        total_bytes: None,
        state: StorageState::Failing,
        last_error: Some("the endpoint refuses connections".into()),
    }
}

pub fn cache() -> CacheInfo {
    CacheInfo {
        summary: summary(),
        priority: 30,
        compression: "zstd".into(),
        retention_days: Some(30),
        port: Some(8080),
        storages: vec![local(), s3()],
        keys: vec![
            KeyInfo {
                name: "main.cache.example.org-1".into(),
                public_key: KEY.into(),
                origin: KeyOrigin::Generated,
                created_at: NOW - 100 * DAY,
                retired_at: None,
            },
            KeyInfo {
                name: "ci-1".into(),
                public_key: "ci-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=".into(),
                origin: KeyOrigin::File,
                created_at: NOW - 300 * DAY,
                retired_at: Some(NOW - 100 * DAY),
            },
        ],
        upstreams: vec!["https://cache.nixos.org".into(), "https://nix.example.org".into()],
        setup: vec![
            SetupStep {
                title: "Read with Nix (nix.conf)".into(),
                lines: vec![
                    "extra-substituters = http://main.cache.example.org".into(),
                    format!("extra-trusted-public-keys = {KEY}"),
                ],
            },
            SetupStep {
                title: "Push with cachix".into(),
                lines: vec![
                    "cachix config set hostname http://cache.example.org".into(),
                    "cachix push main ./result".into(),
                ],
            },
        ],
    }
}

pub fn path() -> PathInfo {
    PathInfo {
        cache: "main".into(),
        store_path: "/nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello-2.12.1".into(),
        nar_hash: "sha256:0yzhigwjl6bws649vcs2asa4lbs8hg93hyix187gc7s7a74w5h80".into(),
        nar_size: 226_560,
        file_hash: "sha256:1nhgq6wcggx0plpy4991h3ginj6hipsdslv4fd4zml1n707j26yq".into(),
        file_size: 50_088,
        compression: "zstd".into(),
        url: "nar/1nhgq6wcggx0plpy4991h3ginj6hipsdslv4fd4zml1n707j26yq.nar.zst".into(),
        references: vec![
            "0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello-2.12.1".into(),
            "3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8".into(),
        ],
        deriver: None,
        signatures: vec![KEY.into()],
        storage: "default".into(),
        created_at: NOW - 40 * DAY,
        last_used_at: Some(NOW - 125),
        damaged: false,
    }
}

pub fn tokens() -> Vec<TokenInfo> {
    let token = |id: &str, subject: Option<&str>, caches: &[&str]| TokenInfo {
        id: id.into(),
        subject: subject.map(Into::into),
        caches: caches.iter().map(|&cache| cache.to_owned()).collect(),
        all: false,
        permission: Permission::Write,
        created_at: NOW - 10 * DAY,
        expires_at: None,
        revoked_at: None,
    };
    vec![
        token("0b9f5a9e-6f0e-4a53-9a2c-3c1d5e7f9b11", Some("first start"), &["main"]),
        TokenInfo {
            expires_at: Some(NOW + 80 * DAY - 60),
            ..token("3c6a6b1e-0f6c-4f59-8d2a-6b8f3f0c2d22", Some("ci"), &["main", "staging"])
        },
        TokenInfo {
            all: true,
            permission: Permission::Read,
            expires_at: Some(NOW - 3 * DAY),
            ..token("77e2a3b4-1c2d-4e5f-8a9b-0c1d2e3f4a33", Some("the laptops of the team"), &[])
        },
        TokenInfo {
            permission: Permission::Admin,
            revoked_at: Some(NOW - 7200),
            ..token("9d8c7b6a-5f4e-4d3c-9b2a-1f0e9d8c7b44", None, &["main"])
        },
    ]
}
