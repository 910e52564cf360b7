//! Tokens of this server in exchange for those of the provider (RFC 8693).

use serde_json::{Value, json};

use super::provider::encoded;
use super::{Provider, main_branch, may_push, rules, site, site_with, status_of, trust};
use crate::harness::{Path, Pusher, Response, Site};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ID_TOKEN: &str = "urn:ietf:params:oauth:token-type:id_token";

fn ask(site: &Site, fields: &[(&str, &str)]) -> Response {
    let form: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let request =
        site.api().post("/api/v1/oidc/token").header("Content-Type", "application/x-www-form-urlencoded");
    request.body(form.join("&").into_bytes()).send()
}

pub fn exchange(site: &Site, token: &str) -> Response {
    ask(site, &[("grant_type", GRANT), ("subject_token", token), ("subject_token_type", ID_TOKEN)])
}

fn exchanged(site: &Site, token: &str) -> Value {
    exchange(site, token).expect(200).json()
}

#[test]
fn a_token_that_is_given_in_exchange_outlives_that_of_the_provider() {
    let provider = Provider::start();
    let site = site(&provider);
    let reply = exchange(&site, &provider.token_by("rsa", &main_branch(), "&lifetime=20")).expect(200);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let reply: Value = reply.json();
    assert_eq!(reply["token_type"], "Bearer");
    assert_eq!(reply["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert!((3590..=3600).contains(&reply["expires_in"].as_i64().unwrap()), "{reply}");
    assert_eq!(reply["scope"], "write priv");
    let token = reply["access_token"].as_str().unwrap();
    let path = Path::small("exchanged");
    Pusher::new(site.api(), "priv", token).push(&path);
    site.reader("priv").assert_has(&path);
    assert!(!may_push(&site, "pub", token));
    // It is a token of this server: the provider is not asked for it.
    drop(provider);
    assert!(may_push(&site, "priv", token));
}

#[test]
fn the_same_token_gets_the_same_session_again_and_no_longer_one() {
    let provider = Provider::start();
    let site = site(&provider);
    let token = provider.token(&main_branch());
    let sessions = || {
        let list: Value = serde_json::from_str(&site.cachectl_ok(&["token", "list", "--json"])).unwrap();
        let of_provider =
            |token: &&Value| token["subject"].as_str().is_some_and(|text| text.starts_with("ci: "));
        list.as_array().unwrap().iter().filter(of_provider).cloned().collect::<Vec<_>>()
    };
    let first = exchanged(&site, &token);
    let ends = sessions()[0]["expires_at"].clone();
    for _ in 0..20 {
        exchanged(&site, &token);
    }
    assert_eq!(sessions().len(), 1, "{:?}", sessions());
    assert_eq!(sessions()[0]["expires_at"], ends);
    // Revoked once, it is revoked for good.
    let id = sessions()[0]["id"].as_str().unwrap().to_owned();
    site.cachectl_ok(&["token", "revoke", &id]);
    assert_eq!(status_of(&site.api(), first["access_token"].as_str().unwrap()), 401);
    assert_eq!(exchange(&site, &token).status, 400);
    // Another token of the same job is another session.
    exchanged(&site, &provider.token(&main_branch()));
}

#[test]
fn it_survives_a_restart_and_ends_with_its_rule() {
    let provider = Provider::start();
    let mut site = site(&provider);
    let reply = exchanged(&site, &provider.token(&main_branch()));
    let token = reply["access_token"].as_str().unwrap().to_owned();
    site.crash_and_restart();
    assert!(may_push(&site, "priv", &token));
    site.edit_config(|config| config["oidc"] = trust(&provider, &json!([rules()[1]])));
    site.cachectl_ok(&["reload"]);
    assert!(!may_push(&site, "priv", &token));
    // A rule that permits more later does not widen it.
    let wide =
        json!([{"claims": {"repository": "acme/*"}, "caches": ["priv", "pub"], "permission": "write"}]);
    site.edit_config(|config| config["oidc"] = trust(&provider, &wide));
    site.cachectl_ok(&["reload"]);
    assert!(may_push(&site, "priv", &token) && !may_push(&site, "pub", &token));
}

#[test]
fn requests_that_are_no_exchange_are_refused_as_the_standard_says() {
    let provider = Provider::start();
    let site = site(&provider);
    let good = provider.token(&main_branch());
    let own = site.create_token(&["--cache", "priv", "--permission", "write"]);
    let given = exchanged(&site, &good)["access_token"].as_str().unwrap().to_owned();
    let wrong = provider.token(&json!({"repository": "evil/web"}));
    let grant = ("grant_type", GRANT);
    let kind = ("subject_token_type", ID_TOKEN);
    for (fields, error) in [
        (vec![], "unsupported_grant_type"),
        (
            vec![("grant_type", "client_credentials"), ("subject_token", &good), kind],
            "unsupported_grant_type",
        ),
        (vec![grant, kind], "invalid_request"),
        (vec![grant, ("subject_token", &good)], "invalid_request"),
        (vec![grant, ("subject_token", &good), ("subject_token_type", "urn:x")], "invalid_request"),
        (vec![grant, ("subject_token", ""), kind], "invalid_request"),
        (vec![grant, ("subject_token", &wrong), kind], "invalid_request"),
        (vec![grant, ("subject_token", "rubbish"), kind], "invalid_request"),
        // Neither a token of this server, nor what was given for one.
        (vec![grant, ("subject_token", &own), kind], "invalid_request"),
        (vec![grant, ("subject_token", &given), kind], "invalid_request"),
        (vec![grant, ("subject_token", &good), kind, ("requested_token_type", "urn:x")], "invalid_request"),
    ] {
        let reply = ask(&site, &fields);
        assert_eq!(reply.status, 400, "{fields:?}");
        let reply: Value = reply.json();
        assert_eq!(reply["error"], error, "{fields:?}");
        assert!(reply.get("access_token").is_none());
        assert!(!reply.to_string().contains("repository"), "the client learns which claim failed: {reply}");
    }
    let large = site.api().post("/api/v1/oidc/token").body(vec![b'a'; 200_000]).send();
    assert_eq!(large.status, 413);
}

#[test]
fn the_audit_log_says_what_was_proved() {
    let provider = Provider::start();
    let site = site_with(&provider, |config, directory| {
        config["server"]["audit-log"] = json!(directory.join("audit.jsonl"));
    });
    let token = provider.token(&main_branch());
    let given = exchanged(&site, &token)["access_token"].as_str().unwrap().to_owned();
    for (number, token) in [token.as_str(), &given].into_iter().enumerate() {
        Pusher::new(site.api(), "priv", token).push(&Path::small(&format!("audited-{number}")));
    }
    let log = crate::harness::wait_for(crate::harness::SOON, "both pushes are in the audit log", || {
        let log = std::fs::read_to_string(site.directory().join("audit.jsonl")).ok()?;
        (log.matches("/complete").count() >= 2).then_some(log)
    });
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let pushes: Vec<&Value> =
        lines.iter().filter(|line| line["action"].as_str().unwrap().ends_with("/complete")).collect();
    for push in &pushes {
        assert_eq!(push["claims"]["repository"], json!(["acme/web"]), "{push}");
        assert_eq!(push["claims"]["ref"], json!(["refs/heads/main"]), "{push}");
        assert_eq!(push["subject"], "ci: rsa", "{push}");
        assert_eq!(push["cache"], "priv");
    }
    let exchange = lines.iter().find(|line| line["action"].as_str().unwrap().contains("/api/v1/oidc/token"));
    assert!(exchange.expect(&log)["object"].as_str().unwrap().contains("ci rsa"), "{exchange:?}");
}
