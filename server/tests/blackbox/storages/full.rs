//! Disks without room, or that can only be read: the next one takes the upload, and the client notices nothing.

use serde_json::{Value, json};

use super::mounts::{disk, run, site, spooled, try_run};
use super::{local, wait_for_state};
use crate::harness::{Path, Permission, SOON, Site, push, wait_for};

/// Two file systems of 8 MiB each.
const TWO_SMALL: &str = "mkdir -p first second
mount -t tmpfs -o size=8m tmpfs first
mount -t tmpfs -o size=8m tmpfs second
";
/// A file system of 8 MiB, and a disk.
const ONE_SMALL: &str = "mkdir -p first
mount -t tmpfs -o size=8m tmpfs first
";
/// Leaves no room on either of them.
const FILL: &str =
    "for disk in first second; do dd if=/dev/zero of=$disk/others bs=64k 2>/dev/null || true; done";
const MIB: usize = 1 << 20;

fn two(directory: &std::path::Path) -> Vec<Value> {
    vec![local(directory, "first"), local(directory, "second")]
}

/// A push in parts of 3 MiB.
fn push_in_parts(site: &Site, path: &Path) {
    let pusher = site.pusher("pub");
    let upload = pusher.create(path.compression);
    let parts: Vec<String> = path
        .file
        .chunks(3 * MIB)
        .zip(1..)
        .map(|(bytes, number)| pusher.part(&upload, number, bytes))
        .collect();
    pusher.complete(&upload, &push::parts(&parts), &path.nar_info_create()).expect(200);
}

/// A push as Nix makes it; without a length nobody can tell beforehand that it will not fit.
fn put(site: &Site, path: &Path, length: bool) {
    let token = site.token("pub", Permission::Write);
    let put = |target: &str| site.cache("pub").put(target).basic("", &token);
    let request = put(&format!("/{}", path.file_url()));
    let request =
        if length { request.body(path.file.clone()) } else { request.chunked(path.file.clone(), 65_536) };
    request.send().expect_success();
    put(&format!("/{}.narinfo", path.hash)).body(path.narinfo_text()).send().expect_success();
}

/// Nothing of any upload is left in the spools, and every NAR is one of these.
#[track_caller]
fn assert_tidy(site: &mut Site, paths: &[&Path]) {
    for name in ["first", "second"] {
        wait_for(SOON, "the spool is empty", || (spooled(site, name) == 0).then_some(()));
        for (nar, size) in disk(site, name).nars() {
            let path = paths.iter().find(|path| path.file_url() == nar);
            assert_eq!(path.expect("a NAR that was pushed").file.len() as u64, size, "{nar}");
        }
    }
}

#[test]
fn an_upload_moves_on_when_its_disk_has_no_room_left() {
    let mut site = site(ONE_SMALL, "in-order", two);
    let small = Path::incompressible("small", MIB);
    site.pusher("pub").push(&small);
    assert!(disk(&mut site, "first").holds(&small));

    type Push = fn(&Site, &Path);
    let pushed: [(Path, Push); 4] = [
        (Path::incompressible("parts", 12 * MIB), push_in_parts),
        (Path::incompressible("piece", 12 * MIB), |site, path| site.pusher("pub").push(path)),
        (Path::incompressible("stream", 12 * MIB), |site, path| put(site, path, false)),
        (Path::incompressible("put", 12 * MIB), |site, path| put(site, path, true)),
    ];
    for (path, push) in &pushed {
        // Each of them begins on the small one.
        wait_for_state(&site, "first", "ok");
        push(&site, path);
        assert!(disk(&mut site, "second").holds(path), "{}", path.name);
        site.reader("pub").assert_has(path);
        site.reader("pub").assert_has(&small);
    }
    wait_for_state(&site, "first", "ok");
    let last = Path::incompressible("last", MIB);
    site.pusher("pub").push(&last);
    assert!(disk(&mut site, "first").holds(&last), "there is room for small ones again");
    let all: Vec<&Path> = pushed.iter().map(|(path, _)| path).chain([&small, &last]).collect();
    assert_tidy(&mut site, &all);
}

#[test]
fn with_all_disks_full_pushes_are_refused_until_there_is_room() {
    let mut site = site(TWO_SMALL, "round-robin", two);
    let pusher = site.pusher("pub");
    let before = [(); 2].map(|()| Path::incompressible("before", MIB));
    before.iter().for_each(|path| pusher.push(path));

    // Too large for each of them, which shows when the bytes come.
    let large = Path::incompressible("large", 12 * MIB);
    let upload = pusher.create(large.compression);
    let url = pusher.part_url(&upload, 1, &large.file);
    pusher.put(&url, &large.file).expect(507);
    assert_eq!(pusher.complete(&upload, &json!(null), &large.nar_info_create()).status / 100, 4);
    pusher.abort(&upload);
    site.reader("pub").assert_lacks(&large);
    let between = Path::incompressible("between", MIB);
    pusher.push(&between);

    // Others have filled the disks: that is told before a byte is sent.
    run(&mut site, FILL);
    let create = pusher.target("multipart-nar?compression=zst");
    let create = || pusher.endpoint.post(&create).bearer(&pusher.token).body("").send();
    wait_for(SOON, "it is noticed that there is no room", || {
        let reply = create();
        if reply.status == 200 {
            // One that had to be tried to find out.
            let path = Path::incompressible("tried", MIB);
            let upload = pusher.create(path.compression);
            let url = pusher.part_url(&upload, 1, &path.file);
            pusher.put(&url, &path.file).expect(507);
            pusher.abort(&upload);
        }
        (reply.status == 507).then_some(())
    });
    for path in before.iter().chain([&between]) {
        site.reader("pub").assert_has(path);
    }

    run(&mut site, "rm first/others");
    let after = Path::incompressible("after", MIB);
    wait_for(SOON, "there is room again", || (create().status == 200).then_some(()));
    pusher.push(&after);
    assert!(disk(&mut site, "first").holds(&after));
    site.reader("pub").assert_has(&after);
}

#[test]
fn a_disk_that_can_only_be_read_is_still_read() {
    let mut site = site(ONE_SMALL, "in-order", two);
    let before = Path::incompressible("before", MIB);
    site.pusher("pub").push(&before);
    wait_for(SOON, "what belongs to it is written", || {
        let names: Vec<String> = disk(&mut site, "first").files().into_keys().collect();
        (names.len() == 3).then_some(())
    });
    wait_for(SOON, "nothing is being written, and the disk becomes read-only", || {
        try_run(&mut site, "mount -o remount,ro first").then_some(())
    });
    let during = Path::incompressible("during", MIB);
    site.pusher("pub").push(&during);
    assert!(disk(&mut site, "second").holds(&during));
    wait_for_state(&site, "first", "failing");
    for path in [&before, &during] {
        site.reader("pub").assert_has(path);
    }
    assert!(site.pusher("pub").missing(&[&before.hash]).is_empty(), "what can be read is there");

    run(&mut site, "mount -o remount,rw first");
    wait_for_state(&site, "first", "ok");
    let after = Path::incompressible("after", MIB);
    site.pusher("pub").push(&after);
    let first = disk(&mut site, "first");
    assert!(first.holds(&after) && first.holds(&before));
    assert_tidy(&mut site, &[&before, &during, &after]);
}

#[test]
fn the_trash_goes_when_an_upload_fills_the_only_disk() {
    let mut site =
        site("mkdir -p first\nmount -t tmpfs -o size=16m tmpfs first\n", "in-order", |directory| {
            vec![local(directory, "first")]
        });
    let trashed = [(); 2].map(|()| Path::incompressible("trashed", 4 * MIB));
    trashed.iter().for_each(|path| site.pusher("pub").push(path));
    for path in &trashed {
        site.cachectl_ok(&["path", "delete", &path.hash, "--cache", "pub"]);
    }
    // There is room for its first parts, and nobody knows how many follow.
    let in_parts = Path::incompressible("parts", 9 * MIB);
    push_in_parts(&site, &in_parts);
    site.reader("pub").assert_has(&in_parts);
    let left = site.cachectl_ok(&["trash", "list", "--cache", "pub", "--json"]);
    assert!(!left.contains(&trashed[0].hash), "{left}");
    let streamed = Path::incompressible("stream", 5 * MIB);
    put(&site, &streamed, false);
    site.reader("pub").assert_has(&streamed);
    for path in [&in_parts, &streamed] {
        assert!(disk(&mut site, "first").holds(path));
    }
}
