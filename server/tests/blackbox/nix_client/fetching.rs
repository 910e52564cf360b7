//! `nix-store --realise` and what it must refuse.

use std::fs;

use super::{reader, url, writer};
use crate::harness::Site;
use crate::harness::nix_host::NixHost;

/// The options that make the cache a substituter for one command.
fn substituter(site: &Site, cache: &str) -> String {
    format!("--option substituters {}", url(site, cache))
}

#[test]
fn signed_paths_are_substituted() {
    let site = Site::start();
    let here = writer(&site, "pub");
    let root = here.build_closure(10);
    here.ok(&format!("nix copy --to {} {root}", url(&site, "pub")));
    let there = reader(&site, "pub");
    there.ok(&format!("nix-store --realise {root} {}", substituter(&site, "pub")));
    assert_eq!(there.describe_closure(&root), here.describe_closure(&root));
}

#[test]
fn without_the_key_nothing_is_taken() {
    let site = Site::start();
    let here = writer(&site, "pub");
    let root = here.build_closure(1);
    here.ok(&format!("nix copy --to {} {root}", url(&site, "pub")));
    for keys in [vec![], site.public_keys("my-cache-2")] {
        let stranger = NixHost::trusting(&keys);
        stranger.fails(&format!("nix-store --realise {root} {}", substituter(&site, "pub")));
        let complaint = stranger.fails(&format!("nix copy --from {} {root}", url(&site, "pub")));
        assert!(complaint.contains("signature"), "{complaint}");
        stranger.fails(&format!("nix-store --check-validity {root}"));
    }
}

#[test]
fn an_absent_path_is_absent() {
    let site = Site::start();
    let there = reader(&site, "pub");
    let path = "/nix/store/00000000000000000000000000000000-absent";
    there.fails(&format!("nix-store --realise {path} {}", substituter(&site, "pub")));
    let complaint = there.fails(&format!("nix path-info --store {} {path}", url(&site, "pub")));
    assert!(complaint.contains("not valid"), "{complaint}");
}

/// The daemon knows sizes, Nix knows hashes: a byte changed on the disk is noticed by the one who unpacks it.
#[test]
fn a_nar_changed_on_the_disk_is_refused() {
    let site = Site::start();
    let here = writer(&site, "pub");
    let path = here.ok("head -c 300000 /dev/urandom > noise; nix-store --add noise");
    here.ok(&format!("nix copy --to '{}?compression=none' {path}", url(&site, "pub")));
    let nar = site.stored_nars("pub").remove(0);
    let file = site.storage_dir("pub").join(nar);
    let mut bytes = fs::read(&file).unwrap();
    bytes[150_000] ^= 1;
    fs::write(&file, bytes).unwrap();
    let there = reader(&site, "pub");
    let complaint = there.fails(&format!("nix copy --from {} {path}", url(&site, "pub")));
    assert!(complaint.contains("hash mismatch"), "{complaint}");
    there.fails(&format!("nix-store --check-validity {path}"));
}

#[test]
fn what_was_pushed_before_a_crash_is_substituted_after_it() {
    let mut site = Site::start();
    let here = writer(&site, "pub");
    let root = here.build_closure(10);
    here.ok(&format!("nix copy --to {} {root}", url(&site, "pub")));
    let there = reader(&site, "pub");
    site.crash_and_restart();
    there.ok(&format!("nix-store --realise {root} {}", substituter(&site, "pub")));
    assert_eq!(there.describe_closure(&root), here.describe_closure(&root));
}
