//! Texts of errors.

use std::error::Error;
use std::io::ErrorKind;

use crate::dht::with_causes;
use crate::record::NoteName;
use crate::{DhtError, IdentityError, NodeId, StartError};

/// Asserts that no error of the chain repeats the one below it.
fn assert_each_cause_once(error: &dyn Error) {
    let mut error = error;
    while let Some(cause) = error.source() {
        let (text, cause_text) = (error.to_string(), cause.to_string());
        assert!(!text.contains(&cause_text), "`{text}` repeats its cause `{cause_text}`");
        error = cause;
    }
}

fn dht_errors() -> Vec<DhtError> {
    let address = "127.0.0.1:1".parse().unwrap();
    vec![
        DhtError::Bind { address, source: ErrorKind::AddrInUse.into() },
        DhtError::Alone,
        DhtError::Contended("n:1".to_owned()),
        DhtError::Unanswered("n:1".to_owned()),
        DhtError::Random(getrandom::Error::UNSUPPORTED),
    ]
}

fn identity_errors() -> Vec<IdentityError> {
    let path = std::path::PathBuf::from("/node.key");
    vec![
        IdentityError::File { path: path.clone(), source: ErrorKind::PermissionDenied.into() },
        IdentityError::Malformed(path),
        IdentityError::Random(getrandom::Error::UNSUPPORTED),
    ]
}

#[test]
fn no_error_repeats_its_cause() {
    dht_errors().iter().for_each(|error| assert_each_cause_once(error));
    identity_errors().iter().for_each(|error| assert_each_cause_once(error));
    dht_errors().into_iter().map(StartError::from).for_each(|error| assert_each_cause_once(&error));
    identity_errors().into_iter().map(StartError::from).for_each(|error| assert_each_cause_once(&error));
    assert_each_cause_once(&"".parse::<NodeId>().unwrap_err());
    assert_each_cause_once(&"".parse::<NoteName>().unwrap_err());
}

#[test]
fn a_line_of_log_has_the_causes() {
    let text = with_causes(&dht_errors()[0]);
    assert!(text.starts_with("cannot listen on UDP 127.0.0.1:1: "), "{text}");
}
