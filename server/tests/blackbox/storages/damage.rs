//! Files that someone else has removed, cut or changed, on a disk and in a bucket.

use serde_json::Value;

use super::bucket::Bucket;
use super::jobs::last_event;
use super::medium::{Medium, holder};
use super::{assert_all_readable, condition, disk, in_bucket, local, paths, site};
use crate::harness::{Path, SOON, Site, wait_for};

/// Files that are damaged, on the disk and in the bucket.
fn damaged(site: &Site) -> [Value; 2] {
    ["disk", "cloud"].map(|name| condition(site, name)["damaged"].clone())
}

/// Reads a NAR until its path is hidden; what is read whole has to be right.
fn wait_until_hidden(site: &Site, path: &Path) {
    let reader = site.reader("pub");
    wait_for(SOON, "the path is hidden", || {
        if let Ok(reply) = site.cache("pub").get(&format!("/{}", path.file_url())).try_send() {
            assert!(reply.status == 404 || reply.body == path.file, "{}", reply.status);
        }
        (reader.narinfo_status(path) == 404).then_some(())
    });
}

#[test]
fn damage_is_found_by_reading_or_by_a_scrub_and_healed_by_pushing() {
    let bucket = Bucket::start();
    let mut site = site("round-robin", |directory| vec![local(directory, "disk"), bucket.storage("cloud")]);
    let all = paths([50_000; 8]);
    all.iter().for_each(|path| site.pusher("pub").push(path));
    let media = [disk(&site, "disk"), in_bucket(&bucket, "cloud")];
    for (index, path) in all.iter().enumerate() {
        let medium: &Medium<'_> = &media[index % 2];
        let name = path.file_url();
        match index / 2 {
            0 => medium.remove(&name),
            1 => medium.write(&name, &path.file[..10_000]),
            2 => medium.write(&name, &path.file.iter().rev().copied().collect::<Vec<_>>()),
            _ => assert!(medium.holds(path)),
        }
    }
    assert_eq!(damaged(&site), [0, 0], "nobody has looked yet");
    all[..4].iter().for_each(|path| wait_until_hidden(&site, path));
    assert_eq!(damaged(&site), [2, 2]);

    let scrub = site.cachectl(&["storage", "scrub", "--json"]);
    assert_eq!(scrub.status.code(), Some(9), "{}", String::from_utf8_lossy(&scrub.stderr));
    let end = last_event(&scrub);
    assert_eq!(end["event"], "done", "{end}");
    assert_eq!(
        end["summary"]["damaged"], 2,
        "what was changed, and what was known already is not found again"
    );
    assert_eq!(damaged(&site), [3, 3]);
    let hashes: Vec<&str> = all.iter().map(|path| path.hash.as_str()).collect();
    assert_eq!(site.pusher("pub").missing(&hashes), hashes[..6]);
    let told = site.daemon().log().matches("a NAR is damaged").count();
    assert_eq!(told, 6, "each is told of once");
    assert_all_readable(&site, &all[6..]);

    all.iter().for_each(|path| site.pusher("pub").push(path));
    assert_eq!(damaged(&site), [0, 0]);
    assert_all_readable(&site, &all);
    // What was healed elsewhere leaves a damaged file behind, which is no path's.
    site.cachectl_ok(&["fsck"]);
    site.cachectl_ok(&["storage", "scrub"]);
    all.iter().for_each(|path| assert!(holder(&media, path) < 2));
    assert_eq!(media.iter().map(|medium| medium.nars().len()).sum::<usize>(), all.len());
    for (name, medium) in ["disk", "cloud"].into_iter().zip(&media) {
        assert_eq!(condition(&site, name)["used_bytes"], medium.bytes(), "{name}");
    }
    assert_all_readable(&site, &all);
}
