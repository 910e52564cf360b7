//! Files whose sync has failed: the kernel may have lost pages of them and does not say so again, so they are written anew.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::{Command, Stdio};

use crate::harness::daemon::DAEMON;
use crate::harness::faulty::{self, EIO, Fault};
use crate::harness::{Path, SOON, Site, wait_for};

/// A site on whose storage of `pub` syncs can fail.
fn site() -> Site {
    Site::launched(
        |_, _| (),
        |directory| {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            let storage = directory.join("storage/pub");
            faulty::preload(&mut command, directory, storage.to_str().unwrap());
            command
        },
    )
}

fn inode(file: &std::path::Path) -> u64 {
    fs::metadata(file).unwrap().ino()
}

#[test]
fn an_upload_whose_sync_failed_is_stored_from_a_new_file() {
    let site = site();
    let path = Path::incompressible("unsynced", 300_000);
    let pusher = site.pusher("pub");
    let (upload, parts) = pusher.upload(&path);
    let spool = site.storage_dir("pub").join(".spool");
    let spooled = site.spooled_files("pub").into_iter().find(|file| file.ends_with("main")).unwrap();
    // Held open, so that its inode is not given to another file.
    let doubtful = fs::File::open(spool.join(&spooled)).unwrap();
    faulty::set(site.directory(), Some(Fault::Sync(EIO)));
    let complete = || pusher.complete(&upload, &parts, &path.nar_info_create());
    assert_eq!(complete().status, 503);
    assert!(!spool.join(&spooled).exists(), "nobody can sync it again");
    faulty::set(site.directory(), None);
    wait_for(SOON, "the storage works again", || (complete().status == 200).then_some(()));
    site.reader("pub").assert_has(&path);
    let stored = site.storage_dir("pub").join(path.file_url());
    assert_ne!(inode(&stored), doubtful.metadata().unwrap().ino());
}

#[test]
fn an_upload_that_lost_bytes_that_way_is_not_served() {
    let site = site();
    let path = Path::incompressible("lost", 300_000);
    let pusher = site.pusher("pub");
    let (upload, parts) = pusher.upload(&path);
    let spool = site.storage_dir("pub").join(".spool");
    let spooled = site.spooled_files("pub").into_iter().find(|file| file.ends_with("main")).unwrap();
    let file = fs::OpenOptions::new().write(true).open(spool.join(&spooled)).unwrap();
    faulty::set(site.directory(), Some(Fault::Sync(EIO)));
    let complete = || pusher.complete(&upload, &parts, &path.nar_info_create());
    assert_eq!(complete().status, 503);
    faulty::set(site.directory(), None);
    // What the disk has in place of a page that the kernel has dropped.
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 4096], 4096).unwrap();
    let reply = wait_for(SOON, "the storage works again", || {
        let reply = complete();
        (reply.status != 503).then_some(reply)
    });
    assert_eq!(reply.status, 500, "{}", String::from_utf8_lossy(&reply.body));
    site.reader("pub").assert_lacks(&path);
    assert_eq!(site.stored_nars("pub"), Vec::<String>::new());
    // The bytes have to come again.
    assert_eq!(complete().status, 404);
    wait_for(SOON, "the storage works again", || {
        (pusher.try_create(path.compression).status == 200).then_some(())
    });
    pusher.push(&path);
    site.reader("pub").assert_has(&path);
}

#[test]
fn files_beside_a_nar_whose_sync_failed_are_written_again() {
    let site = site();
    let path = Path::small("published");
    let narinfo = site.storage_dir("pub").join(format!("{}.narinfo", path.hash));
    let pusher = site.pusher("pub");
    let (upload, parts) = pusher.upload(&path);
    pusher.complete(&upload, &parts, &path.nar_info_create()).expect(200);
    faulty::set(site.directory(), Some(Fault::Sync(EIO)));
    let doubtful = wait_for(SOON, "the narinfo is written", || fs::File::open(&narinfo).ok());
    let worker = || {
        let list: serde_json::Value =
            serde_json::from_str(&site.cachectl_ok(&["worker", "list", "--json"])).unwrap();
        let mut workers = list["workers"].as_array().unwrap().iter();
        workers.find(|worker| worker["name"] == "publisher").unwrap().clone()
    };
    wait_for(SOON, "a sync fails", || worker()["last_error"].is_string().then_some(()));
    faulty::set(site.directory(), None);
    wait_for(SOON, "it is another file", || {
        (inode(&narinfo) != doubtful.metadata().unwrap().ino()).then_some(())
    });
    wait_for(SOON, "and durable", || (worker()["state"] == "idle").then_some(()));
}
