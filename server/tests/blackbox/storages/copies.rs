//! NARs that lie on several storages: how many copies there are, and what happens when one of them is lost.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::bucket::Bucket;
use super::changes::storages;
use super::medium::Medium;
use super::{
    assert_all_readable, condition, disk, in_bucket, local, mounts, paths, push_side_by_side, wait_for_state,
    with,
};
use crate::harness::site::DIE_AT;
use crate::harness::{Path, SOON, Site, wait_for};

/// How long it may take until everything is copied.
const COPIED: Duration = Duration::from_secs(60);

/// A daemon that keeps two copies of everything in `pub` on these storages.
fn site(storages: impl Fn(&std::path::Path) -> Vec<Value>) -> Site {
    super::site("round-robin", storages).with_copies(2)
}

impl Site {
    /// The same with so many copies.
    fn with_copies(mut self, copies: u32) -> Self {
        self.reconfigure(|config| config["caches"][0]["copies"] = json!(copies));
        self
    }
}

/// Whether a storage has all that belongs to a path.
pub(super) fn has_all_of(medium: &Medium<'_>, path: &Path) -> bool {
    let files = medium.files();
    medium.holds(path)
        && files.contains_key(&format!("{}.narinfo", path.hash))
        && files.contains_key(&format!("{}.ls", path.hash))
}

/// How many of the storages have all that belongs to a path.
fn copies(media: &[Medium<'_>], path: &Path) -> usize {
    media.iter().filter(|medium| has_all_of(medium, path)).count()
}

/// Waits until each path lies on so many of these storages, as a whole.
#[track_caller]
pub(super) fn wait_for_copies(media: &[Medium<'_>], all: &[Path], wanted: usize) {
    for path in all {
        wait_for(COPIED, &format!("{} is there {wanted} times", path.base_name()), || {
            (copies(media, path) == wanted).then_some(())
        });
    }
}

/// No storage has anything of these paths.
fn is_nowhere(media: &[Medium<'_>], all: &[Path]) -> bool {
    media.iter().all(|medium| {
        let files = medium.files();
        all.iter().all(|path| {
            !files.contains_key(&path.file_url()) && !files.keys().any(|name| name.starts_with(&path.hash))
        })
    })
}

#[test]
fn each_nar_lies_on_as_many_storages_as_it_should() {
    let mut site = site(|directory| ["a", "b", "c"].map(|name| local(directory, name)).to_vec());
    let media = ["a", "b", "c"].map(|name| disk(&site, name));
    let all = paths([30_000; 12]);
    push_side_by_side(&site, &all, 4);
    wait_for_copies(&media, &all, 2);
    let held: Vec<usize> = media.iter().map(|medium| medium.nars().len()).collect();
    assert!(held.iter().sum::<usize>() == 24 && held.iter().all(|held| (6..=10).contains(held)), "{held:?}");
    assert_all_readable(&site, &all);
    for (wanted, total) in [(3, 36), (1, 12), (2, 24)] {
        site = site.with_copies(wanted);
        wait_for_copies(&media, &all, wanted as usize);
        wait_for(SOON, "nothing is left of what was too much", || {
            (media.iter().map(|medium| medium.nars().len()).sum::<usize>() == total).then_some(())
        });
        assert_all_readable(&site, &all);
    }
    for (name, medium) in ["a", "b", "c"].into_iter().zip(&media) {
        wait_for(SOON, "its bytes are counted", || {
            (condition(&site, name)["used_bytes"] == medium.bytes()).then_some(())
        });
    }
    site.cachectl_ok(&["fsck"]);
    wait_for_copies(&media, &all, 2);
}

#[test]
fn a_push_is_answered_when_all_copies_are_durable_if_so_configured() {
    let mut site =
        super::site("in-order", |directory| ["a", "b"].map(|name| local(directory, name)).to_vec());
    site.reconfigure(|config| {
        config["caches"][0]["copies"] = json!(2);
        config["caches"][0]["copies-before-answer"] = json!("all");
    });
    let media = [disk(&site, "a"), disk(&site, "b")];
    for path in &paths([20_000; 4]) {
        site.pusher("pub").push(path);
        assert!(media.iter().all(|medium| medium.holds(path)));
        assert_all_readable(&site, std::slice::from_ref(path));
    }
}

#[test]
fn a_disk_and_a_bucket_make_up_for_each_other() {
    let bucket = Bucket::start();
    let mut site =
        super::site("in-order", |directory| vec![local(directory, "disk"), bucket.storage("cloud")]);
    site.reconfigure(|config| config["caches"][0]["copies"] = json!(2));
    let media = [disk(&site, "disk"), in_bucket(&bucket, "cloud")];
    let all = paths([20_000, 3_000_000, 20_000, 20_000]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    wait_for_copies(&media, &all, 2);
    all[..2].iter().for_each(|path| media[0].remove(&path.file_url()));
    media[1].remove(&all[2].file_url());
    assert_all_readable(&site, &all);
    assert_eq!(site.cachectl(&["fsck"]).status.code(), Some(9), "it finds what was taken from the bucket");
    wait_for_copies(&media, &all, 2);
}

#[test]
fn damage_is_repaired_from_another_copy_and_hides_nothing() {
    let site = site(|directory| ["a", "b"].map(|name| local(directory, name)).to_vec());
    let media = ["a", "b"].map(|name| disk(&site, name));
    let all = paths([200_000; 6]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    wait_for_copies(&media, &all, 2);
    for (number, path) in all.iter().enumerate() {
        let name = path.file_url();
        match number / 2 {
            0 => media[number % 2].remove(&name),
            1 => media[number % 2].write(&name, &path.file[..10_000]),
            _ => media[number % 2].write(&name, &path.file.iter().rev().copied().collect::<Vec<_>>()),
        }
    }
    // Readers take turns, so each finds both.
    for _ in 0..4 {
        assert_all_readable(&site, &all[..4]);
    }
    let scrub = site.cachectl(&["storage", "scrub", "--json"]);
    assert_eq!(scrub.status.code(), Some(9), "{}", String::from_utf8_lossy(&scrub.stderr));
    for path in &all {
        wait_for(COPIED, "the damage is repaired", || {
            media
                .iter()
                .all(|medium| medium.holds(path) && medium.read(&path.file_url()) == path.file)
                .then_some(())
        });
    }
    assert_all_readable(&site, &all);
    let hashes: Vec<&str> = all.iter().map(|path| path.hash.as_str()).collect();
    assert_eq!(site.pusher("pub").missing(&hashes), [""; 0]);
}

#[test]
fn what_breaks_off_goes_on_from_another_copy() {
    let site = site(|directory| ["a", "b"].map(|name| local(directory, name)).to_vec());
    let media = ["a", "b"].map(|name| disk(&site, name));
    let path = Path::incompressible("large", 40_000_000);
    site.pusher("pub").push(&path);
    wait_for_copies(&media, std::slice::from_ref(&path), 2);
    let token = site.token("pub", crate::harness::Permission::Read);
    for (round, range) in [None, Some("bytes=1000-"), None, Some("bytes=5-")].into_iter().enumerate() {
        let start = match range {
            Some("bytes=1000-") => 1000,
            Some(_) => 5,
            None => 0,
        };
        let mut request = site.cache("pub").get(&format!("/{}", path.file_url())).basic("", &token);
        if let Some(range) = range {
            request = request.header("Range", range);
        }
        let mut reply = request.open().unwrap();
        let mut received = Vec::new();
        while received.len() < 1_000_000 {
            received.extend(reply.read_some(100_000).unwrap());
        }
        // Whichever copy is being read, and the client is slow: most of it is still to come.
        let victim = (0..2).find(|&place| is_open(&site, place)).unwrap_or(round % 2);
        let file = site.directory().join(["a", "b"][victim]).join("pub").join(path.file_url());
        fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(2_000_000).unwrap();
        received.extend(reply.into_response().unwrap().body);
        assert!(received == path.file[start..], "round {round}: {} bytes", received.len());
        wait_for(COPIED, "the damage is repaired", || {
            site.reader("pub").get(&path.file_url());
            media.iter().all(|medium| medium.holds(&path)).then_some(())
        });
    }
}

/// Whether the daemon has a NAR of this disk open.
fn is_open(site: &Site, place: usize) -> bool {
    let nars = site.directory().join(["a", "b"][place]).join("pub/nar");
    let Ok(open) = fs::read_dir(format!("/proc/{}/fd", site.daemon_pid())) else { return false };
    open.flatten().any(|entry| fs::read_link(entry.path()).is_ok_and(|file| file.starts_with(&nars)))
}

#[test]
fn a_dead_disk_interrupts_nobody_and_is_made_up_for() {
    let mounted = "mkdir -p medium usb\nmount --bind medium usb\n";
    let mut site = mounts::site(mounted, "round-robin", |directory| {
        ["usb", "b", "c"].map(|name| local(directory, name)).to_vec()
    });
    site.reconfigure(|config| {
        config["caches"][0]["copies"] = json!(2);
        config["caches"][0]["copies-before-answer"] = json!("all");
        config["caches"][0]["re-copy-after"] = json!("2s");
    });
    let all = paths([60_000; 30]);
    push_side_by_side(&site, &all, 4);
    let media = [mounts::disk(&mut site, "usb"), disk(&site, "b"), disk(&site, "c")];
    wait_for_copies(&media, &all, 2);

    let (stop, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    let pid = site.daemon_pid().to_string();
    let directory = site.directory().display().to_string();
    let in_namespace = |commands: &str| {
        let status = std::process::Command::new("nsenter")
            .args(["--target", &pid, "--mount", "sh", "-c", &format!("set -e; cd {directory}; {commands}")])
            .status();
        assert!(status.unwrap().success(), "{commands}");
    };
    let late = paths([60_000; 20]);
    thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|first| {
                let (site, all, stop, reads) = (&site, &all, &stop, &reads);
                scope.spawn(move || {
                    for path in all.iter().cycle().skip(first * 7) {
                        if stop.load(Ordering::Relaxed) {
                            return;
                        }
                        site.reader("pub").assert_has(path);
                        reads.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        wait_for(SOON, "readers read", || (reads.load(Ordering::Relaxed) > 50).then_some(()));
        in_namespace("umount --lazy usb");
        push_side_by_side(&site, &late, 3);
        let before = reads.load(Ordering::Relaxed);
        wait_for(SOON, "readers go on", || (reads.load(Ordering::Relaxed) > before + 100).then_some(()));
        stop.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    // The others have two copies of everything by now.
    wait_for_copies(&media[1..], &all, 2);
    wait_for_copies(&media[1..], &late, 2);
    assert_all_readable(&site, &all);

    // It comes back, and what is too much goes.
    mounts::run(&mut site, "mount --bind medium usb");
    wait_for_state(&site, "usb", "ok");
    wait_for_copies(&media, &all, 2);
    assert_all_readable(&site, &all);
    assert_all_readable(&site, &late);
    assert_eq!(condition(&site, "usb")["damaged"], 0, "being away is no damage");
}

#[test]
fn copies_go_with_their_path_even_from_a_storage_that_was_away() {
    let mounted = "mkdir -p medium usb\nmount --bind medium usb\n";
    let mut site = mounts::site(mounted, "in-order", |directory| {
        vec![local(directory, "disk"), local(directory, "usb")]
    });
    site.reconfigure(|config| {
        config["caches"][0]["copies"] = json!(2);
        config["server"]["trash"] = json!("off");
    });
    let all = paths([20_000; 4]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    let media = [disk(&site, "disk"), mounts::disk(&mut site, "usb")];
    wait_for_copies(&media, &all, 2);
    site.cachectl_ok(&["path", "delete", "--cache", "pub", &all[0].store_path()]);
    assert!(is_nowhere(&media, &all[..1]), "{:?}", media[1].files());

    mounts::run(&mut site, "umount --lazy usb");
    wait_for_state(&site, "usb", "failing");
    site.cachectl_ok(&["path", "delete", "--cache", "pub", &all[1].store_path()]);
    assert!(is_nowhere(&media[..1], &all[1..2]), "the storage that is away holds up nothing");
    mounts::run(&mut site, "mount --bind medium usb");
    wait_for_state(&site, "usb", "ok");
    site.cachectl_ok(&["gc", "--cache", "pub"]);
    wait_for(COPIED, "the copy goes when its storage is back", || {
        is_nowhere(&media, &all[1..2]).then_some(())
    });
    wait_for_copies(&media, &all[2..], 2);
    assert_all_readable(&site, &all[2..]);
}

#[test]
fn a_lost_catalog_is_rebuilt_with_all_copies() {
    let mut site = site(|directory| ["a", "b", "c"].map(|name| local(directory, name)).to_vec());
    let media = ["a", "b", "c"].map(|name| disk(&site, name));
    let all = paths([20_000; 9]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    wait_for_copies(&media, &all, 2);
    let before: Vec<_> = media.iter().map(Medium::nars).collect();
    assert!(site.daemon().terminate().success());
    for entry in fs::read_dir(site.state_dir()).unwrap().flatten() {
        if entry.file_name().to_string_lossy().starts_with("db.sqlite") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    site.forget_tokens("pub");
    site.restart();
    site.cachectl_ok(&["worker", "pause", "copies"]);
    site.cachectl_ok(&["fsck", "--rebuild"]);
    assert_all_readable(&site, &all);
    assert_eq!(media.iter().map(Medium::nars).collect::<Vec<_>>(), before, "all copies are adopted");
    site.cachectl_ok(&["worker", "resume", "copies"]);
    wait_for_copies(&media, &all, 2);
    // One storage less loses nothing.
    site.reconfigure(|config| drop(storages(config).remove(0)));
    assert_all_readable(&site, &all);
    wait_for_copies(&media[1..], &all, 2);
}

#[test]
fn a_storage_is_emptied_with_all_its_copies() {
    let mut site = site(|directory| ["a", "b", "c"].map(|name| local(directory, name)).to_vec());
    let media = ["a", "b", "c"].map(|name| disk(&site, name));
    let all = paths([20_000; 9]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    wait_for_copies(&media, &all, 2);
    site.reconfigure(|config| {
        let storage = &mut storages(config)[0];
        *storage = with(storage.clone(), "draining", true);
    });
    site.cachectl_ok(&["storage", "drain", "a"]);
    assert!(media[0].files().is_empty(), "{:?}", media[0].files());
    wait_for_copies(&media[1..], &all, 2);
    assert_all_readable(&site, &all);
}

#[test]
fn a_disk_that_was_replaced_by_an_empty_one_is_filled_again() {
    let mut site = site(|directory| ["a", "b"].map(|name| local(directory, name)).to_vec());
    let media = ["a", "b"].map(|name| disk(&site, name));
    let all = paths([20_000; 12]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    wait_for_copies(&media, &all, 2);
    assert!(site.daemon().terminate().success());
    let root = site.directory().join("a/pub");
    let marker = fs::read(root.join(".cache-server-storage")).unwrap();
    fs::remove_dir_all(&root).unwrap();
    fs::create_dir_all(&root).unwrap();
    // As the message of the daemon says.
    fs::write(root.join(".cache-server-storage"), marker).unwrap();
    site.restart();
    assert_all_readable(&site, &all);
    wait_for_copies(&media, &all, 2);
    assert_all_readable(&site, &all);
}

/// Steps of the work on copies at which the daemon can die.
const STEPS: [&str; 8] = [
    "copies-claimed",
    "copy-stored",
    "copy-described",
    "copies-synced",
    "copies-recorded",
    "copies-leaving",
    "copies-removed",
    "gc-copies-removed",
];

#[test]
fn killed_at_every_step_of_copying_and_removing() {
    let mut site = Site::mortal(|config, directory| {
        super::declare(config, "round-robin", ["a", "b", "c"].map(|name| local(directory, name)).to_vec());
        config["server"]["trash"] = json!("off");
    });
    let media = ["a", "b", "c"].map(|name| disk(&site, name));
    let mut all = Vec::new();
    for step in STEPS {
        let deletes = step == "gc-copies-removed";
        let leaves = step.starts_with("copies-leaving") || step.starts_with("copies-removed");
        let some = paths([20_000; 3]);
        site.reconfigure(|config| config["caches"][0]["copies"] = json!(2));
        some.iter().for_each(|path| site.pusher("pub").push(path));
        if leaves || deletes {
            wait_for_copies(&media, &some, 2);
        }
        assert!(site.daemon().terminate().success());
        fs::write(site.directory().join(DIE_AT), step).unwrap();
        site.edit_config(|config| config["caches"][0]["copies"] = json!(if leaves { 1 } else { 3 }));
        site.start_again();
        if deletes {
            wait_for_copies(&media, &some, 3);
            let _ = site.cachectl(&["path", "delete", "--cache", "pub", &some[0].store_path()]);
        }
        wait_for(COPIED, step, || site.daemon().has_ended());
        fs::remove_file(site.directory().join(DIE_AT)).unwrap();
        site.restart();
        let kept = if deletes { &some[1..] } else { &some[..] };
        all.extend(kept.to_vec());
        assert_all_readable(&site, &all);
        wait_for_copies(&media, kept, if leaves { 1 } else { 3 });
        if deletes {
            wait_for(COPIED, "nothing is left of the deleted path", || {
                is_nowhere(&media, &some[..1]).then_some(())
            });
        }
    }
    site.reconfigure(|config| config["caches"][0]["copies"] = json!(2));
    wait_for_copies(&media, &all, 2);
    // The narinfo of a copy that is too much goes before its NAR.
    wait_for(SOON, "nothing else is left", || {
        (media.iter().map(|medium| medium.nars().len()).sum::<usize>() == 2 * all.len()).then_some(())
    });
    site.cachectl_ok(&["fsck"]);
    assert_all_readable(&site, &all);
}
