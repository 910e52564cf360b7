//! Two daemons on one PostgreSQL database and one S3 bucket: they serve each other's pushes, any of them answers any step
//! of an upload, and neither needs the other to go on.

use std::fs;
use std::io::{BufReader, Write as _};
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use crate::conformance::register_key;
use crate::harness::daemon::DAEMON;
use crate::harness::push::{content_md5, parts};
use crate::harness::site::HOST;
use crate::harness::{Cluster, Incoming, Path, Permission, Pusher, SOON, Site, random_bytes, wait_for};

/// How soon a daemon knows what another one did.
const IN_STEP: Duration = Duration::from_secs(1);
/// How long it may take until files are on another tier.
const MOVED: Duration = Duration::from_secs(60);

/// The daemon serves the path, and says so, within a second from now.
#[track_caller]
fn soon_serves(site: &Site, pusher: &Pusher, path: &Path) {
    let reader = site.reader(&pusher.cache);
    wait_for(IN_STEP, "the other daemon serves it", || {
        (reader.narinfo_status(path) == 200 && pusher.missing(&[&path.hash]).is_empty()).then_some(())
    });
    let info = reader.assert_has(path);
    assert!(info.is_signed_by(&site.public_key(&pusher.cache)));
}

/// The status of asking for a cache's JSON with a token.
fn opens(site: &Site, cache: &str, token: &str) -> u16 {
    site.api().get(&format!("/api/v1/cache/{cache}")).bearer(token).send().status
}

#[test]
fn what_one_daemon_takes_both_serve() {
    let Cluster { a, b, .. } = &Cluster::start();
    for cache in ["pub", "priv"] {
        assert_eq!(a.public_key(cache), b.public_key(cache), "both sign with one key");
    }
    // The first read makes both know what is there; then the caches are in their memory.
    for cache in ["pub", "priv"] {
        let token = a.token(cache, Permission::Write);
        wait_for(IN_STEP, "the token is good at the other daemon", || {
            (opens(b, cache, &token) == 200).then_some(())
        });
        for (at, other) in [(a, b), (b, a)] {
            let path = Path::small("pushed");
            let [pusher, asking] = [at, other].map(|site| Pusher::new(site.api(), cache, &token));
            assert_eq!(other.reader(cache).narinfo_status(&path), 404);
            assert_eq!(asking.missing(&[&path.hash]), [path.hash.as_str()]);
            pusher.push(&path);
            soon_serves(other, &asking, &path);
            at.reader(cache).assert_has(&path);
            // Again at the other one: nothing to do.
            asking.push(&path);
        }
    }
}

#[test]
fn tokens_and_keys_hold_at_both() {
    let Cluster { a, b, .. } = &Cluster::start();
    let token = a.create_token(&["--cache", "priv", "--permission", "read"]);
    wait_for(IN_STEP, "the token is good at the other daemon", || {
        (opens(b, "priv", &token) == 200).then_some(())
    });
    let list: Value = serde_json::from_str(&a.cachectl_ok(&["token", "list", "--json"])).unwrap();
    let id = list.as_array().unwrap().last().unwrap()["id"].as_str().unwrap().to_owned();
    a.cachectl_ok(&["token", "revoke", &id]);
    wait_for(IN_STEP, "the token is refused at the other daemon", || {
        (opens(b, "priv", &token) == 401).then_some(())
    });

    let key = register_key(a, "self");
    let public = STANDARD.encode(key.verifying_key().to_bytes());
    let published = format!("self.{HOST}-1:{public}");
    wait_for(IN_STEP, "the other daemon publishes the client's key", || {
        (b.public_keys("self") == [published.clone()]).then_some(())
    });
    // Unsigned is no longer good enough, at the other daemon either.
    let path = Path::small("unsigned");
    let pusher = b.pusher("self");
    let (upload, parts) = pusher.upload(&path);
    pusher.complete(&upload, &parts, &path.nar_info_create()).expect_refusal();
    let path = Path::small("signed");
    pusher.push_announcing(&path, "cSig", json!(path.signed_with(&key))).expect(200);
    assert!(b.reader("self").assert_has(&path).is_signed_by(&published));
}

#[test]
fn any_daemon_answers_any_step_of_an_upload() {
    let cluster = Cluster::start();
    let [at_a, at_b] = cluster.pushers("pub");
    let sites = [&cluster.a, &cluster.b];
    for (from, to, other) in [(&at_a, &at_b, sites[0]), (&at_b, &at_a, sites[1])] {
        // Parts arrive at both, all the rest at the one that has nothing of it.
        let path = Path::incompressible("wandering", 6_000_000);
        let upload = from.create(path.compression);
        let (first, second) = path.file.split_at(2_500_000);
        let etags = [from.part(&upload, 1, first), to.part(&upload, 2, second)];
        let (listed, nar_info) = (parts(&etags), path.nar_info_create());
        to.complete(&upload, &listed, &nar_info).expect(200);
        soon_serves(other, from, &path);
        // Once more, wherever.
        to.complete(&upload, &listed, &nar_info).expect(200);
        from.complete(&upload, &listed, &nar_info).expect(200);

        // What the owner refuses is refused, and in its words.
        let path = Path::small("refused");
        let upload = from.create(path.compression);
        let url = to.part_url(&upload, 1, b"something else");
        assert_eq!(
            to.put(&url, &path.file).expect(400).text(),
            from.put(&url, &path.file).expect(400).text()
        );
        to.try_part_url(&upload, 0, &content_md5(b"")).expect(400);
        let stranger = Pusher { token: "none".to_owned(), ..to.clone() };
        stranger.try_part_url(&upload, 1, &content_md5(b"")).expect(401);

        // A request that claims to have been passed on is not passed on.
        let target =
            to.target(&format!("multipart-nar/{}/abort?uploadId={}", upload.nar_id, upload.upload_id));
        let abort = || to.endpoint.post(&target).bearer(&to.token).body("");
        abort().header("x-cache-server-forwarded", "1").send().expect(200);
        let etag = from.part(&upload, 1, &path.file);
        abort().send().expect(200);
        for pusher in [from, to] {
            let listed = parts(std::slice::from_ref(&etag));
            pusher.complete(&upload, &listed, &path.nar_info_create()).expect(404);
        }
    }
}

#[test]
fn a_nar_and_its_narinfo_may_come_to_different_daemons() {
    let cluster = Cluster::start();
    let [at_a, at_b] = cluster.pushers("pub");
    let sites = [&cluster.a, &cluster.b];
    for (first, second, at_first) in [(sites[0], sites[1], &at_a), (sites[1], sites[0], &at_b)] {
        let token = &at_first.token;
        // `nix copy`, by the name of the cache and by its own port.
        for endpoint in [second.cache("pub"), second.cache_port("pub")] {
            let path = Path::small("copied");
            let nar = format!("/{}", path.file_url());
            first.cache("pub").put(&nar).basic("", token).body(path.file.clone()).send().expect_success();
            let narinfo = format!("/{}.narinfo", path.hash);
            endpoint.put(&narinfo).basic("", token).body(path.narinfo_text()).send().expect_success();
            soon_serves(first, at_first, &path);
            soon_serves(second, &Pusher { endpoint: second.api(), ..at_first.clone() }, &path);
        }
        // The old clients.
        let path = Path::small("old");
        let target = at_first.target(&format!("nar?compression={}", path.compression.parameter()));
        first.api().post(&target).bearer(token).body(path.file.clone()).send().expect(200);
        let target = at_first.target(&format!("{}.narinfo", path.hash));
        second.api().post(&target).bearer(token).json(&path.nar_info_create()).send().expect(200);
        soon_serves(first, at_first, &path);
        // A file that nobody has.
        let path = Path::small("missing");
        let narinfo = format!("/{}.narinfo", path.hash);
        second.cache("pub").put(&narinfo).basic("", token).body(path.narinfo_text()).send().expect(409);
    }
}

/// The daemon serves the path, and says so, at this moment.
#[track_caller]
fn serves_now(site: &Site, pusher: &Pusher, path: &Path) {
    let reader = site.reader(&pusher.cache);
    assert_eq!(reader.narinfo_status(path), 200, "{}", path.hash);
    let missing = pusher.missing(&[&path.hash]);
    assert!(missing.is_empty(), "{missing:?}");
    reader.assert_has(path);
}

/// Pushes paths so that `second` acknowledges what `first` holds, in every way that there is, and reads them at once.
fn acknowledged_by_the_other(first: (&Site, &Pusher), second: (&Site, &Pusher)) {
    let [(from, at_from), (to, at_to)] = [first, second];
    let token = &at_from.token;
    let upload = |path: &Path| {
        let upload = at_from.create(path.compression);
        let etag = at_from.part(&upload, 1, &path.file);
        (upload, parts(&[etag]))
    };

    let path = Path::small("completed");
    let (id, listed) = upload(&path);
    at_to.complete(&id, &listed, &path.nar_info_create()).expect(200);
    serves_now(to, at_to, &path);

    // Completed where it began, and once more at the other one.
    let path = Path::small("repeated");
    let (id, listed) = upload(&path);
    at_from.complete(&id, &listed, &path.nar_info_create()).expect(200);
    serves_now(from, at_from, &path);
    at_to.complete(&id, &listed, &path.nar_info_create()).expect(200);
    serves_now(to, at_to, &path);

    for endpoint in [to.cache("pub"), to.cache_port("pub")] {
        let path = Path::small("copied");
        let nar = format!("/{}", path.file_url());
        from.cache("pub").put(&nar).basic("", token).body(path.file.clone()).send().expect_success();
        let narinfo = format!("/{}.narinfo", path.hash);
        endpoint.put(&narinfo).basic("", token).body(path.narinfo_text()).send().expect_success();
        serves_now(to, at_to, &path);
    }

    let path = Path::small("old");
    let target = at_from.target(&format!("nar?compression={}", path.compression.parameter()));
    from.api().post(&target).bearer(token).body(path.file.clone()).send().expect(200);
    let target = at_from.target(&format!("{}.narinfo", path.hash));
    to.api().post(&target).bearer(token).json(&path.nar_info_create()).send().expect(200);
    serves_now(to, at_to, &path);
}

#[test]
fn the_daemon_that_acknowledges_a_path_serves_it_at_once() {
    let cluster = Cluster::start();
    let [at_a, at_b] = &cluster.pushers("pub");
    let [a, b] = [(&cluster.a, at_a), (&cluster.b, at_b)];
    for _ in 0..10 {
        acknowledged_by_the_other(a, b);
        acknowledged_by_the_other(b, a);
    }
}

#[test]
fn the_daemon_that_acknowledges_a_path_serves_it_before_it_hears_of_it() {
    let cluster = Cluster::start();
    let [at_a, at_b] = &cluster.pushers("pub");
    let [a, b] = [(&cluster.a, at_a), (&cluster.b, at_b)];
    // Both have their caches in memory, so that nothing is found by loading them.
    for (site, _) in [a, b] {
        assert_eq!(site.reader("pub").narinfo_status(&Path::small("nowhere")), 404);
    }
    for (first, second) in [(a, b), (b, a)] {
        let delayed = cluster.delay_feeds();
        acknowledged_by_the_other(first, second);
        drop(delayed);
    }
}

#[test]
fn the_death_of_one_leaves_the_other_with_everything_acknowledged() {
    let mut cluster = Cluster::start();
    let [at_a, at_b] = cluster.pushers("pub");
    let before: Vec<Path> = (0..5).map(|number| Path::small(&format!("before-{number}"))).collect();
    before.iter().for_each(|path| at_a.push(path));

    // One upload has a part and the URL for another, of a second one a part is under way by way of the survivor.
    let lost = Path::incompressible("lost", 3_000_000);
    let (first, second) = lost.file.split_at(1_000_000);
    let upload = at_a.create(lost.compression);
    let etag = at_a.part(&upload, 1, first);
    let url = at_b.part_url(&upload, 2, second);
    let moving = at_a.create(lost.compression);
    let (endpoint, target) = at_b.resolve(&at_b.part_url(&moving, 1, &lost.file));
    let request =
        endpoint.put(&target).header("Content-MD5", &content_md5(&lost.file)).body(lost.file.clone());
    let mut stream = endpoint.connect().unwrap();
    stream.write_all(&request.head()).unwrap();
    stream.write_all(&lost.file[..1_500_000]).unwrap();

    cluster.a.daemon().kill9();
    let reply = Incoming::read(BufReader::new(stream), false).unwrap().into_response().unwrap().expect(503);
    assert!(reply.header("Retry-After").is_some());
    // The client tries the part again for a while, then ends the upload and begins another.
    let reply = at_b.put(&url, second).expect(503);
    let seconds: u32 = reply.header("Retry-After").expect("Retry-After").parse().unwrap();
    assert!((1..=120).contains(&seconds));
    at_b.try_part_url(&upload, 2, &content_md5(second)).expect(404);
    at_b.complete(&upload, &parts(std::slice::from_ref(&etag)), &lost.nar_info_create()).expect(404);
    at_b.abort(&moving).expect(404);
    at_b.push(&lost);
    for path in before.iter().chain([&lost]) {
        soon_serves(&cluster.b, &at_b, path);
    }

    cluster.a.restart();
    let after = Path::small("after");
    at_b.push(&after);
    soon_serves(&cluster.a, &at_a, &after);
    for path in before.iter().chain([&lost]) {
        soon_serves(&cluster.a, &at_a, path);
    }
    for pusher in [&at_a, &at_b] {
        pusher.complete(&upload, &parts(std::slice::from_ref(&etag)), &lost.nar_info_create()).expect(404);
    }
    let path = Path::small("wandering");
    let upload = at_a.create(path.compression);
    let etag = at_b.part(&upload, 1, &path.file);
    at_b.complete(&upload, &parts(&[etag]), &path.nar_info_create()).expect(200);
}

/// A push whose every step may be refused for now. True if it was acknowledged.
fn try_push(pusher: &Pusher, path: &Path, statuses: &mut Vec<u16>) -> bool {
    let mut send = |request: crate::harness::http::Request| {
        let reply = request.try_send().expect("an answer");
        statuses.push(reply.status);
        (reply.status == 200).then_some(reply)
    };
    let token = pusher.token.as_str();
    let nar = pusher.target(&format!("nar?compression={}", path.compression.parameter()));
    let narinfo = pusher.target(&format!("{}.narinfo", path.hash));
    send(pusher.endpoint.post(&nar).bearer(token).body(path.file.clone())).is_some()
        && send(pusher.endpoint.post(&narinfo).bearer(token).json(&path.nar_info_create())).is_some()
}

#[test]
fn the_database_may_be_away_for_a_while() {
    let cluster = Cluster::start();
    let pushers = cluster.pushers("pub");
    let sites = [&cluster.a, &cluster.b];
    let known = Path::small("known");
    pushers[0].push(&known);
    soon_serves(sites[1], &pushers[1], &known);
    let readers = sites.map(|site| site.reader("pub"));

    cluster.postgres.stop();
    let away = Instant::now();
    let mut acknowledged = Vec::new();
    let mut statuses = Vec::new();
    std::thread::scope(|scope| {
        let pushing = pushers.each_ref().map(|pusher| {
            scope.spawn(move || {
                let (mut done, mut statuses) = (Vec::new(), Vec::new());
                while away.elapsed() < Duration::from_secs(6) {
                    let path = Path::small("meanwhile");
                    if try_push(pusher, &path, &mut statuses) {
                        done.push(path);
                    }
                }
                (done, statuses)
            })
        });
        while away.elapsed() < Duration::from_secs(3) {
            // What was asked for lately is in memory; the rest is for later.
            let status = readers[0].narinfo_status(&known);
            assert!(matches!(status, 200 | 503), "{status}");
            assert_eq!(readers[1].narinfo_status(&known), 200);
        }
        cluster.postgres.start();
        for pushing in pushing {
            let (paths, seen) = pushing.join().unwrap();
            acknowledged.extend(paths);
            statuses.extend(seen);
        }
    });
    assert!(statuses.iter().all(|status| matches!(status, 200 | 503)), "{statuses:?}");
    for pusher in &pushers {
        let path = Path::small("afterwards");
        wait_for(SOON, "pushes are taken again", || try_push(pusher, &path, &mut Vec::new()).then_some(()));
        acknowledged.push(path);
    }
    for (site, pusher) in sites.iter().zip(&pushers) {
        wait_for(SOON, "all of it is known", || {
            acknowledged.iter().all(|path| pusher.missing(&[&path.hash]).is_empty()).then_some(())
        });
        for path in acknowledged.iter().chain([&known]) {
            site.reader("pub").assert_has(path);
        }
    }
}

/// What a daemon says that does not start with the changed configuration.
#[track_caller]
fn refusal(site: &Site, edit: impl FnOnce(&mut Value)) -> String {
    let file = site.directory().join("config.yaml");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    edit(&mut config);
    let changed = site.directory().join("changed.yaml");
    fs::write(&changed, config.to_string()).unwrap();
    let output = Command::new(DAEMON).env_clear().arg("--config").arg(changed).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn daemons_that_would_sign_with_different_keys_do_not_start() {
    let mut cluster = Cluster::start();
    let key = cluster.a.public_key("pub");
    let site = &mut cluster.b;
    assert!(site.daemon().terminate().success());

    // A copy of a daemon that has never been here before.
    let keys = site.state_dir().join("keys");
    fs::rename(&keys, site.state_dir().join("keys.away")).unwrap();
    let complaint = refusal(site, |config| config["server"]["key"] = json!("7a".repeat(32)));
    assert!(complaint.contains("need the same `server.key`"), "{complaint}");
    assert!(!keys.exists(), "no key was made");

    let other = SigningKey::from_bytes(&random_bytes());
    let secret = format!("pub.{HOST}-1:{}", STANDARD.encode(other.to_keypair_bytes()));
    let file = site.directory().join("other.key");
    fs::write(&file, secret).unwrap();
    let complaint = refusal(site, |config| config["caches"][0]["signing-key-file"] = json!(file));
    assert!(complaint.contains("another key named `pub.cachix.test-1`"), "{complaint}");

    // A key of its own gives way to the one that is shared, and is not lost.
    fs::create_dir_all(&keys).unwrap();
    fs::copy(&file, keys.join("pub.secret")).unwrap();
    site.restart();
    assert_eq!(site.public_key("pub"), key);
    assert_eq!(fs::read(keys.join("pub.secret.replaced")).unwrap(), fs::read(&file).unwrap());
}

#[test]
fn both_move_files_between_tiers_and_neither_loses_one() {
    let mut cluster = Cluster::start();
    for site in [&mut cluster.a, &mut cluster.b] {
        site.reconfigure(|config| {
            let storage = |name: &str, tier: u8| {
                let mut storage = config["caches"][0]["storages"][0].clone();
                (storage["name"], storage["root"], storage["tier"]) = (json!(name), json!(name), json!(tier));
                storage
            };
            let (mut fast, slow) = (storage("fast", 0), storage("slow", 1));
            fast["demote-after"] = json!("1s");
            config["caches"][0]["storages"] = json!([fast, slow]);
        });
    }
    let pushers = cluster.pushers("pub");
    let (a, b) = (&cluster.a, &cluster.b);
    let all: Vec<Path> = (0..24).map(|_| Path::incompressible("path", 20_000)).collect();
    std::thread::scope(|scope| {
        for (pusher, paths) in pushers.iter().zip(all.chunks(12)) {
            scope.spawn(move || {
                for path in paths {
                    pusher.push(path);
                    a.reader("pub").assert_has(path);
                    b.reader("pub").assert_has(path);
                }
            });
        }
    });
    let files = |site: &Site, name: &str| {
        let list = site.cachectl_ok(&["storage", "list", "--cache", "pub", "--json"]);
        let list: Vec<Value> = serde_json::from_str(&list).unwrap();
        let storage = list.iter().find(|storage| storage["name"] == name).unwrap();
        storage["nars"].as_u64().unwrap() + storage["copies"].as_u64().unwrap_or(0)
    };
    wait_for(MOVED, "all files are on the slow tier", || {
        ([a, b].iter().all(|site| (files(site, "fast"), files(site, "slow")) == (0, 24))).then_some(())
    });
    for path in &all {
        a.reader("pub").assert_has(path);
        b.reader("pub").assert_has(path);
    }
    a.cachectl_ok(&["fsck"]);
    for site in [&mut cluster.a, &mut cluster.b] {
        let log = site.daemon().log();
        assert!(!log.contains("is damaged"), "{log}");
    }
}
