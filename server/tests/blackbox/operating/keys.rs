//! Signing keys that change while the cache is in use.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use super::{CONFLICT, NOT_FOUND, ask, fails, site};
use crate::conformance::register_key;
use crate::harness::site::HOST;
use crate::harness::{Path, SOON, Site, random_bytes, wait_for};

/// Has the daemon generate a key for `pub`, and returns its public half.
#[track_caller]
fn add(site: &Site) -> String {
    ask(site, &["key", "add", "--cache", "pub"])["public_key"].as_str().unwrap().to_owned()
}

/// Writes a file with a secret key of this name, and returns the file and the public half.
fn secret(site: &Site, name: &str) -> (String, String) {
    let key = SigningKey::from_bytes(&random_bytes());
    let file = site.directory().join(format!("{}.key", name.replace(['.', '/'], "_")));
    fs::write(&file, format!("{name}:{}", STANDARD.encode(key.to_keypair_bytes()))).unwrap();
    let public = format!("{name}:{}", STANDARD.encode(key.verifying_key().to_bytes()));
    (file.to_str().unwrap().to_owned(), public)
}

/// Checks which keys have signed a path, in its narinfo and in `path info`.
#[track_caller]
fn assert_signed(site: &Site, path: &Path, by: &[&String], not_by: &[&String]) {
    let info = site.reader("pub").assert_has(path);
    for key in by {
        assert!(info.is_signed_by(key), "{key}: {:?}", info.signatures);
    }
    for key in not_by {
        assert!(!info.is_signed_by(key), "{key}: {:?}", info.signatures);
    }
    let told = ask(site, &["path", "info", &path.hash, "--cache", "pub"]);
    assert_eq!(told["signatures"].as_array().unwrap().len(), info.signatures.len());
}

/// The names of the keys of `pub`, and whether they are in use.
fn listed(site: &Site) -> Vec<(String, bool)> {
    let keys = ask(site, &["key", "list", "--cache", "pub"]);
    let keys = keys.as_array().unwrap().iter();
    keys.map(|key| (key["name"].as_str().unwrap().to_owned(), key["retired_at"].is_null())).collect()
}

#[test]
fn a_key_is_rotated_while_clients_continue() {
    let mut site = site();
    let first = site.public_key("pub");
    let [old, between, new] = ["old", "between", "new"].map(Path::small);
    let pusher = site.pusher("pub");
    pusher.push(&old);
    assert_signed(&site, &old, &[&first], &[]);

    let second = add(&site);
    assert!(second.starts_with(&format!("pub.{HOST}-2:")), "{second}");
    assert_eq!(site.public_keys("pub"), [first.clone(), second.clone()]);
    pusher.push(&between);
    // The key signs existing paths as well, immediately.
    for path in [&old, &between] {
        assert_signed(&site, path, &[&first, &second], &[]);
    }

    let text = site.cachectl_ok(&["key", "retire", &format!("pub.{HOST}-1"), "--cache", "pub"]);
    assert!(text.contains("Retired the key"), "{text}");
    assert_eq!(site.public_keys("pub"), std::slice::from_ref(&second));
    pusher.push(&new);
    assert_signed(&site, &new, &[&second], &[&first]);
    for path in [&old, &between] {
        // Signatures stay valid.
        assert_signed(&site, path, &[&first, &second], &[]);
    }
    for restart in [Site::crash_and_restart, |site: &mut Site| assert!(site.stop_and_restart().success())] {
        restart(&mut site);
        assert_eq!(site.public_keys("pub"), std::slice::from_ref(&second));
        assert_signed(&site, &old, &[&first, &second], &[]);
        assert_signed(&site, &new, &[&second], &[&first]);
    }
    let name = |number: u32| format!("pub.{HOST}-{number}");
    assert_eq!(listed(&site), [(name(1), false), (name(2), true)]);
    // The name of a retired key is never reused.
    let third = add(&site);
    assert!(third.starts_with(&format!("{}:", name(3))), "{third}");
    assert_signed(&site, &new, &[&second, &third], &[&first]);
    let keys = fs::read_dir(site.state_dir().join("keys")).unwrap().flatten();
    for file in keys {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[test]
fn fsck_signs_the_files_on_the_storage_again() {
    let site = site();
    let path = Path::small("old");
    site.pusher("pub").push(&path);
    let key = add(&site);
    let file = site.storage_dir("pub").join(format!("{}.narinfo", path.hash));
    let name = key.split(':').next().unwrap();
    assert!(!fs::read_to_string(&file).unwrap().contains(name));
    site.cachectl_ok(&["fsck", "--cache", "pub"]);
    wait_for(SOON, "the narinfo is written anew", || {
        fs::read_to_string(&file).unwrap().contains(name).then_some(())
    });
    site.reader("pub").assert_has(&path);
}

#[test]
fn an_existing_key_can_be_added() {
    let mut site = site();
    let (file, public) = secret(&site, "example.org-7");
    let added = ask(&site, &["key", "add", "--cache", "pub", "--file", &file]);
    assert_eq!((added["public_key"].as_str(), added["origin"].as_str()), (Some(&*public), Some("file")));
    let path = Path::small("signed");
    site.pusher("pub").push(&path);
    site.crash_and_restart();
    assert_signed(&site, &path, &[&public], &[]);
    assert!(site.public_keys("pub").contains(&public));
    let told = fails(&site, &["key", "add", "--cache", "pub", "--file", &file], CONFLICT);
    assert!(told.contains("example.org-7") && told.contains("new name"), "{told}");
}

#[test]
fn the_last_key_and_keys_of_clients_cannot_be_retired() {
    let site = site();
    let told = fails(&site, &["key", "retire", &format!("pub.{HOST}-1"), "--cache", "pub"], CONFLICT);
    assert!(told.contains("the only key") && told.contains("cachectl key add"), "{told}");
    fails(&site, &["key", "retire", "nobody-1", "--cache", "pub"], NOT_FOUND);
    // If two keys are retired at the same time, one stays.
    let second = add(&site);
    let first = site.public_keys("pub").remove(0);
    let retire = |key: &str| site.cachectl(&["key", "retire", key, "--cache", "pub"]).status.success();
    let retired = std::thread::scope(|scope| {
        let one = scope.spawn(|| retire(&first));
        let other = scope.spawn(|| retire(&second));
        [one.join().unwrap(), other.join().unwrap()]
    });
    assert_ne!(retired[0], retired[1]);
    assert_eq!(site.public_keys("pub").len(), 1);

    register_key(&site, "self");
    let told = fails(&site, &["key", "add", "--cache", "self"], CONFLICT);
    assert!(told.contains("signed by its clients"), "{told}");
    let told = fails(&site, &["key", "retire", &site.public_key("self"), "--cache", "self"], CONFLICT);
    assert!(told.contains("signed by its clients"), "{told}");
}

#[test]
fn keys_of_the_config_can_only_be_changed_there() {
    let mut site = site();
    let (file, public) = secret(&site, "configured-1");
    site.reconfigure(|config| config["caches"][0]["signing-key-file"] = json!(file));
    for arguments in
        [["key", "add", "--cache", "pub"].as_slice(), &["key", "retire", &public, "--cache", "pub"]]
    {
        let told = fails(&site, arguments, CONFLICT);
        assert!(told.contains("signing-key-file"), "{told}");
    }
    assert_eq!(site.public_key("pub"), public);

    // Once removed from the config, it can be retired and does not return by itself.
    site.reconfigure(|config| config["caches"][0]["signing-key-file"] = Value::Null);
    site.cachectl_ok(&["key", "retire", &public, "--cache", "pub"]);
    assert!(listed(&site).contains(&("configured-1".to_owned(), false)));
    assert!(site.public_key("pub").starts_with(&format!("pub.{HOST}-1:")));
}

#[test]
fn a_key_whose_file_is_lost_can_be_retired() {
    let mut site = site();
    let first = site.public_key("pub");
    let lost = add(&site);
    assert!(site.daemon().terminate().success());
    for file in fs::read_dir(site.state_dir().join("keys")).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        if name.starts_with("pub.") && name != "pub.secret" {
            fs::remove_file(file.path()).unwrap();
        }
    }
    site.restart();
    assert_eq!(site.public_keys("pub"), [first]);
    assert!(site.daemon().log().contains("the file of a signing key is missing"));
    site.cachectl_ok(&["key", "retire", &lost, "--cache", "pub"]);
}
