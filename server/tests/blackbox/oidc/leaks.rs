//! A token of a provider stays where it was presented.

use std::fs;

use serde_json::json;

use super::exchange::exchange;
use super::{Provider, main_branch, may_push, site_with};
use crate::harness::{Path, Pusher};

/// Every file below a directory that holds one of these texts.
pub fn files_with(directory: &std::path::Path, texts: &[&str], found: &mut Vec<String>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().unwrap().is_dir() {
            files_with(&entry.path(), texts, found);
        } else if let Ok(bytes) = fs::read(entry.path()) {
            let contains = |text: &&str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            if texts.iter().any(contains) {
                found.push(entry.path().display().to_string());
            }
        }
    }
}

#[test]
fn it_is_neither_logged_nor_stored() {
    let provider = Provider::start();
    let mut site = site_with(&provider, |config, directory| {
        config["server"]["log"] = json!({"filter": "trace"});
        config["server"]["audit-log"] = json!(directory.join("audit.jsonl"));
    });
    let good = provider.token(&main_branch());
    let wrong = provider.token(&json!({"repository": "evil/web"}));
    let foreign = Provider::start().token(&main_branch());
    Pusher::new(site.api(), "priv", &good).push(&Path::small("path"));
    for token in [&good, &wrong, &foreign] {
        may_push(&site, "priv", token);
        exchange(&site, token);
        site.api().get("/api/v1/cache/priv").header("Authorization", &format!("Basic {token}")).send();
    }
    assert!(site.daemon().terminate().success());
    // The signature alone would do.
    let signatures: Vec<&str> =
        [&good, &wrong, &foreign].iter().map(|token| token.rsplit('.').next().unwrap()).collect();
    let mut found = Vec::new();
    files_with(site.directory(), &signatures, &mut found);
    assert!(found.is_empty(), "{found:?}");
}
