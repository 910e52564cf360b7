//! Jobs of several repositories on one server: what the token of each opens, by every route that a token opens.

use serde_json::{Value, json};

use super::exchange::exchange;
use super::{Provider, site_with, trust};
use crate::harness::push::{content_md5, parts};
use crate::harness::{Path, Pusher, Response, Site};

/// The caches of the test, all of them private.
const CACHES: [&str; 3] = ["priv", "self", "my-cache-2"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Nothing,
    Read,
    Write,
}

use Level::{Nothing, Read, Write};

/// The first repository writes to a cache of its own, the second to another, and a third reads all of them.
fn rules() -> Value {
    json!([
        {"claims": {"repository": "acme/web", "ref": ["refs/heads/main", "refs/tags/v*"]}, "caches": ["priv"],
         "permission": "write"},
        {"claims": {"repository": "acme/web"}, "caches": ["priv"], "permission": "read"},
        {"claims": {"repository": "acme/api", "environment": "production"}, "caches": ["self", "my-cache-2"],
         "permission": "write"},
        {"claims": {"repository": "acme/api"}, "caches": ["self"], "permission": "read"},
        {"claims": {"repository": "acme/*", "repository_owner_id": "7"}, "caches": CACHES, "permission": "read"},
    ])
}

fn site(provider: &Provider) -> Site {
    site_with(provider, |config, _| {
        config["oidc"] = trust(provider, &rules());
        for cache in config["caches"].as_array_mut().unwrap().iter_mut().skip(1) {
            cache["access"] = json!("private");
            cache.as_object_mut().unwrap().remove("signing");
        }
    })
}

/// Claims, and what they open of each cache.
fn cases() -> Vec<(Value, [Level; 3])> {
    let job = |repository: &str, branch: &str| json!({"repository": repository, "ref": branch});
    let with = |mut claims: Value, name: &str, value: Value| {
        claims[name] = value;
        claims
    };
    let (main, api) = ("refs/heads/main", job("acme/api", "refs/heads/main"));
    vec![
        (job("acme/web", main), [Write, Nothing, Nothing]),
        (job("acme/web", "refs/tags/v1.2"), [Write, Nothing, Nothing]),
        (job("acme/web", "refs/tags/v1/2"), [Read, Nothing, Nothing]),
        (job("acme/web", "refs/heads/main2"), [Read, Nothing, Nothing]),
        (job("acme/web", "refs/pull/1/merge"), [Read, Nothing, Nothing]),
        (api.clone(), [Nothing, Read, Nothing]),
        (with(api.clone(), "environment", json!("production")), [Nothing, Write, Write]),
        (with(api.clone(), "environment", json!("Production")), [Nothing, Read, Nothing]),
        (with(api.clone(), "environment", json!("production ")), [Nothing, Read, Nothing]),
        (with(api, "environment", json!(["staging"])), [Nothing, Read, Nothing]),
        (with(job("acme/docs", main), "repository_owner_id", json!("7")), [Read, Read, Read]),
        (with(job("acme/docs", main), "repository_owner_id", json!("77")), [Nothing, Nothing, Nothing]),
        (with(job("acme/docs", main), "environment", json!("production")), [Nothing, Nothing, Nothing]),
        (with(job("evil/web", main), "repository_owner_id", json!("7")), [Nothing, Nothing, Nothing]),
        (job("acme/web ", main), [Nothing, Nothing, Nothing]),
        (job("ACME/web", main), [Nothing, Nothing, Nothing]),
        (job("acme/webs", main), [Nothing, Nothing, Nothing]),
        (job("x/acme/web", main), [Nothing, Nothing, Nothing]),
    ]
}

/// Requests that only read, and those that change something. The latter are malformed, so that they change nothing.
fn requests(site: &Site, cache: &str, path: &Path, token: &str) -> [Vec<(String, Response)>; 2] {
    let api = |rest: &str| format!("/api/v1/cache/{cache}{rest}");
    let get = |target: String| (target.clone(), site.api().get(&target).bearer(token).send());
    let post = |target: String, body: &Value| {
        (target.clone(), site.api().post(&target).bearer(token).json(body).send())
    };
    let by_host = |target: String| {
        let reply = site.cache(cache).get(&target).basic("", token).send();
        (format!("{cache}: {target}"), reply)
    };
    let put = |target: String| {
        let reply = site.cache(cache).put(&target).basic("", token).body("malformed").send();
        (format!("PUT {cache}: {target}"), reply)
    };
    let drv = format!("{}-x.drv", path.hash);
    let reading = vec![
        get(api("")),
        get(api(&format!("/{}.narinfo", path.hash))),
        post(api("/narinfo"), &json!([path.hash])),
        by_host("/nix-cache-info".to_owned()),
        by_host(format!("/{}.narinfo", path.hash)),
        by_host(format!("/{}.ls", path.hash)),
        by_host(format!("/{}", path.file_url())),
    ];
    let writing = vec![
        post(api("/multipart-nar?compression=rubbish"), &json!({})),
        post(api("/pin"), &json!({})),
        post(api("/nar"), &json!({})),
        post(api(&format!("/{}.narinfo", path.hash)), &json!({})),
        put(format!("/{}.narinfo", path.hash)),
        put(format!("/{}.ls", path.hash)),
        put(format!("/log/{drv}x")),
        put("/realisations/rubbish.doi".to_owned()),
    ];
    [reading, writing]
}

#[track_caller]
fn assert_level(site: &Site, cache: &str, path: &Path, token: &str, level: Level) {
    let [reading, writing] = requests(site, cache, path, token);
    for (requests, needed) in [(reading, Read), (writing, Write)] {
        for (request, reply) in requests {
            let is_open = reply.status != 401;
            assert_eq!(is_open, level >= needed, "{request}: {} with {level:?}", reply.status);
        }
    }
    let key = site.api().post(&format!("/api/v1/cache/{cache}/key")).bearer(token);
    assert_eq!(key.json(&json!({"publicKey": "x"})).send().status, 401, "no rule opens that");
}

#[test]
fn the_token_of_a_job_opens_the_caches_of_its_own_repository_by_every_route() {
    let provider = Provider::start();
    let site = site(&provider);
    let path = Path::small("guarded");
    CACHES.iter().for_each(|cache| site.pusher(cache).push(&path));
    for (claims, levels) in cases() {
        let token = provider.token(&claims);
        let given = exchange(&site, &token);
        let opens_something = levels.iter().any(|level| *level > Nothing);
        assert_eq!(given.status == 200, opens_something, "{claims}: {}", given.status);
        let mut tokens = vec![token];
        if opens_something {
            tokens.push(given.json()["access_token"].as_str().unwrap().to_owned());
        }
        for token in &tokens {
            for (cache, level) in CACHES.into_iter().zip(levels) {
                assert_level(&site, cache, &path, token, level);
            }
        }
    }
}

#[test]
fn a_job_cannot_touch_the_upload_of_another_repository() {
    let provider = Provider::start();
    let site = site(&provider);
    let web = provider.token(&json!({"repository": "acme/web", "ref": "refs/heads/main"}));
    let api = provider.token(&json!({"repository": "acme/api", "environment": "production"}));
    let owner = Pusher::new(site.api(), "priv", &web);
    let path = Path::small("pushed");
    let (upload, listed) = owner.upload(&path);
    for (cache, status) in [("priv", 401), ("self", 404)] {
        let stranger = Pusher::new(site.api(), cache, &api);
        // At its own cache there is no such upload, and so nothing to abort.
        let part = stranger.try_part_url(&upload, 1, &content_md5(b"other"));
        assert_eq!(part.status, status, "{cache}");
        let completed = stranger.complete(&upload, &listed, &path.nar_info_create());
        assert_eq!(completed.status, status, "{cache}");
        let aborted = stranger.abort(&upload).status;
        assert!(aborted == status || (cache == "self" && aborted == 200), "{cache}: {aborted}");
    }
    owner.complete(&upload, &listed, &path.nar_info_create()).expect(200);
    site.reader("priv").assert_has(&path);
    // Nor is a part that it sends to its own cache one of that upload.
    let own = Pusher::new(site.api(), "self", &api);
    let (_, foreign) = own.upload(&Path::small("foreign"));
    let (upload, _) = owner.upload(&Path::small("second"));
    let mixed = parts(&[foreign[0]["eTag"].as_str().unwrap().to_owned()]);
    owner.complete(&upload, &mixed, &Path::small("third").nar_info_create()).expect_refusal();
}
