//! Tokens of the provider as they are, where clients present tokens of this server.

use serde_json::json;

use super::{AUDIENCE, Provider, main_branch, may_push, rules, site, site_with, status_of, trust};
use crate::harness::nix_host::NixHost;
use crate::harness::site::HOST;
use crate::harness::{Path, Pusher, SOON, wait_for};

#[test]
fn a_job_pushes_with_the_token_of_its_provider() {
    let provider = Provider::start();
    let site = site(&provider);
    for client in ["rsa", "curve"] {
        let token = provider.token_by(client, &main_branch(), "");
        let path = Path::small(&format!("by-{client}"));
        Pusher::new(site.api(), "priv", &token).push(&path);
        site.reader("priv").assert_has(&path);
        let info = site.cachectl_ok(&["path", "info", "--cache", "priv", &path.store_path()]);
        assert!(info.contains(&format!("ci: {client}")), "who pushed it: {info}");
    }
}

#[test]
fn a_job_token_opens_what_its_rule_says_and_nothing_else() {
    let provider = Provider::start();
    let site = site_with(&provider, |config, _| {
        config["oidc"][0]["rules"].as_array_mut().unwrap().insert(
            0,
            json!({"claims": {"repository": "acme/api"}, "caches": ["pub", "my-cache-2"], "permission": "write"}),
        );
    });
    let claims = |repository: &str, branch: &str| json!({"repository": repository, "ref": branch});
    let main = "refs/heads/main";
    for (claims, writes, reads_private) in [
        (claims("acme/web", main), &["priv"][..], true),
        (claims("acme/web", "refs/heads/other"), &[], true),
        (claims("acme/web", "refs/pull/7/merge"), &[], true),
        (claims("acme/api", main), &["pub", "my-cache-2"], false),
        (claims("acme/api", "refs/tags/v1"), &["pub", "my-cache-2"], false),
        (claims("acme/else", main), &[], true),
        (claims("evil/web", main), &[], false),
        (claims("evil/acme/web", main), &[], false),
        (claims("acme/web/evil", main), &[], false),
        (claims("acme", main), &[], false),
        (json!({"ref": main}), &[], false),
        (json!({"repository": ["evil/web"], "ref": main}), &[], false),
        (json!({}), &[], false),
    ] {
        let token = provider.token(&claims);
        for cache in ["pub", "priv", "self", "my-cache-2"] {
            assert_eq!(may_push(&site, cache, &token), writes.contains(&cache), "{claims} pushes to {cache}");
        }
        let read = status_of(&site.api(), &token) == 200;
        assert_eq!(read, reads_private, "{claims} reads");
        // Nothing that takes more than a push.
        let key =
            site.api().post("/api/v1/cache/priv/key").bearer(&token).json(&json!({"publicKey": "x"})).send();
        assert_eq!(key.status, 401, "{claims}");
        for path in ["/api/v1/deploy/activate", "/api/v2/deploy/activate"] {
            assert_eq!(site.api().post(path).bearer(&token).json(&json!({})).send().status, 401, "{claims}");
        }
    }
}

#[test]
fn wrong_tokens_are_refused_and_the_log_says_why() {
    let (provider, stranger) = (Provider::start(), Provider::start());
    let mut site = site(&provider);
    let good = provider.token(&main_branch());
    let damaged = {
        let (head, signature) = good.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        format!("{head}.{first}{}", &signature[1..])
    };
    for (token, reason) in [
        (provider.token_by("rsa", &main_branch(), "&audience=elsewhere"), "aud"),
        (provider.token(&json!({"repository": "acme/web"})), ""),
        (provider.token(&json!({"repository": "evil/web", "ref": "refs/heads/main"})), "repository"),
        (damaged, "signature"),
        (stranger.token(&main_branch()), ""),
    ] {
        assert!(!may_push(&site, "priv", &token), "{reason}");
        if !reason.is_empty() {
            let log = site.daemon().log();
            assert!(
                log.contains(&format!("claim=\"{reason}\"")) || log.contains(&format!("claim={reason}")),
                "{reason}: {log}"
            );
        }
    }
    // One that ends is over, within what clocks may differ.
    let short = provider.token_by("rsa", &main_branch(), "&lifetime=-120");
    assert!(!may_push(&site, "priv", &short));
    assert!(may_push(&site, "priv", &good));
}

#[test]
fn a_token_is_good_in_netrc_as_well() {
    let provider = Provider::start();
    let site = site(&provider);
    let token = provider.token(&main_branch());
    let here = NixHost::new().with_token(&format!("priv.{HOST}"), &token);
    let root = here.build_closure(3);
    let url = format!("http://priv.{HOST}:{}", site.port("api"));
    here.ok(&format!("nix copy --to {url} {root}"));
    let reads = provider.token(&json!({"repository": "acme/else"}));
    let there = NixHost::trusting(&[site.public_key("priv")]).with_token(&format!("priv.{HOST}"), &reads);
    there.ok(&format!("nix copy --from {url} {root}"));
    there.fails(&format!("nix copy --to {url} {}", there.build_closure(1)));
    // A wrong one does not keep anybody out of a public cache.
    let wrong = NixHost::trusting(&[site.public_key("pub")])
        .with_token(&format!("pub.{HOST}"), &provider.token(&json!({"repository": "evil/web"})));
    wrong.ok(&format!("nix store ping --store http://pub.{HOST}:{}", site.port("api")));
}

#[test]
fn keys_that_the_provider_replaced_are_found() {
    let mut provider = Provider::start();
    let site = site(&provider);
    let old = provider.token(&main_branch());
    assert!(may_push(&site, "priv", &old));
    provider.run("second");
    assert!(may_push(&site, "priv", &provider.token(&main_branch())));
    // The old key is gone, and with it tokens that were not seen before.
    provider.run("first");
    let unseen = provider.token(&main_branch());
    provider.run("second");
    assert!(!may_push(&site, "priv", &unseen));
}

#[test]
fn a_reload_changes_what_tokens_open_that_were_seen_before() {
    let provider = Provider::start();
    let site = site(&provider);
    let token = provider.token(&main_branch());
    assert!(may_push(&site, "priv", &token));
    site.edit_config(|config| config["oidc"] = trust(&provider, &json!([rules()[1]])));
    site.cachectl_ok(&["reload"]);
    assert!(!may_push(&site, "priv", &token));
    assert_eq!(status_of(&site.api(), &token), 200);
    site.edit_config(|config| config["oidc"] = json!([]));
    site.cachectl_ok(&["reload"]);
    assert_eq!(status_of(&site.api(), &token), 401);
    site.edit_config(|config| config["oidc"] = trust(&provider, &rules()));
    site.cachectl_ok(&["reload"]);
    assert!(may_push(&site, "priv", &token));
}

#[test]
fn many_wrong_tokens_of_one_client_are_not_looked_at_and_others_are_served() {
    let provider = Provider::start();
    let site = site(&provider);
    let good = provider.token(&main_branch());
    assert_eq!(status_of(&site.api(), &good), 200);
    let wrong = provider.token(&json!({"repository": "evil/web"}));
    let (head, _) = wrong.rsplit_once('.').unwrap();
    let ask = |client: &str, token: &str| {
        let request = site.api().get("/api/v1/cache/priv").bearer(token).header("X-Forwarded-For", client);
        request.send().status
    };
    let statuses: Vec<u16> =
        (0..40).map(|number| ask("192.0.2.1", &format!("{head}.AAA{number:02}A"))).collect();
    assert!(statuses[..10].iter().all(|status| *status == 401), "{statuses:?}");
    assert!(statuses.contains(&429), "{statuses:?}");
    // Another client, and one whose token was seen before.
    assert_eq!(ask("192.0.2.2", &provider.token(&main_branch())), 200);
    assert_eq!(ask("192.0.2.1", &good), 200);
    wait_for(SOON, "the client is looked at again", || {
        (ask("192.0.2.1", &provider.token(&main_branch())) == 200).then_some(())
    });
}

#[test]
fn mistakes_in_the_configuration_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let good = json!({"name": "ci", "issuer": "https://ci.test", "audience": AUDIENCE, "rules": [
        {"claims": {"sub": "a"}, "caches": ["main"]},
    ]});
    let complaint_about = |provider: serde_json::Value| {
        let config = json!({"caches": [{"name": "main"}], "oidc": [provider]});
        let file = directory.path().join("config.yaml");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = std::process::Command::new(crate::harness::daemon::DAEMON);
        let output = command.args(["check-config", "--offline"]).arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (!output.status.success()).then(|| said.into_owned())
    };
    assert_eq!(complaint_about(good.clone()), None);
    let changed = |pointer: &str, value: serde_json::Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        changed
    };
    for (provider, complaint) in [
        (changed("/issuer", json!("http://ci.test")), "https://"),
        (changed("/issuer", json!("ci")), "URL"),
        (changed("/audience", json!([])), "no token"),
        (changed("/rules/0/claims", json!({})), "everybody"),
        (changed("/rules/0/claims", json!({"repository": "**"})), "everybody"),
        (changed("/rules/0/claims", json!("sub")), "mapping"),
        (changed("/rules/0/caches", json!(["other"])), "no cache"),
        (changed("/rules/0/caches", json!("mian")), "main"),
    ] {
        let said = complaint_about(provider).unwrap_or_else(|| panic!("accepted: {complaint}"));
        assert!(said.contains(complaint), "{complaint}: {said}");
    }
}
