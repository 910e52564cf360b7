//! Paths, and what keeps them.

use admin_api::{
    AgeBucket, BackupSummary, DeleteCacheSummary, GcCache, GcSummary, JobSummary, PathRow, PathWhy,
    PhysicalStorage, PhysicalUsage, PinInfo,
};

use super::{DAY, GIB, NOW};

const HELLO: &str = "/nix/store/0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq-hello-2.12.1";
const GLIBC: &str = "/nix/store/3n58xw4373jp0ljirf06d8077j15pc4j-glibc-2.37-8";

/// A list of paths, one of them damaged.
pub fn rows() -> Vec<PathRow> {
    let hello = PathRow {
        cache: "main".into(),
        store_path: HELLO.into(),
        file_size: 50_088,
        nar_size: 226_560,
        storage: "default".into(),
        created_at: NOW - 40 * DAY,
        last_used_at: Some(NOW - 125),
        damaged: false,
    };
    vec![
        PathRow { last_used_at: None, ..hello.clone() },
        PathRow { store_path: GLIBC.into(), file_size: 12 * GIB, damaged: true, ..hello },
    ]
}

/// Pins that are kept in every way.
pub fn pins() -> Vec<PinInfo> {
    let pin = |name: &str, revision: u64| PinInfo {
        cache: "main".into(),
        name: name.into(),
        revision,
        store_path: HELLO.into(),
        keep_days: None,
        keep_revisions: None,
        created_at: NOW - 10 * DAY,
        artifacts: Vec::new(),
    };
    vec![
        PinInfo { keep_revisions: Some(7), ..pin("nightly", 1_234) },
        PinInfo { keep_revisions: Some(1), ..pin("nightly", 1_233) },
        PinInfo { keep_days: Some(30), artifacts: vec!["bin/hello".into()], ..pin("release", 2) },
        PinInfo { keep_days: Some(10), ..pin("release", 1) },
        PinInfo { cache: "staging".into(), ..pin("tools", 1) },
    ]
}

/// Every answer to why a path is kept.
pub fn whys() -> [PathWhy; 4] {
    let base_name = |path: &str| path["/nix/store/".len()..].to_owned();
    let why = |live: bool, reason: &str| PathWhy {
        store_path: GLIBC.into(),
        live,
        reason: reason.into(),
        chain: vec![base_name(GLIBC)],
        goes_at: None,
    };
    let app = "1nhgq6wcggx0plpy4991h3ginj6hipsd-app-1".to_owned();
    [
        why(true, "it is pinned as tools"),
        PathWhy {
            chain: vec![base_name(GLIBC), base_name(HELLO), app],
            ..why(true, "it is part of what is pinned as release, revision 2")
        },
        PathWhy { goes_at: Some(NOW + 4 * DAY), ..why(true, "it was used 3 days ago and is kept for 7") },
        PathWhy { goes_at: Some(NOW - DAY), ..why(false, "it was last used 8 days ago and is kept for 7") },
    ]
}

/// Paths by the time since their last use.
pub fn ages() -> Vec<AgeBucket> {
    let age = |label: &str, from_days, to_days, paths, bytes| AgeBucket {
        label: label.into(),
        from_days,
        to_days,
        paths,
        bytes,
    };
    vec![
        age("last day", 0, Some(1), 345, GIB),
        age("1 to 7 days", 1, Some(7), 12_000, 41 * GIB),
        age("over 7 days", 7, None, 0, 0),
    ]
}

/// Files that caches share, and a storage that could not be counted.
pub fn physical() -> PhysicalUsage {
    let storage =
        |name: &str, caches: &[&str], file_bytes, physical_bytes, error: Option<&str>| PhysicalStorage {
            name: name.into(),
            location: format!("/mnt/{name}"),
            caches: caches.iter().map(|cache| (*cache).to_owned()).collect(),
            files: if error.is_none() { 24_000 } else { 0 },
            file_bytes,
            physical_bytes,
            error: error.map(str::to_owned),
        };
    PhysicalUsage {
        storages: vec![
            storage("ssd", &["main", "staging"], 84 * GIB, 43 * GIB, None),
            storage("offsite", &["main"], GIB, GIB, None),
            storage("old", &["staging"], 0, 0, Some("/mnt/old is not mounted")),
        ],
        file_bytes: 85 * GIB,
        physical_bytes: 44 * GIB,
    }
}

/// What jobs that remove or copy came to, each well and not so well.
pub fn summaries() -> Vec<JobSummary> {
    let main = GcCache {
        cache: "main".into(),
        paths_before: 12_345,
        paths_removed: 1_234,
        files_removed: 1_200,
        bytes_freed: 12 * GIB,
        bytes_trashed: 0,
        paths_to_remove: 0,
        files_to_remove: 0,
        bytes_to_remove: 0,
        held_back: 0,
        postponed: 0,
        pinned: 17,
        kept: 11_111,
    };
    let planned = GcCache {
        paths_to_remove: main.paths_removed,
        files_to_remove: main.files_removed,
        bytes_to_remove: main.bytes_freed,
        paths_removed: 0,
        files_removed: 0,
        bytes_freed: 0,
        ..main.clone()
    };
    let held = GcCache {
        paths_removed: 0,
        files_removed: 0,
        bytes_freed: 0,
        held_back: 11_234,
        kept: 12_345,
        ..main.clone()
    };
    let trashed = main.clone();
    let staging = GcCache { cache: "staging".into(), postponed: 3, kept: 11_108, ..main.clone() };
    let deleted = DeleteCacheSummary { paths: 12_345, files: 12_000, bytes_freed: 43 * GIB, left_files: 0 };
    vec![
        JobSummary::Gc(GcSummary { dry_run: true, caches: vec![planned] }),
        JobSummary::Gc(GcSummary { dry_run: false, caches: vec![main, staging] }),
        JobSummary::Gc(GcSummary {
            dry_run: false,
            caches: vec![GcCache { files_removed: 0, bytes_freed: 0, bytes_trashed: 12 * GIB, ..trashed }],
        }),
        JobSummary::Gc(GcSummary { dry_run: false, caches: vec![held] }),
        JobSummary::Gc(GcSummary { dry_run: false, caches: vec![] }),
        JobSummary::DeleteCache(deleted),
        JobSummary::DeleteCache(DeleteCacheSummary { left_files: 1, ..deleted }),
        JobSummary::Backup(BackupSummary { file: "/var/backups/catalog.sqlite".into(), bytes: 12 << 20 }),
    ]
}
