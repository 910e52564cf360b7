//! Parts of an installation that do not belong together are named, with what to do.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{back_up, cache_server, complaint, finding, lose_state, pushed, text, wait_until_back};
use crate::harness::{Permission, SOON, Site, wait_for};

#[test]
fn another_server_key_is_named_at_the_start_and_by_the_doctor() {
    let mut site = Site::start();
    let token = site.token("priv", Permission::Read);
    let opens = |site: &Site| site.api().get("/api/v1/cache/priv").bearer(&token).send().status;
    assert_eq!(opens(&site), 200);
    assert_eq!(finding(&site, "server key")["level"], "ok");
    // Tokens are told by the second in which they were made.
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let made = now();
    wait_for(SOON, "another second", || (now() > made).then_some(()));
    site.reconfigure(|config| config["server"]["key"] = json!("5a".repeat(32)));
    assert_eq!(opens(&site), 401);
    assert!(site.daemon().log().contains("the server key is another one than before"));
    let found = finding(&site, "server key");
    assert_eq!(found["level"], "error", "{found}");
    assert!(
        text(&found).contains("1 tokens") && text(&found).contains("put the earlier one back"),
        "{found}"
    );
    site.reconfigure(|config| config["server"]["key"] = json!("6b".repeat(32)));
    assert_eq!(opens(&site), 200);
    assert_eq!(finding(&site, "server key")["level"], "ok");
}

#[test]
fn a_signing_key_that_is_gone_or_another_one_is_named_at_the_start() {
    let mut site = Site::start();
    let path = pushed(&site, "one");
    let key = site.public_key("pub");
    assert!(site.daemon().terminate().success());
    let file = site.state_dir().join("keys/pub.secret");
    let secret = fs::read_to_string(&file).unwrap();
    fs::remove_file(&file).unwrap();
    let told = complaint(&cache_server(&site, &[], &[]));
    assert!(
        told.contains("cache `pub`") && told.contains("is missing") && told.contains("keys/pub.secret"),
        "{told}"
    );
    assert!(!file.exists(), "no other key takes its place");

    let other = fs::read_to_string(site.state_dir().join("keys/priv.secret")).unwrap();
    let name = secret.split_once(':').unwrap().0;
    fs::write(&file, format!("{name}:{}", other.split_once(':').unwrap().1)).unwrap();
    let told = complaint(&cache_server(&site, &[], &[]));
    assert!(told.contains("cache `pub`") && told.contains("do not belong together"), "{told}");

    fs::write(&file, secret).unwrap();
    site.restart();
    assert!(site.reader("pub").assert_has(&path).is_signed_by(&key));
}

#[test]
fn storages_of_another_catalog_are_named_until_they_are_taken_over() {
    let mut site = Site::start();
    let paths = [pushed(&site, "one"), pushed(&site, "two")];
    assert!(site.daemon().terminate().success());
    let lost = lose_state(&site);
    site.restart();
    let subject = "storage pub/disk";
    let found = finding(&site, subject);
    assert_eq!(found["level"], "error", "{found}");
    assert!(text(&found).contains("another catalog") && text(&found).contains("fsck --rebuild"), "{found}");
    assert!(site.daemon().log().contains("a storage was last used with another catalog"));
    // It stays so until somebody decides.
    assert!(site.stop_and_restart().success());
    assert_eq!(finding(&site, subject)["level"], "error");

    // The right catalog finds nothing amiss.
    assert!(site.daemon().terminate().success());
    let fresh = lose_state(&site);
    fs::rename(lost, site.state_dir()).unwrap();
    site.restart();
    assert_eq!(finding(&site, subject)["level"], "ok");
    assert!(site.daemon().terminate().success());
    lose_state(&site);
    fs::rename(fresh, site.state_dir()).unwrap();
    site.restart();

    site.cachectl_ok(&["fsck", "--rebuild", "--cache", "pub"]);
    assert_eq!(finding(&site, subject)["level"], "ok");
    wait_until_back(&site, &paths);
    assert!(site.stop_and_restart().success());
    assert_eq!(finding(&site, subject)["level"], "ok");
}

#[test]
fn a_backup_is_not_restored_to_a_configuration_that_it_does_not_belong_to() {
    let mut site = Site::start();
    pushed(&site, "one");
    let backup = back_up(&site, "backup");
    let before = fs::read(site.directory().join("config.yaml")).unwrap();
    assert!(site.daemon().terminate().success());
    lose_state(&site);
    let other = site.directory().join("other");
    let refused = |site: &Site| complaint(&cache_server(site, &["restore", backup.to_str().unwrap()], &[]));

    site.edit_config(|config| config["server"]["key"] = json!("5a".repeat(32)));
    let told = refused(&site);
    assert!(told.contains("another server key") && told.contains("give that one, or none"), "{told}");
    fs::write(site.directory().join("config.yaml"), &before).unwrap();

    // The disk of another cache.
    fs::create_dir(&other).unwrap();
    fs::rename(site.storage_dir("priv"), other.join("pub")).unwrap();
    site.edit_config(|config| config["caches"][0]["storages"][0]["root"] = json!(other));
    let told = refused(&site);
    assert!(told.contains("storage `disk` of cache `pub`") && told.contains("another storage"), "{told}");
    let left = fs::read_dir(site.state_dir()).unwrap().count();
    assert_eq!(left, 1, "nothing but the lock");
}
