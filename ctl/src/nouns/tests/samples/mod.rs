//! What a daemon could say.

pub mod daemon;
pub mod deploy;
pub mod network;
pub mod paths;

use admin_api::{
    Access, CacheInfo, CacheSummary, Certificate, ExportSummary, FsckStorage, FsckSummary, ImportSummary,
    JobInfo, JobKind, JobState, JobSummary, KeyInfo, KeyOrigin, Listener, MoveSummary, PathInfo, Permission,
    Purpose, RebalanceSummary, ScrubSummary, SetupStep, Signing, SkippedPaths, Status, StorageKind,
    StorageShare, StorageState, StorageSummary, TokenInfo, Unit, UploadInfo,
};

/// The present: 2025-11-22 10:51:00 UTC.
pub const NOW: i64 = 1_763_808_660;

const DAY: i64 = 86_400;
const GIB: u64 = 1 << 30;
const HASH: &str = "0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq";
const KEY: &str = "main.cache.example.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=";

pub fn status() -> Status {
    Status {
        version: "0.1.0".into(),
        api_version: 1,
        started_at: NOW - 3 * DAY - 4 * 3600,
        uptime_seconds: 3 * 86_400 + 4 * 3600,
        config: Some("/etc/cache-server/config.yaml".into()),
        state_dir: "/var/lib/cache-server".into(),
        catalog_failure: None,
        listeners: vec![
            listener(Purpose::Api, "0.0.0.0:5000", None),
            listener(Purpose::Deploy, "0.0.0.0:5001", None),
            listener(Purpose::Cache, "0.0.0.0:8080", Some("main")),
            listener(Purpose::Admin, "/run/cache-server/admin.sock", None),
        ],
        certificates: vec![Certificate {
            file: "/var/lib/acme/cache.example.org/fullchain.pem".into(),
            cache: None,
            names: vec!["cache.example.org".into(), "*.cache.example.org".into()],
            ends: 1_786_000_000,
        }],
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
                gc_held_back: 0,
                copies: None,
            },
        ],
        storages: vec![local(), s3()],
        upstreams: network::upstreams()[..1].to_vec(),
    }
}

fn listener(purpose: Purpose, address: &str, cache: Option<&str>) -> Listener {
    Listener { purpose, address: address.into(), cache: cache.map(Into::into), error: None }
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
        gc_held_back: 11_234,
        copies: None,
    }
}

fn local() -> StorageSummary {
    StorageSummary {
        cache: "main".into(),
        name: "default".into(),
        kind: StorageKind::Local,
        location: "/var/lib/cache-server/storage".into(),
        state: StorageState::Ok,
        since: Some(NOW - 3 * DAY),
        draining: false,
        last_error: None,
        used_bytes: 42 * GIB,
        by_product_bytes: GIB,
        upload_bytes: GIB / 2,
        trash_bytes: 3 * GIB,
        reserved_bytes: 0,
        free_bytes: Some(80 * GIB),
        total_bytes: Some(200 * GIB),
        max_bytes: None,
        tier: 0,
        share_wanted: None,
        share_actual: 42.0 / 43.0,
        nars: 12_000,
        damaged: 0,
        copies: 0,
        copies_damaged: 0,
    }
}

fn s3() -> StorageSummary {
    StorageSummary {
        name: "offsite".into(),
        kind: StorageKind::S3,
        location: "s3://nars/main".into(),
        state: StorageState::Failing,
        since: Some(NOW - 3 * 3600),
        last_error: Some("the endpoint refuses connections".into()),
        used_bytes: GIB,
        by_product_bytes: 0,
        upload_bytes: 0,
        trash_bytes: 0,
        free_bytes: None,
        total_bytes: None,
        share_actual: 1.0 / 43.0,
        nars: 345,
        ..local()
    }
}

/// Storages in every state.
pub fn storages() -> Vec<StorageSummary> {
    let split = |name: &str, wanted: f64, actual: f64| StorageSummary {
        cache: "staging".into(),
        name: name.into(),
        share_wanted: Some(wanted),
        by_product_bytes: 0,
        upload_bytes: 0,
        share_actual: actual,
        ..local()
    };
    vec![
        local(),
        s3(),
        StorageSummary {
            damaged: 3,
            reserved_bytes: GIB,
            last_error: Some("no answer within 2 s".into()),
            ..split("ssd", 0.66, 0.64)
        },
        StorageSummary { state: StorageState::Full, free_bytes: Some(0), ..split("hdd", 0.34, 0.331) },
        StorageSummary { draining: true, ..split("old-disk", 0.0, 0.029) },
        StorageSummary {
            draining: true,
            state: StorageState::Failing,
            last_error: Some("/mnt/older is not mounted".into()),
            since: None,
            free_bytes: None,
            ..split("older", 0.0, 0.0004)
        },
        StorageSummary { state: StorageState::Disabled, free_bytes: None, ..split("gone", 0.0, 0.0) },
    ]
}

fn job(id: &str, kind: JobKind, subject: &str, state: JobState) -> JobInfo {
    JobInfo {
        id: id.into(),
        kind,
        subject: subject.into(),
        started_at: NOW - 300,
        finished_at: None,
        state,
        done: 12 * GIB,
        total: Some(43 * GIB),
        unit: Unit::Bytes,
        last_error: None,
        summary: None,
    }
}

/// Jobs in every state.
pub fn jobs() -> Vec<JobInfo> {
    let summaries = summaries();
    let done = |id: &str, kind: JobKind, subject: &str, summary: &JobSummary| JobInfo {
        started_at: NOW - 3 * DAY,
        finished_at: Some(NOW - 2 * DAY),
        summary: Some(summary.clone()),
        ..job(id, kind, subject, JobState::Done)
    };
    vec![
        job("14", JobKind::Scrub, "staging/ssd", JobState::Running),
        JobInfo {
            unit: Unit::Paths,
            done: 1_234,
            total: None,
            ..job("13", JobKind::Unknown, "", JobState::Running)
        },
        JobInfo {
            last_error: Some("/mnt/older is not mounted".into()),
            ..job("12", JobKind::Drain, "staging/older", JobState::Failed)
        },
        job("11", JobKind::Rebalance, "staging", JobState::Stopped),
        done("10", JobKind::Drain, "staging/old-disk", &summaries[0]),
        done("9", JobKind::Rebalance, "staging", &summaries[1]),
        done("8", JobKind::Scrub, "everything", &summaries[2]),
        done("7", JobKind::Fsck, "everything", &summaries[3]),
        done("6", JobKind::Import, "https://old.example.org into main", &summaries[4]),
        done("5", JobKind::Export, "main to s3://bucket/release", &summaries[5]),
    ]
}

/// What a drain, a rebalance, a scrub and an fsck came to.
pub fn summaries() -> [JobSummary; 6] {
    let moves = MoveSummary { moved_files: 1_234, moved_bytes: 12 * GIB, left_files: 0, left_bytes: 0 };
    let share = |storage: &str, wanted: f64, actual: f64| StorageShare {
        cache: "staging".into(),
        storage: storage.into(),
        used_bytes: (actual * 43.0) as u64 * GIB,
        share_wanted: Some(wanted),
        share_actual: actual,
    };
    let compared = |storage: &str| FsckStorage {
        cache: "staging".into(),
        storage: storage.into(),
        files_checked: 12_000,
        ..FsckStorage::default()
    };
    [
        JobSummary::Drain(MoveSummary { left_files: 1, left_bytes: GIB, ..moves }),
        JobSummary::Rebalance(RebalanceSummary {
            moves,
            shares: vec![share("ssd", 0.66, 0.661), share("hdd", 0.34, 0.339)],
        }),
        JobSummary::Scrub(ScrubSummary { files: 12_345, bytes: 43 * GIB, damaged: 3, unreadable: 1 }),
        JobSummary::Fsck(FsckSummary {
            dry_run: false,
            storages: vec![
                compared("ssd"),
                FsckStorage {
                    missing: 3,
                    wrong_size: 1,
                    unclaimed_logs: 2,
                    unclaimed_realisations: 1,
                    orphans_removed: 1_024,
                    narinfos_rewritten: 1,
                    unknown_paths: 5,
                    paths_rebuilt: 6,
                    problems: 1,
                    ..compared("hdd")
                },
            ],
        }),
        JobSummary::Import(ImportSummary {
            source: "https://old.example.org".into(),
            cache: "main".into(),
            dry_run: false,
            imported: 12_345,
            file_bytes: 43 * GIB,
            nar_bytes: 120 * GIB,
            present: 1_024,
            filtered: 12,
            skipped: vec![
                SkippedPaths {
                    reason: "unsupported compression `lzip`".into(),
                    paths: 7,
                    examples: vec![format!("{HASH}-one"), format!("{HASH}-two")],
                },
                SkippedPaths {
                    reason: "the source does not have its NAR".into(),
                    paths: 1,
                    examples: vec![format!("{HASH}-three")],
                },
            ],
        }),
        JobSummary::Export(ExportSummary {
            target: "s3://bucket/release".into(),
            cache: "main".into(),
            dry_run: false,
            exported: 1,
            file_bytes: GIB,
            nar_bytes: 3 * GIB,
            present: 0,
            skipped: Vec::new(),
        }),
    ]
}

pub fn cache() -> CacheInfo {
    CacheInfo {
        summary: summary(),
        priority: 30,
        compression: "zstd".into(),
        retention_days: Some(30),
        max_bytes: Some(100 * GIB),
        collects_when_full: true,
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
        pushed_by: Some(admin_api::PushedBy {
            token: "4f1c0b9e-7a55-4d7e-9c0e-6f9f0c2b7a11".into(),
            subject: Some("ci".into()),
        }),
        damaged: false,
        copies: vec![],
        missing: vec![admin_api::MissingPath {
            path: "8p33is69mjdw3bi1wmi8v2zpsxir8nwd-glibc-2.37-8".into(),
            needed_by: "0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello-2.12.1".into(),
            hidden: false,
        }],
        withheld: false,
    }
}

pub fn uploads() -> Vec<UploadInfo> {
    let upload = |id: &str, token: Option<&str>, subject: Option<&str>, bytes, idle| UploadInfo {
        id: id.into(),
        cache: "main".into(),
        token: token.map(Into::into),
        subject: subject.map(Into::into),
        bytes,
        last_active: NOW - idle,
    };
    vec![
        upload("5f0e6a9e-6f0e-4a53-9a2c-3c1d5e7f9b11", None, None, 0, 3 * 3600),
        upload(
            "6a7d1d2e-6a0e-4f0c-9a40-0a8e3a0f9d11",
            Some("3c6a6b1e-0f6c-4f59-8d2a-6b8f3f0c2d22"),
            Some("ci"),
            384 << 20,
            2,
        ),
    ]
}

pub fn tokens() -> Vec<TokenInfo> {
    let token = |id: &str, subject: Option<&str>, caches: &[&str]| TokenInfo {
        id: id.into(),
        subject: subject.map(Into::into),
        caches: caches.iter().map(|&cache| cache.to_owned()).collect(),
        all: false,
        workspace: None,
        agent: None,
        permission: Permission::Write,
        created_at: NOW - 10 * DAY,
        expires_at: None,
        revoked_at: None,
        daily_limit: None,
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
        TokenInfo {
            workspace: Some("staging".into()),
            permission: Permission::Activate,
            ..token("5e1f2d3c-4b5a-4697-8899-aabbccddee55", Some("ci"), &[])
        },
        TokenInfo {
            agent: Some("web".into()),
            permission: Permission::Agent,
            ..token("6f2a3b4c-5d6e-4f70-8192-a3b4c5d6e766", None, &[])
        },
    ]
}
