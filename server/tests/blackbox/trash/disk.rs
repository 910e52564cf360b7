//! What a storage holds besides NARs is bounded and counted.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path as FilePath;

use crate::harness::push::parts;
use crate::harness::{Path, SOON, Site, noise, wait_for};

const MB: usize = 1_000_000;

/// The bytes that the files below a directory take on the disk.
pub fn on_disk(directory: &FilePath) -> u64 {
    let Ok(entries) = fs::read_dir(directory) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => on_disk(&entry.path()),
        Ok(found) => found.blocks() * 512,
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[test]
fn attempts_of_a_part_that_do_not_count_are_removed_at_once() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::incompressible("repeated", 2 * MB);
    let spool = site.storage_dir("pub").join(".spool");
    let upload = pusher.create(path.compression);
    let few = |what: &str| {
        wait_for(SOON, what, || (on_disk(&spool) < 3 * MB as u64).then_some(()));
    };
    let url = pusher.part_url(&upload, 1, &path.file);
    for _ in 0..15 {
        pusher.put(&url, &path.file).expect(200);
    }
    few("repeats are gone");
    for number in 0..5 {
        // With another MD5 than was announced.
        let other = noise(2 * MB + number);
        pusher.put(&url, &other).expect(400);
    }
    few("failed attempts are gone");
    for number in 0..5 {
        pusher.part(&upload, 1, &noise(2 * MB + number));
    }
    few("replaced attempts are gone");
    let etag = pusher.part(&upload, 1, &path.file);
    few("and the last of them");
    pusher.complete(&upload, &parts(&[etag]), &path.nar_info_create()).expect(200);
    site.reader("pub").assert_has(&path);
    site.wait_for_empty_spool("pub");
}
