//! A daemon whose storages do not work when it starts, and what `check-config` says about them.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::bucket::{Bucket, storage_at};
use super::network::Network;
use super::proxy::Fault;
use super::{BACK, with};
use crate::harness::daemon::DAEMON;
use crate::harness::{Path, Site, ports, wait_for};

/// Storages that do not work, each the only one of its cache, with what is to be said about it besides its name.
struct Faulty {
    bucket: Bucket,
    silent: Network,
    refusing: Network,
}

impl Faulty {
    fn start() -> Self {
        let bucket = Bucket::start();
        let [silent, refusing] = [(); 2].map(|()| Network::to(bucket.service.address()));
        silent.fail(Fault::Stall);
        refusing.fail(Fault::Refuse);
        Self { bucket, silent, refusing }
    }

    fn configure(&self, config: &mut Value) {
        let storages = [
            storage_at(&self.silent.endpoint(), "hanging-s3"),
            storage_at(&self.refusing.endpoint(), "closed-s3"),
            with(self.bucket.storage("misspelt-s3"), "s3_bucket", "no-such-bucket"),
        ];
        for (cache, storage) in storages.into_iter().enumerate() {
            config["caches"][cache]["storages"] = json!([storage]);
        }
    }
}

const CACHES: [&str; 3] = ["pub", "priv", "self"];
const NAMES: [&str; 3] = ["hanging-s3", "closed-s3", "misspelt-s3"];
const BUCKETS: [&str; 3] = ["cache", "cache", "no-such-bucket"];

/// The lines that speak of this storage.
fn lines<'a>(text: &'a str, storage: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(storage)).collect()
}

#[test]
fn the_daemon_starts_with_dead_storages_and_says_what_is_wrong_with_each() {
    let faulty = Faulty::start();
    let begun = Instant::now();
    let mut site = Site::with(|config| faulty.configure(config));
    assert!(begun.elapsed() < Duration::from_secs(5), "ready after {:?}", begun.elapsed());
    let log = site.daemon().log();
    for (name, bucket) in NAMES.into_iter().zip(BUCKETS) {
        // Besides the one that every storage has.
        let warnings: Vec<&str> =
            lines(&log, name).into_iter().filter(|line| !line.contains(" INFO ")).collect();
        let [line] = warnings[..] else { panic!("{name} has one line:\n{log}") };
        assert!(line.contains(&format!("bucket {bucket}")), "{line}");
    }
    assert!(lines(&log, "misspelt-s3")[0].contains("NoSuchBucket"), "{log}");

    for cache in CACHES {
        let pusher = site.pusher(cache);
        let target = pusher.target("multipart-nar?compression=zst");
        let reply = pusher.endpoint.post(&target).bearer(&pusher.token).body("").send().expect(503);
        let seconds: u32 = reply.header("Retry-After").expect("when to come back").parse().unwrap();
        assert!((1..=120).contains(&seconds), "what the client obeys: {seconds}");
        assert!(!reply.text().contains("s3"), "nothing internal: {}", reply.text());
        assert_eq!(site.reader(cache).narinfo_status(&Path::small("none")), 404);
    }
    // A cache whose storage works is not concerned.
    let path = Path::small("unconcerned");
    site.pusher("my-cache-2").push(&path);
    site.reader("my-cache-2").assert_has(&path);

    faulty.silent.mend();
    faulty.refusing.mend();
    for cache in &CACHES[..2] {
        let path = Path::small("late");
        wait_for(BACK, "the storage comes back", || {
            let pusher = site.pusher(cache);
            let target = pusher.target("multipart-nar?compression=zst");
            let reply = pusher.endpoint.post(&target).bearer(&pusher.token).body("").send();
            (reply.status == 200).then_some(())
        });
        site.pusher(cache).push(&path);
        site.reader(cache).assert_has(&path);
    }
}

#[test]
fn check_config_asks_the_services_and_has_one_line_for_each_that_will_not_do() {
    let faulty = Faulty::start();
    let directory = tempfile::tempdir().unwrap();
    let [api, deploy] = ports::free();
    let cache = |name: &str| json!({"name": name, "access": "public"});
    let mut config = json!({
        "server": {
            "standalone": true,
            "hostname": "127.0.0.1",
            "server-port": api,
            "deploy-port": deploy,
            "state-dir": directory.path().join("state"),
            "key": "6b".repeat(32),
        },
        "caches": CACHES.map(cache),
    });
    faulty.configure(&mut config);
    let file = directory.path().join("config.yaml");
    fs::write(&file, serde_json::to_string_pretty(&config).unwrap()).unwrap();
    let check = |arguments: &[&str]| {
        let mut command = Command::new(DAEMON);
        command.env_clear().env("HOME", directory.path()).arg("check-config").args(arguments).arg(&file);
        command.output().unwrap()
    };
    let output = check(&[]);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complaint}");
    for (name, bucket) in NAMES.into_iter().zip(BUCKETS) {
        let [line] = lines(&complaint, name)[..] else { panic!("{name} has one line:\n{complaint}") };
        assert!(line.contains(bucket) && line.contains("s3_bucket"), "{line}");
    }
    assert!(complaint.contains("NoSuchBucket"), "{complaint}");
    assert_eq!(check(&["--offline"]).status.code(), Some(0), "offline nobody is asked");
}
