//! Texts of errors, over all formats.

#![allow(clippy::unwrap_used)]

use std::error::Error;
use std::io;

use crate::nar::{BuildId, ListingError, NarError};
use crate::nix32::Nix32Error;
use crate::{
    Compression, ContentAddressError, KeyError, NarFileName, NarInfoError, ParseHashError, StorePathError,
};

/// Asserts that no error of the chain repeats the one below it.
fn assert_each_cause_once(error: &dyn Error) {
    let mut error = error;
    while let Some(cause) = error.source() {
        let (text, cause_text) = (error.to_string(), cause.to_string());
        assert!(!text.contains(&cause_text), "`{text}` repeats its cause `{cause_text}`");
        error = cause;
    }
}

fn nix32_errors() -> [Nix32Error; 3] {
    [Nix32Error::Length { expected: 32, actual: 1 }, Nix32Error::Digit { position: 1 }, Nix32Error::Padding]
}

fn hash_errors() -> Vec<ParseHashError> {
    let mut errors = vec![
        ParseHashError::Length { actual: 1 },
        ParseHashError::Sri,
        ParseHashError::Hex,
        ParseHashError::Base64,
    ];
    errors.extend(nix32_errors().map(ParseHashError::Nix32));
    errors
}

fn store_path_errors() -> [StorePathError; 6] {
    [
        StorePathError::Directory,
        StorePathError::Hash,
        StorePathError::Dash,
        StorePathError::NameLength { actual: 0 },
        StorePathError::NameCharacter,
        StorePathError::NameDots,
    ]
}

#[test]
fn no_error_of_a_small_format_repeats_its_cause() {
    nix32_errors().iter().for_each(|error| assert_each_cause_once(error));
    hash_errors().iter().for_each(|error| assert_each_cause_once(error));
    store_path_errors().iter().for_each(|error| assert_each_cause_once(error));
    for error in [
        KeyError::NoName,
        KeyError::Name,
        KeyError::Base64,
        KeyError::Length { expected: 32, actual: 1 },
        KeyError::PublicKey,
        KeyError::Halves,
        KeyError::Random,
    ] {
        assert_each_cause_once(&error);
    }
    for error in [
        ContentAddressError::Form,
        ContentAddressError::Algorithm,
        ContentAddressError::Hash,
        ContentAddressError::References,
        ContentAddressError::SelfReference,
    ] {
        assert_each_cause_once(&error);
    }
    assert_each_cause_once(&Compression::from_narinfo_name("rot13").unwrap_err());
    assert_each_cause_once(&NarFileName::parse("nar").unwrap_err());
    assert_each_cause_once(&"".parse::<BuildId>().unwrap_err());
}

#[test]
fn no_error_of_a_narinfo_repeats_its_cause() {
    let mut errors = vec![
        NarInfoError::Line { line: 1 },
        NarInfoError::Missing("NarHash"),
        NarInfoError::Duplicate("NarHash"),
        NarInfoError::Size("NarSize"),
        NarInfoError::Compression(Compression::from_narinfo_name("rot13").unwrap_err()),
        NarInfoError::Word("Sig"),
    ];
    errors.extend(store_path_errors().map(|source| NarInfoError::StorePath { field: "References", source }));
    errors.extend(hash_errors().into_iter().map(|source| NarInfoError::Hash { field: "NarHash", source }));
    errors.iter().for_each(|error| assert_each_cause_once(error));
}

#[test]
fn no_error_of_a_nar_repeats_its_cause() {
    let offset = 8;
    for error in [
        NarError::Io(io::ErrorKind::TimedOut.into()),
        NarError::Magic,
        NarError::Truncated { offset },
        NarError::TrailingData { offset },
        NarError::Unexpected { expected: "a name", offset },
        NarError::Padding { offset },
        NarError::TooLong { what: "a name", offset, len: 300, max: 255 },
        NarError::Name { offset },
        NarError::Order { offset },
        NarError::Target { offset },
        NarError::TooDeep { offset },
    ] {
        assert_each_cause_once(&error);
    }
    for error in
        [ListingError::NotUtf8, ListingError::Io(io::ErrorKind::TimedOut.into()), ListingError::Incomplete]
    {
        assert_each_cause_once(&error);
    }
}
