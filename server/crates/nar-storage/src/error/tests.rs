#![allow(clippy::unwrap_used)]

use super::*;

fn classify(errno: Errno) -> StorageError {
    let key = Key::new("nar/x.nar").unwrap();
    let context = Context { storage: "disk1".into(), operation: Operation::Put, key: Some(key) };
    StorageError::from_io(context, errno.into())
}

#[test]
fn full_failing_and_forbidden_disks_are_told_apart() {
    for errno in [Errno::NOSPC, Errno::DQUOT] {
        assert!(classify(errno).is_full());
    }
    for errno in [Errno::ROFS, Errno::IO, Errno::NOTCONN, Errno::STALE, Errno::UCLEAN] {
        assert!(classify(errno).is_unavailable());
        assert!(!classify(errno).is_lost());
    }
    assert!(classify(Errno::TIMEDOUT).is_unavailable());
    assert!(matches!(classify(Errno::ACCESS), StorageError::Denied { .. }));
    assert!(matches!(classify(Errno::NAMETOOLONG), StorageError::Io { .. }));
    assert!(classify(Errno::NOENT).is_lost());
}

#[test]
fn an_error_names_storage_operation_and_key() {
    assert_eq!(classify(Errno::NOSPC).to_string(), "storage disk1: put nar/x.nar: the storage is full");
}
