//! `activate` and what is told of a deployment: tests 77 to 84.

use serde_json::{Value, json};

use super::{Fleet, carry_out, expect_deployment, expect_nothing};
use crate::federation::upstream::Upstream;
use crate::harness::path::random_hash;
use crate::harness::site::HOST;
use crate::harness::{Path, Permission};

fn is_uuid(text: &str) -> bool {
    text.parse::<uuid::Uuid>().is_ok_and(|uuid| uuid.to_string() == text)
}

#[test]
fn t77_activating_gives_an_id_and_a_page_for_each_agent() {
    let fleet = Fleet::start();
    let path = fleet.push("system");
    let reply = fleet.send(&json!({"agents": {"a1": path, "a2": path}})).expect(200).json();
    let agents = reply["agents"].as_object().unwrap();
    assert_eq!(agents.keys().collect::<Vec<_>>(), ["a1", "a2"]);
    for activated in agents.values() {
        let id = activated["id"].as_str().unwrap();
        assert!(is_uuid(id), "{id}");
        let url = activated["url"].as_str().unwrap();
        let page = url.strip_prefix(&format!("http://{HOST}")).expect("an absolute URL");
        let page = fleet.site.api().get(page).send().expect(200);
        assert!(page.text().contains("Pending") && page.text().contains(&path), "{}", page.text());
    }
    fleet.site.api().get(&format!("/deploy/{}", uuid::Uuid::new_v4())).send().expect(404);
}

#[test]
fn t78_an_unknown_agent_in_the_set_starts_nothing() {
    let fleet = Fleet::start();
    let path = fleet.push("system");
    let mut agent = fleet.connect("a1");
    // The agent of another workspace is as unknown as one that does not exist.
    for unknown in ["nobody", "b1"] {
        let reply = fleet.send(&json!({"agents": {"a1": path, unknown: path}})).expect(400);
        assert!(reply.text().contains(&format!("`{unknown}`")), "{}", reply.text());
    }
    expect_nothing(&mut agent);
    // Its number would have been taken.
    let id = fleet.activate("a1", &path);
    assert_eq!(fleet.deployment(&id)["index"], 1);
}

#[test]
fn t79_only_an_activate_token_activates() {
    let fleet = Fleet::start();
    let specification = json!({"agents": {"a1": fleet.push("system")}});
    let site = &fleet.site;
    let write = site.create_token(&["--all", "--permission", "admin"]);
    for token in [write.as_str(), fleet.agent_token("a1"), "", "nonsense"] {
        for version in ["v1", "v2"] {
            let target = format!("/api/{version}/deploy/activate");
            site.api().post(&target).bearer(token).json(&specification).send().expect(401);
        }
    }
    site.api().post("/api/v2/deploy/activate").json(&specification).send().expect(401);
    // That of another workspace is good, but not for this agent.
    let other = fleet.activate_token("other");
    site.api().post("/api/v2/deploy/activate").bearer(other).json(&specification).send().expect(400);
}

#[test]
fn t80_the_first_version_gives_only_pages() {
    let fleet = Fleet::start();
    let specification = json!({"agents": {"a1": fleet.push("system")}});
    let token = fleet.activate_token("main");
    let request = fleet.site.api().post("/api/v1/deploy/activate").bearer(token).json(&specification);
    let reply = request.send().expect(200).json();
    let url = reply["agents"]["a1"].as_str().expect("the URL and nothing else");
    let id = url.rsplit('/').next().unwrap();
    assert_eq!(fleet.status(id), "Pending");
}

#[test]
fn t81_nothing_to_activate_is_activated() {
    let fleet = Fleet::start();
    assert_eq!(fleet.send(&json!({"agents": {}})).expect(200).json(), json!({"agents": {}}));
}

#[test]
fn t82_the_rollback_script_is_picked_by_the_system_of_the_agent() {
    let fleet = Fleet::start();
    let (path, script) = (fleet.push("system"), fleet.push("check"));
    let mut agent = fleet.connect("a1");
    fleet.activate("a1", &path);
    assert_eq!(expect_deployment(&mut agent)["rollbackScript"], Value::Null);

    let foreign = format!("/nix/store/{}-for-another-system", random_hash());
    let scripts = json!({"x86_64-linux": script, "riscv64-linux": foreign});
    fleet.send(&json!({"agents": {"a1": path}, "rollbackScript": scripts})).expect(200);
    assert_eq!(expect_deployment(&mut agent)["rollbackScript"], script.as_str());

    // The system is that which the agent has when it is told, not when it was asked for.
    let scripts = json!({"riscv64-linux": foreign});
    let reply = fleet.send(&json!({"agents": {"a2": path}, "rollbackScript": scripts})).expect(200);
    reply.json();
    let mut late = fleet.connect("a2");
    assert_eq!(expect_deployment(&mut late)["rollbackScript"], Value::Null);
}

#[test]
fn t83_a_deployment_waits_for_an_agent_that_is_offline() {
    let fleet = Fleet::start();
    let path = fleet.push("system");
    let id = fleet.activate("a1", &path);
    let deployment = fleet.deployment(&id);
    assert_eq!(deployment["id"], id.as_str());
    assert_eq!(deployment["index"], 1);
    assert_eq!(deployment["storePath"], path.as_str());
    assert_eq!(deployment["status"], "Pending");
    let created = deployment["createdOn"].as_str().unwrap();
    assert!(created.ends_with('Z') && created.contains('T'), "{created}");
    for absent in ["startedOn", "finishedOn", "closureSize"] {
        assert_eq!(deployment[absent], Value::Null);
    }
}

#[test]
fn t84_what_is_not_of_the_workspace_does_not_exist() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let target = format!("/api/v1/deploy/deployment/{id}");
    let get = |target: &str, token: &str| fleet.site.api().get(target).bearer(token).send().status;
    assert_eq!(get(&target, fleet.activate_token("other")), 404);
    let unknown = format!("/api/v1/deploy/deployment/{}", uuid::Uuid::new_v4());
    assert_eq!(get(&unknown, fleet.activate_token("main")), 404);
    assert_eq!(get("/api/v1/deploy/deployment/x", fleet.activate_token("main")), 404);
    for token in ["nonsense", "", fleet.agent_token("a1")] {
        assert_eq!(get(&target, token), 401);
    }
}

#[test]
fn numbers_count_per_agent_over_restarts() {
    let mut fleet = Fleet::start();
    let path = fleet.push("system");
    for expected in 1..=3 {
        let id = fleet.activate("a1", &path);
        carry_out(&fleet, "a1", &id, true);
        fleet.wait_for_status(&id, "Succeeded");
        assert_eq!(fleet.deployment(&id)["index"], expected);
        fleet.site.crash_and_restart();
    }
    let id = fleet.activate("a2", &path);
    assert_eq!(fleet.deployment(&id)["index"], 1);
}

#[test]
fn what_the_cache_does_not_hold_is_refused_by_name() {
    let fleet = Fleet::start();
    let (here, absent) = (fleet.push("here"), Path::small("absent").store_path());
    let elsewhere = Path::small("elsewhere");
    fleet.site.pusher("my-cache-2").push(&elsewhere);
    for missing in [absent, elsewhere.store_path()] {
        let reply = fleet.send(&json!({"agents": {"a1": here, "a2": missing}})).expect(400);
        assert!(reply.text().contains(&missing) && reply.text().contains("`pub`"), "{}", reply.text());
        assert!(!reply.text().contains(&here), "{}", reply.text());
    }
    let _agent = fleet.connect("a1");
    let script = format!("/nix/store/{}-check/bin/check", random_hash());
    let scripts = json!({"x86_64-linux": script});
    let reply = fleet.send(&json!({"agents": {"a1": here}, "rollbackScript": scripts})).expect(400);
    assert!(reply.text().contains("-check"), "{}", reply.text());
}

/// Agents get it through the cache all the same.
#[test]
fn what_an_upstream_of_the_cache_holds_is_activated() {
    let upstream = Upstream::start();
    let entry = upstream.entry();
    let fleet = Fleet::with(|config| config["caches"][0]["upstreams"] = json!([entry]));
    let (there, nowhere) = (Path::small("there"), Path::small("nowhere"));
    upstream.has(&there);
    let both = json!({"agents": {"a1": there.store_path(), "a2": nowhere.store_path()}});
    let reply = fleet.send(&both).expect(400);
    assert!(reply.text().contains(&nowhere.store_path()), "{}", reply.text());
    assert!(!reply.text().contains(&there.store_path()), "{}", reply.text());
    let id = fleet.activate("a1", &there.store_path());
    assert_eq!(fleet.deployment(&id)["index"], 1);
    fleet.site.reader("pub").assert_has(&there);
}

#[test]
fn bad_specifications_are_refused_with_a_reason() {
    let fleet = Fleet::start();
    let path = fleet.push("system");
    let bad = [
        json!({}),
        json!([]),
        json!({"agents": ["a1"]}),
        json!({"agents": {"a1": 5}}),
        json!({"agents": {"a1": "/etc/passwd"}}),
        json!({"agents": {"a1": ""}}),
        json!({"agents": {"a1": format!("{path}/../../etc")}}),
        json!({"agents": {"a1": path}, "rollbackScript": "check"}),
        json!({"agents": {"a1": path}, "rollbackScript": {"x86_64-linux": "/bin/true"}}),
    ];
    for specification in bad {
        let reply = fleet.send(&specification).expect(400);
        assert!(reply.text().len() > 10, "{specification}: {}", reply.text());
    }
    let write = fleet.site.token("pub", Permission::Write);
    fleet.site.api().get("/api/v2/deploy/activate").bearer(&write).send().expect_refusal();
}
