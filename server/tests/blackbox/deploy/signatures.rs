//! What agents check signatures with. An agent makes the name of the key that it trusts from the host that it connects to,
//! as `CACHE.HOST-1`, and takes the key from the daemon (protocol reference 7.6). So the two have to fit whatever the cache's
//! keys are called.

use std::fs;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use super::{Fleet, agent_headers, expect_deployment, expect_registered, open};
use crate::conformance::register_key;
use crate::harness::nix_host::NixHost;
use crate::harness::site::HOST;
use crate::harness::websocket::WebSocket;
use crate::harness::{Path, Site, random_bytes};
use crate::nix_client::{url, writer};

/// An agent of the workspace `main` that connects to `host`.
struct Agent {
    socket: WebSocket,
    host: &'static str,
    /// What it trusts, as `NAME:BASE64`.
    key: String,
}

impl Agent {
    #[track_caller]
    fn connect(fleet: &Fleet, host: &'static str) -> Self {
        let headers = agent_headers("a1", fleet.agent_token("a1"));
        let socket = open(&fleet.site.on_host(host), "/ws", &headers);
        let mut agent = Self { socket: socket.expect("a socket"), host, key: String::new() };
        agent.take_registration();
        agent
    }

    /// Takes what says where it fetches from, and builds the key that it trusts.
    #[track_caller]
    fn take_registration(&mut self) {
        let registered = expect_registered(&mut self.socket);
        let text =
            |field: &str| registered["cache"][field].as_str().unwrap_or_else(|| panic!("{registered}"));
        self.key = format!("{}.{}-1:{}", text("cacheName"), self.host, text("publicKey"));
    }

    #[track_caller]
    fn assert_verifies(&self, fleet: &Fleet, paths: &[&Path]) {
        for path in paths {
            let info = fleet.site.reader("pub").assert_has(path);
            assert!(info.is_signed_by(&self.key), "{} among {:?}", self.key, info.signatures);
        }
    }
}

/// Pushes a closure to `pub` with Nix, and checks that a machine with nothing but the agent's key realises it.
#[track_caller]
fn assert_nix_verifies(fleet: &Fleet, agent: &Agent) {
    let here = writer(&fleet.site, "pub");
    let root = here.build_closure(3);
    here.ok(&format!("nix copy --to {} {root}", url(&fleet.site, "pub")));
    assert_nix_realises(fleet, agent, &root);
}

#[track_caller]
fn assert_nix_realises(fleet: &Fleet, agent: &Agent, root: &str) {
    let there = NixHost::new();
    let address = url(&fleet.site, "pub");
    let keys = format!("--option trusted-public-keys '{}'", agent.key);
    there.ok(&format!("nix-store --realise {root} --option extra-substituters {address} {keys}"));
    NixHost::new().ok(&format!("nix copy --from {address} {root} {keys}"));
}

fn without_public_url() -> Fleet {
    Fleet::with(|config| {
        config["server"].as_object_mut().unwrap().remove("public-url");
    })
}

fn set_public_url(fleet: &mut Fleet) {
    fleet.site.reconfigure(|config| config["server"]["public-url"] = json!(format!("http://{HOST}")));
}

/// Pushes a path to `pub`.
fn push(site: &Site, name: &str) -> Path {
    let path = Path::small(name);
    site.pusher("pub").push(&path);
    path
}

fn rotate(site: &Site) -> String {
    site.cachectl_ok(&["key", "add", "--cache", "pub"]);
    site.cachectl_ok(&["key", "retire", &format!("pub.{HOST}-1")])
}

#[test]
fn agents_verify_what_was_pushed_before_and_after_a_key_was_rotated() {
    let mut fleet = Fleet::start();
    let old = push(&fleet.site, "old");
    let before = Agent::connect(&fleet, HOST);
    before.assert_verifies(&fleet, &[&old]);
    let told = rotate(&fleet.site);
    assert!(told.contains("agents") && told.contains(&format!("pub.{HOST}-2")), "{told}");
    let new = push(&fleet.site, "new");
    let after = Agent::connect(&fleet, HOST);
    assert_ne!(after.key, before.key);
    after.assert_verifies(&fleet, &[&old, &new]);
    assert_nix_verifies(&fleet, &after);
    fleet.site.crash_and_restart();
    let restarted = Agent::connect(&fleet, HOST);
    assert_eq!(restarted.key, after.key);
    restarted.assert_verifies(&fleet, &[&old, &new]);
    // Everybody else goes by the name of the key.
    let key = fleet.site.public_key("pub");
    assert!(key.starts_with(&format!("pub.{HOST}-2:")), "{key}");
    assert!(fleet.site.reader("pub").assert_has(&new).is_signed_by(&key));
}

/// An agent stays connected for weeks.
#[test]
fn a_connected_agent_gets_the_new_key_before_its_next_deployment() {
    let fleet = Fleet::start();
    let mut agent = Agent::connect(&fleet, HOST);
    let before = agent.key.clone();
    rotate(&fleet.site);
    for name in ["first", "second"] {
        let path = push(&fleet.site, name);
        let id = fleet.activate("a1", &path.store_path());
        if agent.key == before {
            agent.take_registration();
        }
        assert_eq!(expect_deployment(&mut agent.socket)["id"], id.as_str());
        agent.assert_verifies(&fleet, &[&path]);
        super::carry_out(&fleet, "a1", &id, true);
        fleet.wait_for_status(&id, "Succeeded");
    }
    assert_ne!(agent.key, before);
}

#[test]
fn agents_verify_what_keys_of_the_config_have_signed() {
    let mut fleet = Fleet::start();
    let old = push(&fleet.site, "old");
    let files: Vec<String> = ["custom-1", "custom-2"]
        .map(|name| {
            let key = SigningKey::from_bytes(&random_bytes());
            let file = fleet.site.directory().join(name);
            fs::write(&file, format!("{name}:{}", STANDARD.encode(key.to_keypair_bytes()))).unwrap();
            file.to_str().unwrap().to_owned()
        })
        .into();
    fleet.site.reconfigure(|config| config["caches"][0]["signing-key-file"] = json!(files));
    let new = push(&fleet.site, "new");
    let agent = Agent::connect(&fleet, HOST);
    agent.assert_verifies(&fleet, &[&old, &new]);
    assert_nix_verifies(&fleet, &agent);
    fleet.activate("a1", &new.store_path());
    let doctor = fleet.site.cachectl(&["doctor"]);
    let told = String::from_utf8_lossy(&doctor.stdout);
    assert!(told.contains(&format!("pub.{HOST}-1")) && told.contains("custom-1"), "{told}");
}

#[test]
fn agents_verify_after_public_url_was_set_later() {
    let mut fleet = without_public_url();
    let old = push(&fleet.site, "old");
    set_public_url(&mut fleet);
    let key = fleet.site.public_key("pub");
    assert!(key.starts_with("pub.localhost-1:"), "{key}");
    let new = push(&fleet.site, "new");
    let agent = Agent::connect(&fleet, HOST);
    agent.assert_verifies(&fleet, &[&old, &new]);
    assert_nix_verifies(&fleet, &agent);
}

#[test]
fn agents_that_connect_to_another_host_verify_too() {
    let mut fleet = Fleet::start();
    let old = push(&fleet.site, "old");
    // Rendered before the agent is known.
    fleet.site.reader("pub").assert_has(&old);
    let agent = Agent::connect(&fleet, "agents.example.net");
    let new = push(&fleet.site, "new");
    agent.assert_verifies(&fleet, &[&old, &new]);
    Agent::connect(&fleet, HOST).assert_verifies(&fleet, &[&old, &new]);
    assert_nix_verifies(&fleet, &agent);
    let doctor = fleet.site.cachectl(&["doctor"]);
    let told = String::from_utf8_lossy(&doctor.stdout);
    assert!(told.contains("pub.agents.example.net-1") && told.contains("public-url"), "{told}");
    fleet.site.crash_and_restart();
    Agent::connect(&fleet, "agents.example.net").assert_verifies(&fleet, &[&old, &new]);
    // Nobody fills narinfos with names.
    for host in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "[::1]", "a:b:c"] {
        Agent::connect(&fleet, host);
    }
    assert!(fleet.site.reader("pub").assert_has(&old).signatures.len() < 12);
}

/// What is signed does not hold the name of the key.
#[test]
fn agents_verify_what_a_client_has_signed_under_another_name() {
    let mut fleet = Fleet::with(|config| {
        config["server"].as_object_mut().unwrap().remove("public-url");
        config["caches"][0]["signing"] = json!("auto");
    });
    let key = register_key(&fleet.site, "pub");
    let here = NixHost::new();
    let root = here.build_closure(0);
    let path =
        crate::nix_client::pushing::of_store(&here, &root, [crate::harness::Compression::Zstd; 2]).remove(0);
    let signed = json!(path.signed_with(&key));
    fleet.site.pusher("pub").push_announcing(&path, "cSig", signed).expect(200);
    set_public_url(&mut fleet);
    let agent = Agent::connect(&fleet, HOST);
    agent.assert_verifies(&fleet, &[&path]);
    assert_nix_realises(&fleet, &agent, &root);
}

#[test]
fn what_agents_would_refuse_is_not_activated() {
    let fleet = Fleet::with(|config| config["caches"][0]["signing"] = json!("auto"));
    register_key(&fleet.site, "pub");
    // Only a storage that came with paths of others has any that the client did not sign.
    let path = Path::small("unsigned");
    let storage = fleet.site.storage_dir("pub");
    fs::create_dir_all(storage.join("nar")).unwrap();
    fs::write(storage.join(path.file_url()), &path.file).unwrap();
    fs::write(storage.join(format!("{}.narinfo", path.hash)), path.narinfo_text()).unwrap();
    fleet.site.cachectl_ok(&["fsck", "--rebuild"]);
    fleet.site.reader("pub").assert_has(&path);
    let refused = fleet.send(&json!({"agents": {"a1": path.store_path()}})).expect(400);
    let text = refused.text();
    assert!(text.contains("no signature") && text.contains(&format!("pub.{HOST}-1")), "{text}");
    let shown: Value =
        serde_json::from_str(&fleet.site.cachectl_ok(&["deploy", "list", "--json"])).unwrap_or_default();
    assert!(!shown.to_string().contains(&path.hash), "{shown}");
}
