#![allow(clippy::unwrap_used)]

use super::*;

fn daemon_error(code: ErrorCode) -> Error {
    Error::Daemon(ApiError { code, message: "no".into(), hint: None })
}

fn denied(obstacle: Option<Obstacle>) -> Error {
    Error::Denied { socket: "/run/s".into(), obstacle }
}

fn obstacle(mode: u32, is_directory: bool, gid: u32) -> Obstacle {
    let group = (gid == 7).then(|| "cache".to_owned());
    Obstacle { path: "/run/s".into(), is_directory, mode, gid, group }
}

#[test]
fn each_error_of_the_daemon_has_its_exit_code() {
    for (code, exit) in [
        (ErrorCode::NotFound, Exit::NotFound),
        (ErrorCode::Invalid, Exit::Refused),
        (ErrorCode::Conflict, Exit::Refused),
        (ErrorCode::VersionMismatch, Exit::Version),
        (ErrorCode::Unavailable, Exit::Other),
        (ErrorCode::Internal, Exit::Other),
        (ErrorCode::Unknown, Exit::Other),
    ] {
        assert_eq!(daemon_error(code).exit(), exit, "{code:?}");
    }
}

#[test]
fn a_lost_job_has_the_exit_code_of_how_it_was_lost() {
    let lost = |source: Error| Error::Job(JobError::Lost { job: "scrub".into(), source: Box::new(source) });
    assert_eq!(lost(Error::EndedEarly { socket: "/s".into() }).exit(), Exit::Unreachable);
    let malformed = Error::Malformed { request: "POST /".into(), reason: "no".into() };
    assert_eq!(lost(malformed).exit(), Exit::Other);
}

#[test]
fn a_job_that_fails_has_its_own_exit_code_and_the_hint_of_the_daemon() {
    let error = ApiError { code: ErrorCode::NotFound, message: "gone".into(), hint: Some("mount it".into()) };
    let error = Error::Job(JobError::Failed { job: "drain of a/b".into(), error });
    assert_eq!(error.exit(), Exit::Undone);
    assert_eq!(error.report(), "cachectl: the drain of a/b failed: gone\nmount it");
}

#[test]
fn a_socket_that_its_group_may_use_is_a_reason_to_join_it() {
    let report = denied(Some(obstacle(0o660, false, 7))).report();
    assert_eq!(
        report,
        "cachectl: not permitted to talk to the daemon at /run/s\n\
         The socket /run/s has mode 0660 and group cache. Run cachectl with sudo, or join the \
         group (`sudo usermod -aG cache $USER`, then log in again)."
    );
    let report = denied(Some(obstacle(0o750, true, 7))).report();
    assert!(report.contains("directory /run/s has mode 0750") && report.contains("join"));
    assert_eq!(denied(None).exit(), Exit::Denied);
}

#[test]
fn nobody_is_told_to_join_a_group_that_does_not_help() {
    for seen in [
        Some(obstacle(0o600, false, 7)),
        Some(obstacle(0o640, false, 7)),
        Some(obstacle(0o700, true, 7)),
        Some(obstacle(0o660, false, 0)),
        None,
    ] {
        let report = denied(seen).report();
        assert!(report.contains("sudo") && !report.contains("join"), "{report}");
    }
}

#[test]
fn a_version_mismatch_says_which_end_to_change() {
    let report = |daemon| Error::Version { socket: "/s".into(), daemon }.report();
    assert!(report(API_VERSION + 1).contains("Use the cachectl that came with the daemon"));
    assert!(report(API_VERSION - 1).contains("Restart the daemon"));
}

#[test]
fn what_the_daemon_says_cannot_forge_lines() {
    let error =
        ApiError { code: ErrorCode::Invalid, message: "bad name a\nb".into(), hint: Some("x\x1b[2J".into()) };
    assert_eq!(Error::Daemon(error).report(), "cachectl: bad name a\\nb\nx\\u{1b}[2J");
}

#[test]
fn every_place_that_was_tried_is_named() {
    let tried = vec![("/a".into(), Miss::Absent), ("/b".into(), Miss::Stale)];
    let report = Error::Unreachable { tried }.report();
    let list = "cachectl: cannot reach the daemon:\n  /a does not exist\n  /b is left over";
    assert!(report.starts_with(list), "{report}");
}
