//! A thousand agents at a time.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};

use super::{SYSTEM, agent_headers, expect_deployment, expect_registered, finished, open, started};
use crate::harness::websocket::WebSocket;
use crate::harness::{Path, Permission, Pusher, Site, wait_for};

const AGENTS: usize = 1000;
const ROUNDS: usize = 3;
const WORKERS: usize = 8;
/// How often all agents lose their connections and come back at once.
const STORMS: usize = 3;
/// What the daemon may take, in KiB.
const MOST_MEMORY: u64 = 150 << 10;
/// A slow machine with other things to do.
const LONG: Duration = Duration::from_secs(300);

/// A figure of the daemon in KiB, such as `VmHWM`.
fn memory(site: &Site, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", site.daemon_pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").trim().parse().unwrap()
}

/// Here and, as it is inherited, in the daemon.
fn raise_file_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

fn name(number: usize) -> String {
    format!("agent-{number}")
}

/// Does something for all agents, several at a time.
fn for_all<T: Send>(agents: &mut [T], act: impl Fn(usize, &mut T) + Sync) {
    let share = agents.len().div_ceil(WORKERS);
    std::thread::scope(|scope| {
        for (part, some) in agents.chunks_mut(share).enumerate() {
            let act = &act;
            scope.spawn(move || {
                some.iter_mut().enumerate().for_each(|(at, agent)| act(part * share + at, agent));
            });
        }
    });
}

/// Connects all agents, whose earlier connections are gone without a word.
fn connect_all(site: &Site, agents: &mut [(String, Option<WebSocket>)]) {
    agents.iter_mut().for_each(|(_, socket)| *socket = None);
    let begun = Instant::now();
    for_all(agents, |number, (token, socket)| {
        let Ok(mut open) = open(&site.api(), "/ws", &agent_headers(&name(number), token)) else {
            panic!("{} is refused", name(number));
        };
        expect_registered(&mut open);
        *socket = Some(open);
    });
    println!("{AGENTS} agents connected in {:?}", begun.elapsed());
}

#[test]
fn a_thousand_agents_take_little_memory_and_all_get_there() {
    raise_file_limit();
    let mut site = Site::with(|config| {
        config["workspaces"] = json!([{"name": "main", "cache": "pub"}]);
        let agents: Vec<_> =
            (0..AGENTS).map(|number| json!({"name": name(number), "workspace": "main"})).collect();
        config["agents"] = json!(agents);
    });
    let activate = site.create_token(&["--workspace", "main", "--permission", "activate"]);
    let pusher = Pusher::new(site.api(), "pub", &site.token("pub", Permission::Write));
    let before = memory(&site, "VmRSS");

    // The tokens are made on the admin socket as `cachectl` makes them, but without a process each.
    let mut agents: Vec<(String, Option<WebSocket>)> = (0..AGENTS).map(|_| (String::new(), None)).collect();
    for_all(&mut agents, |number, (token, _)| {
        let request = json!({
            "subject": null, "caches": [], "all": false, "workspace": null, "agent": name(number),
            "permission": "agent", "expires_seconds": null,
        });
        *token = super::admin(&site, "POST", "/v1/tokens", &request)["token"].as_str().unwrap().to_owned();
    });
    connect_all(&site, &mut agents);
    let connected = memory(&site, "VmRSS");

    let mut most = 0;
    for round in 1..=ROUNDS {
        let path = Path::small(&format!("system-{round}"));
        pusher.push(&path);
        let all: serde_json::Map<String, Value> =
            (0..AGENTS).map(|number| (name(number), json!(path.store_path()))).collect();
        let begun = Instant::now();
        let specification = json!({"agents": all, "rollbackScript": {SYSTEM: path.store_path()}});
        let request = site.api().post("/api/v2/deploy/activate").bearer(&activate).json(&specification);
        let reply = request.send().expect(200).json();
        println!("round {round}: activated in {:?}", begun.elapsed());
        if round == ROUNDS {
            // The agents may have been told, and none of them has begun.
            most = memory(&site, "VmHWM");
            site.crash_and_restart();
            (0..STORMS).for_each(|_| connect_all(&site, &mut agents));
        }
        for_all(&mut agents, |number, (token, socket)| {
            let deployment = expect_deployment(socket.as_mut().unwrap());
            let id = deployment["id"].as_str().unwrap();
            assert_eq!(reply["agents"][name(number)]["id"], id);
            let headers = agent_headers(&name(number), token);
            let Ok(mut work) = open(&site.api(), "/ws-deployment", &headers) else {
                panic!("{} is refused", name(number));
            };
            work.send_json(&started(id, None)).unwrap();
            work.send_json(&finished(id, number % 10 != 0)).unwrap();
            work.close();
        });
        println!("round {round}: carried out in {:?}", begun.elapsed());
    }
    let ended = wait_for(LONG, "all deployments have ended", || {
        let all = super::admin(&site, "GET", "/v1/deployments?limit=10000", &Value::Null);
        let all = all.as_array().unwrap().clone();
        let open = ["pending", "in-progress"];
        all.iter().all(|one| !open.contains(&one["status"].as_str().unwrap())).then_some(all)
    });
    assert_eq!(ended.len(), AGENTS * ROUNDS);
    let succeeded = ended.iter().filter(|one| one["status"] == "succeeded").count();
    assert_eq!(succeeded, AGENTS * ROUNDS * 9 / 10);

    let (stormy, now) = (memory(&site, "VmHWM"), memory(&site, "VmRSS"));
    println!(
        "memory in KiB: {before} before, {connected} with {AGENTS} agents, {most} at most, \
         {stormy} at most after a crash and {STORMS} storms, {now} at the end"
    );
    assert!(most < MOST_MEMORY && stormy < MOST_MEMORY, "{most} KiB, {stormy} KiB");
}
