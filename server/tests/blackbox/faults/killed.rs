//! kill -9 at random moments, under six pushers, collections and deletions, with a record of what was acknowledged.
//!
//! `KILL_ROUNDS=1000` does more than the usual number of rounds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Path, Permission, SOON, Site, random_bytes, wait_for};

const ROUNDS: u32 = 30;
/// A hundred rounds in which files are copied and moved.
const ROUNDS_WITH_COPIES: u32 = 60;
const ROUNDS_WITH_TIERS: u32 = 40;
const PUSHERS: usize = 6;
/// The longest life of a daemon.
const LONGEST_LIFE_MS: u64 = 500;

/// What clients were told.
#[derive(Default)]
struct Told {
    present: Vec<Path>,
    absent: Vec<Path>,
    /// Nobody knows: the answer never came.
    unknown: Vec<Path>,
}

#[test]
fn what_was_acknowledged_survives_kills_at_random_moments() {
    let site = survive(Site::start(), ROUNDS);
    site.wait_for_empty_spool("pub");
}

/// The daemon dies while it copies, too.
#[test]
fn what_was_acknowledged_survives_kills_with_two_copies() {
    let site = Site::with_files(|config, directory| {
        let storage = |name: &str| json!({"name": name, "type": "local", "root": directory.join(name)});
        config["caches"][0]["storages"] = json!(["a", "b", "c"].map(storage));
        config["caches"][0]["copies"] = json!(2);
    });
    let site = survive(site, ROUNDS_WITH_COPIES);
    let (nars, copies) = count_known_files(&site, &["a", "b", "c"]);
    assert_eq!(nars, copies, "every NAR has one further copy");
}

/// The daemon dies while files move between tiers, too.
#[test]
fn what_was_acknowledged_survives_kills_with_tiers() {
    let site = Site::with_files(|config, directory| {
        let storage = |name: &str| json!({"name": name, "type": "local", "root": directory.join(name)});
        let (mut fast, mut slow) = (storage("fast"), storage("slow"));
        (fast["max-size"], fast["promote"], fast["demote-after"]) = (json!("1MB"), json!(true), json!("1s"));
        slow["tier"] = json!(1);
        config["caches"][0]["storages"] = json!([fast, slow]);
    });
    let mut site = survive(site, ROUNDS_WITH_TIERS);
    site.reconfigure(|config| {
        let fast = &mut config["caches"][0]["storages"][0];
        (fast["promote"], fast["demote-after"]) = (json!(false), Value::Null);
    });
    let (nars, copies) = count_known_files(&site, &["fast", "slow"]);
    assert!(copies <= nars, "{copies} copies of {nars} files");
}

/// How many NARs there are, and how many further copies, once nothing is missing or too much. There is no other file.
fn count_known_files(site: &Site, storages: &[&str]) -> (u64, u64) {
    wait_for(SOON, "no copy is missing", || {
        let status: Value = serde_json::from_str(&site.cachectl_ok(&["status", "--json"])).unwrap();
        // Without any copies there is no such figure.
        let count = |key: &str| status["caches"][0]["copies"][key].as_u64().unwrap_or(0);
        (count("missing") + count("leaving") == 0).then_some(())
    });
    site.cachectl_ok(&["gc", "--cache", "pub"]);
    let count = |name: &&str| {
        std::fs::read_dir(site.directory().join(name).join("pub/nar")).map_or(0, Iterator::count)
    };
    let nars: usize = storages.iter().map(count).sum();
    let list: Value =
        serde_json::from_str(&site.cachectl_ok(&["storage", "list", "--cache", "pub", "--json"])).unwrap();
    let known = |key: &str| -> u64 {
        list.as_array().unwrap().iter().map(|storage| storage[key].as_u64().unwrap_or(0)).sum()
    };
    assert_eq!(nars as u64, known("nars") + known("copies"), "every file is known");
    (known("nars"), known("copies"))
}

fn survive(mut site: Site, rounds: u32) -> Site {
    let rounds = std::env::var("KILL_ROUNDS").map_or(rounds, |rounds| rounds.parse().unwrap());
    for permission in [Permission::Read, Permission::Write] {
        site.token("pub", permission);
    }
    let mut told = Told::default();
    let (mut acknowledged, mut lost, mut corrupt, mut returned) = (0, 0, 0, 0);
    for round in 0..rounds {
        let before = told.present.len();
        told = one_life(&mut site, told, round);
        acknowledged += told.present.len().saturating_sub(before);
        site.restart();
        let reader = site.reader("pub");
        for path in &told.present {
            match reader.narinfo_status(path) {
                200 => corrupt += usize::from(!is_right(&site, path)),
                _ => lost += 1,
            }
        }
        for path in told.unknown.drain(..) {
            if reader.narinfo_status(&path) == 200 {
                corrupt += usize::from(!is_right(&site, &path));
            }
        }
        returned += told.absent.iter().filter(|path| reader.narinfo_status(path) != 404).count();
        // The next life has something to delete, and not everything to check again.
        let surplus = told.present.len().saturating_sub(40);
        told.present.drain(..surplus);
        told.absent.clear();
        assert_eq!((lost, corrupt, returned), (0, 0, 0), "lost, corrupt, returned in round {round}");
    }
    println!(
        "rounds {rounds}, acknowledged {acknowledged}, lost {lost}, corrupt {corrupt}, returned {returned}"
    );
    let findings = site.cachectl(&["fsck", "--json"]);
    assert!(findings.status.success(), "{}", String::from_utf8_lossy(&findings.stderr));
    site
}

fn is_right(site: &Site, path: &Path) -> bool {
    catch_unwind(AssertUnwindSafe(|| site.reader("pub").assert_has(path))).is_ok()
}

/// Pushes, deletes and collects until the daemon is killed.
fn one_life(site: &mut Site, told: Told, round: u32) -> Told {
    let Told { mut present, absent, unknown } = told;
    let doomed = present.split_off(present.len() / 2);
    let told = Mutex::new(Told { present, absent, unknown });
    let pid = site.daemon_pid();
    let life = u64::from(u16::from_le_bytes(random_bytes())) % LONGEST_LIFE_MS;
    std::thread::scope(|scope| {
        let (site, told) = (&*site, &told);
        for pusher in 0..PUSHERS {
            scope.spawn(move || {
                for number in 0.. {
                    let path = Path::incompressible(&format!("killed-{round}-{pusher}-{number}"), 20_000);
                    // Every step may find the daemon dead.
                    let pushed = catch_unwind(AssertUnwindSafe(|| site.pusher("pub").push(&path))).is_ok();
                    let mut told = told.lock().unwrap();
                    if pushed {
                        told.present.push(path);
                    } else {
                        told.unknown.push(path);
                        return;
                    }
                }
            });
        }
        scope.spawn(move || {
            for path in doomed {
                let deleted = site.cachectl(&["path", "delete", "--cache", "pub", &path.store_path()]);
                let mut told = told.lock().unwrap();
                if deleted.status.success() {
                    told.absent.push(path);
                } else {
                    told.unknown.push(path);
                }
            }
        });
        scope.spawn(move || while site.cachectl(&["gc", "--cache", "pub"]).status.success() {});
        std::thread::sleep(Duration::from_millis(life));
        let pid = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    });
    site.daemon().kill9();
    told.into_inner().unwrap()
}
