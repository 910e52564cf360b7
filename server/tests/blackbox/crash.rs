//! kill -9 at every step of a push. What was acknowledged is there and right, what was not is there as a whole or not at
//! all, and nothing is left lying about.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::sync::mpsc;
use std::time::Duration;

use serde_json::json;

use crate::harness::push::{content_md5, parts};
use crate::harness::{Compression, Path, Permission, SOON, Site, random_bytes, wait_for};

/// A duration below `limit`, different every time.
fn random_below(limit: Duration) -> Duration {
    limit.mul_f64(f64::from(u32::from_le_bytes(random_bytes())) / f64::from(u32::MAX))
}

/// After a restart: the paths in `acknowledged` are right, each of `others` is right or absent, no unfinished upload is
/// left, and every NAR in the storage belongs to a path that is served.
#[track_caller]
fn assert_consistent(site: &Site, acknowledged: &[&Path], others: &[&Path]) {
    let reader = site.reader("pub");
    let mut served = BTreeSet::new();
    for path in acknowledged {
        served.insert(reader.assert_has(path).url);
    }
    for path in others {
        match reader.narinfo_status(path) {
            200 => drop(served.insert(reader.assert_has(path).url)),
            status => assert_eq!(status, 404),
        }
    }
    site.wait_for_empty_spool("pub");
    let hashes: Vec<&str> = others.iter().map(|path| path.hash.as_str()).collect();
    let missing = site.pusher("pub").missing(&hashes);
    for path in others {
        let is_missing = missing.contains(&path.hash);
        assert_eq!(
            is_missing,
            reader.narinfo_status(path) == 404,
            "both say the same of {}",
            path.base_name()
        );
    }
    wait_for(SOON, "no NAR is stored that no path has", || {
        (site.stored_nars("pub").into_iter().collect::<BTreeSet<_>>() == served).then_some(())
    });
}

#[test]
fn killed_while_a_part_arrives() {
    let mut site = Site::start();
    let path = Path::incompressible("interrupted", 3_000_000);
    let pusher = site.pusher("pub");
    let upload = pusher.create(path.compression);
    let (first, second) = path.file.split_at(1_000_000);
    let etag = pusher.part(&upload, 1, first);
    let (endpoint, target) = pusher.resolve(&pusher.part_url(&upload, 2, second));
    let head = endpoint.put(&target).header("Content-MD5", &content_md5(second)).body(second).head();
    let mut stream = endpoint.connect().unwrap();
    stream.write_all(&head).unwrap();
    stream.write_all(&second[..1_500_000]).unwrap();
    wait_for(SOON, "both parts are in the spool", || (site.spooled_files("pub").len() > 1).then_some(()));

    site.crash_and_restart();
    assert_consistent(&site, &[], &[&path]);
    pusher.complete(&upload, &parts(&[etag]), &path.nar_info_create()).expect_refusal();
    site.reader("pub").assert_lacks(&path);
    pusher.push(&path);
    assert_consistent(&site, &[&path], &[]);
}

/// The moment is different in every round, so that over many runs every step is hit.
#[test]
fn killed_at_complete() {
    let mut site = Site::start();
    let mut acknowledged: Vec<Path> = Vec::new();
    let mut unknown: Vec<Path> = Vec::new();
    for round in 0..25 {
        let path = Path::incompressible(&format!("round-{round}"), 100_000);
        let pusher = site.pusher("pub");
        let (upload, parts) = pusher.upload(&path);
        let (sender, reply) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let target = pusher.target(&format!(
                    "multipart-nar/{}/complete?uploadId={}",
                    upload.nar_id,
                    crate::harness::http::percent_encode(&upload.upload_id)
                ));
                let body = json!({"parts": parts, "narInfoCreate": path.nar_info_create()});
                let request = pusher.endpoint.post(&target).bearer(&pusher.token).json(&body);
                sender.send(request.try_send().is_ok_and(|reply| reply.status == 200)).unwrap();
            });
            std::thread::sleep(random_below(Duration::from_millis(20)));
            site.daemon().kill9();
        });
        let was_acknowledged = reply.recv().unwrap();
        site.restart();
        if was_acknowledged {
            site.reader("pub").assert_has(&path);
            // The client lost nothing, but does not know it when the reply was lost on the way.
            pusher.complete(&upload, &parts, &path.nar_info_create()).expect(200);
            acknowledged.push(path);
        } else {
            unknown.push(path);
        }
        let (acknowledged, unknown): (Vec<&Path>, Vec<&Path>) =
            (acknowledged.iter().collect(), unknown.iter().collect());
        assert_consistent(&site, &acknowledged, &unknown);
    }
}

#[test]
fn killed_right_after_the_reply() {
    let mut site = Site::start();
    let mut acknowledged: Vec<Path> = Vec::new();
    for round in 0..10 {
        let compression = if round % 2 == 0 { Compression::Zstd } else { Compression::Xz };
        let path = Path::small(&format!("round-{round}")).compressed_with(compression);
        let pusher = site.pusher("pub");
        let (upload, parts) = pusher.upload(&path);
        let nar_info = path.nar_info_create();
        pusher.complete(&upload, &parts, &nar_info).expect(200);
        site.crash_and_restart();
        // A client whose reply was lost asks again.
        pusher.complete(&upload, &parts, &nar_info).expect(200);
        acknowledged.push(path);
        assert_consistent(&site, &acknowledged.iter().collect::<Vec<_>>(), &[]);
    }
    // What is written beside the NARs is made up for.
    for path in &acknowledged {
        let narinfo = format!("{}.narinfo", path.hash);
        let listing = format!("{}.ls", path.hash);
        wait_for(SOON, "the storage is a whole binary cache", || {
            let files = site.stored_files("pub");
            (files.contains(&narinfo) && files.contains(&listing)).then_some(())
        });
    }
}

#[test]
fn killed_while_many_paths_are_pushed() {
    let mut site = Site::start();
    for _ in 0..3 {
        let paths: Vec<Path> = (0..16).map(|number| Path::small(&format!("many-{number}"))).collect();
        let pusher = site.pusher("pub");
        let (sender, done) = mpsc::channel();
        std::thread::scope(|scope| {
            for path in &paths {
                let (sender, pusher) = (sender.clone(), &pusher);
                scope.spawn(move || {
                    // Every step may find the daemon dead.
                    let pushed = std::panic::catch_unwind(|| pusher.push(path)).is_ok();
                    sender.send((path, pushed)).unwrap();
                });
            }
            drop(sender);
            std::thread::sleep(random_below(Duration::from_millis(150)));
            site.daemon().kill9();
        });
        let (acknowledged, others): (Vec<_>, Vec<_>) = done.iter().partition(|(_, pushed)| *pushed);
        site.restart();
        let reader = site.reader("pub");
        for (path, _) in &acknowledged {
            reader.assert_has(path);
        }
        for (path, _) in &others {
            if reader.narinfo_status(path) == 200 {
                reader.assert_has(path);
            } else {
                reader.assert_lacks(path);
            }
        }
        site.wait_for_empty_spool("pub");
        // The client tries again, and all is well.
        for path in &paths {
            pusher.push(path);
            reader.assert_has(path);
        }
    }
}

/// Nix does not send a NAR again that it was told is here.
#[test]
fn a_nar_waits_for_its_narinfo_whatever_becomes_of_the_daemon() {
    let mut site = Site::start();
    let token = site.token("pub", Permission::Write);
    let put = |site: &Site, path: &Path| {
        let nar = site.cache("pub").put(&format!("/{}", path.file_url())).basic("", &token);
        nar.body(path.file.clone()).send().expect_success();
    };
    let announce = |site: &Site, path: &Path| {
        let narinfo = site.cache("pub").put(&format!("/{}.narinfo", path.hash)).basic("", &token);
        narinfo.body(path.narinfo_text()).send()
    };
    let paths: Vec<Path> = (0..3).map(|number| Path::small(&format!("copied-{number}"))).collect();
    paths.iter().for_each(|path| put(&site, path));
    // Once more: the later one is as good.
    put(&site, &paths[0]);
    site.crash_and_restart();
    assert_eq!(site.reader("pub").narinfo_status(&paths[0]), 404);
    announce(&site, &paths[0]).expect_success();
    assert!(site.stop_and_restart().success());
    announce(&site, &paths[1]).expect_success();
    site.crash_and_restart();
    announce(&site, &paths[2]).expect_success();
    assert_consistent(&site, &paths.iter().collect::<Vec<_>>(), &[]);
}

/// After a power loss anything may be in files that were not made durable.
#[test]
fn what_a_power_loss_made_of_a_waiting_nar_is_never_served() {
    type Damage = fn(&std::path::Path);
    let damages: [(&str, Damage); 4] = [
        ("the NAR is full of zeros", |directory| {
            let len = std::fs::metadata(directory.join("main")).unwrap().len();
            std::fs::write(directory.join("main"), vec![0; usize::try_from(len).unwrap()]).unwrap();
        }),
        ("the NAR is empty", |directory| std::fs::write(directory.join("main"), "").unwrap()),
        ("the NAR is gone", |directory| std::fs::remove_file(directory.join("main")).unwrap()),
        ("the note is empty", |directory| std::fs::write(directory.join("kept"), "").unwrap()),
    ];
    let mut site = Site::start();
    let token = site.token("pub", Permission::Write);
    let mut served = Vec::new();
    for (what, damage) in damages {
        let path = Path::small("damaged");
        let nar = format!("/{}", path.file_url());
        let narinfo = format!("/{}.narinfo", path.hash);
        site.cache("pub").put(&nar).basic("", &token).body(path.file.clone()).send().expect_success();
        site.daemon().kill9();
        let spool = site.storage_dir("pub").join(".spool");
        let upload = std::fs::read_dir(&spool).unwrap().next().unwrap().unwrap().path();
        damage(&upload);
        site.restart();
        site.cache("pub").put(&narinfo).basic("", &token).body(path.narinfo_text()).send().expect_refusal();
        site.reader("pub").assert_lacks(&path);
        assert_consistent(&site, &served.iter().collect::<Vec<_>>(), &[&path]);
        site.cache("pub").put(&nar).basic("", &token).body(path.file.clone()).send().expect_success();
        site.cache("pub").put(&narinfo).basic("", &token).body(path.narinfo_text()).send().expect_success();
        assert!(site.reader("pub").narinfo_status(&path) == 200, "{what}");
        served.push(path);
    }
}

/// Nobody waits for ever.
#[test]
fn a_waiting_nar_expires_as_if_the_daemon_had_never_ended() {
    let mut site = Site::with(|config| config["server"]["upload-expiry"] = serde_json::json!("3s"));
    let path = Path::small("abandoned");
    let token = site.token("pub", Permission::Write);
    let nar = format!("/{}", path.file_url());
    site.cache("pub").put(&nar).basic("", &token).body(path.file.clone()).send().expect_success();
    site.crash_and_restart();
    site.wait_for_empty_spool("pub");
}

/// What a crash left in the spool is gone before the daemon answers, not some time later.
#[test]
fn leftovers_are_gone_at_the_start() {
    let mut site = Site::start();
    let pusher = site.pusher("pub");
    for _ in 0..5 {
        pusher.upload(&Path::incompressible("abandoned", 100_000));
    }
    assert!(!site.spooled_files("pub").is_empty());
    site.crash_and_restart();
    assert_eq!(site.spooled_files("pub"), Vec::<String>::new());
}
