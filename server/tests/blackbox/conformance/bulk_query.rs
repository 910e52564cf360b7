//! `POST /api/v1/cache/NAME/narinfo`, which hashes are missing: tests 12 to 18.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::path::random_hash;
use crate::harness::{Path, Permission, Response, Site};

fn ask(site: &Site, cache: &str, token: &str, hashes: &Value) -> Response {
    site.api().post(&format!("/api/v1/cache/{cache}/narinfo")).bearer(token).json(hashes).send()
}

#[test]
fn t12_only_the_missing_hashes_come_back() {
    let site = Site::start();
    let present = Path::small("present");
    site.pusher("pub").push(&present);
    let absent = random_hash();
    let token = site.token("pub", Permission::Read);
    assert_eq!(ask(&site, "pub", &token, &json!([absent, present.hash])).expect(200).json(), json!([absent]));
    assert_eq!(ask(&site, "pub", &token, &json!([present.hash])).expect(200).json(), json!([]));
}

#[test]
fn t13_nothing_asked_nothing_missing() {
    let site = Site::start();
    assert_eq!(ask(&site, "pub", "", &json!([])).expect(200).json(), json!([]));
}

#[test]
fn t14_a_hundred_thousand_hashes_are_answered_within_seconds() {
    let site = Site::start();
    let present = Path::small("present");
    site.pusher("pub").push(&present);
    for count in [32_768, 100_000] {
        let mut hashes: Vec<String> = (0..count - 1).map(|_| random_hash()).collect();
        let absent: Value = hashes.clone().into();
        hashes.insert(count / 2, present.hash.clone());
        let before = Instant::now();
        let missing = ask(&site, "pub", "", &hashes.into()).expect(200).json();
        assert!(before.elapsed() < Duration::from_secs(10), "{count} hashes took {:?}", before.elapsed());
        let sorted = |list: &Value| {
            let mut list: Vec<String> = serde_json::from_value(list.clone()).unwrap();
            list.sort_unstable();
            list
        };
        assert!(
            sorted(&missing) == sorted(&absent),
            "{count} hashes: {} missing",
            missing.as_array().unwrap().len()
        );
    }
}

#[test]
fn t15_both_spellings_of_the_content_type_are_accepted() {
    let site = Site::start();
    for kind in ["application/json;charset=utf-8", "application/json"] {
        let request = site.api().post("/api/v1/cache/pub/narinfo").bearer("").header("Content-Type", kind);
        let hash = random_hash();
        assert_eq!(request.body(json!([hash]).to_string()).send().expect(200).json(), json!([hash]));
    }
}

#[test]
fn t16_a_public_cache_tells_everyone_and_a_private_one_does_not() {
    let site = Site::start();
    let hash = json!([random_hash()]);
    ask(&site, "priv", "", &hash).expect(401);
    ask(&site, "priv", &site.token("pub", Permission::Write), &hash).expect(401);
    assert_eq!(ask(&site, "priv", &site.token("priv", Permission::Read), &hash).expect(200).json(), hash);
    assert_eq!(ask(&site, "pub", "", &hash).expect(200).json(), hash);
}

#[test]
fn t17_a_completed_path_is_missing_no_longer() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::small("new");
    assert_eq!(pusher.missing(&[&path.hash]), [path.hash.as_str()]);
    let (upload, parts) = pusher.upload(&path);
    assert_eq!(pusher.missing(&[&path.hash]), [path.hash.as_str()], "not before it is complete");
    pusher.complete(&upload, &parts, &path.nar_info_create()).expect(200);
    assert!(pusher.missing(&[&path.hash]).is_empty());
    // What one cache has, another still lacks.
    assert_eq!(site.pusher("my-cache-2").missing(&[&path.hash]), [path.hash.as_str()]);
}

#[test]
fn t18_malformed_questions_are_refused() {
    let site = Site::start();
    let good = random_hash();
    let bad = [
        "".to_owned(),
        "[".to_owned(),
        "{}".to_owned(),
        "null".to_owned(),
        format!("\"{good}\""),
        "[1]".to_owned(),
        "[null]".to_owned(),
        format!("[[\"{good}\"]]"),
        "[\"short\"]".to_owned(),
        format!("[\"{good}0\"]"),
        format!("[\"{}\"]", "e".repeat(32)),
        format!("[\"{}\"]", good.to_uppercase().replace(|c: char| c.is_ascii_digit(), "A")),
        format!("[\"../{}\"]", &good[3..]),
        format!("[\"{good}\"] trailing"),
    ];
    for body in bad {
        let request = site.api().post("/api/v1/cache/pub/narinfo").header("Content-Type", "application/json");
        let reply = request.body(body.clone()).send();
        assert!((400..500).contains(&reply.status), "{} for {body:?}", reply.status);
    }
    let request = site.api().post("/api/v1/cache/pub/narinfo").header("Content-Type", "application/json");
    request.body(*b"[\"\xff\xfe\"]").send().expect_refusal();
}
