//! The audit log: who changed what, and who tried.

use std::fs;

use serde_json::{Value, json};

use crate::conformance::register_key;
use crate::harness::{Path, Permission, SOON, Site, wait_for};

fn site() -> Site {
    Site::with_files(|config, directory| {
        config["server"]["audit-log"] = json!(directory.join("audit.jsonl"));
    })
}

fn events(site: &Site) -> Vec<Value> {
    let text = fs::read_to_string(site.directory().join("audit.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The event of this action once it is written.
#[track_caller]
fn event(site: &Site, action: &str, outcome: &str) -> Value {
    wait_for(SOON, "the event is written", || {
        events(site).into_iter().find(|event| event["action"] == action && event["outcome"] == outcome)
    })
}

#[test]
fn what_clients_change_is_recorded_with_who_and_what() {
    let site = site();
    let token = site.create_token(&["--cache", "pub", "--permission", "write", "--subject", "the CI"]);
    let path = Path::small("pushed");
    crate::harness::Pusher::new(site.api(), "pub", &token).push(&path);
    let pushed = event(&site, "POST /api/v1/cache/{cache}/multipart-nar/{id}/complete", "done");
    assert_eq!((&pushed["subject"], &pushed["cache"]), (&json!("the CI"), &json!("pub")));
    assert_eq!((&pushed["object"], &pushed["address"]), (&json!(path.store_path()), &json!("127.0.0.1")));
    assert!(pushed["token"].is_string() && pushed["time"].is_string() && pushed["status"] == 200);

    let pin = json!({"name": "release", "storePath": path.store_path(), "artifacts": [], "keep": null});
    site.api().post("/api/v1/cache/pub/pin").bearer(&token).json(&pin).send().expect(200);
    let pinned = event(&site, "POST /api/v1/cache/{cache}/pin", "done");
    assert!(pinned["object"].as_str().unwrap().contains("release"), "{pinned}");

    register_key(&site, "self");
    let registered = event(&site, "POST /api/v1/cache/{cache}/key", "done");
    assert_eq!(registered["object"], json!(site.public_key("self")));
}

#[test]
fn what_operators_change_is_recorded_without_secrets() {
    let site = site();
    site.create_token(&["--cache", "pub", "--permission", "read", "--subject", "laptop"]);
    let made = event(&site, "POST /v1/tokens", "done");
    assert!(made["object"].as_str().unwrap().contains("laptop") && made["uid"].is_u64(), "{made}");
    let secret = nix_formats::SigningKey::generate("imported-1").unwrap().to_nix_string();
    let file = site.directory().join("imported.key");
    fs::write(&file, &*secret).unwrap();
    site.cachectl_ok(&["key", "add", "--cache", "pub", "--file", file.to_str().unwrap()]);
    event(&site, "POST /v1/caches/{cache}/keys", "done");
    let secret = secret.split_once(':').unwrap().1.trim().to_owned();
    let text = fs::read_to_string(site.directory().join("audit.jsonl")).unwrap();
    assert!(!text.contains(&secret));
    assert!(
        !site
            .cachectl(&["path", "delete", "0c0qgmpsbwnpc7y0j2sjzz4x1n3vzxvq", "--cache", "pub"])
            .status
            .success()
    );
    event(&site, "POST /v1/caches/{cache}/paths/{hash}/delete", "refused");
}

#[test]
fn refusals_are_recorded_but_do_not_fill_the_disk() {
    let site = site();
    let token = site.token("my-cache-2", Permission::Write);
    for number in 0..100 {
        let target = format!("/log/{number}.drv");
        site.cache("pub").put(&target).bearer(&token).body("x").send().expect(401);
    }
    let refused = event(&site, "PUT /log/{drv}", "refused");
    assert!(refused["token"].is_string(), "whose token it was: {refused}");
    let count = events(&site).iter().filter(|event| event["action"] == "PUT /log/{drv}").count();
    assert!((1..50).contains(&count), "{count}");
}

#[test]
fn the_log_is_written_anew_after_it_was_moved_away() {
    let site = site();
    site.create_token(&["--cache", "pub", "--permission", "read"]);
    event(&site, "POST /v1/tokens", "done");
    let file = site.directory().join("audit.jsonl");
    fs::rename(&file, site.directory().join("audit.jsonl.1")).unwrap();
    site.create_token(&["--cache", "priv", "--permission", "read"]);
    assert!(event(&site, "POST /v1/tokens", "done")["object"].as_str().unwrap().contains("priv"));
}
