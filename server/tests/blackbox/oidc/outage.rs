//! A provider that does not answer.

use std::time::Instant;

use serde_json::json;

use super::{Provider, main_branch, may_push, rules, site, site_with, status_of};
use crate::harness::{Path, Pusher, SOON};

#[test]
fn a_provider_that_is_down_takes_only_its_own_new_tokens_along() {
    let (mut down, other) = (Provider::start(), Provider::start());
    let site = site_with(&other, |config, _| {
        let second =
            json!({"name": "down", "issuer": down.issuer(), "audience": super::AUDIENCE, "rules": rules()});
        config["oidc"].as_array_mut().unwrap().push(second);
    });
    let token = down.token(&main_branch());
    down.stop();
    let begun = Instant::now();
    let refused = site.api().get("/api/v1/cache/priv").bearer(&token).send();
    assert_eq!(refused.status, 503);
    assert!(refused.header("retry-after").is_some());
    assert!(begun.elapsed() < SOON);
    // A public cache does not care.
    assert_eq!(site.cache("pub").get("/nix-cache-info").bearer(&token).send().status, 200);
    // Nobody else notices.
    let path = Path::small("meanwhile");
    Pusher::new(site.api(), "priv", &other.token(&main_branch())).push(&path);
    site.pusher("priv").push(&Path::small("own-token"));
    down.run("first");
    crate::harness::wait_for(SOON * 3, "it is asked again", || may_push(&site, "priv", &token).then_some(()));
}

#[test]
fn keys_that_are_known_stay_good_while_the_provider_is_down() {
    let mut provider = Provider::start();
    let site = site(&provider);
    let (seen, unseen) = (provider.token(&main_branch()), provider.token(&main_branch()));
    assert_eq!(status_of(&site.api(), &seen), 200);
    provider.stop();
    assert!(may_push(&site, "priv", &seen) && may_push(&site, "priv", &unseen));
}

#[test]
fn the_daemon_starts_without_any_provider() {
    let mut provider = Provider::start();
    provider.stop();
    let site = site(&provider);
    site.pusher("priv").push(&Path::small("path"));
}
