#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use uuid::Uuid;
use zeroize::Zeroizing;

use super::manifest::FORMAT;
use super::*;

fn manifest() -> Manifest {
    Manifest {
        format: FORMAT,
        version: "1".to_owned(),
        created_at: 0,
        catalog: Uuid::new_v4(),
        server_key: "key".to_owned(),
        storages: Vec::new(),
        members: Vec::new(),
    }
}

fn files(directory: &Path) -> Vec<(String, Source)> {
    let large = directory.join("large");
    fs::write(&large, (0..1_000_000_u32).flat_map(u32::to_le_bytes).collect::<Vec<_>>()).unwrap();
    let bytes = |text: &str| Source::Bytes(Zeroizing::new(text.as_bytes().to_vec()));
    vec![
        ("catalog.sqlite".to_owned(), Source::File(large)),
        ("server.key".to_owned(), bytes("secret")),
        ("keys/pub.secret".to_owned(), bytes("another secret")),
    ]
}

fn archive(directory: &Path, manifest: Manifest) -> PathBuf {
    let path = directory.join("backup");
    write(&path, manifest, &files(directory)).unwrap();
    path
}

fn unpacked(archive: &Path) -> Result<(tempfile::TempDir, Manifest), ReadError> {
    let directory = tempfile::tempdir().unwrap();
    unpack(archive, directory.path()).map(|manifest| (directory, manifest))
}

#[test]
fn what_was_written_is_unpacked_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = archive(directory.path(), manifest());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2, "nothing else is left");
    let (target, manifest) = unpacked(&path).unwrap();
    assert_eq!(manifest.members.len(), 3);
    for (name, expected) in [("server.key", "secret"), ("keys/pub.secret", "another secret")] {
        let file = target.path().join(name);
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let large = fs::read(target.path().join("catalog.sqlite")).unwrap();
    assert_eq!(large, fs::read(directory.path().join("large")).unwrap());
}

#[test]
fn a_file_that_exists_is_never_replaced_and_a_leftover_always() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("backup.partial"), "half").unwrap();
    let path = archive(directory.path(), manifest());
    let before = fs::read(&path).unwrap();
    let error = write(&path, manifest(), &files(directory.path())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(!directory.path().join("backup.partial").exists());
}

#[test]
fn an_archive_that_cannot_be_written_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let mut files = files(directory.path());
    files.push(("gone".to_owned(), Source::File(directory.path().join("gone"))));
    write(&directory.path().join("backup"), manifest(), &files).unwrap_err();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn an_archive_that_is_cut_short_or_damaged_anywhere_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = archive(directory.path(), manifest());
    let whole = fs::read(&path).unwrap();
    let damaged = directory.path().join("damaged");
    for part in 0..40 {
        let place = whole.len() * part / 40;
        fs::write(&damaged, &whole[..place]).unwrap();
        assert!(unpacked(&damaged).is_err(), "cut at {place}");
        let mut changed = whole.clone();
        changed[place] ^= 0x10;
        fs::write(&damaged, changed).unwrap();
        assert!(unpacked(&damaged).is_err(), "changed at {place}");
    }
}

#[test]
fn an_archive_of_a_newer_format_is_refused_with_its_version() {
    let directory = tempfile::tempdir().unwrap();
    let newer = Manifest { format: FORMAT + 1, version: "9.9".to_owned(), ..manifest() };
    let error = unpacked(&archive(directory.path(), newer)).unwrap_err();
    assert!(matches!(&error, ReadError::Newer { version } if version == "9.9"), "{error}");
}

/// An archive as somebody else may make it.
fn forge(path: &Path, listed: &[&str], present: &[&str]) -> io::Result<()> {
    let member = |name: &&str| Member {
        name: (*name).to_owned(),
        size: 0,
        sha256: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".to_owned(),
    };
    let text = serde_json::to_vec(&Manifest { members: listed.iter().map(member).collect(), ..manifest() })?;
    let mut builder = tar::Builder::new(zstd::Encoder::new(fs::File::create(path)?, 1)?);
    for (name, bytes) in
        [(MANIFEST, text.as_slice())].into_iter().chain(present.iter().map(|name| (*name, &[][..])))
    {
        let mut header = tar::Header::new_old();
        header.set_size(bytes.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, bytes)?;
    }
    builder.into_inner()?.finish()?;
    Ok(())
}

#[test]
fn only_what_the_manifest_lists_is_unpacked_and_only_inside_of_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("forged");
    for (listed, present) in [
        (&["a"][..], &["a", "b"][..]),
        (&["a"], &["a", "a"]),
        (&["../escaped"], &["../escaped"]),
        (&["/tmp/escaped"], &["/tmp/escaped"]),
    ] {
        forge(&path, listed, present).unwrap();
        let error = unpacked(&path).unwrap_err();
        assert!(matches!(error, ReadError::Unlisted { .. }), "{present:?}: {error}");
    }
    forge(&path, &["a", "b"], &["a"]).unwrap();
    assert!(matches!(unpacked(&path), Err(ReadError::Missing { name }) if name == "b"));
    forge(&path, &["a"], &["a"]).unwrap();
    unpacked(&path).unwrap();
}
