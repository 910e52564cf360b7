//! All that lies on a storage is counted, and counts against `max-size`: unfinished uploads, build logs and the like too.

use std::fs;

use serde_json::{Value, json};

use super::{condition, local, site, with};
use crate::harness::path::random_hash;
use crate::harness::{Path, Permission, SOON, Site, push, wait_for};
use crate::trash::disk::on_disk;

const MIB: u64 = 1 << 20;
const MAX_SIZE: u64 = 10 * MIB;

fn limited() -> Site {
    site("in-order", |directory| vec![with(local(directory, "disk"), "max-size", "10 MiB")])
}

fn all_taken(site: &Site) -> u64 {
    on_disk(&site.directory().join("disk"))
}

fn figure(site: &Site, name: &str) -> u64 {
    condition(site, "disk")[name].as_u64().unwrap()
}

#[test]
fn one_token_cannot_fill_the_disk_of_a_limited_storage_without_completing_anything() {
    let site = limited();
    let pusher = site.pusher("pub");
    let part = Path::incompressible("part", 2 << 20);
    let bytes = &part.file;
    let upload = pusher.create(part.compression);
    // The same part over and over, then with a wrong digest.
    for _ in 0..8 {
        pusher.part(&upload, 1, bytes);
    }
    let url = pusher.part_url(&upload, 1, bytes);
    for _ in 0..3 {
        assert_eq!(pusher.put(&url, &bytes[1..]).status, 400);
    }
    wait_for(SOON, "only the last one is there", || (all_taken(&site) < 5 * MIB).then_some(()));
    // Uploads that never end.
    let mut refused = 0;
    for _ in 0..12 {
        let upload = pusher.create(part.compression);
        let url = pusher.part_url(&upload, 1, bytes);
        let reply = pusher.put(&url, bytes);
        match reply.status {
            200 => {}
            507 => refused += 1,
            status => panic!("{status}: {}", reply.text()),
        }
    }
    assert!(refused >= 7, "{refused} of 12 were refused");
    assert!(all_taken(&site) <= MAX_SIZE + MIB, "{}", all_taken(&site));
    let shown = figure(&site, "upload_bytes");
    assert!((6 * MIB..=MAX_SIZE).contains(&shown), "{shown}");
    // Build logs, of which nobody has a path.
    let token = site.token("pub", Permission::Write);
    let mut sent = 0;
    let last = (0..20).map(|_| {
        let log = format!("/log/{}-program.drv", random_hash());
        let reply = site.cache("pub").put(&log).basic("", &token).body(vec![b'x'; 1 << 20]).send();
        sent += u64::from(reply.status == 200);
        reply.status
    });
    assert_eq!(last.last(), Some(507));
    let logs = figure(&site, "by_product_bytes");
    assert!(sent >= 9 && logs == sent * MIB, "{sent} logs, {logs} bytes");
    assert!(all_taken(&site) <= 2 * MAX_SIZE + MIB, "{}", all_taken(&site));
    assert_eq!(condition(&site, "disk")["state"], "full");
}

#[test]
fn by_products_are_counted_across_restarts_and_fsck_counts_anew() {
    let mut site = limited();
    let token = site.token("pub", Permission::Admin);
    let log = format!("/log/{}-program.drv", random_hash());
    let put = |site: &Site, len: usize| {
        site.cache("pub").put(&log).basic("", &token).body(vec![b'x'; len]).send().expect_success();
    };
    put(&site, 3_000);
    put(&site, 2_000);
    assert_eq!(figure(&site, "by_product_bytes"), 2_000);
    site.stop_and_restart();
    assert_eq!(figure(&site, "by_product_bytes"), 2_000);
    // Somebody else has put something there.
    fs::write(site.directory().join(format!("disk/pub/log/{}-other.drv", random_hash())), vec![b'x'; 500])
        .unwrap();
    site.cachectl_ok(&["fsck"]);
    assert_eq!(figure(&site, "by_product_bytes"), 2_500);
}

#[test]
fn fsck_counts_realisations_of_paths_that_are_not_there() {
    let site = limited();
    let path = Path::small("there");
    site.pusher("pub").push(&path);
    let token = site.token("pub", Permission::Write);
    let put = |name: &str, out_path: &str| {
        let realisation =
            json!({ "id": name, "outPath": out_path, "signatures": [], "dependentRealisations": {} });
        let put = site.cache("pub").put(&format!("/realisations/{name}.doi")).basic("", &token);
        put.body(realisation.to_string().into_bytes()).send().expect_success();
    };
    put(&format!("sha256:{}!out", "a".repeat(64)), &format!("{}-{}", path.hash, path.name));
    put(&format!("sha256:{}!out", "b".repeat(64)), &format!("{}-gone", random_hash()));
    let text = site.cachectl_ok(&["fsck", "--json"]);
    let fsck: Value = serde_json::from_str(text.lines().next_back().unwrap()).unwrap();
    let counts = &fsck["summary"]["storages"][0];
    assert_eq!(counts["unclaimed_realisations"], 1, "{counts}");
    assert_eq!(counts["orphans_removed"], 0, "{counts}");
}

#[test]
fn an_upload_goes_to_another_storage_when_uploads_have_come_to_the_limit_of_one() {
    let site = site("in-order", |directory| {
        vec![with(local(directory, "first"), "max-size", "4 MiB"), local(directory, "second")]
    });
    let pusher = site.pusher("pub");
    let first = Path::incompressible("first", 3 << 20);
    let second = Path::incompressible("second", 3 << 20);
    let uploads = [&first, &second].map(|path| {
        let upload = pusher.create(path.compression);
        let etag = pusher.part(&upload, 1, &path.file);
        (path, upload, etag)
    });
    assert_eq!(condition(&site, "first")["state"], "ok");
    for (path, upload, etag) in &uploads {
        pusher
            .complete(upload, &push::parts(std::slice::from_ref(etag)), &path.nar_info_create())
            .expect(200);
        site.reader("pub").assert_has(path);
    }
}
