//! Each operation, with one of the things that it does to the disk failing: the first, the second, and so on until it has
//! nothing left to fail, as SQLite tests itself (<https://www.sqlite.org/testing.html>, "I/O Error Testing").
//!
//! After each attempt everything that was acknowledged is there, nothing else is half there, and the same operation works once
//! the disk does. `FAULTS=all` fails every single step in every way; without it they are sampled.

use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::harness::daemon::DAEMON;
use crate::harness::faulty::{self, EIO, ENOSPC, Fault};
use crate::harness::{Compression, Path, Permission, Response, SOON, Site, wait_for};

/// No operation does more than this.
const MOST_STEPS: u32 = 2000;
/// After so many steps, without `FAULTS=all`, the distance to the next one grows.
const ALL_UNTIL: u32 = 5;

/// A site on which an operation is done again and again, and what was acknowledged on it.
struct Injected {
    site: Site,
    present: Vec<Path>,
    absent: Vec<Path>,
    pins: Vec<String>,
    tokens: Vec<String>,
    revoked: Vec<String>,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Acknowledged,
    Refused,
}

/// An operation on a fresh subject, and what it takes to do it once more.
trait Operation {
    /// Prepares the next attempt while nothing fails.
    fn prepare(&mut self, injected: &mut Injected);
    /// Does it.
    fn attempt(&mut self, injected: &mut Injected) -> Outcome;
    /// Notes what an acknowledged attempt promises.
    fn promise(&mut self, injected: &mut Injected);
    /// Whether the subject is wholly there or wholly not, after an attempt that was refused.
    fn check_refused(&mut self, _: &Injected) {}
}

impl Injected {
    fn new() -> Self {
        let site = Site::launched(
            |config, directory| {
                let storage = |name: &str| json!({"name": name, "type": "local", "root": directory.join("storage").join(name)});
                config["server"]["gc-grace"] = json!("0s");
                config["server"]["trash"] = json!("24h");
                config["caches"][0]["storages"] = json!([storage("one"), storage("two")]);
                config["caches"][0]["storage-strategy"] = json!("in-order");
                config["workspaces"] = json!([{"name": "main", "cache": "pub"}]);
                config["agents"] = json!([{"name": "a1", "workspace": "main"}]);
            },
            |directory| {
                let mut command = Command::new(DAEMON);
                command.env_clear().stdin(Stdio::null());
                faulty::preload(&mut command, directory, directory.to_str().unwrap());
                command
            },
        );
        for permission in [Permission::Read, Permission::Write] {
            site.token("pub", permission);
        }
        let (present, absent, pins, tokens, revoked) = Default::default();
        let mut injected = Self { site, present, absent, pins, tokens, revoked };
        for number in 0..3 {
            injected.push(&format!("before-{number}"));
        }
        injected
    }

    fn push(&mut self, name: &str) -> Path {
        let path = Path::small(name);
        self.site.pusher("pub").push(&path);
        self.present.push(path.clone());
        path
    }

    /// Everything that was acknowledged lately is there. All of it, with `everything`.
    #[track_caller]
    fn check(&self, when: &str, everything: bool) {
        let reader = self.site.reader("pub");
        let lately = |length: usize| if everything { 0 } else { length.saturating_sub(3) };
        for path in &self.present[lately(self.present.len())..] {
            assert_eq!(reader.narinfo_status(path), 200, "{when}: {} is lost", path.name);
            reader.assert_has(path);
        }
        for path in &self.absent[lately(self.absent.len())..] {
            assert_eq!(reader.narinfo_status(path), 404, "{when}: {} is back", path.name);
        }
        let pins = self.site.cachectl_ok(&["pin", "list", "--cache", "pub", "--json"]);
        for pin in &self.pins {
            assert!(pins.contains(&format!("\"{pin}\"")), "{when}: {pin} is lost");
        }
        let opens = |token: &str| self.site.api().get("/api/v1/cache/priv").bearer(token).send().status;
        for token in &self.tokens[lately(self.tokens.len())..] {
            assert_eq!(opens(token), 200, "{when}: a token is lost");
        }
        for token in &self.revoked[lately(self.revoked.len())..] {
            assert_eq!(opens(token), 401, "{when}: a revoked token works");
        }
    }

    /// Waits until the daemon knows that its disk works.
    #[track_caller]
    fn wait_until_healthy(&self) {
        wait_for(SOON, "uploads are taken again", || {
            let reply = self.site.pusher("pub").try_create(Compression::Zstd);
            (reply.status == 200).then_some(())
        });
    }

    /// Does the operation with each of its steps failing.
    fn run(mut self, mut operation: impl Operation) {
        let everything = std::env::var("FAULTS").is_ok_and(|which| which == "all");
        let faults = [(ENOSPC, false), (EIO, true), (EIO, false), (ENOSPC, true)];
        for (code, sticks) in faults.into_iter().take(if everything { 4 } else { 2 }) {
            let mut number = 1;
            let mut rounds = 0;
            loop {
                operation.prepare(&mut self);
                faulty::set(self.site.directory(), Some(Fault::Nth { number, code, sticks }));
                let outcome = operation.attempt(&mut self);
                let has_hit = faulty::has_hit(self.site.directory());
                faulty::set(self.site.directory(), None);
                let when = format!("step {number} with error {code}, for good: {sticks}, {outcome:?}");
                match outcome {
                    Outcome::Acknowledged => operation.promise(&mut self),
                    Outcome::Refused => operation.check_refused(&self),
                }
                self.check(&when, false);
                if !has_hit {
                    assert_eq!(outcome, Outcome::Acknowledged, "refused without a fault");
                    break;
                }
                self.wait_until_healthy();
                if outcome == Outcome::Refused {
                    assert_eq!(
                        operation.attempt(&mut self),
                        Outcome::Acknowledged,
                        "{when}: not once the disk works"
                    );
                    operation.promise(&mut self);
                    self.check(&format!("{when}, and again"), false);
                }
                rounds += 1;
                if everything || rounds % 8 == 0 {
                    self.restart(rounds % 16 == 0, &when);
                }
                number += if everything { 1 } else { 1 + number / ALL_UNTIL };
                assert!(number < MOST_STEPS, "it has no end");
            }
            println!("error {code}, for good: {sticks}: {rounds} of {number} steps failed");
            assert!(rounds > 0, "nothing failed");
        }
        self.restart(true, "at the end");
        self.restart(false, "at the end");
        self.check("at the end", true);
        let findings = self.site.cachectl(&["fsck", "--json"]);
        assert!(findings.status.success(), "{}", String::from_utf8_lossy(&findings.stderr));
        self.check("after fsck", true);
    }

    fn restart(&mut self, is_killed: bool, when: &str) {
        if is_killed {
            self.site.crash_and_restart();
        } else {
            self.site.stop_and_restart();
        }
        self.check(&format!("{when}, and a restart"), false);
    }
}

/// What a reply comes to. A refusal is one that clients repeat.
#[track_caller]
fn outcome(reply: &Response) -> Outcome {
    match reply.status {
        200..=299 => Outcome::Acknowledged,
        500..=599 => Outcome::Refused,
        status => panic!("{status}: {}", String::from_utf8_lossy(&reply.body)),
    }
}

/// What a command comes to.
fn ran(site: &Site, arguments: &[&str]) -> Outcome {
    if site.cachectl(arguments).status.success() { Outcome::Acknowledged } else { Outcome::Refused }
}

/// A path of this attempt, and how many there were.
#[derive(Default)]
struct Fresh {
    path: Option<Path>,
    number: u32,
}

impl Fresh {
    fn next(&mut self) -> &Path {
        self.number += 1;
        self.path.insert(Path::small(&format!("subject-{}", self.number)))
    }

    fn path(&self) -> &Path {
        self.path.as_ref().unwrap()
    }

    /// The path is there as a whole or not at all.
    #[track_caller]
    fn check_whole(&self, injected: &Injected) {
        let reader = injected.site.reader("pub");
        if reader.narinfo_status(self.path()) == 200 {
            reader.assert_has(self.path());
        }
    }
}

#[derive(Default)]
struct PushInParts(Fresh);

impl Operation for PushInParts {
    fn prepare(&mut self, _: &mut Injected) {
        self.0.next();
    }

    fn attempt(&mut self, injected: &mut Injected) -> Outcome {
        outcome(&injected.site.pusher("pub").try_push(self.0.path()))
    }

    fn promise(&mut self, injected: &mut Injected) {
        injected.present.push(self.0.path().clone());
    }

    fn check_refused(&mut self, injected: &Injected) {
        self.0.check_whole(injected);
    }
}

#[derive(Default)]
struct Put(Fresh);

impl Operation for Put {
    fn prepare(&mut self, _: &mut Injected) {
        self.0.next();
    }

    fn attempt(&mut self, injected: &mut Injected) -> Outcome {
        let token = injected.site.token("pub", Permission::Write);
        let put = |target: &str, body: &[u8]| {
            outcome(&injected.site.cache("pub").put(target).basic("", &token).body(body).send())
        };
        let path = self.0.path();
        match put(&format!("/{}", path.file_url()), &path.file) {
            Outcome::Acknowledged => put(&format!("/{}.narinfo", path.hash), path.narinfo_text().as_bytes()),
            Outcome::Refused => Outcome::Refused,
        }
    }

    fn promise(&mut self, injected: &mut Injected) {
        injected.present.push(self.0.path().clone());
    }

    fn check_refused(&mut self, injected: &Injected) {
        self.0.check_whole(injected);
    }
}

#[derive(Default)]
struct Pin(u32);

impl Operation for Pin {
    fn prepare(&mut self, _: &mut Injected) {
        self.0 += 1;
    }

    fn attempt(&mut self, injected: &mut Injected) -> Outcome {
        let path = injected.present[0].store_path();
        let body = json!({"name": self.name(), "storePath": path, "artifacts": [], "keep": null});
        let token = injected.site.token("pub", Permission::Write);
        outcome(&injected.site.api().post("/api/v1/cache/pub/pin").bearer(&token).json(&body).send())
    }

    fn promise(&mut self, injected: &mut Injected) {
        injected.pins.push(self.name());
    }
}

impl Pin {
    fn name(&self) -> String {
        format!("pin-{}", self.0)
    }
}

#[derive(Default)]
struct CreateToken(Option<String>);

impl Operation for CreateToken {
    fn prepare(&mut self, _: &mut Injected) {}

    fn attempt(&mut self, injected: &mut Injected) -> Outcome {
        let created = injected.site.cachectl(&["token", "create", "--cache", "priv", "--permission", "read"]);
        if !created.status.success() {
            return Outcome::Refused;
        }
        self.0 = Some(String::from_utf8(created.stdout).unwrap().trim().to_owned());
        Outcome::Acknowledged
    }

    fn promise(&mut self, injected: &mut Injected) {
        injected.tokens.push(self.0.take().unwrap());
    }
}

#[derive(Default)]
struct RevokeToken {
    number: u32,
    token: String,
    id: String,
}

impl Operation for RevokeToken {
    fn prepare(&mut self, injected: &mut Injected) {
        self.number += 1;
        let subject = format!("subject-{}", self.number);
        let options = ["--cache", "priv", "--permission", "read", "--subject", &subject];
        self.token = injected.site.create_token(&options);
        let list: Vec<Value> =
            serde_json::from_str(&injected.site.cachectl_ok(&["token", "list", "--json"])).unwrap();
        let found = list.iter().find(|token| token["subject"] == subject).unwrap();
        self.id = found["id"].as_str().unwrap().to_owned();
    }

    fn attempt(&mut self, injected: &mut Injected) -> Outcome {
        ran(&injected.site, &["token", "revoke", &self.id])
    }

    fn promise(&mut self, injected: &mut Injected) {
        injected.revoked.push(self.token.clone());
    }
}

/// With a new key each time, all of which stay published.
#[derive(Default)]
struct AddKey(String);

impl Operation for AddKey {
    fn prepare(&mut self, _: &mut Injected) {}

    fn attempt(&mut self, injected: &mut Injected) -> Outcome {
        let added = injected.site.cachectl(&["key", "add", "--cache", "my-cache-2", "--json"]);
        if !added.status.success() {
            return Outcome::Refused;
        }
        let added: Value = serde_json::from_slice(&added.stdout).unwrap();
        self.0 = added["public_key"].as_str().unwrap_or_else(|| panic!("a key in {added}")).to_owned();
        Outcome::Acknowledged
    }

    fn promise(&mut self, injected: &mut Injected) {
        let keys = injected.site.public_keys("my-cache-2");
        assert!(keys.contains(&self.0), "{} is lost: {keys:?}", self.0);
    }
}

#[derive(Default)]
struct Delete(Fresh);

impl Operation for Delete {
    fn prepare(&mut self, injected: &mut Injected) {
        self.0.next();
        injected.site.pusher("pub").push(self.0.path());
    }

    fn attempt(&mut self, injected: &mut Injected) -> Outcome {
        let path = self.0.path();
        if injected.site.reader("pub").narinfo_status(path) == 404 {
            // It was recorded, and the rest of the work is done in the background.
            return Outcome::Acknowledged;
        }
        ran(&injected.site, &["path", "delete", "--cache", "pub", &path.store_path()])
    }

    fn promise(&mut self, injected: &mut Injected) {
        injected.absent.push(self.0.path().clone());
    }

    fn check_refused(&mut self, injected: &Injected) {
        self.0.check_whole(injected);
    }
}

/// Collects a path that nobody needs; all others are pinned. It is not looked at in between, as that would keep it.
#[derive(Default)]
struct Collect(Fresh);

impl Operation for Collect {
    fn prepare(&mut self, injected: &mut Injected) {
        for (number, path) in injected.present.iter().enumerate() {
            let name = format!("kept-{number}");
            let pin = ["pin", "add", "--cache", "pub", &name, &path.store_path()];
            if !injected.pins.contains(&name) {
                injected.site.cachectl_ok(&pin);
                injected.pins.push(name);
            }
        }
        self.0.next();
        injected.site.pusher("pub").push(self.0.path());
    }

    fn attempt(&mut self, injected: &mut Injected) -> Outcome {
        // What was used in this second stays.
        let second = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let now = second();
        wait_for(SOON, "the next second", || (second() > now).then_some(()));
        ran(&injected.site, &["gc", "--cache", "pub", "--older-than", "0s"])
    }

    fn promise(&mut self, injected: &mut Injected) {
        injected.absent.push(self.0.path().clone());
    }
}

/// Brings a path back from the trash.
#[derive(Default)]
struct Restore(Fresh);

impl Operation for Restore {
    fn prepare(&mut self, injected: &mut Injected) {
        self.0.next();
        let path = self.0.path();
        injected.site.pusher("pub").push(path);
        injected.site.cachectl_ok(&["path", "delete", "--cache", "pub", &path.store_path()]);
    }

    fn attempt(&mut self, injected: &mut Injected) -> Outcome {
        let path = self.0.path();
        if injected.site.reader("pub").narinfo_status(path) == 200 {
            // It was recorded, though the command has failed.
            return Outcome::Acknowledged;
        }
        ran(&injected.site, &["path", "restore", "--cache", "pub", &path.store_path()])
    }

    fn promise(&mut self, injected: &mut Injected) {
        injected.present.push(self.0.path().clone());
    }

    fn check_refused(&mut self, injected: &Injected) {
        self.0.check_whole(injected);
    }
}

/// Activates a system on an agent that is offline.
#[derive(Default)]
struct Activate {
    token: Option<String>,
    deployments: Vec<String>,
}

impl Operation for Activate {
    fn prepare(&mut self, injected: &mut Injected) {
        let options = ["--workspace", "main", "--permission", "activate"];
        self.token.get_or_insert_with(|| injected.site.create_token(&options));
    }

    fn attempt(&mut self, injected: &mut Injected) -> Outcome {
        let body = json!({"agents": {"a1": injected.present[0].store_path()}});
        let activate = injected.site.api().post("/api/v2/deploy/activate");
        let reply = activate.bearer(self.token.as_ref().unwrap()).json(&body).send();
        let outcome = outcome(&reply);
        if outcome == Outcome::Acknowledged {
            self.deployments.push(reply.json()["agents"]["a1"]["id"].as_str().unwrap().to_owned());
        }
        outcome
    }

    fn promise(&mut self, injected: &mut Injected) {
        for id in &self.deployments {
            let target = format!("/api/v1/deploy/deployment/{id}");
            injected.site.api().get(&target).bearer(self.token.as_ref().unwrap()).send().expect(200);
        }
    }
}

/// Moves everything from one storage to the other, and back the next time.
#[derive(Default)]
struct Drain(u32);

impl Operation for Drain {
    fn prepare(&mut self, injected: &mut Injected) {
        self.0 += 1;
        let draining = usize::try_from(self.0 % 2).unwrap();
        injected.site.edit_config(|config| {
            let storages = config["caches"][0]["storages"].as_array_mut().unwrap();
            for (number, storage) in storages.iter_mut().enumerate() {
                storage["draining"] = json!(number == draining);
            }
        });
        injected.site.cachectl_ok(&["reload"]);
    }

    fn attempt(&mut self, injected: &mut Injected) -> Outcome {
        let storage = ["one", "two"][usize::try_from(self.0 % 2).unwrap()];
        let drained = injected.site.cachectl(&["storage", "drain", "--cache", "pub", storage, "--json"]);
        if drained.status.success() { Outcome::Acknowledged } else { Outcome::Refused }
    }

    fn promise(&mut self, injected: &mut Injected) {
        injected.check("after a drain", true);
    }

    fn check_refused(&mut self, injected: &Injected) {
        injected.check("after a drain that failed", true);
    }
}

#[test]
fn a_push_in_parts_is_acknowledged_for_good_or_refused_as_a_whole() {
    Injected::new().run(PushInParts::default());
}

#[test]
fn a_put_is_acknowledged_for_good_or_refused_as_a_whole() {
    Injected::new().run(Put::default());
}

#[test]
fn a_pin_is_acknowledged_for_good_or_refused() {
    Injected::new().run(Pin::default());
}

#[test]
fn a_token_is_made_for_good_or_not_at_all() {
    Injected::new().run(CreateToken::default());
}

#[test]
fn a_token_is_revoked_for_good_or_not_at_all() {
    Injected::new().run(RevokeToken::default());
}

#[test]
fn a_signing_key_is_added_for_good_or_not_at_all() {
    Injected::new().run(AddKey::default());
}

#[test]
fn a_path_is_deleted_as_a_whole_or_stays() {
    Injected::new().run(Delete::default());
}

#[test]
fn a_collection_that_fails_removes_nothing_that_is_needed() {
    Injected::new().run(Collect::default());
}

#[test]
fn a_path_is_restored_as_a_whole_or_not_at_all() {
    Injected::new().run(Restore::default());
}

#[test]
fn a_deployment_is_recorded_for_good_or_refused() {
    Injected::new().run(Activate::default());
}

#[test]
fn a_drain_that_fails_loses_nothing() {
    Injected::new().run(Drain::default());
}
