//! Each operation, with one of the things that it does to the disk failing: the first, the second, and so on until it has
//! nothing left to fail, as SQLite tests itself (<https://www.sqlite.org/testing.html>, "I/O Error Testing").
//!
//! After each attempt everything that was acknowledged is there, nothing else is half there, and the same operation works once
//! the disk does. `FAULTS=all` fails every single step in every way; without it they are sampled.

mod operations;

use std::process::{Command, Stdio};

use serde_json::json;

use self::operations::{
    Activate, AddKey, Collect, CreateToken, Delete, Drain, Pin, PushInParts, Put, Restore, RevokeToken,
};
use crate::harness::daemon::DAEMON;
use crate::harness::faulty::{self, EIO, ENOSPC, Fault};
use crate::harness::{Compression, Path, Permission, SOON, Site, wait_for};

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
        Self::with_copies(1)
    }

    /// Everything lies on so many of the two storages.
    fn with_copies(copies: u32) -> Self {
        let site = Site::launched(
            move |config, directory| {
                config["caches"][0]["copies"] = json!(copies);
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

#[test]
fn a_push_in_parts_is_acknowledged_for_good_or_refused_as_a_whole() {
    Injected::new().run(PushInParts::default());
}

#[test]
fn a_put_is_acknowledged_for_good_or_refused_as_a_whole() {
    Injected::new().run(Put::default());
}

#[test]
fn a_push_of_which_a_copy_is_made_is_acknowledged_for_good_or_refused_as_a_whole() {
    Injected::with_copies(2).run(PushInParts::default());
}

#[test]
fn a_path_is_deleted_with_its_copies_or_stays() {
    Injected::with_copies(2).run(Delete::default());
}

#[test]
fn a_collection_of_copies_that_fails_removes_nothing_that_is_needed() {
    Injected::with_copies(2).run(Collect::default());
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
