#![allow(clippy::unwrap_used)]

use std::error::Error;

use super::*;
use crate::{InvalidKey, InvalidTurns, NoRoom};

fn context(operation: Operation) -> Context {
    Context { storage: "disk1".into(), operation, key: Some(Key::new("nar/x.nar").unwrap()) }
}

fn classify(errno: Errno) -> StorageError {
    StorageError::from_io(context(Operation::Put), errno.into())
}

#[test]
fn full_failing_and_forbidden_disks_are_told_apart() {
    for errno in [Errno::NOSPC, Errno::DQUOT] {
        assert!(classify(errno).is_full());
    }
    for errno in [
        Errno::ROFS,
        Errno::IO,
        Errno::NOTCONN,
        Errno::STALE,
        Errno::UCLEAN,
        Errno::HOSTUNREACH,
        Errno::SHUTDOWN,
    ] {
        assert!(classify(errno).is_unavailable(), "{errno:?}");
        assert!(!classify(errno).is_lost());
    }
    assert!(classify(Errno::TIMEDOUT).is_unavailable());
    for errno in [Errno::ACCESS, Errno::PERM] {
        assert!(matches!(classify(errno), StorageError::Denied { .. }));
    }
    assert!(matches!(classify(Errno::MFILE), StorageError::Io { .. }));
}

#[test]
fn what_a_client_can_cause_is_no_fault_of_the_storage() {
    for errno in [Errno::FBIG, Errno::INVAL, Errno::NAMETOOLONG, Errno::OVERFLOW] {
        let error = classify(errno);
        assert!(error.is_unfit() && !error.is_unavailable() && !error.is_lost(), "{error}");
        assert!(StorageError::from_spool("disk1", errno.into()).is_unfit());
    }
}

#[test]
fn only_who_looks_for_an_object_can_find_it_missing() {
    let missing = |operation| StorageError::from_io(context(operation), Errno::NOENT.into());
    for operation in [Operation::Open, Operation::Head, Operation::Delete, Operation::Sync] {
        assert!(missing(operation).is_not_found());
    }
    for operation in [Operation::Prepare, Operation::Put, Operation::List, Operation::Usage, Operation::Probe]
    {
        let error = missing(operation);
        assert!(error.is_unavailable() && !error.is_lost(), "{error}");
    }
}

#[test]
fn what_goes_wrong_in_a_spool_is_what_would_go_wrong_in_a_put() {
    let spooling = |error: io::Error| StorageError::from_spool("disk1", error);
    for full in [Errno::NOSPC.into(), Errno::DQUOT.into(), io::ErrorKind::StorageFull.into()] {
        assert!(spooling(full).is_full());
    }
    for failing in [Errno::IO, Errno::ROFS, Errno::NOENT, Errno::STALE, Errno::ACCESS] {
        assert!(spooling(failing.into()).is_unavailable(), "{failing:?}");
    }
    let error = spooling(io::Error::other("odd"));
    assert!(matches!(error, StorageError::Io { .. }));
    assert_eq!(error.to_string(), "storage disk1: put: odd");
    assert_eq!(error.context().operation, Operation::Put);
}

#[test]
fn an_error_names_storage_operation_and_key() {
    assert_eq!(classify(Errno::NOSPC).to_string(), "storage disk1: put nar/x.nar: the storage is full");
}

/// Asserts that no error of the chain repeats the one below it.
fn assert_each_cause_once(error: &dyn Error) {
    let mut error = error;
    while let Some(cause) = error.source() {
        let (text, cause_text) = (error.to_string(), cause.to_string());
        assert!(!text.contains(&cause_text), "`{text}` repeats its cause `{cause_text}`");
        error = cause;
    }
}

#[test]
fn no_error_repeats_its_cause() {
    let context = || context(Operation::Put);
    let cause = || io::Error::from(Errno::IO);
    for error in [
        StorageError::NotFound { context: context() },
        StorageError::SizeMismatch { context: context(), expected: 1, actual: 2 },
        StorageError::InvalidRange { context: context(), range: 1..2, size: 1 },
        StorageError::Full { context: context() },
        StorageError::Denied { context: context(), cause: cause() },
        StorageError::Unavailable { context: context(), reason: "it is gone".to_owned() },
        StorageError::Unfit { context: context(), cause: cause() },
        StorageError::Spool { context: context(), cause: cause() },
        StorageError::Io { context: context(), cause: cause() },
    ] {
        assert_each_cause_once(&error);
        // One line, wherever it is shown.
        assert!(error.source().is_none(), "{error}");
    }
    for error in
        [InvalidKey::Length, InvalidKey::Component, InvalidKey::Character, InvalidKey::Name("build id")]
    {
        assert_each_cause_once(&error);
    }
    for error in [NoRoom::Full, NoRoom::Failing, NoRoom::NotWritten] {
        assert_each_cause_once(&error);
    }
    assert_each_cause_once(&InvalidTurns);
}
