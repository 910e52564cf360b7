//! What the tokens of agents and for activating open, and what they do not.

use super::{Fleet, agent_token};
use crate::harness::Path;

#[test]
fn t67_an_agent_reads_the_cache_of_its_workspace_and_nothing_else() {
    let fleet = Fleet::with(|config| {
        for cache in config["caches"].as_array_mut().unwrap() {
            cache["access"] = serde_json::json!("private");
        }
    });
    let (own, foreign) = (Path::small("own"), Path::small("foreign"));
    fleet.site.pusher("pub").push(&own);
    fleet.site.pusher("priv").push(&foreign);
    let token = fleet.agent_token("a1");
    let get = |cache: &str, target: &str| fleet.site.cache(cache).get(target).basic("", token).send();
    get("pub", "/nix-cache-info").expect(200);
    let narinfo = get("pub", &format!("/{}.narinfo", own.hash)).expect(200);
    let url = narinfo.text().lines().find_map(|line| line.strip_prefix("URL: ")).unwrap().to_owned();
    get("pub", &format!("/{url}")).expect(200);
    let foreigner = fleet.site.cache("pub").get("/nix-cache-info").basic("", fleet.agent_token("b1"));
    foreigner.send().expect(401);
    for cache in ["priv", "self", "my-cache-2"] {
        get(cache, "/nix-cache-info").expect(401);
        get(cache, &format!("/{}.narinfo", foreign.hash)).expect(401);
    }

    let api = fleet.site.api();
    api.get("/api/v1/cache/pub").bearer(token).send().expect(401);
    let create = "/api/v1/cache/pub/multipart-nar?compression=zst";
    api.post(create).bearer(token).body("").send().expect(401);
    api.post("/api/v1/cache/pub/narinfo").bearer(token).body("[]").send().expect(401);
    fleet
        .site
        .cache("pub")
        .put("/nix-cache-info")
        .basic("", token)
        .body("StoreDir: /nix/store\n")
        .send()
        .expect_refusal();
}

#[test]
fn a_revoked_token_opens_nothing() {
    let fleet = Fleet::start();
    let (agent, activate) = (fleet.agent_token("b1"), fleet.activate_token("other"));
    let opens = || fleet.site.cache("priv").get("/nix-cache-info").basic("", agent).send().status;
    let specification = serde_json::json!({"agents": {}});
    let activates = || {
        let request = fleet.site.api().post("/api/v2/deploy/activate").bearer(activate);
        request.json(&specification).send().status
    };
    assert_eq!((opens(), activates()), (200, 200));
    let list = fleet.site.cachectl_ok(&["token", "list", "--json"]);
    let tokens: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
    for token in tokens.iter().filter(|token| token["agent"] == "b1" || token["workspace"] == "other") {
        fleet.site.cachectl_ok(&["token", "revoke", token["id"].as_str().unwrap()]);
    }
    assert_eq!((opens(), activates()), (401, 401));
    let headers = super::agent_headers("b1", agent);
    assert_eq!(super::open(&fleet.site.api(), "/ws", &headers).err().expect("no socket").status, 401);
    // Those of others are as good as before.
    fleet.connect("a1").close();
}

#[test]
fn an_activate_token_opens_no_cache() {
    let fleet = Fleet::start();
    let token = fleet.activate_token("other");
    fleet.site.api().get("/api/v1/cache/priv").bearer(token).send().expect(401);
    fleet.site.cache("priv").get("/nix-cache-info").basic("", token).send().expect(401);
}

#[test]
fn an_agent_that_moves_to_another_workspace_reads_the_other_cache() {
    let mut fleet = Fleet::start();
    let token = fleet.agent_token("a1").to_owned();
    let opens =
        |fleet: &Fleet| fleet.site.cache("priv").get("/nix-cache-info").basic("", &token).send().status;
    assert_eq!(opens(&fleet), 401);
    fleet.site.reconfigure(|config| config["agents"][0]["workspace"] = serde_json::json!("other"));
    assert_eq!(opens(&fleet), 200);
}

#[test]
fn tokens_are_made_only_for_what_the_config_names() {
    let fleet = Fleet::start();
    for arguments in [
        &["agent", "token", "nobody"][..],
        &["token", "create", "--workspace", "nowhere", "--permission", "activate"],
        &["token", "create", "--workspace", "main", "--permission", "write"],
        &["token", "create", "--cache", "pub", "--permission", "activate"],
    ] {
        let output = fleet.site.cachectl(arguments);
        assert!(!output.status.success() && output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
    // A second one does not end the first.
    let second = agent_token(&fleet.site, "a1");
    assert_ne!(second, fleet.agent_token("a1"));
    fleet.connect("a1").close();
}
