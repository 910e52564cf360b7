//! Replays what the real client and the real Nix put on the wire, with the values that our server issues in place of the
//! recorder's, and compares the answers with what the contract fixes about them.

mod bodies;
mod compare;
mod replay;

use std::fs;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::harness::site::HOST;
use crate::harness::{NarInfo, Permission};
use replay::Replay;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/recordings")
}

fn load(name: &str) -> Value {
    let text = fs::read_to_string(directory().join(format!("{name}.json"))).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Replays a recording from first to last, and checks that every path it pushed can be read, is what Nix's database said
/// it was, and is signed as the recorder would have signed it.
fn replay(name: &str) -> Replay {
    let mut replay = Replay::new(load(name));
    replay.run();
    replay.check_pushed_paths();
    replay
}

#[test]
fn r01_use_public() {
    replay("01-use-public");
}

#[test]
fn r02_use_private() {
    replay("02-use-private");
}

#[test]
fn r03_push_zstd() {
    replay("03-push-zstd");
}

#[test]
fn r04_push_xz() {
    replay("04-push-xz");
}

#[test]
fn r05_push_closure() {
    assert_eq!(replay("05-push-closure").pushed().len(), 6);
}

#[test]
fn r06_push_already_present() {
    replay("06-push-already-present");
}

#[test]
fn r07_push_multipart() {
    replay("07-push-multipart");
}

#[test]
fn r08_push_empty_last_part() {
    replay("08-push-empty-last-part");
}

/// The recorder's 503 is skipped, so the part is put once.
#[test]
fn r09_push_retry_after() {
    replay("09-push-retry-after");
}

#[test]
fn r10_pin() {
    replay("10-pin");
}

#[test]
fn r11_generate_keypair_and_signed_push() {
    let replay = replay("11-generate-keypair-and-signed-push");
    // `check_pushed_paths` has found the client's signatures; no other stands beside them.
    for path in replay.pushed() {
        assert_eq!(replay.narinfo(path).signatures.len(), 1);
    }
}

/// Ours is the stricter policy that the protocol allows: a signature alone does not permit writing. What needs no right to
/// write is answered as recorded, all the rest is 401.
#[test]
fn r11b_signed_push_without_token() {
    let recording = load("11b-signed-push-without-token");
    let mut replay = Replay::new(recording.clone());
    let public = &recording["client_key_pair"]["publicKey"];
    let site = replay.site();
    let token = site.token("self", Permission::Admin);
    let register =
        site.api().post("/api/v1/cache/self/key").bearer(&token).json(&json!({"publicKey": public}));
    register.send().expect(200);
    // Nothing is issued to one who may not write, so the recorder's values stand where ours would.
    replay.keep_recorded_values();
    let mut refused = 0;
    for exchange in recording["exchanges"].as_array().unwrap() {
        match exchange["request"]["path"].as_str().unwrap() {
            "/api/v1/cache/self/narinfo" => replay.exchange(exchange),
            path if path.starts_with("/upload/") => {} // There is no such URL: none was issued.
            _ => {
                replay.send(exchange).expect(401);
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 6, "two uploads: create, part URL, complete");
}

#[test]
fn r12_doctor() {
    replay("12-doctor");
}

#[test]
fn r13_watch_exec_default() {
    replay("13-watch-exec-default");
}

#[test]
fn r13b_watch_exec_store() {
    replay("13b-watch-exec-store");
}

#[test]
fn r14_remove() {
    replay("14-remove");
}

/// Replays a recording of Cachix Deploy, with its sockets.
fn replay_deploy(name: &str) -> Replay {
    let mut replay = Replay::with(load(name), |config, recording| {
        config["workspaces"] = json!([{"name": "recorded", "cache": recording["workspace"]["cache"]}]);
        config["agents"] = json!([{"name": "web", "workspace": "recorded"}]);
    });
    replay.make_deploy_tokens();
    replay.run_with_sockets();
    replay.check_pushed_paths();
    replay
}

#[test]
fn r15_deploy_activate_success() {
    assert_eq!(replay_deploy("15-deploy-activate-success").last_statuses(), ["Succeeded"]);
}

#[test]
fn r16_deploy_activate_failing() {
    assert_eq!(replay_deploy("16-deploy-activate-failing").last_statuses(), ["Failed", "Failed"]);
}

#[test]
fn r17_deploy_agent_offline_then_online() {
    assert_eq!(replay_deploy("17-deploy-agent-offline-then-online").last_statuses(), ["Succeeded"]);
}

#[test]
fn r18_push_wrong_token() {
    replay("18-push-wrong-token");
}

#[test]
fn r18b_push_read_only_token() {
    replay("18b-push-read-only-token");
}

#[test]
fn r19_use_unknown_cache() {
    replay("19-use-unknown-cache");
}

#[test]
fn r20_nix_substitute() {
    replay("20-nix-substitute");
}

#[test]
fn r21_nix_copy_to_http() {
    let replay = replay("21-nix-copy-to-http");
    let path = "/nix/store/skx6hshkxyhvjzvg6iva73c7rfn0yjkr-recorded-copy-2.0";
    // Nobody made the pusher's own key known here, so its signature is not published.
    let names: Vec<String> =
        replay.narinfo(path).signatures.iter().map(|s| s.split(':').next().unwrap().to_owned()).collect();
    assert_eq!(names, [format!("main.{HOST}-1")]);
}

/// A signature that the pusher made with a key the cache trusts is kept beside ours.
#[test]
fn r21_nix_copy_to_http_with_a_trusted_key() {
    let recording = load("21-nix-copy-to-http");
    let path = "/nix/store/skx6hshkxyhvjzvg6iva73c7rfn0yjkr-recorded-copy-2.0";
    let put = recording["exchanges"]
        .as_array()
        .unwrap()
        .iter()
        .rev()
        .find_map(|e| e["request"]["body_text"].as_str());
    let recorded = NarInfo::parse(put.unwrap());
    assert_eq!(recorded.store_path, path);

    let mut replay = Replay::with(recording, |config, recording| {
        let secret = recording["nix_secret_key"].as_str().unwrap();
        config["caches"][0]["trusted-public-keys"] = json!([replay::public_key_of(secret)]);
    });
    replay.run();
    replay.check_pushed_paths();
    let info = replay.narinfo(path);
    assert_eq!(info.signatures.len(), 2);
    assert!(info.signatures.contains(&recorded.signatures[0]), "{:?}", info.signatures);
}

#[test]
fn r22_nix_store_ls_and_log() {
    replay("22-nix-store-ls-and-log");
}
