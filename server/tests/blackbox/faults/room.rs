//! The last 5 % of a file system stay free, however fast it fills up.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use rustix::fs::statvfs;

use crate::harness::daemon::DAEMON;
use crate::harness::faulty::{self, EIO, Fault};
use crate::harness::{Path, SOON, Site, wait_for};

const MIB: usize = 1 << 20;
/// What is written beside the NARs: narinfo files and listings.
const BESIDE: u64 = 256 << 10;

/// A daemon whose storages are on a file system of so many MiB, which only it sees.
fn site_on(mib: u64) -> Site {
    let script = format!(
        "mkdir -p \"$STORAGE\" && mount -t tmpfs -o size={mib}m tmpfs \"$STORAGE\" && exec \"$0\" \"$@\""
    );
    Site::launched(
        |_, _| (),
        move |directory| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-c", &script, DAEMON]);
            command.env("STORAGE", directory.join("storage")).stdin(Stdio::null());
            command
        },
    )
}

fn stays_below_the_limit(mib: u64, size: usize) {
    let site = site_on(mib);
    let below_root = site.directory().strip_prefix("/").unwrap().join("storage");
    let storage =
        std::path::Path::new("/proc").join(site.daemon_pid().to_string()).join("root").join(below_root);
    let most = AtomicU64::new(0);
    let over = AtomicBool::new(false);
    let acknowledged = Mutex::new(Vec::new());
    let pusher = site.pusher("pub");
    let watch = || {
        let space = statvfs(&storage).unwrap();
        most.fetch_max((space.f_blocks - space.f_bavail) * space.f_frsize, Ordering::Relaxed);
    };
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                watch();
                thread::yield_now();
            }
        });
        let pushers: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut refusals = 0;
                    while refusals < 6 {
                        let path = Path::incompressible("fast", size);
                        let upload = pusher.create_or_refuse(path.compression);
                        let status = upload.map_or(507, |upload| {
                            let url = pusher.part_url(&upload, 1, &path.file);
                            let reply = pusher.try_put(&url, &path.file).map_or(507, |reply| reply.status);
                            if reply == 200 {
                                let parts = serde_json::Value::Null;
                                pusher.complete(&upload, &parts, &path.nar_info_create()).status
                            } else {
                                reply
                            }
                        });
                        match status {
                            200 => acknowledged.lock().unwrap().push(path),
                            507 => refusals += 1,
                            other => panic!("{other}"),
                        }
                    }
                })
            })
            .collect();
        let pushed: Vec<_> = pushers.into_iter().map(thread::ScopedJoinHandle::join).collect();
        over.store(true, Ordering::Relaxed);
        assert!(pushed.iter().all(Result::is_ok));
    });
    watch();
    let (total, most) = (mib << 20, most.into_inner());
    let limit = total - total.div_ceil(20) + BESIDE;
    assert!(most <= limit, "{most} of {total} bytes were used, more than {limit}");
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() * size > total as usize / 2, "{} were taken", acknowledged.len());
    for path in &acknowledged {
        site.reader("pub").assert_has(path);
        wait_for(SOON, "its narinfo is on the storage", || {
            storage.join(format!("pub/{}.narinfo", path.hash)).exists().then_some(())
        });
    }
}

#[test]
fn fast_pushes_leave_the_last_5_percent_of_a_small_file_system_free() {
    stays_below_the_limit(8, MIB / 4);
}

#[test]
fn fast_pushes_of_large_files_leave_the_last_5_percent_free() {
    stays_below_the_limit(64, 3 * MIB);
}

/// The disk of the first storage takes bytes and cannot make them durable; the second storage is on another one.
#[test]
fn a_disk_that_cannot_sync_does_not_put_a_storage_on_another_disk_out_of_use() {
    let script = "for disk in first second; do mkdir -p $disk; mount -t tmpfs -o size=32m tmpfs $disk; done; \
                  cd /; exec \"$0\" \"$@\"";
    let site = Site::launched(
        |config, directory| {
            config["caches"].as_array_mut().unwrap().truncate(1);
            config["caches"][0]["storage-strategy"] = "in-order".into();
            let storage =
                |name: &str| serde_json::json!({"name": name, "type": "local", "root": directory.join(name)});
            config["caches"][0]["storages"] = serde_json::json!([storage("first"), storage("second")]);
        },
        move |directory| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-c", script, DAEMON]);
            command.current_dir(directory).stdin(Stdio::null());
            faulty::preload(&mut command, directory, "/first/");
            command
        },
    );
    faulty::set(site.directory(), Some(Fault::Sync(EIO)));
    for _ in 0..5 {
        let path = Path::incompressible("path", MIB);
        site.pusher("pub").push(&path);
        site.reader("pub").assert_has(&path);
    }
    let list: Vec<serde_json::Value> =
        serde_json::from_str(&site.cachectl_ok(&["storage", "list", "--cache", "pub", "--json"])).unwrap();
    let second = list.iter().find(|storage| storage["name"] == "second").unwrap();
    assert_eq!(second["state"], "ok", "{second}");
}
