//! How a daemon is doing.

use admin_api::{Finding, FindingLevel, Reloaded, WorkerInfo, WorkerState};

use super::NOW;

/// Workers in every state.
pub fn workers() -> Vec<WorkerInfo> {
    let worker = |name: &str, state: WorkerState, does: &str| WorkerInfo {
        name: name.into(),
        state,
        does: does.into(),
        last_run: Some(NOW - 125),
        next_run: None,
        last_error: None,
        errors_in_a_row: 0,
        progress: None,
    };
    vec![
        WorkerInfo {
            next_run: Some(NOW + 11 * 3_600),
            ..worker("gc", WorkerState::Waiting, "removes the paths that nothing keeps")
        },
        WorkerInfo {
            last_error: Some("the bucket does not answer".into()),
            errors_in_a_row: 1_234,
            next_run: Some(NOW + 60),
            ..worker("probe", WorkerState::Failing, "looks whether storages that fail work again")
        },
        WorkerInfo {
            last_error: Some("no space left, but that is over".into()),
            ..worker("publisher", WorkerState::Idle, "writes narinfo files to the storages")
        },
        WorkerInfo {
            progress: Some("250 of 1,000 files".into()),
            ..worker("reaper", WorkerState::Working, "removes what unfinished uploads left")
        },
        WorkerInfo { last_run: None, ..worker("scrub", WorkerState::Paused, "reads everything") },
        worker("touches", WorkerState::Unknown, "writes down when paths were used"),
    ]
}

/// Findings of every level.
pub fn findings() -> Vec<Finding> {
    let finding = |level, subject: &str, message: &str, advice: Option<&str>| Finding {
        level,
        subject: subject.into(),
        message: message.into(),
        advice: advice.map(Into::into),
    };
    vec![
        finding(FindingLevel::Ok, "daemon", "version 0.1.0, up 3d 4h", None),
        finding(
            FindingLevel::Warn,
            "disk main/default",
            "4.00 GiB are free, which is little: at 95 % the storage takes no more pushes",
            Some("Free some with `cachectl gc --to-size`, or add a storage."),
        ),
        finding(
            FindingLevel::Error,
            "public-url",
            "cache.example.org has no address",
            Some("Add it to the DNS."),
        ),
    ]
}

/// What a reload changed, and what it could not.
pub fn reloaded() -> Reloaded {
    Reloaded {
        changes: vec![
            "the cache staging is new".into(),
            "the retention of main is 30 days instead of 14".into(),
        ],
        needs_restart: vec!["server-port: 5001 instead of 5000".into()],
        warnings: vec!["/etc/cache-server/config.yaml:9: warning: server.key: is empty".into()],
    }
}
