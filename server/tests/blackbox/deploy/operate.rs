//! What operators do with `cachectl`, and what it tells them.

use std::fs;
use std::process::Output;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Fleet, carry_out, expect_deployment, expect_nothing, finished, line, started};
use crate::harness::Path;

fn ask(fleet: &Fleet, arguments: &[&str]) -> Value {
    serde_json::from_str(&fleet.site.cachectl_ok(&[arguments, &["--json"]].concat())).unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, word: &str) {
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{complaint}");
    assert!(complaint.contains(word), "{complaint}");
}

/// Has the agent `a1` run a path, with success or without.
fn run(fleet: &Fleet, path: &str, succeeded: bool) -> String {
    let id = fleet.activate("a1", path);
    carry_out(fleet, "a1", &id, succeeded);
    fleet.wait_for_status(&id, if succeeded { "Succeeded" } else { "Failed" });
    id
}

#[test]
fn agents_and_workspaces_are_shown_with_what_they_do() {
    let fleet = Fleet::start();
    let agents = ask(&fleet, &["agent", "list"]);
    let names: Vec<_> =
        agents.as_array().unwrap().iter().map(|agent| agent["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["a1", "a2", "b1"]);
    assert_eq!((&agents[0]["online_since"], &agents[0]["last_seen_at"]), (&Value::Null, &Value::Null));

    let good = run(&fleet, &fleet.push("good"), true);
    let agent = fleet.connect("a1");
    let id = fleet.deploy();
    let shown = ask(&fleet, &["agent", "info", "a1"]);
    assert!(shown["online_since"].is_i64());
    assert_eq!((&shown["system"], &shown["version"]), (&json!("x86_64-linux"), &json!("1.11.1")));
    assert_eq!((&shown["running"]["id"], &shown["newest"]["id"]), (&json!(good), &json!(id)));

    let workspaces = ask(&fleet, &["workspace", "list"]);
    let main = json!({"name": "main", "cache": "pub", "agents": 2, "online": 1, "deploying": 1});
    assert_eq!(workspaces[0], main);
    assert_eq!(ask(&fleet, &["workspace", "info", "main"])["members"].as_array().unwrap().len(), 2);

    // What it said of itself, and when it was there last, is known when it is offline.
    std::thread::sleep(Duration::from_secs(1));
    let connected_at = shown["online_since"].as_i64();
    agent.close();
    super::wait_until_done("the agent is offline and known", || {
        let shown = ask(&fleet, &["agent", "info", "a1"]);
        let seen_after = shown["last_seen_at"].as_i64() > connected_at;
        shown["online_since"].is_null() && seen_after && shown["version"] == "1.11.1"
    });
    refused(&fleet.site.cachectl(&["agent", "info", "nobody"]), 5, "nobody");
    refused(&fleet.site.cachectl(&["workspace", "info", "nowhere"]), 5, "nowhere");
    for command in [["agent", "list"], ["workspace", "list"], ["deploy", "list"]] {
        assert!(fleet.site.cachectl_ok(&command).lines().count() >= 2);
    }
}

#[test]
fn a_deployment_is_named_by_its_agent_its_number_or_its_id() {
    let fleet = Fleet::start();
    let (first, second) = (fleet.deploy(), fleet.deploy());
    for (which, id) in [("a1", &second), ("a1#1", &first), ("a1#2", &second), (first.as_str(), &first)] {
        assert_eq!(ask(&fleet, &["deploy", "show", which])["id"], id.as_str(), "{which}");
    }
    for unknown in ["a1#3", "a1#x", "a2", "nobody", "e4d36293-a4b6-46a9-a85f-23880a24372a"] {
        refused(&fleet.site.cachectl(&["deploy", "show", unknown]), 5, unknown.split('#').next().unwrap());
    }
    let listed = ask(&fleet, &["deploy", "list", "--agent", "a1", "--limit", "1"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(listed[0]["id"], second.as_str());
}

#[test]
fn logs_are_printed_and_followed_to_the_end() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let mut producer = fleet.produce("a1", &id);
    producer.send_json(&line("one")).unwrap();
    producer.send_json(&line("two")).unwrap();
    super::wait_until_done("the lines are there", || {
        fleet.site.cachectl_ok(&["deploy", "logs", "a1"]) == "one\ntwo\n"
    });
    let following = fleet.site.start_cachectl(&["deploy", "logs", "a1", "--follow"]);
    producer.send_json(&line("Successfully activated the deployment.")).unwrap();
    producer.close();
    let mut work = fleet.work("a1");
    work.send_json(&started(&id, None)).unwrap();
    work.send_json(&finished(&id, true)).unwrap();
    work.close();
    let output = following.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "one\ntwo\nSuccessfully activated the deployment.\n");

    run(&fleet, &fleet.push("bad"), false);
    refused(&fleet.site.cachectl(&["deploy", "logs", "a1", "--follow"]), 8, "failed");
}

#[test]
fn what_is_called_off_is_not_delivered() {
    let fleet = Fleet::start();
    let id = fleet.deploy();
    let cancelled = ask(&fleet, &["deploy", "cancel", "a1"]);
    assert_eq!((&cancelled["id"], &cancelled["status"]), (&json!(id), &json!("cancelled")));
    assert_eq!(fleet.status(&id), "Cancelled");
    let mut agent = fleet.connect("a1");
    expect_nothing(&mut agent);
    refused(&fleet.site.cachectl(&["deploy", "cancel", "a1"]), 6, "has ended");
    assert_eq!(super::read_to_end(&mut fleet.view(&id)).len(), 1, "why it was cancelled");
}

#[test]
fn a_specification_is_activated_without_the_client() {
    let fleet = Fleet::start();
    let (here, absent) = (fleet.push("here"), Path::small("absent").store_path());
    let file = fleet.site.directory().join("deploy.json");
    let write = |json: &Value| fs::write(&file, json.to_string()).unwrap();
    let name = file.to_str().unwrap();
    let activate = |more: &[&str]| fleet.site.cachectl(&[&["deploy", "activate", name][..], more].concat());

    write(&json!({"agents": {"a1": here, "a2": absent}}));
    refused(&activate(&[]), 6, "workspace");
    refused(&activate(&["--workspace", "main"]), 6, &absent);
    refused(&activate(&["--workspace", "other", "--agent", "a1"]), 6, "`a1`");
    refused(&activate(&["--workspace", "main", "--agent", "a3"]), 2, "`a3`");
    assert_eq!(ask(&fleet, &["deploy", "list"]), json!([]));
    assert!(activate(&["--workspace", "main", "--agent", "a1"]).status.success());
    assert_eq!(ask(&fleet, &["deploy", "show", "a1"])["store_path"], here.as_str());
    assert!(activate(&["--workspace", "main", "--allow-missing"]).status.success());
    assert_eq!(ask(&fleet, &["deploy", "show", "a2"])["store_path"], absent.as_str());

    for wrong in [json!({"agent": {}}), json!([]), json!({"agents": {"a1": 1}})] {
        write(&wrong);
        refused(&activate(&["--workspace", "main"]), 2, "deploy.json");
    }
    fs::remove_file(&file).unwrap();
    refused(&activate(&["--workspace", "main"]), 2, "deploy.json");
}

#[test]
fn an_agent_goes_back_to_what_it_ran_before() {
    let fleet = Fleet::start();
    refused(&fleet.site.cachectl(&["deploy", "rollback", "a1"]), 6, "nothing else");
    let (old, new, bad) = (fleet.push("old"), fleet.push("new"), fleet.push("bad"));
    run(&fleet, &old, true);
    refused(&fleet.site.cachectl(&["deploy", "rollback", "a1"]), 6, "nothing else");
    run(&fleet, &new, true);
    run(&fleet, &new, true);
    // What only waits has changed nothing, and gives way.
    let waiting = fleet.activate("a1", &bad);
    let back = ask(&fleet, &["deploy", "rollback", "a1"]);
    assert_eq!(back["store_path"], old.as_str());
    assert_eq!(fleet.status(&waiting), "Cancelled");
    let mut agent = fleet.connect("a1");
    assert_eq!(expect_deployment(&mut agent)["storePath"], old.as_str());
    carry_out(&fleet, "a1", back["id"].as_str().unwrap(), true);
    // After a failure it goes back to what ran before that.
    run(&fleet, &bad, false);
    assert_eq!(ask(&fleet, &["deploy", "rollback", "a1"])["store_path"], old.as_str());
}

/// To ask the daemon would be a use.
fn is_stored(fleet: &Fleet, path: &Path) -> bool {
    fleet.site.stored_files("pub").contains(&format!("{}.narinfo", path.hash))
}

/// Collects all that may go, until these paths have gone.
#[track_caller]
fn collect_until_gone(fleet: &mut Fleet, gone: &[&Path]) {
    // To activate a path is a use as well, and what was used a moment ago the daemon leaves alone as long as it remembers.
    assert!(fleet.site.stop_and_restart().success());
    super::wait_until_done("the rest is collected", || {
        fleet.site.cachectl_ok(&["gc", "--cache", "pub", "--older-than", "0s"]);
        !gone.iter().any(|path| is_stored(fleet, path))
    });
}

#[test]
fn garbage_collection_leaves_what_agents_run_or_would_go_back_to() {
    let mut fleet = Fleet::with(|config| {
        config["server"]["gc-interval"] = json!("off");
        config["server"]["gc-grace"] = json!("0s");
    });
    let dependency = Path::small("dependency");
    let systems =
        ["first", "second", "third"].map(|name| Path::small(name).referring_to([dependency.base_name()]));
    let unused = Path::small("unused");
    let pusher = fleet.site.pusher("pub");
    pusher.push(&dependency);
    for system in &systems {
        pusher.push(system);
        run(&fleet, &system.store_path(), true);
    }
    // Younger than what stays.
    pusher.push(&unused);
    // The first one is used as the others are, but nobody would go back to it.
    collect_until_gone(&mut fleet, &[&unused, &systems[0]]);
    assert!([&dependency, &systems[1], &systems[2]].into_iter().all(|path| is_stored(&fleet, path)));
    let path = systems[1].store_path();
    let why = fleet.site.cachectl_ok(&["gc", "--cache", "pub", "--explain", &path]);
    assert!(why.contains("a1"), "{why}");
    refused(&fleet.site.cachectl(&["path", "delete", &path, "--cache", "pub"]), 6, "a1");

    // With a fourth one the second is free as well; what failed is kept until something else is tried.
    let (fourth, failed, useless) = (Path::small("fourth"), Path::small("failed"), Path::small("useless"));
    for (path, succeeded) in [(&fourth, true), (&failed, false)] {
        pusher.push(path);
        run(&fleet, &path.store_path(), succeeded);
    }
    pusher.push(&useless);
    collect_until_gone(&mut fleet, &[&systems[1], &useless]);
    for kept in [&dependency, &systems[2], &fourth, &failed] {
        fleet.site.reader("pub").assert_has(kept);
    }
}

#[test]
fn a_reload_changes_who_is_an_agent() {
    let fleet = Fleet::start();
    let mut agent = fleet.connect("a1");
    let mut bystander = fleet.connect("a2");
    let file = fleet.site.directory().join("config.yaml");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    config["agents"][0]["name"] = json!("a3");
    fs::write(&file, config.to_string()).unwrap();
    fleet.site.cachectl_ok(&["reload"]);
    assert_ne!(agent.expect_close(), Some(1000));
    expect_nothing(&mut bystander);
    let token = super::agent_token(&fleet.site, "a3");
    let headers = super::agent_headers("a3", &token);
    let Ok(mut new) = super::open(&fleet.site.api(), "/ws", &headers) else { panic!("no websocket") };
    super::expect_registered(&mut new);
    let listed = ask(&fleet, &["agent", "list"]);
    assert_eq!((&listed[0]["name"], &listed[0]["declared"]), (&json!("a1"), &json!(false)));
}
