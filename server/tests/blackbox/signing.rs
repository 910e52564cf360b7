//! Who signs, with which key, and what is published.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use crate::conformance::{post_key, register_key};
use crate::harness::site::HOST;
use crate::harness::{Path, Permission, Site, random_bytes};

/// A key in the three forms that matter here.
struct Key {
    /// Nix's secret key file.
    secret: String,
    /// `NAME:BASE64`.
    public: String,
}

fn key(name: &str) -> Key {
    let key = SigningKey::from_bytes(&random_bytes());
    Key {
        secret: format!("{name}:{}", STANDARD.encode(key.to_keypair_bytes())),
        public: format!("{name}:{}", STANDARD.encode(key.verifying_key().to_bytes())),
    }
}

/// A site whose cache `pub` signs with the given keys.
fn site_signing_with(keys: &[&Key]) -> Site {
    Site::with_files(|config, directory| {
        let files: Vec<Value> =
            (0..keys.len()).map(|number| json!(directory.join(format!("{number}.key")))).collect();
        for (file, key) in files.iter().zip(keys) {
            fs::write(file.as_str().unwrap(), &key.secret).unwrap();
        }
        config["caches"][0]["signing-key-file"] =
            if files.len() == 1 { files[0].clone() } else { json!(files) };
    })
}

#[test]
fn every_cache_has_a_key_of_its_own_that_outlives_restarts() {
    let mut site = Site::start();
    let names = ["pub", "priv", "self", "my-cache-2"];
    let keys: Vec<String> = names.iter().map(|name| site.public_key(name)).collect();
    for (name, key) in names.iter().zip(&keys) {
        assert!(key.starts_with(&format!("{name}.{HOST}-1:")), "{key}");
    }
    let mut bare: Vec<&str> = keys.iter().map(|key| key.split(':').nth(1).unwrap()).collect();
    bare.sort_unstable();
    bare.dedup();
    assert_eq!(bare.len(), keys.len(), "no key is used twice");

    site.crash_and_restart();
    assert_eq!(names.map(|name| site.public_key(name)).to_vec(), keys);
    assert!(site.stop_and_restart().success());
    assert_eq!(names.map(|name| site.public_key(name)).to_vec(), keys);
}

#[test]
fn a_given_key_is_used() {
    let given = key(&format!("pub.{HOST}-1"));
    let site = site_signing_with(&[&given]);
    assert_eq!(site.public_key("pub"), given.public);
    let path = Path::small("signed");
    site.pusher("pub").push(&path);
    let info = site.reader("pub").assert_has(&path);
    assert_eq!(info.signatures.len(), 1);
    assert!(info.is_signed_by(&given.public));
}

#[test]
fn several_keys_sign_side_by_side() {
    let keys = [key(&format!("pub.{HOST}-1")), key(&format!("pub.{HOST}-2"))];
    let site = site_signing_with(&[&keys[0], &keys[1]]);
    assert_eq!(site.public_keys("pub"), [keys[0].public.clone(), keys[1].public.clone()]);
    let path = Path::small("signed-twice");
    site.pusher("pub").push(&path);
    let info = site.reader("pub").assert_has(&path);
    assert_eq!(info.signatures.len(), 2);
    for key in &keys {
        assert!(info.is_signed_by(&key.public));
    }
}

/// Nix keeps one of two keys with the same name, so the other one's paths would be refused by its clients.
#[test]
fn two_keys_are_never_published_under_one_name() {
    let name = format!("pub.{HOST}-1");
    let keys = [key(&name), key(&name)];
    let directory = tempfile::tempdir().unwrap();
    let started = std::panic::catch_unwind(|| site_signing_with(&[&keys[0], &keys[1]]));
    drop(directory);
    // Refusing to start is one way to keep the promise.
    if let Ok(site) = started {
        let published = site.public_keys("pub");
        let mut names: Vec<&str> = published.iter().map(|key| key.split(':').next().unwrap()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), published.len(), "{published:?}");
    }
}

/// Clients may trust the new key alone as soon as they have it, and agents have to.
#[test]
fn a_path_keeps_its_signature_and_gets_that_of_a_new_key() {
    let mut site = site_signing_with(&[&key(&format!("pub.{HOST}-1"))]);
    let old = Path::small("old");
    site.pusher("pub").push(&old);
    let before = site.reader("pub").narinfo(&old);

    let newer = key(&format!("pub.{HOST}-2"));
    fs::write(site.directory().join("0.key"), &newer.secret).unwrap();
    site.stop_and_restart();
    let after = site.reader("pub").assert_has(&old);
    assert_eq!(after.signatures[..1], before.signatures);
    assert!(after.is_signed_by(&newer.public));
    let new = Path::small("new");
    site.pusher("pub").push(&new);
    assert!(site.reader("pub").assert_has(&new).is_signed_by(&newer.public));
}

#[test]
fn a_client_key_can_be_registered_only_while_the_cache_is_empty() {
    let site = Site::start();
    let before = site.public_key("self");
    let path = Path::small("first");
    site.pusher("self").push(&path);
    let token = site.token("self", Permission::Admin);
    let public = STANDARD.encode(SigningKey::from_bytes(&random_bytes()).verifying_key().to_bytes());
    let reply = post_key(&site, "self", &token, &public).expect(409);
    assert!(reply.text().len() > 20, "the reason: {:?}", reply.text());
    assert_eq!(site.public_key("self"), before);
    site.reader("self").assert_has(&path);
}

#[test]
fn a_second_client_key_is_refused() {
    let site = Site::start();
    register_key(&site, "self");
    let published = site.public_key("self");
    let other = STANDARD.encode(SigningKey::from_bytes(&random_bytes()).verifying_key().to_bytes());
    post_key(&site, "self", &site.token("self", Permission::Admin), &other).expect_refusal();
    assert_eq!(site.public_key("self"), published);
}

#[test]
fn a_cache_whose_configuration_does_not_say_so_takes_no_key_of_a_client() {
    let site = Site::start();
    for cache in ["pub", "priv"] {
        let before = site.public_key(cache);
        let public = STANDARD.encode(SigningKey::from_bytes(&random_bytes()).verifying_key().to_bytes());
        let reply = post_key(&site, cache, &site.token(cache, Permission::Admin), &public).expect(409);
        assert!(reply.text().contains("`signing: auto`"), "{}", reply.text());
        assert_eq!(site.public_key(cache), before);
    }
}

#[test]
fn who_registers_a_key_is_in_the_log() {
    let mut site = Site::start();
    register_key(&site, "self");
    let key = site.public_key("self");
    let tokens: Vec<Value> = serde_json::from_str(&site.cachectl_ok(&["token", "list", "--json"])).unwrap();
    let admin = tokens.iter().find(|token| token["permission"] == "admin").unwrap();
    let id = admin["id"].as_str().unwrap();
    let log = site.daemon().log();
    let line = log.lines().find(|line| line.contains(&key)).expect("a line names the key");
    assert!(line.contains(id) && line.contains("WARN"), "{line}");
}

#[test]
fn signing_client_never_makes_a_key_of_its_own() {
    let site = Site::with(|config| config["caches"][2]["signing"] = json!("client"));
    assert!(site.public_keys("self").is_empty());
    let path = Path::small("too-early");
    let key = SigningKey::from_bytes(&random_bytes());
    let pusher = site.pusher("self");
    pusher.push_announcing(&path, "cSig", json!(path.signed_with(&key))).expect_refusal();
    pusher.push_announcing(&path, "cSig", json!(null)).expect_refusal();
    site.reader("self").assert_lacks(&path);

    let key = register_key(&site, "self");
    assert_eq!(site.public_keys("self").len(), 1);
    let path = Path::small("in-time");
    pusher.push_announcing(&path, "cSig", json!(path.signed_with(&key))).expect(200);
    assert!(site.reader("self").assert_has(&path).is_signed_by(&site.public_key("self")));
}

#[test]
fn a_client_signed_cache_stays_one_after_restarts() {
    let mut site = Site::start();
    let key = register_key(&site, "self");
    let published = site.public_keys("self");
    site.crash_and_restart();
    assert_eq!(site.public_keys("self"), published);
    let path = Path::small("signed");
    let pusher = site.pusher("self");
    pusher.push_announcing(&path, "cSig", json!(null)).expect_refusal();
    pusher.push_announcing(&path, "cSig", json!(path.signed_with(&key))).expect(200);
    assert_eq!(site.reader("self").assert_has(&path).signatures.len(), 1);
}

/// Registering and pushing race: either the key comes first and the unsigned push is refused, or the path does and the
/// key is.
#[test]
fn a_key_and_an_unsigned_path_never_both_win() {
    for _ in 0..5 {
        let site = Site::start();
        let path = Path::small("racing");
        let pusher = site.pusher("self");
        let (upload, parts) = pusher.upload(&path);
        let token = site.token("self", Permission::Admin);
        let public = STANDARD.encode(SigningKey::from_bytes(&random_bytes()).verifying_key().to_bytes());
        let (pushed, registered) = std::thread::scope(|scope| {
            let push = scope.spawn(|| pusher.complete(&upload, &parts, &path.nar_info_create()).status);
            let register = scope.spawn(|| post_key(&site, "self", &token, &public).status);
            (push.join().unwrap(), register.join().unwrap())
        });
        assert!((pushed == 200) != (registered == 200), "push {pushed}, register {registered}");
        if pushed == 200 {
            assert!(site.reader("self").assert_has(&path).is_signed_by(&site.public_key("self")));
        } else {
            site.reader("self").assert_lacks(&path);
        }
    }
}
