//! The configuration changes while the daemon runs: what is under way goes on, and a file that is wrong changes nothing.

mod losses;

use std::net::TcpListener;
use std::path::Path as FilePath;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::daemon::DAEMON;
use crate::harness::faulty::{self, Fault};
use crate::harness::{Compression, Path, Permission, SOON, Site, ports, wait_for};

/// What `cachectl reload --json` tells.
#[track_caller]
fn reload(site: &Site) -> (Vec<String>, Vec<String>) {
    let told: Value = serde_json::from_str(&site.cachectl_ok(&["reload", "--json"])).unwrap();
    let lines = |key: &str| serde_json::from_value(told[key].clone()).unwrap();
    (lines("changes"), lines("needs_restart"))
}

/// A change of the config.
type Edit<'e> = &'e dyn Fn(&mut Value);

fn caches(config: &mut Value) -> &mut Vec<Value> {
    config["caches"].as_array_mut().unwrap()
}

fn disk(directory: &FilePath, name: &str) -> Value {
    json!({"name": name, "type": "local", "root": directory.join(name)})
}

/// A site whose cache `pub` lies on the storages `one` and `two`, in turn.
fn on_two_storages() -> Site {
    Site::with_files(|config, directory| {
        config["caches"][0]["storage-strategy"] = json!("round-robin");
        config["caches"][0]["storages"] = json!([disk(directory, "one"), disk(directory, "two")]);
    })
}

#[test]
fn without_a_change_nothing_happens() {
    let site = Site::start();
    assert_eq!(reload(&site), (vec![], vec![]));
    assert_eq!(site.cachectl_ok(&["reload"]), "Nothing changed.\n");
}

#[test]
fn what_changes_is_in_force_at_once_and_told() {
    let site = Site::start();
    let path = Path::small("path");
    site.pusher("pub").push(&path);
    let narinfo = format!("/{}.narinfo", path.hash);
    site.edit_config(|config| {
        config["server"]["gc-interval"] = json!("3h");
        config["caches"][0]["priority"] = json!(7);
        config["caches"][0]["access"] = json!("private");
        config["caches"][0]["retention"] = json!(99);
    });
    let (changes, needs_restart) = reload(&site);
    assert_eq!(
        changes,
        [
            "server.gc-interval: 3h instead of 12h",
            "caches.pub.access: private instead of public",
            "caches.pub.retention: 99 instead of 4",
            "caches.pub.priority: 7 instead of 30",
        ]
    );
    assert!(needs_restart.is_empty());
    site.cache("pub").get(&narinfo).send().expect(401);
    site.reader("pub").assert_has(&path);
    let info = site.reader("pub").get("nix-cache-info").expect(200);
    assert!(info.text().contains("Priority: 7\n"));
    let stored = std::fs::read_to_string(site.storage_dir("pub").join("nix-cache-info")).unwrap();
    assert!(stored.contains("Priority: 7\n"), "whoever reads the storage directly is told so too");
    let info: Value = serde_json::from_str(&site.cachectl_ok(&["cache", "info", "pub", "--json"])).unwrap();
    assert_eq!(info["retention_days"], 99);
    let workers: Value = serde_json::from_str(&site.cachectl_ok(&["worker", "list", "--json"])).unwrap();
    let collections: Vec<&Value> =
        workers["workers"].as_array().unwrap().iter().filter(|worker| worker["name"] == "gc").collect();
    assert_eq!(collections.len(), 1);

    site.edit_config(|config| config["server"]["gc-interval"] = json!("off"));
    reload(&site);
    let workers = site.cachectl_ok(&["worker", "list", "--json"]);
    assert!(!workers.contains("\"gc\""), "{workers}");
}

#[test]
fn caches_come_and_go_with_their_ports() {
    let site = Site::start();
    let path = Path::small("kept");
    site.pusher("my-cache-2").push(&path);
    let key = site.public_key("my-cache-2");
    let [port] = ports::free();
    let mut removed = json!(null);
    site.edit_config(|config| {
        removed = caches(config).remove(3);
        let mut new = removed.clone();
        new["name"] = json!("fresh");
        new["port"] = json!(port);
        caches(config).push(new);
    });
    let (changes, _) = reload(&site);
    assert_eq!(changes, ["caches.my-cache-2: removed; its data stays", "caches.fresh: new"]);
    site.cache("my-cache-2").get(&format!("/{}.narinfo", path.hash)).send().expect(404);
    site.api().get("/api/v1/cache/my-cache-2").send().expect(404);
    wait_for(SOON, "its port is closed", || site.cache_port("my-cache-2").connect().is_err().then_some(()));
    let other = Path::small("other");
    site.pusher("fresh").push(&other);
    site.reader("fresh").assert_has(&other);
    let mut own = site.cache_port("my-cache-2");
    own.address.set_port(port);
    own.get("/nix-cache-info").send().expect(200);
    let workers = site.cachectl_ok(&["worker", "list", "--json"]);
    assert!(workers.contains("probe fresh/disk") && !workers.contains("probe my-cache-2/disk"), "{workers}");

    // It comes back as it was, on the port that another cache has had meanwhile.
    site.edit_config(|config| {
        removed["port"] = json!(port);
        caches(config)[3] = removed.clone();
    });
    reload(&site);
    site.reader("my-cache-2").assert_has(&path);
    assert_eq!(site.public_key("my-cache-2"), key);
    own.get(&format!("/{}.narinfo", path.hash)).send().expect(200);
    own.get(&format!("/{}.narinfo", other.hash)).send().expect(404);
}

#[test]
fn storages_come_and_go_with_what_lies_on_them() {
    let site = on_two_storages();
    let pusher = site.pusher("pub");
    let paths: Vec<Path> = (0..6).map(|_| Path::small("path")).collect();
    paths.iter().for_each(|path| pusher.push(path));
    let lies_on =
        |path: &Path, name: &str| site.directory().join(name).join("pub").join(path.file_url()).exists();
    let mut two = json!(null);
    site.edit_config(|config| two = config["caches"][0]["storages"].as_array_mut().unwrap().remove(1));
    assert_eq!(reload(&site).0, ["caches.pub.storages.two: removed; its data stays"]);
    let reader = site.reader("pub");
    let hashes: Vec<&str> = paths.iter().map(|path| path.hash.as_str()).collect();
    let missing = pusher.missing(&hashes);
    assert_eq!(missing.len(), 3);
    for path in &paths {
        if lies_on(path, "one") {
            reader.assert_has(path);
        } else {
            assert_eq!(reader.narinfo_status(path), 404);
            assert!(missing.contains(&path.hash));
        }
    }
    let more = Path::small("more");
    pusher.push(&more);
    assert!(lies_on(&more, "one"));

    site.edit_config(|config| config["caches"][0]["storages"].as_array_mut().unwrap().push(two));
    assert_eq!(reload(&site).0, ["caches.pub.storages.two: new"]);
    paths.iter().chain([&more]).for_each(|path| drop(reader.assert_has(path)));
    assert!(pusher.missing(&hashes).is_empty());

    // The root of one of them moves, and its files with it.
    let elsewhere = site.directory().join("elsewhere");
    std::fs::rename(site.directory().join("two"), &elsewhere).unwrap();
    site.edit_config(|config| config["caches"][0]["storages"][1]["root"] = json!(elsewhere));
    reload(&site);
    paths.iter().for_each(|path| drop(reader.assert_has(path)));
    let last = [Path::small("last"), Path::small("last")];
    last.iter().for_each(|path| pusher.push(path));
    assert_eq!(last.iter().filter(|path| elsewhere.join("pub").join(path.file_url()).exists()).count(), 1);
}

#[test]
fn what_takes_a_restart_is_named_and_stays() {
    let site = Site::start();
    let [port] = ports::free();
    site.edit_config(|config| {
        config["server"]["server-port"] = json!(port);
        config["server"]["max-connections"] = json!(77);
        config["caches"][0]["priority"] = json!(7);
    });
    let (changes, needs_restart) = reload(&site);
    assert_eq!(changes, ["caches.pub.priority: 7 instead of 30"]);
    assert_eq!(needs_restart.len(), 2, "{needs_restart:?}");
    assert_eq!(needs_restart[0], format!("server.server-port: {port} instead of {}", site.port("api")));
    site.api().get("/api/v1/cache/pub").send().expect(200);
}

#[test]
fn a_faulty_file_changes_nothing_and_is_told() {
    let site = Site::start();
    let path = Path::small("path");
    site.pusher("pub").push(&path);
    let file = site.directory().join("config.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let faults: [(Edit<'_>, &str); 4] = [
        (&|config| config["caches"][0]["acess"] = json!("private"), "acess"),
        (&|config| config["caches"][0]["signing-key-file"] = json!(["/nowhere/key"]), "/nowhere/key"),
        (&|config| config["server"]["key-file"] = json!("/nowhere/secret"), "key"),
        (&|config| config["caches"][0]["port"] = json!(port), "in use"),
    ];
    for (fault, told) in faults {
        site.edit_config(|config| {
            config["caches"][0]["priority"] = json!(7);
            caches(config).remove(3);
            fault(config);
        });
        let output = site.cachectl(&["reload"]);
        assert_eq!(output.status.code(), Some(6), "{output:?}");
        let complaint = String::from_utf8(output.stderr).unwrap();
        assert!(complaint.contains(told), "{complaint}");
        let info = site.reader("pub").get("nix-cache-info").expect(200);
        assert!(!info.text().contains("Priority: 7\n"));
        site.cache_port("my-cache-2").get("/nix-cache-info").send().expect(200);
        std::fs::write(&file, &good).unwrap();
    }
    std::fs::write(&file, "caches: [").unwrap();
    assert_eq!(site.cachectl(&["reload"]).status.code(), Some(6));
    site.reader("pub").assert_has(&path);
    std::fs::write(&file, &good).unwrap();
    assert_eq!(reload(&site), (vec![], vec![]));
}

#[test]
fn what_lies_in_the_state_directory_stays_in_use_until_a_restart() {
    let site = Site::with(|config| {
        config["server"].as_object_mut().unwrap().remove("key");
        config["caches"][0].as_object_mut().unwrap().remove("storages");
    });
    let path = Path::small("path");
    site.pusher("pub").push(&path);
    let token = site.token("priv", Permission::Read);
    let elsewhere = site.directory().join("elsewhere");
    site.edit_config(|config| config["server"]["state-dir"] = json!(elsewhere));
    let (changes, needs_restart) = reload(&site);
    assert!(changes.is_empty(), "{changes:?}");
    assert!(needs_restart.iter().any(|text| text.starts_with("server.state-dir: ")), "{needs_restart:?}");
    site.api().get("/api/v1/cache/priv").bearer(&token).send().expect(200);
    site.reader("pub").assert_has(&path);
    assert!(!elsewhere.exists(), "nothing is made there");
}

#[test]
fn a_reload_shows_the_warnings_of_the_check() {
    let mut site = Site::start();
    let text = "has no effect without `storage-strategy: split`";
    site.edit_config(|config| config["caches"][0]["storages"][0]["split"] = json!(50));
    let told: Value = serde_json::from_str(&site.cachectl_ok(&["reload", "--json"])).unwrap();
    let warnings = told["warnings"].as_array().unwrap();
    let has = |warning: &&Value| {
        warning.as_str().is_some_and(|warning| warning.contains(text) && warning.contains("config.yaml:"))
    };
    assert_eq!(warnings.iter().filter(has).count(), 1, "{warnings:?}");
    let output = site.cachectl(&["reload"]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains(text));
    wait_for(SOON, "it is logged", || site.daemon().log().contains(text).then_some(()));
}

#[test]
fn transfers_that_are_under_way_go_on() {
    let site = on_two_storages();
    let pusher = site.pusher("pub");
    let large = Path::incompressible("large", 8_000_000);
    pusher.push(&large);
    // One that is being read, from the storage that goes away.
    let url = site.reader("pub").narinfo(&large).url;
    let mut reading = site.cache("pub").get(&format!("/{url}")).open().unwrap();
    let mut read = reading.read_some(100_000).unwrap();
    // One that is being pushed.
    let pushed = Path::small("pushed");
    let upload = pusher.create(Compression::Zstd);
    let etag = pusher.part(&upload, 1, &pushed.file);
    let on_one = site.directory().join("one/pub").join(large.file_url()).exists();
    site.edit_config(|config| {
        config["caches"][0]["storage-strategy"] = json!("in-order");
        config["caches"][0]["storages"].as_array_mut().unwrap().remove(usize::from(!on_one));
        config["caches"][0]["storages"][0]["max-size"] = json!("1GB");
    });
    reload(&site);
    let parts = json!([{"partNumber": 1, "eTag": etag}]);
    pusher.complete(&upload, &parts, &pushed.nar_info_create()).expect(200);
    site.reader("pub").assert_has(&pushed);
    assert_eq!(site.reader("pub").narinfo_status(&large), 404);
    read.extend(reading.into_response().unwrap().body);
    assert!(read == large.file, "{} of {} bytes", read.len(), large.file.len());
}

/// A site as [`on_two_storages`] makes it, in order, where syncs of the first storage can hang.
fn on_a_storage_that_may_hang() -> Site {
    let edit = |config: &mut Value, directory: &FilePath| {
        config["caches"][0]["storage-strategy"] = json!("in-order");
        config["caches"][0]["storages"] = json!([disk(directory, "one"), disk(directory, "two")]);
    };
    Site::launched(edit, |directory| {
        let mut command = Command::new(DAEMON);
        command.env_clear().stdin(Stdio::null());
        faulty::preload(&mut command, directory, "/one/pub/");
        command
    })
}

#[test]
fn a_reload_waits_for_no_file_that_is_being_stored_and_stalls_no_other_push() {
    let site = on_a_storage_that_may_hang();
    let pusher = site.pusher("pub");
    let (stuck, other) = (Path::small("stuck"), Path::small("other"));
    let lies_on =
        |path: &Path, name: &str| site.directory().join(name).join("pub").join(path.file_url()).exists();
    faulty::set(site.directory(), Some(Fault::Hang));
    thread::scope(|scope| {
        let pushing = scope.spawn(|| pusher.push(&stuck));
        wait_for(SOON, "a sync hangs", || faulty::has_hung(site.directory()).then_some(()));
        // The storage on which the push hangs is taken away.
        site.edit_config(|config| drop(config["caches"][0]["storages"].as_array_mut().unwrap().remove(0)));
        assert_eq!(reload(&site).0, ["caches.pub.storages.one: removed; its data stays"]);
        site.pusher("pub").push(&other);
        site.reader("pub").assert_has(&other);
        assert!(!pushing.is_finished(), "the disk does not hang");
        faulty::set(site.directory(), None);
        pushing.join().unwrap();
    });
    // It is acknowledged, so it is there, where the cache has its files now.
    site.reader("pub").assert_has(&stuck);
    assert!(lies_on(&stuck, "two"));
    assert!(!lies_on(&stuck, "one"));
}

#[test]
fn a_hangup_reloads_and_the_log_says_so() {
    let mut site = Site::start();
    site.edit_config(|config| config["caches"][0]["priority"] = json!(7));
    site.daemon().signal(Signal::HUP);
    wait_for(SOON, "the priority changes", || {
        site.reader("pub").get("nix-cache-info").text().contains("Priority: 7\n").then_some(())
    });
    site.edit_config(|config| config["caches"] = json!(3));
    site.daemon().signal(Signal::HUP);
    wait_for(SOON, "the fault is logged", || {
        site.daemon().log().contains("the configuration was not reloaded").then_some(())
    });
    site.cache("pub").get("/nix-cache-info").send().expect(200);
}

#[test]
fn what_is_logged_changes() {
    let mut site = Site::start();
    let says = |site: &mut Site| site.daemon().log().matches("token issued").count();
    site.token("pub", Permission::Read);
    assert_eq!(says(&mut site), 1);
    site.edit_config(|config| config["server"]["log"] = json!({"filter": "error"}));
    assert_eq!(reload(&site).0, ["server.log.filter: error instead of info"]);
    site.token("priv", Permission::Read);
    site.edit_config(|config| config["server"]["log"] = json!({"filter": "info"}));
    reload(&site);
    site.token("self", Permission::Read);
    assert_eq!(says(&mut site), 2);
}

#[test]
fn another_server_key_voids_the_tokens_and_no_part_url() {
    let site = Site::start();
    let path = Path::small("path");
    let before = site.pusher("pub");
    let upload = before.create(Compression::Zstd);
    let url = before.part_url(&upload, 1, &path.file);
    site.edit_config(|config| config["server"]["key"] = json!("7c".repeat(32)));
    let (changes, _) = reload(&site);
    assert_eq!(changes, ["server.key: tokens made with the old one are void"]);
    let etag = before.put(&url, &path.file).expect_success().header("ETag").unwrap().to_owned();
    let parts = json!([{"partNumber": 1, "eTag": etag}]);
    before.complete(&upload, &parts, &path.nar_info_create()).expect(401);
    let token = site.create_token(&["--cache", "pub", "--permission", "write"]);
    let after = crate::harness::Pusher::new(site.api(), "pub", &token);
    after.complete(&upload, &parts, &path.nar_info_create()).expect(200);
}

#[test]
fn pushes_and_reads_do_not_notice_reloads() {
    let site = on_two_storages();
    let pusher = site.pusher("pub");
    let reader = site.reader("pub");
    let [one, two] = ["one", "two"].map(|name| disk(site.directory(), name));
    let done = AtomicBool::new(false);
    let paths: Vec<Path> = thread::scope(|scope| {
        let pushing: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut pushed = Vec::new();
                    while !done.load(Ordering::Relaxed) {
                        let path = Path::small("path");
                        pusher.push(&path);
                        reader.assert_has(&path);
                        pushed.push(path);
                    }
                    pushed
                })
            })
            .collect();
        for round in 0..20 {
            let mut draining = two.clone();
            draining["draining"] = json!(round % 2 == 0);
            site.edit_config(|config| {
                config["caches"][0]["storages"] = json!([&one, draining]);
                config["caches"][0]["priority"] = json!(30 + round);
                config["caches"][0]["storage-strategy"] = json!(["round-robin", "least-used"][round % 2]);
            });
            reload(&site);
        }
        done.store(true, Ordering::Relaxed);
        pushing.into_iter().flat_map(|pushing| pushing.join().unwrap()).collect()
    });
    assert!(!paths.is_empty());
    paths.iter().for_each(|path| drop(reader.assert_has(path)));
}
