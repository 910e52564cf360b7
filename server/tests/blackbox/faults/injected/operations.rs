//! The operations, each on a fresh subject.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{Injected, Operation, Outcome};
use crate::harness::{Path, Permission, Response, SOON, Site, wait_for};

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
pub(super) struct PushInParts(Fresh);

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
pub(super) struct Put(Fresh);

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
pub(super) struct Pin(u32);

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
pub(super) struct CreateToken(Option<String>);

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
pub(super) struct RevokeToken {
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
pub(super) struct AddKey(String);

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
pub(super) struct Delete(Fresh);

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
pub(super) struct Collect(Fresh);

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
        // The last collection was acknowledged before its end was recorded, which may have failed just now.
        injected.wait_until_healthy();
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
pub(super) struct Restore(Fresh);

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
pub(super) struct Activate {
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
pub(super) struct Drain(u32);

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
