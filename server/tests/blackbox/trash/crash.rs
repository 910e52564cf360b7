//! kill -9 at every step of trashing, restoring and emptying. The next start finishes what was begun.

use std::fs;

use super::{
    NOT_FOUND, assert_back, assert_consistent, assert_hidden, beside, configure, fails, is_stored, restore,
    trashed,
};
use crate::harness::site::DIE_AT;
use crate::harness::{Path, SOON, Site, wait_for};

/// The steps of a deletion that keeps the paths in the trash.
const DELETION: [&str; 5] = [
    "delete-recorded",
    "gc-narinfos-removed",
    "gc-links-removed",
    "gc-listings-removed",
    "gc-tombstones-removed",
];

fn site() -> Site {
    Site::mortal(|config, _| configure(config))
}

/// Runs `cachectl ARGUMENTS --cache pub` with a daemon that dies at this step of it, and starts the daemon again.
#[track_caller]
fn die_at(site: &mut Site, step: &str, arguments: &[&str]) {
    let file = site.directory().join(DIE_AT);
    fs::write(&file, step).unwrap();
    assert!(site.stop_and_restart().success());
    site.cachectl(&[arguments, &["--cache", "pub"]].concat());
    let killed = wait_for(SOON, "it dies", || site.daemon().has_ended());
    assert!(!killed.success(), "{step}");
    fs::remove_file(&file).unwrap();
    site.restart();
}

/// Pushes a path and one that refers to it. Returns the latter first.
fn push(site: &Site, name: &str) -> [Path; 2] {
    let library = Path::small(&format!("{name}-library"));
    let program = Path::small(name).referring_to([library.base_name()]);
    site.pusher("pub").push(&library);
    site.pusher("pub").push(&program);
    [program, library]
}

#[test]
fn a_path_whose_deletion_dies_at_any_step_can_be_restored() {
    let mut site = site();
    for step in DELETION {
        let paths = push(&site, step);
        die_at(&mut site, step, &["path", "delete", &paths[1].hash, "--recursive"]);
        for path in &paths {
            wait_for(SOON, "no narinfo is left", || beside(&site, path).is_empty().then_some(()));
            assert_hidden(&site, path);
        }
        assert_consistent(&site);
        restore(&site, &paths[0]);
        paths.iter().for_each(|path| assert_back(&site, path));
        assert_consistent(&site);
    }
}

#[test]
fn a_path_whose_deletion_died_is_right_when_it_is_restored_at_once_or_pushed() {
    let mut site = site();
    for step in DELETION {
        let [program, library] = push(&site, step);
        die_at(&mut site, step, &["path", "delete", &library.hash, "--recursive"]);
        site.pusher("pub").push(&library);
        restore(&site, &program);
        assert_back(&site, &program);
        assert_back(&site, &library);
        assert_consistent(&site);
    }
    assert_eq!(trashed(&site), Vec::<String>::new());
}

#[test]
fn a_restored_path_is_there_although_the_daemon_died_over_it() {
    let mut site = site();
    let paths = push(&site, "restored");
    site.cachectl_ok(&["path", "delete", &paths[1].hash, "--recursive", "--cache", "pub"]);
    die_at(&mut site, "trash-restored", &["path", "restore", &paths[0].hash]);
    paths.iter().for_each(|path| assert_back(&site, path));
    assert_eq!(trashed(&site), Vec::<String>::new());
    assert_consistent(&site);
}

#[test]
fn an_emptying_that_dies_at_any_step_is_finished_by_the_next_start() {
    let mut site = site();
    let kept = push(&site, "kept");
    for step in ["trash-emptied", "gc-nars-given-up", "gc-nars-removed", "gc-nars-forgotten"] {
        let gone = push(&site, step);
        site.cachectl_ok(&["path", "delete", &gone[1].hash, "--recursive", "--cache", "pub"]);
        die_at(&mut site, step, &["trash", "empty"]);
        for path in &gone {
            wait_for(SOON, "its file goes", || (!is_stored(&site, path)).then_some(()));
            fails(&site, &["path", "restore", &path.hash], NOT_FOUND);
        }
        wait_for(SOON, "nothing of it counts", || {
            let usage = super::ask(&site, &["usage"]);
            let used = kept.iter().map(|path| path.file.len()).sum::<usize>();
            (usage["storages"][0]["used_bytes"] == used).then_some(())
        });
        kept.iter().for_each(|path| assert_back(&site, path));
        site.pusher("pub").push(&gone[1]);
        assert_back(&site, &gone[1]);
        site.cachectl_ok(&["path", "delete", &gone[1].hash, "--no-trash", "--cache", "pub"]);
        assert_consistent(&site);
    }
}
