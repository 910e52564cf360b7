#![allow(clippy::unwrap_used)]

use std::cell::Cell;
use std::fs::{self, Permissions};
use std::io::Read as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use nix_formats::nar;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::netrc::find_password;
use super::pack::{Packed, Packing, Part, pack};
use super::store::{parse_registration, store_path_of};
use super::*;

const HASH: &str = "0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq";

#[test]
fn the_password_of_a_host_is_found_in_every_form_of_netrc() {
    let text = "# tokens\nmachine other password no\nmachine cache.test password tok1\n\
                machine split\n  login me\n  password tok2\ndefault password tok3\n";
    let find = |hosts: &[&str]| find_password(text, hosts);
    assert_eq!(find(&["cache.test"]).as_deref(), Some("tok1"));
    assert_eq!(find(&["split"]).as_deref(), Some("tok2"));
    assert_eq!(find(&["unknown"]).as_deref(), Some("tok3"));
    assert_eq!(find_password("machine a login password password p", &["a"]).as_deref(), Some("p"));
    assert_eq!(find_password("machine a password", &["a"]), None);
    assert_eq!(find_password("machine b password p", &["a"]), None);
}

#[test]
fn a_registration_is_read_as_nix_writes_it() {
    let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let path = |name: &str| format!("/nix/store/{HASH}-{name}");
    let (one, two, drv) = (path("one"), path("two"), path("one.drv"));
    let text = format!("{one}\n{hash}\n120\n{drv}\n2\n{one}\n{two}\n{two}\n{hash}\n8\n\n0\n");
    let infos = parse_registration(&text).unwrap();
    assert_eq!(infos.len(), 2);
    assert_eq!(infos[0].nar_size, 120);
    assert_eq!(infos[0].nar_hash.to_hex(), hash);
    assert_eq!(infos[0].deriver.as_ref().unwrap().name(), "one.drv");
    assert_eq!(infos[0].references.len(), 2);
    assert_eq!((infos[1].path.name(), &infos[1].deriver), ("two", &None));
    for broken in [&text[..text.len() - 2], "x\n", &text.replace("\n120\n", "\nmany\n")] {
        assert!(matches!(parse_registration(broken), Err(PushError::Nix { .. })), "{broken}");
    }
}

#[test]
fn what_does_not_lead_into_the_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(matches!(store_path_of(&file), Err(PushError::NotInStore { .. })));
    let absent = store_path_of(&dir.path().join("absent"));
    assert!(matches!(absent, Err(PushError::Unreadable { .. })), "{absent:?}");
    let circle = dir.path().join("circle");
    symlink(&circle, &circle).unwrap();
    assert!(matches!(store_path_of(&circle), Err(PushError::Unreadable { .. })));
}

/// Packs a tree and returns what that says, the parts, and the bytes that were counted.
fn packed(path: &Path, nar_size: u64, packing: Packing) -> (Packed, Vec<Part>, u64) {
    let (sender, mut receiver) = mpsc::channel(100);
    let counted = Cell::new(0);
    let packed = pack(path, nar_size, packing, sender, &|bytes| counted.set(counted.get() + bytes)).unwrap();
    let parts = std::iter::from_fn(|| receiver.try_recv().ok()).collect();
    (packed, parts, counted.get())
}

fn tree() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("root");
    // The names are not in the order of the archive, where `a.b` comes before `a/`.
    fs::create_dir_all(root.join("a/deep/er")).unwrap();
    fs::write(root.join("a.b"), "contents").unwrap();
    fs::write(root.join("a/tool"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(root.join("a/tool"), Permissions::from_mode(0o555)).unwrap();
    symlink("nowhere", root.join("link")).unwrap();
    fs::write(root.join("large"), vec![7; 9 << 20]).unwrap();
    dir
}

#[test]
fn a_tree_is_packed_as_the_nar_of_it() {
    let dir = tree();
    for packing in [Packing::Zstd(3), Packing::Xz(1)] {
        let (packed, parts, counted) = packed(&dir.path().join("root"), 0, packing);
        let file: Vec<u8> = parts.iter().flat_map(|part| part.bytes.to_vec()).collect();
        assert_eq!(packed.file_size, file.len() as u64);
        assert_eq!(packed.file_hash.as_bytes()[..], Sha256::digest(&file)[..]);
        let mut archive = Vec::new();
        match packing {
            Packing::Zstd(_) => archive = zstd::decode_all(&file[..]).unwrap(),
            Packing::Xz(_) => {
                liblzma::read::XzDecoder::new(&file[..]).read_to_end(&mut archive).map(drop).unwrap();
            }
        }
        assert_eq!((packed.nar_size, counted), (archive.len() as u64, archive.len() as u64));
        assert_eq!(packed.nar_hash.as_bytes()[..], Sha256::digest(&archive)[..]);
        // The parser accepts nothing but the one NAR of a tree.
        nar::parse(&archive[..], &mut ()).unwrap();
    }
}

#[test]
fn a_file_that_does_not_shrink_is_cut_into_parts_of_one_size() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("noise");
    let mut noise = vec![0; 20 << 20];
    getrandom::fill(&mut noise).unwrap();
    fs::write(&file, noise).unwrap();
    let (packed, parts, _) = packed(&file, 20 << 20, Packing::Zstd(1));
    let sizes: Vec<usize> = parts.iter().map(|part| part.bytes.len()).collect();
    assert_eq!((sizes.len(), sizes[0], sizes[1]), (3, 8 << 20, 8 << 20));
    assert_eq!(sizes.iter().sum::<usize>() as u64, packed.file_size);
    assert!(parts.iter().map(|part| part.number).eq(1..=3));
}

#[test]
fn packing_ends_when_nobody_takes_the_parts() {
    let dir = tree();
    let (sender, receiver) = mpsc::channel(1);
    drop(receiver);
    let error = pack(&dir.path().join("root"), 0, Packing::Zstd(3), sender, &|_| {}).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
}
