//! Random histories of a daemon, with backups and restores among them, against a model of what must be there.
//!
//! `MODEL_HISTORIES` says how many histories are tried, `MODEL_STEPS` how long each is, `MODEL_SEED` with which one to begin. A
//! failure prints the seed of its history.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::PathBuf;

use serde_json::json;

use super::{back_up, lose_state, restore, wait_until_recovered};
use crate::harness::{Path, SOON, Site, random_bytes, wait_for};

/// What must hold for a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is served.
    There,
    /// It is served whole, or not at all: something that may remove it, or bring it back, has happened.
    Either,
    /// It is not served.
    Gone,
}

/// What is expected of the daemon.
#[derive(Clone, Default)]
struct Expected {
    fates: BTreeMap<String, Fate>,
    /// Pins, and the paths that they hold.
    pins: BTreeMap<String, String>,
}

struct History {
    site: Site,
    random: u64,
    paths: BTreeMap<String, Path>,
    expected: Expected,
    /// Backups, with the pins that were set when they were made.
    backups: Vec<(PathBuf, BTreeMap<String, String>)>,
    log: Vec<String>,
}

impl History {
    fn new(seed: u64) -> Self {
        let site = Site::with(|config| {
            config["server"]["gc-interval"] = json!("off");
            config["server"]["gc-grace"] = json!("0s");
            config["server"]["trash"] = json!("1d");
            config["caches"].as_array_mut().unwrap().truncate(1);
        });
        Self {
            site,
            random: seed | 1,
            paths: BTreeMap::new(),
            expected: Expected::default(),
            backups: Vec::new(),
            log: Vec::new(),
        }
    }

    /// A number below `limit` (xorshift).
    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % limit.max(1) as u64) as usize
    }

    /// One of the paths that must be there.
    fn any_present(&mut self) -> Option<String> {
        let there = |(hash, fate): (&String, &Fate)| (*fate == Fate::There).then(|| hash.clone());
        let present: Vec<String> = self.expected.fates.iter().filter_map(there).collect();
        let chosen = self.below(present.len());
        present.get(chosen).cloned()
    }

    fn step(&mut self) {
        match self.below(100) {
            0..35 => self.push(),
            35..45 => self.pin(),
            45..50 => self.unpin(),
            50..55 => self.delete(),
            55..58 => self.undelete(),
            58..64 => self.collect(),
            64..74 => self.restart(),
            74..84 => self.back_up(),
            84..94 => self.restore(),
            _ => self.log.push("check".to_owned()),
        }
        self.check();
    }

    fn push(&mut self) {
        let mut path = Path::small(&format!("path-{}", self.paths.len()));
        if self.below(2) == 0
            && let Some(other) = self.any_present()
        {
            path = path.referring_to([self.paths[&other].base_name()]);
        }
        self.log.push(format!("push {}", path.base_name()));
        self.site.pusher("pub").push(&path);
        self.expected.fates.insert(path.hash.clone(), Fate::There);
        self.paths.insert(path.hash.clone(), path);
    }

    fn pin(&mut self) {
        let Some(hash) = self.any_present() else { return };
        let name = format!("pin-{}", self.below(5));
        self.log.push(format!("pin {name} {hash}"));
        let _ = self.site.cachectl(&["pin", "remove", &name, "--cache", "pub"]);
        self.site.cachectl_ok(&["pin", "add", &name, &hash, "--cache", "pub"]);
        self.expected.pins.insert(name, hash);
    }

    fn unpin(&mut self) {
        let Some(name) = self.expected.pins.keys().next().cloned() else { return };
        self.log.push(format!("unpin {name}"));
        self.site.cachectl_ok(&["pin", "remove", &name, "--cache", "pub"]);
        self.expected.pins.remove(&name);
    }

    /// What others need or a pin holds is refused.
    fn delete(&mut self) {
        let Some(hash) = self.any_present() else { return };
        let deleted = self.site.cachectl(&["path", "delete", &hash, "--cache", "pub"]).status.success();
        self.log.push(format!("delete {hash}: {deleted}"));
        assert!(!(deleted && self.expected.pins.values().any(|pinned| *pinned == hash)), "{hash} was pinned");
        if deleted {
            self.expected.fates.insert(hash, Fate::Gone);
        }
    }

    /// Takes a path back from the trash, and with it what it refers to.
    fn undelete(&mut self) {
        let gone = |(hash, fate): (&String, &Fate)| (*fate == Fate::Gone).then(|| hash.clone());
        let Some(hash) = self.expected.fates.iter().find_map(gone) else { return };
        let restored = self.site.cachectl(&["path", "restore", &hash, "--cache", "pub"]).status.success();
        self.log.push(format!("undelete {hash}: {restored}"));
        if restored {
            for fate in self.expected.fates.values_mut().filter(|fate| **fate == Fate::Gone) {
                *fate = Fate::Either;
            }
            self.expected.fates.insert(hash, Fate::There);
        }
    }

    /// Collects everything that nothing holds, but for what is as new as this second.
    fn collect(&mut self) {
        self.log.push("gc".to_owned());
        self.site.cachectl_ok(&["gc", "--cache", "pub", "--older-than", "0s"]);
        let held = self.held();
        for (hash, fate) in &mut self.expected.fates {
            if *fate == Fate::There && !held.contains(hash) {
                *fate = Fate::Either;
            }
        }
    }

    /// What pins hold, with what that refers to.
    fn held(&self) -> BTreeSet<String> {
        let mut held: BTreeSet<String> = BTreeSet::new();
        let mut open: Vec<String> = self.expected.pins.values().cloned().collect();
        while let Some(hash) = open.pop() {
            if held.insert(hash.clone())
                && let Some(path) = self.paths.get(&hash)
            {
                open.extend(path.references.iter().map(|name| name[..32].to_owned()));
            }
        }
        held
    }

    fn restart(&mut self) {
        if self.below(2) == 0 {
            self.log.push("kill".to_owned());
            self.site.crash_and_restart();
        } else {
            self.log.push("stop".to_owned());
            assert!(self.site.stop_and_restart().success());
        }
    }

    fn back_up(&mut self) {
        let name = format!("backup-{}", self.backups.len());
        self.log.push(name.clone());
        self.backups.push((back_up(&self.site, &name), self.expected.pins.clone()));
    }

    /// Loses the state directory, and restores one of the backups. What was pushed since is on the storages; what was removed
    /// since may be as well, as long as its files are.
    fn restore(&mut self) {
        let chosen = self.below(self.backups.len());
        let Some((file, pins)) = self.backups.get(chosen).cloned() else { return };
        self.log.push(format!("restore {}", file.display()));
        if self.below(2) == 0 {
            self.site.daemon().kill9();
        } else {
            assert!(self.site.daemon().terminate().success());
        }
        lose_state(&self.site);
        restore(&self.site, &file);
        self.site.restart();
        self.expected.pins = pins;
        for fate in self.expected.fates.values_mut().filter(|fate| **fate == Fate::Gone) {
            *fate = Fate::Either;
        }
        wait_until_recovered(&self.site);
    }

    /// Compares the daemon with the model, which learns what became of the paths that it is not sure of.
    fn check(&mut self) {
        let reader = self.site.reader("pub");
        for (hash, fate) in &mut self.expected.fates {
            let path = &self.paths[hash];
            match fate {
                Fate::There => drop(reader.assert_has(path)),
                Fate::Gone => assert_eq!(reader.narinfo_status(path), 404, "{} is back", path.name),
                Fate::Either if reader.narinfo_status(path) == 200 => {
                    reader.assert_has(path);
                    *fate = Fate::There;
                }
                Fate::Either => *fate = Fate::Gone,
            }
        }
        let listed = self.site.cachectl_ok(&["pin", "list", "--cache", "pub", "--json"]);
        for name in self.expected.pins.keys() {
            assert!(listed.contains(&format!("\"{name}\"")), "{name} is lost: {listed}");
        }
    }
}

fn number(variable: &str, default: u64) -> u64 {
    env::var(variable)
        .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[test]
fn no_history_with_backups_and_restores_loses_what_was_acknowledged() {
    let first = number("MODEL_SEED", u64::from_le_bytes(random_bytes()));
    let (histories, steps) = (number("MODEL_HISTORIES", 1), number("MODEL_STEPS", 40));
    for seed in (0..histories).map(|number| first.wrapping_add(number)) {
        // Shown if the test fails.
        println!("MODEL_SEED={seed}");
        let mut history = History::new(seed);
        history.site.token("pub", crate::harness::Permission::Write);
        history.site.reader("pub");
        for step in 0..steps {
            history.step();
            println!("{step}: {}", history.log.last().map_or("", String::as_str));
        }
        let report = wait_for(SOON, "the catalog and the storage agree", || {
            let output = history.site.cachectl(&["fsck", "--json"]);
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
        });
        assert!(report.contains("\"problems\":0"), "{report}");
    }
}
