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
fn a_job_that_was_lost_has_the_exit_code_of_how_it_was_lost() {
    let lost = |source: Error| Error::Job(JobError::Lost { job: "scrub".into(), source: Box::new(source) });
    assert_eq!(lost(Error::EndedEarly { socket: "/s".into() }).exit(), Exit::Unreachable);
    let malformed = Error::Malformed { request: "POST /".into(), reason: "no".into() };
    assert_eq!(lost(malformed).exit(), Exit::Other);
}

#[test]
fn a_job_that_fails_has_its_own_exit_code_and_the_hint_of_the_daemon() {
    let error = ApiError { code: ErrorCode::NotFound, message: "gone".into(), hint: Some("mount it".into()) };
    let error = Error::Job(JobError::Failed { job: "drain of a/b".into(), error });
    assert_eq!(error.exit(), Exit::Incomplete);
    assert_eq!(error.report(), "cachectl: the drain of a/b failed: gone\nMount it.");
}

#[test]
fn a_socket_that_its_group_may_use_is_a_reason_to_join_the_group() {
    let report = denied(Some(obstacle(0o660, false, 7))).report();
    assert_eq!(
        report,
        "cachectl: permission denied to the daemon at /run/s\n\
         The socket /run/s has mode 0660 and group cache. Run cachectl with sudo, or join the \
         group (`sudo usermod -aG cache $USER`, then log in again)."
    );
    let report = denied(Some(obstacle(0o750, true, 7))).report();
    assert!(report.contains("directory /run/s has mode 0750") && report.contains("join"));
    assert_eq!(denied(None).exit(), Exit::Denied);
}

#[test]
fn a_group_that_does_not_help_is_not_suggested() {
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
fn text_of_the_daemon_cannot_forge_lines() {
    let error =
        ApiError { code: ErrorCode::Invalid, message: "bad name a\nb".into(), hint: Some("x\x1b[2J".into()) };
    assert_eq!(Error::Daemon(error).report(), "cachectl: bad name a\\nb\nX\\u{1b}[2J.");
}

#[test]
fn every_place_that_was_tried_is_listed() {
    let tried = vec![("/a".into(), Miss::Absent), ("/b".into(), Miss::Stale)];
    let report = Error::Unreachable { tried }.report();
    let list = "cachectl: cannot reach the daemon:\n  /a does not exist\n  /b is left over";
    assert!(report.starts_with(list), "{report}");
}

/// An error of each variant. A new variant fails to compile here and belongs in the list.
fn one_of_each() -> Vec<Error> {
    let name = || "main".to_owned();
    let io = || io::Error::other("no space left on device");
    let samples = vec![
        Error::Unreachable { tried: vec![("/a".into(), Miss::Other(io()))] },
        denied(None),
        Error::Timeout { socket: "/s".into(), waited: Duration::from_secs(1) },
        Error::Disconnected { socket: "/s".into(), source: http_error() },
        Error::TooLarge { request: "GET /".into(), limit: 1 },
        Error::EndlessList { cache: name() },
        Error::EndedEarly { socket: "/s".into() },
        Error::Version { socket: "/s".into(), daemon: 2 },
        Error::TooOld { request: "GET /".into() },
        Error::Malformed { request: "GET /".into(), reason: "it is empty".into() },
        daemon_error(ErrorCode::Internal),
        Error::Unexplained { request: "GET /".into(), status: StatusCode::NOT_FOUND },
        Error::NoCaches,
        Error::WhichCache { caches: vec![] },
        Error::WhichKey { cache: name(), key: name(), several: false },
        Error::NoSuchKey { key: name() },
        Error::Unconfirmed { cache: name(), reason: "no" },
        Error::NotCollected,
        Error::KeyFile { from: "/k".into(), reason: "it is empty".into() },
        Error::FaultyConfig { faults: vec![name()], hint: None },
        Error::Specification { file: "/f".into(), reason: "it is empty".into() },
        Error::DeploymentFailed { deployment: name(), status: "failed" },
        Error::ManPages { directory: "/d".into(), source: io() },
        Error::Unwell { errors: 1 },
        Error::NoSuchPeer { beginning: name() },
        Error::SilentPeers { silent: 1 },
        Error::NoCacheHolds { hash: name(), caches: vec![] },
        Error::TokenLost { id: name(), source: io() },
        Error::Job(JobError::LeftEarly),
        Error::Push(PushError::NoPaths),
        Error::PathList { reason: "it is empty".into() },
        Error::Output(io()),
        Error::Runtime(io()),
        Error::Problems { problems: vec![name()] },
        Error::FailedUpstreams { failed: 1 },
    ];
    let position = |error: &Error| match error {
        Error::Unreachable { .. } => 0,
        Error::Denied { .. } => 1,
        Error::Timeout { .. } => 2,
        Error::Disconnected { .. } => 3,
        Error::TooLarge { .. } => 4,
        Error::EndlessList { .. } => 5,
        Error::EndedEarly { .. } => 6,
        Error::Version { .. } => 7,
        Error::TooOld { .. } => 8,
        Error::Malformed { .. } => 9,
        Error::Daemon(_) => 10,
        Error::Unexplained { .. } => 11,
        Error::NoCaches => 12,
        Error::WhichCache { .. } => 13,
        Error::WhichKey { .. } => 14,
        Error::NoSuchKey { .. } => 15,
        Error::Unconfirmed { .. } => 16,
        Error::NotCollected => 17,
        Error::KeyFile { .. } => 18,
        Error::FaultyConfig { .. } => 19,
        Error::Specification { .. } => 20,
        Error::DeploymentFailed { .. } => 21,
        Error::ManPages { .. } => 22,
        Error::Unwell { .. } => 23,
        Error::NoSuchPeer { .. } => 24,
        Error::SilentPeers { .. } => 25,
        Error::NoCacheHolds { .. } => 26,
        Error::TokenLost { .. } => 27,
        Error::Job(_) => 28,
        Error::Push(_) => 29,
        Error::PathList { .. } => 30,
        Error::Output(_) => 31,
        Error::Runtime(_) => 32,
        Error::Problems { .. } => 33,
        Error::FailedUpstreams { .. } => 34,
    };
    assert!(samples.iter().map(position).eq(0..35), "a variant is missing");
    samples
}

/// A failure of each kind of a long job. A new variant fails to compile here and belongs in the list.
fn one_job_of_each() -> Vec<JobError> {
    let job = || "scrub of main/hdd".to_owned();
    let failed = ApiError { code: ErrorCode::Internal, message: "no room".into(), hint: None };
    let samples = vec![
        JobError::Detached { job: job(), id: "7".into() },
        JobError::LeftEarly,
        JobError::Lost { job: job(), source: Box::new(Error::EndedEarly { socket: "/s".into() }) },
        JobError::Failed { job: job(), error: failed },
        JobError::Stopped { job: job(), cause: admin_api::StopCause::Shutdown },
        JobError::Incomplete { job: job(), left: "3 files not read".into() },
        JobError::Damage { job: job() },
    ];
    let position = |error: &JobError| match error {
        JobError::Detached { .. } => 0,
        JobError::LeftEarly => 1,
        JobError::Lost { .. } => 2,
        JobError::Failed { .. } => 3,
        JobError::Stopped { .. } => 4,
        JobError::Incomplete { .. } => 5,
        JobError::Damage { .. } => 6,
    };
    assert!(samples.iter().map(position).eq(0..7), "a variant is missing");
    samples
}

/// An error of the HTTP connection: the other end closes it before it answers.
fn http_error() -> hyper::Error {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let (ours, theirs) = tokio::io::duplex(64);
        drop(theirs);
        let io = hyper_util::rt::TokioIo::new(ours);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        let body = http_body_util::Empty::<bytes::Bytes>::new();
        sender.send_request(http::Request::new(body)).await.unwrap_err()
    })
}

#[test]
fn a_cause_is_printed_once() {
    for error in one_of_each().into_iter().chain(one_job_of_each().into_iter().map(Error::Job)) {
        let report = error.report();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            assert_eq!(report.matches(&cause.to_string()).count(), 1, "{report}");
            source = cause.source();
        }
    }
    let full = Error::Output(io::Error::other("no space left on device"));
    assert_eq!(full.report(), "cachectl: cannot write to standard output: no space left on device");
}

#[test]
fn every_error_is_one_sentence_without_a_full_stop() {
    for error in one_of_each().into_iter().chain(one_job_of_each().into_iter().map(Error::Job)) {
        let text = error.to_string();
        assert!(!text.ends_with('.') && !text.is_empty(), "{text}");
        if let Some(hint) = error.hint() {
            assert!(hint.ends_with(['.', '?']), "{text}: {hint}");
        }
    }
}
