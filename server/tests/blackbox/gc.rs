//! Garbage collection: what nobody needs goes, with its files; what somebody needs stays, whatever happens meanwhile.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::nix_host::NixHost;
use crate::harness::path::random_hash;
use crate::harness::site::HOST;
use crate::harness::{Path, Permission, SOON, Site, random_bytes, wait_for};

/// A site whose paths may go as soon as it is asked for, and not before.
fn site() -> Site {
    Site::with(|config| {
        config["server"]["gc-interval"] = json!("off");
        config["server"]["gc-grace"] = json!("0s");
    })
}

/// Sends a request to the admin socket and returns the lines of JSON in the answer; none if the daemon does not answer.
fn ask(site: &Site, method: &str, target: &str, body: &str) -> Vec<Value> {
    let answer = || -> std::io::Result<String> {
        let mut stream = UnixStream::connect(site.directory().join("admin.sock"))?;
        let length = body.len();
        write!(
            stream,
            "{method} {target} HTTP/1.1\r\nHost: admin\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
        )?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    };
    // A line is never torn apart by the chunks it comes in.
    let lines = |text: String| text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    answer().map_or_else(|_| Vec::new(), lines)
}

/// Asks for a collection of what is older than some seconds and returns all that was told.
fn try_gc(site: &Site, older_than: u64, dry_run: bool) -> Vec<Value> {
    let request =
        json!({"kind": "gc", "cache": "pub", "dry_run": dry_run, "to_size": null, "older_than": older_than});
    ask(site, "POST", "/v1/jobs", &request.to_string())
}

/// What a collection came to.
#[track_caller]
fn gc(site: &Site, older_than: u64) -> Value {
    let events = try_gc(site, older_than, false);
    let last = events.iter().rfind(|event| event["event"] == "done");
    last.unwrap_or_else(|| panic!("{events:?}"))["summary"]["caches"][0].clone()
}

fn why(site: &Site, path: &Path) -> Value {
    let target = format!("/v1/caches/pub/paths/{}/why", path.hash);
    ask(site, "GET", &target, "").into_iter().find(Value::is_object).unwrap()
}

fn pin(site: &Site, name: &str, path: &Path) {
    let body = json!({"name": name, "storePath": path.store_path(), "artifacts": [], "keep": null});
    let token = site.token("pub", Permission::Write);
    site.api().post("/api/v1/cache/pub/pin").bearer(&token).json(&body).send().expect(200);
}

/// Waits until what was done before `moment` is older than so many seconds, by the clock of whole seconds.
fn wait_until_older(moment: Instant, seconds: u64) {
    wait_for(Duration::from_secs(120), "time passes", || {
        (moment.elapsed() > Duration::from_secs(seconds + 2)).then_some(())
    });
}

#[test]
fn what_nothing_keeps_goes_and_all_else_stays() {
    const OLD: u64 = 6;
    let site = site();
    let pusher = site.pusher("pub");
    let library = Path::small("library");
    let deep = Path::small("deep");
    let pinned = Path::small("pinned").referring_to([library.base_name()]);
    let used = Path::small("used").referring_to([deep.base_name()]);
    let unused = Path::incompressible("unused", 100_000).referring_to([library.base_name()]);
    let lone = Path::small("lone");
    // It has the file of one that stays.
    let sharing = Path { name: "sharing".to_owned(), hash: random_hash(), ..pinned.clone() };
    for path in [&library, &deep, &pinned, &used, &unused, &lone, &sharing] {
        pusher.push(path);
    }
    pin(&site, "v1", &pinned);
    let pushed = Instant::now();
    assert_eq!(gc(&site, 3600)["paths_removed"], 0);
    let reason = why(&site, &library);
    assert_eq!(reason["live"], true);
    assert_eq!(reason["chain"], json!([library.base_name(), pinned.base_name()]));
    assert!(reason["reason"].as_str().unwrap().contains("v1"), "{reason}");
    assert!(why(&site, &lone)["goes_at"].is_i64());

    wait_until_older(pushed, OLD);
    assert!(pusher.missing(&[&used.hash]).is_empty());
    let told = try_gc(&site, OLD, true);
    let notes: Vec<&str> = told.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(notes.len(), 3, "{told:?}");
    let mut files = site.stored_files("pub");
    let summary = gc(&site, OLD);
    assert_eq!(summary["paths_before"], 7);
    assert_eq!(summary["paths_removed"], 3);
    assert_eq!(summary["kept"], 4);
    assert_eq!(summary["pinned"], 1);
    assert_eq!(summary["postponed"], 0);
    assert_eq!(summary["files_removed"], 2);
    assert_eq!(summary["bytes_freed"], unused.file.len() + lone.file.len());

    let reader = site.reader("pub");
    for path in [&library, &deep, &pinned, &used] {
        reader.assert_has(path);
    }
    for path in [&unused, &lone] {
        reader.assert_lacks(path);
    }
    assert_eq!(reader.narinfo_status(&sharing), 404);
    let gone = [&unused, &lone, &sharing];
    files.retain(|file| !gone.iter().any(|path| file.contains(&path.hash)));
    files.retain(|file| ![&unused, &lone].iter().any(|path| file.contains(&path.file_hash_nix32())));
    assert_eq!(site.stored_files("pub"), files);
    // Pushed again they are there again.
    pusher.push(&unused);
    pusher.push(&sharing);
    reader.assert_has(&unused);
    reader.assert_has(&sharing);
}

#[test]
fn a_collection_that_was_killed_is_finished_by_the_next_one() {
    const PATHS: usize = 60;
    let mut site = site();
    let mut kept = Vec::new();
    for round in 0..6 {
        let pusher = site.pusher("pub");
        let old: Vec<Path> = (0..PATHS).map(|number| Path::small(&format!("old-{round}-{number}"))).collect();
        old.iter().for_each(|path| pusher.push(path));
        let path = Path::small(&format!("kept-{round}"));
        pusher.push(&path);
        pin(&site, &format!("kept-{round}"), &path);
        kept.push(path);
        wait_until_older(Instant::now(), 0);
        std::thread::scope(|scope| {
            let directory = site.directory().to_owned();
            let running = scope.spawn({
                let site = &site;
                move || try_gc(site, 0, false)
            });
            // Somewhere in the middle: when so many of the narinfos are gone.
            let some = usize::from(random_bytes::<1>()[0]) % PATHS;
            let left = || {
                let files = std::fs::read_dir(directory.join("storage/pub")).unwrap();
                files
                    .flatten()
                    .filter(|file| file.path().extension().is_some_and(|end| end == "narinfo"))
                    .count()
            };
            wait_for(SOON, "some are gone", || (left() <= kept.len() + some).then_some(()));
            let pid = rustix::process::Pid::from_raw(site.daemon_pid() as i32).unwrap();
            rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
            running.join().unwrap();
        });
        site.daemon().kill9();
        site.restart();
        gc(&site, 0);
        let reader = site.reader("pub");
        old.iter().for_each(|path| reader.assert_lacks(path));
        kept.iter().for_each(|path| drop(reader.assert_has(path)));
        assert_eq!(site.stored_nars("pub").len(), kept.len());
        assert_nothing_to_repair(&site);
    }
}

/// The steps of a collection, at each of which the daemon is killed once.
#[cfg(feature = "fail-points")]
const STEPS: [&str; 10] = [
    "gc-hidden",
    "gc-buried",
    "gc-narinfos-removed",
    "gc-links-removed",
    "gc-listings-removed",
    "gc-realisations-removed",
    "gc-tombstones-removed",
    "gc-nars-given-up",
    "gc-nars-removed",
    "gc-nars-forgotten",
];

#[cfg(feature = "fail-points")]
#[test]
fn a_collection_that_dies_at_any_step_is_finished_by_the_next_one() {
    use std::fs;

    use crate::harness::site::DIE_AT;

    let mut site = Site::mortal(|config, _| {
        config["server"]["gc-interval"] = json!("off");
        config["server"]["gc-grace"] = json!("0s");
    });
    let die_at = site.directory().join(DIE_AT);
    let mut kept = Vec::new();
    for step in STEPS {
        let pusher = site.pusher("pub");
        let library = Path::small("library");
        let old = [
            Path::incompressible("old", 50_000),
            Path::small("other"),
            Path::small("needing").referring_to([library.base_name()]),
            library,
        ];
        old.iter().for_each(|path| pusher.push(path));
        let target = format!("/build-trace-v2/{}-old.drv/out.doi", random_hash());
        let put = site.cache("pub").put(&target).basic("", &site.token("pub", Permission::Write));
        put.json(&json!({"outPath": old[0].base_name()})).send().expect_success();
        let path = Path::small(step);
        pusher.push(&path);
        pin(&site, step, &path);
        kept.push(path);
        wait_until_older(Instant::now(), 0);
        fs::write(&die_at, step).unwrap();
        assert!(site.stop_and_restart().success());
        try_gc(&site, 0, false);
        let killed = wait_for(SOON, "it dies", || site.daemon().has_ended());
        assert!(!killed.success(), "{step}");
        fs::remove_file(&die_at).unwrap();
        site.restart();
        // What is pushed before the next one is as good as new.
        let again = &old[1];
        site.pusher("pub").push(again);
        let reader = site.reader("pub");
        reader.assert_has(again);
        pin(&site, "again", again);
        gc(&site, 0);
        for gone in [&old[0], &old[2], &old[3]] {
            reader.assert_lacks(gone);
        }
        kept.iter().chain([again]).for_each(|path| drop(reader.assert_has(path)));
        assert_eq!(site.stored_nars("pub").len(), kept.len() + 1, "{step}");
        assert_nothing_to_repair(&site);
        site.cachectl_ok(&["pin", "remove", "again", "--cache", "pub"]);
    }
}

/// A dry run names every path, however many there are, and calls nothing removed.
#[test]
fn a_dry_run_tells_of_every_path_and_removes_none() {
    const PATHS: usize = 1100;
    let site = site();
    let pusher = site.pusher("pub");
    let paths: Vec<Path> = (0..PATHS).map(|number| Path::small(&format!("{number}"))).collect();
    std::thread::scope(|scope| {
        for some in paths.chunks(PATHS.div_ceil(8)) {
            let pusher = &pusher;
            scope.spawn(move || some.iter().for_each(|path| pusher.push(path)));
        }
    });
    wait_until_older(Instant::now(), 0);
    let told = try_gc(&site, 0, true);
    let notes: Vec<&str> = told.iter().filter_map(|event| event["text"].as_str()).collect();
    assert_eq!(notes.len(), PATHS);
    assert!(paths.iter().all(|path| notes.iter().any(|note| note.contains(&path.hash))));
    let done = told.iter().rfind(|event| event["event"] == "done").unwrap();
    let counts = done["summary"]["caches"][0].clone();
    assert_eq!(counts["paths_to_remove"], PATHS);
    for removed in ["paths_removed", "files_removed", "bytes_freed"] {
        assert_eq!(counts[removed], 0, "{counts}");
    }
    assert_eq!(site.stored_nars("pub").len(), PATHS);
}

/// Ids go on, and what ran before is still listed.
#[test]
fn jobs_are_listed_with_their_ids_after_a_restart() {
    let mut site = site();
    site.pusher("pub").push(&Path::small("path"));
    gc(&site, 3600);
    site.cachectl_ok(&["fsck", "--cache", "pub"]);
    let jobs = |site: &Site| -> Vec<Value> {
        serde_json::from_str(&site.cachectl_ok(&["job", "list", "--json"])).unwrap()
    };
    let before = jobs(&site);
    assert_eq!(before.len(), 2);
    assert!(site.stop_and_restart().success());
    assert_eq!(jobs(&site), before);
    let stopped: Value = serde_json::from_str(&site.cachectl_ok(&["job", "stop", "1", "--json"])).unwrap();
    assert_eq!(stopped, before[1], "stopping a job that has ended changes nothing");
    gc(&site, 3600);
    site.crash_and_restart();
    for _ in 0..40 {
        gc(&site, 3600);
    }
    let after = jobs(&site);
    assert_eq!(after.len(), 32, "the last ones");
    assert_eq!(after[0]["id"], "43", "the newest comes first");
}

/// `fsck` finds that catalog and storages agree.
#[track_caller]
fn assert_nothing_to_repair(site: &Site) {
    let text = site.cachectl_ok(&["fsck", "--dry-run", "--json"]);
    let fsck: Value = serde_json::from_str(text.lines().next_back().unwrap()).unwrap();
    for storage in fsck["summary"]["storages"].as_array().unwrap() {
        for finding in ["missing", "wrong_size", "orphans_removed", "unknown_paths", "problems"] {
            assert_eq!(storage[finding], 0, "{finding} in {fsck}");
        }
    }
}

/// For a minute eight clients push new paths, and old ones again, each as clients do: first they ask what is missing. Others
/// read meanwhile. Whatever a client was told is there stays there for its time, and real Nix takes it.
#[test]
fn what_was_acknowledged_beside_a_collection_can_be_read() {
    const OLD: u64 = 20;
    const PUSHING: Duration = Duration::from_secs(60);
    const CLIENTS: usize = 8;
    let site = site();
    let pusher = site.pusher("pub");
    let old: Vec<Path> = (0..40).map(|number| Path::small(&format!("old-{number}"))).collect();
    old.iter().for_each(|path| pusher.push(path));
    wait_until_older(Instant::now(), OLD);
    let begin = Instant::now();
    let done = AtomicBool::new(false);
    let lately = &Mutex::new(Vec::new());
    let acknowledged: Vec<Path> = std::thread::scope(|scope| {
        for _ in 0..2 {
            let reader = site.reader("pub");
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    let pushed = lately.lock().unwrap().last().cloned();
                    pushed.iter().for_each(|path| drop(reader.assert_has(path)));
                }
            });
        }
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (pusher, old) = (&pusher, &old);
                scope.spawn(move || {
                    let mut relied_on = Vec::new();
                    for number in 0.. {
                        if begin.elapsed() > PUSHING {
                            break;
                        }
                        let again = &old[(number * CLIENTS + client) % old.len()];
                        if number % 3 == 0 || !pusher.missing(&[&again.hash]).is_empty() {
                            pusher.push(again);
                        }
                        let new =
                            Path::small(&format!("new-{client}-{number}")).referring_to([again.base_name()]);
                        pusher.push(&new);
                        lately.lock().unwrap().push(new.clone());
                        relied_on.push((Instant::now(), [again.clone(), new]));
                    }
                    relied_on
                })
            })
            .collect();
        let collector = scope.spawn(|| {
            let mut removed = 0;
            while !done.load(Ordering::Relaxed) {
                removed += gc(&site, OLD)["paths_removed"].as_u64().unwrap();
            }
            removed
        });
        let acknowledged: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(collector.join().unwrap() > 0, "the first collection finds what is old");
        // What was pushed earlier may have gone again, with a margin for the time between the answer and its note.
        let not_over = |time: &Instant| time.elapsed() < Duration::from_secs(OLD / 2);
        acknowledged.into_iter().filter(|(time, _)| not_over(time)).flat_map(|(_, paths)| paths).collect()
    });
    assert!(acknowledged.len() > CLIENTS);
    let reader = site.reader("pub");
    acknowledged.iter().for_each(|path| drop(reader.assert_has(path)));
    let sample: Vec<String> = acknowledged.iter().rev().take(100).map(Path::store_path).collect();
    let nix = NixHost::trusting(&site.public_keys("pub"));
    nix.ok(&format!("nix copy --from http://pub.{HOST}:{} {}", site.port("api"), sample.join(" ")));
    nix.ok("nix store verify --all --no-trust");
}
