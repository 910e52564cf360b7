//! Each alert fires by the fault that it is for, in a real Prometheus.
//!
//! They have cases with made-up values as well, in `monitoring/alerts.test.yaml`.

use std::cell::Cell;
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, thread};

use serde_json::json;

use super::prometheus::{Prometheus, SOON};
use super::scrape::{Scrape, with_metrics};
use crate::faults::clock::{self, set_clock};
use crate::federation::network::join;
use crate::harness::daemon::DAEMON;
use crate::harness::faulty::{self, EIO, Fault};
use crate::harness::{Path, Site, wait_for};
use crate::tls::{Authority, Kind};

/// Pushes that stay in a queue, a few more than an alert wants.
const MANY: usize = 1050;

#[test]
fn faults_of_disks_ports_and_machines_fire_alerts_that_end_with_them() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    let mut site = Site::launched(
        |config, directory| {
            with_metrics(config);
            config["caches"].as_array_mut().unwrap().truncate(2);
            config["caches"][0]["storages"] =
                json!([{"name": "disk", "type": "local", "root": directory.join("disk")}]);
            config["caches"][1]["port"] = json!(port);
            config["workspaces"] = json!([{"name": "fleet", "cache": "pub"}]);
            config["agents"] = json!([{"name": "machine", "workspace": "fleet"}]);
        },
        |directory| {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            faulty::preload(&mut command, directory, "/db.sqlite");
            command
        },
    );
    let (path, pusher) = (Path::small("path"), site.pusher("pub"));
    pusher.push(&path);
    let prometheus = Prometheus::start(&site);
    prometheus.wait_for_alert("CacheServerAgentOffline");
    prometheus.wait_for_alert("CacheServerListenerDown");
    drop(taken);
    prometheus.wait_until_silent("CacheServerListenerDown");

    // A disk that takes more than a second to write anything.
    let mut slow = 0;
    wait_for(SOON, "CacheServerCatalogSlow fires", || {
        faulty::set(site.directory(), Some(Fault::Hang));
        let pusher = pusher.clone();
        slow += 1;
        let push = thread::spawn(move || pusher.push(&Path::small(&format!("slow-{slow}"))));
        thread::sleep(Duration::from_millis(1500));
        faulty::set(site.directory(), None);
        push.join().unwrap();
        prometheus.firing().contains("CacheServerCatalogSlow").then_some(())
    });

    faulty::set(site.directory(), Some(Fault::Write(EIO)));
    for alert in ["CacheServerCatalogNotWritable", "CacheServerErrors", "CacheServerWorkerFailing"] {
        wait_for(SOON, &format!("{alert} fires"), || {
            assert!(pusher.try_push(&Path::small("other")).status >= 500);
            prometheus.firing().contains(alert).then_some(())
        });
    }
    faulty::set(site.directory(), None);
    prometheus.wait_until_silent("CacheServerWorkerFailing");

    let file = site.directory().join("disk/pub").join(path.file_url());
    fs::write(&file, "damaged").unwrap();
    let scrub = site.cachectl(&["storage", "scrub"]);
    assert_eq!(scrub.status.code(), Some(9), "{scrub:?}");
    prometheus.wait_for_alert("CacheServerDamage");

    fs::rename(site.directory().join("disk"), site.directory().join("gone")).unwrap();
    for alert in ["CacheServerStorageFailing", "CacheServerNotReady"] {
        wait_for(SOON, &format!("{alert} fires"), || {
            site.reader("pub").get(&path.file_url());
            pusher.try_push(&Path::small("another"));
            prometheus.firing().contains(alert).then_some(())
        });
    }

    site.daemon().kill9();
    prometheus.wait_for_alert("CacheServerDown");
}

#[test]
fn a_lack_of_room_and_neglect_fire_alerts() {
    let site = Site::with_files(|config, directory| {
        with_metrics(config);
        config["server"]["gc-interval"] = json!("1s");
        config["caches"][0]["storages"] =
            json!([{"name": "disk", "type": "local", "root": directory.join("disk"), "max-size": "4MB"}]);
        config["caches"][1]["max-size"] = json!("1MB");
        config["caches"][3]["upstreams"] = json!(["http://127.0.0.1:9"]);
        let [certificate, key] = ["server.pem", "server.key"].map(|name| directory.join(name));
        let authority = Authority::at(&directory.join("authority"));
        authority.issue(Kind::Server, &["localhost"], 7, &certificate, &key);
        config["caches"][2]["tls"] = json!({"certificate": certificate, "key": key});
    });
    let prometheus = Prometheus::start(&site);
    prometheus.wait_for_alert("CacheServerCertificateEnds");

    let megabytes = |name: &str, count: f64| Path::incompressible(name, (count * 1e6) as usize);
    site.pusher("pub").push(&megabytes("most", 3.8));
    prometheus.wait_for_alert("CacheServerStorageNearlyFull");
    let rest = wait_for(SOON, "the storage is full", || {
        let status = site.pusher("pub").try_push(&megabytes("rest", 0.19)).status;
        (status == 507).then_some(status)
    });
    assert_eq!(rest, 507);
    site.pusher("priv").push(&megabytes("own", 0.95));
    prometheus.wait_for_alert("CacheServerCacheNearlyFull");

    wait_for(SOON, "CacheServerUpstreamDown fires", || {
        site.reader("my-cache-2").narinfo_status(&Path::small("absent"));
        prometheus.firing().contains("CacheServerUpstreamDown").then_some(())
    });

    site.cachectl_ok(&["worker", "pause", "gc"]);
    prometheus.wait_for_alert("CacheServerNoCollection");

    site.edit_config(|config| config["server"]["key"] = json!("6c".repeat(32)));
    site.cachectl_ok(&["reload"]);
    prometheus.wait_for_alert("CacheServerTokensVoid");
}

#[test]
fn a_full_storage_fires_an_alert() {
    let site = Site::launched(
        |config, _| with_metrics(config),
        |directory| {
            let mut command = Command::new("unshare");
            let mount = "mkdir -p \"$STORAGE\" && mount -t tmpfs -o size=16m tmpfs \"$STORAGE\" && exec \"$0\" \"$@\"";
            command.args(["--mount", "--propagation", "private", "sh", "-c", mount, DAEMON]);
            command.env("STORAGE", directory.join("storage")).stdin(Stdio::null());
            command
        },
    );
    let prometheus = Prometheus::start(&site);
    let pusher = site.pusher("pub");
    let mut number = 0;
    wait_for(SOON, "CacheServerFull fires", || {
        number += 1;
        pusher.try_push(&Path::incompressible(&format!("path-{number}"), 1 << 20));
        prometheus.firing().contains("CacheServerFull").then_some(())
    });
}

#[test]
fn clocks_and_catalogs_that_are_not_the_right_ones_fire_alerts() {
    let mut site = clock::site_with(1, with_metrics);
    for name in ["one", "two", "three"] {
        site.pusher("pub").push(&Path::small(name));
    }
    assert!(site.daemon().terminate().success());
    set_clock(&site, "+2d");
    site.restart();
    let prometheus = Prometheus::start(&site);
    prometheus.wait_for_alert("CacheServerCollectionHeldBack");
    set_clock(&site, "+400d");
    prometheus.wait_for_alert("CacheServerClockDoubted");

    assert!(site.daemon().terminate().success());
    for file in fs::read_dir(site.state_dir()).unwrap().flatten() {
        if file.file_name().to_string_lossy().starts_with("db.sqlite") {
            fs::remove_file(file.path()).unwrap();
        }
    }
    set_clock(&site, "+0");
    site.restart();
    prometheus.wait_for_alert("CacheServerForeignStorage");
}

#[test]
fn files_that_a_disk_has_cut_short_fire_an_alert() {
    let site = Site::with(with_metrics);
    let prometheus = Prometheus::start(&site);
    let (pusher, reader) = (site.pusher("pub"), site.reader("pub"));
    let mut number = 0;
    wait_for(SOON, "CacheServerStorageErrors fires", || {
        number += 1;
        let path = Path::small(&format!("path-{number}"));
        pusher.push(&path);
        let file = fs::File::options().write(true).open(site.storage_dir("pub").join(path.file_url()));
        file.unwrap().set_len(10).unwrap();
        assert_ne!(reader.get(&path.file_url()).status, 200);
        prometheus.firing().contains("CacheServerStorageErrors").then_some(())
    });
}

#[test]
fn a_disk_that_is_away_fires_the_alerts_for_copies_until_it_is_back() {
    let site = Site::with_files(|config, directory| {
        with_metrics(config);
        config["caches"].as_array_mut().unwrap().truncate(1);
        config["caches"][0]["copies"] = json!(2);
        config["caches"][0]["storages"] = json!(
            ["a", "b"].map(|name| json!({"name": name, "type": "local", "root": directory.join(name)}))
        );
    });
    let prometheus = Prometheus::start(&site);
    let (disk, elsewhere) = (site.directory().join("b"), site.directory().join("gone"));
    fs::rename(&disk, &elsewhere).unwrap();
    site.pusher("pub").push(&Path::small("path"));
    prometheus.wait_for_alert("CacheServerCopiesExposed");
    prometheus.wait_for_alert("CacheServerCopiesMissing");
    fs::rename(&elsewhere, &disk).unwrap();
    prometheus.wait_until_silent("CacheServerCopiesExposed");
    prometheus.wait_until_silent("CacheServerCopiesMissing");
}

#[test]
fn files_that_a_disk_keeps_from_being_removed_fire_an_alert() {
    let site = Site::with_files(|config, directory| {
        with_metrics(config);
        config["server"]["trash"] = json!("0s");
        config["caches"].as_array_mut().unwrap().truncate(1);
        config["caches"][0]["storages"] =
            json!([{"name": "disk", "type": "local", "root": directory.join("disk")}]);
    });
    let prometheus = Prometheus::start(&site);
    let paths = push_many(&site);
    fs::rename(site.directory().join("disk"), site.directory().join("gone")).unwrap();
    for path in &paths {
        site.cachectl_ok(&["path", "delete", &path.hash]);
    }
    prometheus.wait_for_alert("CacheServerRemovalsPending");
}

/// Pushes [`MANY`] paths.
fn push_many(site: &Site) -> Vec<Path> {
    let paths: Vec<Path> = (0..MANY).map(|number| Path::small(&format!("path-{number}"))).collect();
    let pusher = site.pusher("pub");
    thread::scope(|scope| {
        for some in paths.chunks(MANY.div_ceil(4)) {
            let pusher = &pusher;
            scope.spawn(move || some.iter().for_each(|path| pusher.push(path)));
        }
    });
    paths
}

#[test]
fn announcements_that_pile_up_fire_an_alert() {
    let site = Site::with_files(|config, directory| {
        with_metrics(config);
        join(config, None);
        config["caches"].as_array_mut().unwrap().truncate(1);
        config["caches"][0]["storages"] =
            json!([{"name": "disk", "type": "local", "root": directory.join("disk")}]);
    });
    let prometheus = Prometheus::start(&site);
    push_many(&site);
    // There is no other node that could store the records.
    prometheus.wait_for_alert("CacheServerAnnounceBacklog");
}

#[test]
fn a_port_of_the_dht_that_something_else_has_fires_an_alert_until_it_is_free() {
    let taken = Cell::new(None);
    let site = Site::with(|config| {
        with_metrics(config);
        join(config, None);
        let port = config["server"]["dht-port"].as_u64().unwrap() as u16;
        taken.set(Some(UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).unwrap()));
    });
    let prometheus = Prometheus::start(&site);
    prometheus.wait_for_alert("CacheServerDhtDown");
    // All else works, and people are told.
    let path = Path::small("path");
    site.pusher("pub").push(&path);
    site.reader("pub").assert_has(&path);
    let doctor = site.cachectl(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("DHT") && said.contains("UDP port"), "{said}");
    drop(taken);
    prometheus.wait_until_silent("CacheServerDhtDown");
}

#[test]
fn connections_that_take_all_descriptors_fire_an_alert() {
    const LIMIT: usize = 400;
    let site = Site::launched(
        |config, _| with_metrics(config),
        |_| {
            let mut command = Command::new("prlimit");
            command.args([&format!("--nofile={LIMIT}:{LIMIT}"), DAEMON]).env_clear().stdin(Stdio::null());
            command
        },
    );
    let prometheus = Prometheus::start(&site);
    let connect = || TcpStream::connect((Ipv4Addr::LOCALHOST, site.port("api"))).unwrap();
    let mut held = Vec::new();
    wait_for(SOON, "CacheServerDescriptors fires", || {
        let used = Scrape::of(&site).sum("process_open_fds");
        if used < 0.85 * LIMIT as f64 {
            held.extend((0..20).map(|_| connect()));
        }
        prometheus.firing().contains("CacheServerDescriptors").then_some(())
    });
}
