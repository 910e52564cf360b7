//! `POST …/key` and `POST …/pin`: tests 55 to 59.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use super::{post_key, register_key};
use crate::harness::path::random_hash;
use crate::harness::site::HOST;
use crate::harness::{Path, Permission, Response, Site, random_bytes};

#[test]
fn t55_a_registered_key_is_published_under_the_name_the_client_expects() {
    let site = Site::start();
    let before = site.public_keys("self");
    let key = register_key(&site, "self");
    let published = format!("self.{HOST}-1:{}", STANDARD.encode(key.verifying_key().to_bytes()));
    assert!(!before.contains(&published));
    assert_eq!(site.public_keys("self"), [published], "the client's key and only that");
    // The caches beside it keep their own.
    assert!(site.public_key("pub").starts_with(&format!("pub.{HOST}-1:")));
}

#[test]
fn t56_the_same_key_again_is_200_and_bad_ones_are_refused() {
    let mut site = Site::start();
    let token = site.token("self", Permission::Admin);
    let key = SigningKey::from_bytes(&random_bytes());
    let public = STANDARD.encode(key.verifying_key().to_bytes());
    post_key(&site, "self", &site.token("self", Permission::Read), &public).expect(401);
    post_key(&site, "self", "", &public).expect(401);
    // Stricter than the reference: readers trust the key, so whoever may push cannot replace it.
    post_key(&site, "self", &site.token("self", Permission::Write), &public).expect(401);
    post_key(&site, "self", &site.token("pub", Permission::Admin), &public).expect(401);
    let wrong = [
        String::new(),
        "no base64!".to_owned(),
        STANDARD.encode([1; 31]),
        STANDARD.encode([1; 33]),
        STANDARD.encode([1; 64]),
        format!("self.{HOST}-1:{public}"),
    ];
    for wrong in wrong {
        post_key(&site, "self", &token, &wrong).expect_refusal();
    }
    post_key(&site, "self", &token, &public).expect(200);
    post_key(&site, "self", &token, &public).expect(200);
    site.crash_and_restart();
    post_key(&site, "self", &token, &public).expect(200);
    assert_eq!(site.public_keys("self"), [format!("self.{HOST}-1:{public}")]);
}

fn pin(site: &Site, token: &str, name: &str, store_path: &str, keep: &Value) -> Response {
    let body = json!({"name": name, "storePath": store_path, "artifacts": ["bin/tool"], "keep": keep});
    site.api().post("/api/v1/cache/pub/pin").bearer(token).json(&body).send()
}

#[test]
fn t57_every_kind_of_keep_is_accepted() {
    let site = Site::start();
    let path = Path::small("pinned");
    site.pusher("pub").push(&path);
    let token = site.token("pub", Permission::Write);
    let keeps = [
        json!(null),
        json!({"tag": "Days", "contents": 3}),
        json!({"tag": "Revisions", "contents": 5}),
        json!({"tag": "Forever"}),
    ];
    for (number, keep) in keeps.iter().enumerate() {
        pin(&site, &token, &format!("v{number}"), &path.store_path(), keep).expect(200);
    }
    for wrong in
        [json!({"tag": "Weeks", "contents": 3}), json!({"tag": "Days", "contents": -1}), json!("Forever")]
    {
        pin(&site, &token, "wrong", &path.store_path(), &wrong).expect_refusal();
    }
    pin(&site, &site.token("pub", Permission::Read), "v1", &path.store_path(), &json!(null)).expect(401);
    pin(&site, "", "v1", &path.store_path(), &json!(null)).expect(401);
}

#[test]
fn t58_an_unknown_path_cannot_be_pinned() {
    let site = Site::start();
    let token = site.token("pub", Permission::Write);
    let unknown = [
        format!("/nix/store/{}-unknown", random_hash()),
        "/etc/passwd".to_owned(),
        "/nix/store/".to_owned(),
        format!("/nix/store/{}-a/../../b", random_hash()),
        String::new(),
    ];
    for path in unknown {
        pin(&site, &token, "v1", &path, &json!(null)).expect_refusal();
    }
    let known = Path::small("known");
    pin(&site, &token, "v1", &known.store_path(), &json!(null)).expect_refusal();
    site.pusher("pub").push(&known);
    pin(&site, &token, "v1", &known.store_path(), &json!(null)).expect(200);
}

/// The hashes pinned under a name, oldest revision first. No endpoint lists pins, so the catalog is asked once the
/// daemon has ended.
fn pinned(site: &mut Site, name: &str) -> Vec<String> {
    assert!(site.daemon().terminate().success());
    let url = format!("sqlite://{}", site.state_dir().join("db.sqlite").display());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let catalog = catalog::Catalog::open(&url).await.unwrap();
        // Nothing else lists the caches. The next start of the daemon declares its own again.
        let caches = catalog.reconcile_caches(&[]).await.unwrap();
        let cache = caches.iter().find(|cache| cache.name == "pub").unwrap();
        let mut pins = catalog.list_pins(cache.id).await.unwrap();
        catalog.close().await;
        pins.retain(|pin| pin.name == name);
        pins.sort_by_key(|pin| pin.revision);
        pins.iter().map(|pin| pin.path.hash().to_string()).collect()
    })
}

#[test]
fn t58_pins_under_one_name_are_revisions_and_the_oldest_go() {
    let mut site = Site::start();
    let paths = [Path::small("one"), Path::small("two"), Path::small("three")];
    let token = site.token("pub", Permission::Write);
    for path in &paths {
        site.pusher("pub").push(path);
        pin(&site, &token, "all", &path.store_path(), &json!(null)).expect(200);
        let last = json!({"tag": "Revisions", "contents": 1});
        pin(&site, &token, "last", &path.store_path(), &last).expect(200);
        let two = json!({"tag": "Revisions", "contents": 2});
        pin(&site, &token, "two", &path.store_path(), &two).expect(200);
    }
    let [one, two, three] = paths.map(|path| path.hash);
    assert_eq!(pinned(&mut site, "all"), [one, two.clone(), three.clone()]);
    site.restart();
    assert_eq!(pinned(&mut site, "two"), [two, three.clone()]);
    site.restart();
    assert_eq!(pinned(&mut site, "last"), [three]);
}

/// As far as there is anything to survive: garbage collection itself comes later.
#[test]
fn t59_a_pin_and_its_path_survive_a_crash() {
    let mut site = Site::start();
    let path = Path::small("pinned");
    site.pusher("pub").push(&path);
    let token = site.token("pub", Permission::Write);
    pin(&site, &token, "v1", &path.store_path(), &json!({"tag": "Forever"})).expect(200);
    site.crash_and_restart();
    site.reader("pub").assert_has(&path);
    assert_eq!(pinned(&mut site, "v1"), [path.hash]);
}
