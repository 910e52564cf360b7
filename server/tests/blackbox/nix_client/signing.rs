//! Signatures and content addresses that Nix itself brings.

use serde_json::json;

use super::{reader, url, writer};
use crate::harness::nix_host::NixHost;
use crate::harness::site::HOST;
use crate::harness::{Permission, Site};

/// A site that trusts a key which Nix made, a machine that has it in `key` and may write, and the public half.
fn with_trusted_key() -> (Site, NixHost, String) {
    let maker = NixHost::new();
    let secret = maker.ok("nix key generate-secret --key-name builder-1");
    let public = maker.ok(&format!("echo '{secret}' | nix key convert-secret-to-public"));
    let site = Site::with(|config| config["caches"][0]["trusted-public-keys"] = json!([public]));
    let here = NixHost::new().with_token(&format!("pub.{HOST}"), &site.token("pub", Permission::Write));
    here.ok(&format!("echo '{secret}' > key"));
    (site, here, public)
}

#[test]
fn signatures_that_come_later_are_kept() {
    let (site, here, public) = with_trusted_key();
    let root = here.build_closure(3);
    let address = url(&site, "pub");
    here.ok(&format!("nix copy --to {address} {root}"));
    let trusting = || NixHost::trusting(std::slice::from_ref(&public));
    trusting().fails(&format!("nix copy --from {address} {root}"));
    here.ok(&format!("nix store sign --store {address} --key-file key --recursive {root}"));
    trusting().ok(&format!("nix copy --from {address} {root}"));
    // Those of before are there as well.
    reader(&site, "pub").ok(&format!("nix copy --from {address} {root}"));
}

#[test]
fn signatures_of_another_store_can_be_copied() {
    let (site, here, public) = with_trusted_key();
    let root = here.build_closure(3);
    let address = url(&site, "pub");
    here.ok(&format!("nix copy --to {address} {root}"));
    here.ok(&format!("nix copy --to \"file://$PWD/signed?secret-key=$PWD/key\" {root}"));
    here.ok(&format!(
        "nix store copy-sigs --store {address} --substituter \"file://$PWD/signed\" --recursive {root}"
    ));
    NixHost::trusting(&[public]).ok(&format!("nix copy --from {address} {root}"));
}

/// Each kind of content address that Nix makes passes, and a machine that trusts nobody takes what has one.
#[test]
fn content_addressed_paths_need_no_signature() {
    let site = Site::start();
    let here = writer(&site, "pub");
    let address = url(&site, "pub");
    let paths = here.ok("echo flat > flat; mkdir tree; echo file > tree/file
         nix-store --add-fixed sha256 flat
         nix-store --add-fixed sha1 flat
         nix-store --add-fixed --recursive sha256 tree
         nix-store --add-fixed --recursive md5 tree
         nix-store --add-fixed --recursive sha512 tree
         nix-instantiate --eval --read-write-mode --expr 'let a = builtins.toFile \"a\" \"text\"; in builtins.toFile \"b\" \"refers to ${a}\"' | tr -d '\"'");
    let paths = paths.split_whitespace().collect::<Vec<_>>().join(" ");
    here.ok(&format!("nix copy --to {address} {paths}"));
    NixHost::new().ok(&format!("nix copy --from {address} {paths}"));
}

/// The hash of its own path is left out of what is hashed.
#[test]
fn content_addressed_paths_may_refer_to_themselves() {
    let site = Site::start();
    let here = writer(&site, "pub");
    let address = url(&site, "pub");
    let root = here.build_closure(3);
    let made = here.ok(&format!("nix store make-content-addressed --json {root}"));
    let made: serde_json::Value = serde_json::from_str(&made).unwrap();
    let made = made["rewrites"][&root].as_str().unwrap().to_owned();
    here.ok(&format!("nix copy --to {address} {made}"));
    NixHost::new().ok(&format!("nix copy --from {address} {made}"));
}

#[test]
fn a_compression_that_is_not_supported_is_refused_as_such() {
    let site = Site::start();
    let here = writer(&site, "pub");
    let root = here.build_closure(0);
    for compression in ["lz4", "lzip"] {
        let told =
            here.fails(&format!("nix copy --to '{}?compression={compression}' {root}", url(&site, "pub")));
        assert!(told.contains("415"), "{told}");
    }
}
