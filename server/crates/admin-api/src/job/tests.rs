#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::{ApiError, ErrorCode};

fn info() -> JobInfo {
    JobInfo {
        id: "7".into(),
        kind: JobKind::Scrub,
        subject: "main/hdd".into(),
        started_at: 5,
        finished_at: None,
        state: JobState::Running,
        done: 1,
        total: Some(2),
        unit: Unit::Bytes,
        last_error: None,
        summary: None,
    }
}

#[test]
fn a_request_names_its_kind_and_every_field() {
    let scrub = JobRequest::Scrub {
        cache: Some("main".into()),
        storage: None,
        rate: Some(50_000_000),
        restart: false,
    };
    let body =
        json!({"kind": "scrub", "cache": "main", "storage": null, "rate": 50_000_000, "restart": false});
    assert_eq!(serde_json::to_value(&scrub).unwrap(), body);
    assert_eq!(serde_json::from_value::<JobRequest>(body).unwrap(), scrub);
    let fsck = JobRequest::Fsck { cache: None, storage: None, rebuild: true, dry_run: true };
    let body = json!({"kind": "fsck", "cache": null, "rebuild": true, "dry_run": true});
    assert_eq!(serde_json::to_value(fsck).unwrap(), body);
    let gc = |accept_clock| JobRequest::Gc {
        cache: None,
        dry_run: true,
        to_size: Some(9),
        older_than: None,
        accept_clock,
        no_trash: false,
        brief: false,
        for_room: false,
    };
    let mut body = json!({"kind": "gc", "cache": null, "dry_run": true, "to_size": 9, "older_than": null});
    assert_eq!(serde_json::to_value(gc(false)).unwrap(), body);
    assert_eq!(serde_json::from_value::<JobRequest>(body.clone()).unwrap(), gc(false));
    body["accept_clock"] = json!(true);
    assert_eq!(serde_json::to_value(gc(true)).unwrap(), body);
    let delete = JobRequest::DeleteCache { cache: "old".into() };
    assert_eq!(serde_json::to_value(delete).unwrap(), json!({"kind": "delete-cache", "cache": "old"}));
    let backup = JobRequest::Backup { file: "/b".into() };
    assert_eq!(serde_json::to_value(backup).unwrap(), json!({"kind": "backup", "file": "/b"}));
}

#[test]
fn a_job_or_a_restriction_that_the_daemon_does_not_know_is_refused() {
    for body in [
        json!({"kind": "defragment"}),
        json!({"kind": "rebalance", "cache": null, "only_on": "sunday"}),
        json!({"kind": "drain", "cache": null}),
        json!({"kind": "delete-cache"}),
        json!({"kind": "backup", "file": null}),
        json!({"kind": "gc", "cache": null, "dry_run": false, "to_size": null, "older_than": null, "keep": 5}),
    ] {
        assert!(serde_json::from_value::<JobRequest>(body.clone()).is_err(), "{body}");
    }
}

#[test]
fn every_event_reads_back_as_it_was_written() {
    let summaries = [
        JobSummary::Drain(MoveSummary { moved_files: 1, moved_bytes: u64::MAX, ..MoveSummary::default() }),
        JobSummary::Rebalance(RebalanceSummary {
            moves: MoveSummary { moved_files: 3, moved_bytes: 4, left_files: 5, left_bytes: u64::MAX },
            shares: vec![StorageShare {
                cache: "main".into(),
                storage: "hdd".into(),
                used_bytes: 4,
                share_wanted: Some(0.34),
                share_actual: 1.0 / 3.0,
            }],
        }),
        JobSummary::Scrub(ScrubSummary { files: 1, bytes: 2, damaged: 3, unreadable: 4 }),
        JobSummary::Fsck(FsckSummary { dry_run: true, storages: vec![FsckStorage::default()] }),
        JobSummary::Gc(GcSummary { dry_run: true, caches: vec![GcCache { kept: 5, ..GcCache::default() }] }),
        JobSummary::DeleteCache(DeleteCacheSummary {
            paths: 1,
            left_files: 2,
            ..DeleteCacheSummary::default()
        }),
        JobSummary::Backup(BackupSummary { file: "/b".into(), bytes: 7 }),
        JobSummary::Import(ImportSummary {
            imported: 1,
            skipped: vec![SkippedPaths { reason: "no".into(), paths: 2, examples: vec!["a".into()] }],
            ..ImportSummary::default()
        }),
        JobSummary::Export(ExportSummary { target: "file:///b".into(), ..ExportSummary::default() }),
    ];
    let finished = JobInfo {
        state: JobState::Done,
        finished_at: Some(9),
        summary: Some(summaries[2].clone()),
        ..info()
    };
    let error = ApiError { code: ErrorCode::Unavailable, message: "no room".into(), hint: None };
    let mut events = vec![
        JobEvent::Started { job: finished, joined: true },
        JobEvent::Progress { done: 1, total: None, unit: Unit::Paths, message: Some("listing".into()) },
        JobEvent::Note { level: NoteLevel::Warn, text: "damaged".into() },
        JobEvent::Failed { error },
        JobEvent::Stopped { cause: StopCause::Shutdown, job: info() },
    ];
    events.extend(summaries.map(|summary| JobEvent::Done { summary }));
    for event in events {
        let line = serde_json::to_string(&event).unwrap();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(serde_json::from_str::<JobEvent>(&line).unwrap(), event, "{line}");
    }
}

#[test]
fn the_fields_of_a_summary_stand_beside_its_kind() {
    let summary = JobSummary::Rebalance(RebalanceSummary {
        moves: MoveSummary { moved_files: 1, moved_bytes: 2, left_files: 0, left_bytes: 0 },
        shares: vec![],
    });
    let expected = json!({
        "event": "done",
        "summary": {
            "kind": "rebalance", "moved_files": 1, "moved_bytes": 2, "left_files": 0, "left_bytes": 0, "shares": [],
        },
    });
    assert_eq!(serde_json::to_value(JobEvent::Done { summary }).unwrap(), expected);
}

#[test]
fn a_job_of_a_newer_daemon_is_readable() {
    let mut job = serde_json::to_value(info()).unwrap();
    job["kind"] = json!("defragment");
    job["unit"] = json!("pages");
    job["summary"] = json!({"kind": "defragment", "pages": 5});
    let read: JobInfo = serde_json::from_value(job).unwrap();
    assert_eq!(
        (read.kind, read.unit, read.summary),
        (JobKind::Unknown, Unit::Unknown, Some(JobSummary::Unknown))
    );

    let event: JobEvent = serde_json::from_value(json!({"event": "paused", "until": 5})).unwrap();
    assert_eq!(event, JobEvent::Unknown);
}
