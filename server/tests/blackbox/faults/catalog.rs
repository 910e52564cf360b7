//! A catalog that cannot write: nothing is acknowledged that is not there later, however often it happens.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path as FilePath, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::harness::daemon::DAEMON;
use crate::harness::faulty::{self, EIO, ENOSPC, Fault};
use crate::harness::{Compression, Path, Permission, Response, SOON, Site, wait_for};

/// What the daemon has acknowledged.
#[derive(Default)]
struct Acknowledged {
    paths: Vec<Path>,
    pins: Vec<String>,
    tokens: Vec<String>,
    revoked: Vec<String>,
}

impl Acknowledged {
    /// Does some of everything, all of which has to work.
    fn more(&mut self, site: &Site) {
        for _ in 0..3 {
            let path = Path::small("acknowledged");
            site.pusher("pub").push(&path);
            self.paths.push(path);
        }
        let pin = format!("pin-{}", self.pins.len());
        try_pin(site, &pin, self.paths.last().unwrap()).expect(200);
        self.pins.push(pin);
        let write = ["--cache", "priv", "--permission", "write"];
        self.tokens.push(site.create_token(&write));
        let subject = format!("revoked-{}", self.revoked.len());
        let revoked = site.create_token(&[&write[..], &["--subject", &subject]].concat());
        site.cachectl_ok(&["token", "revoke", &id_of(site, &subject)]);
        self.revoked.push(revoked);
    }

    /// All of it is there.
    #[track_caller]
    fn check(&self, site: &Site, when: &str) {
        for path in &self.paths {
            assert_eq!(site.reader("pub").narinfo_status(path), 200, "{when}: a path is lost");
        }
        let pins = site.cachectl_ok(&["pin", "list", "--cache", "pub", "--json"]);
        for pin in &self.pins {
            assert!(pins.contains(&format!("\"{pin}\"")), "{when}: {pin} is lost: {pins}");
        }
        let opens = |token: &str| site.api().get("/api/v1/cache/priv").bearer(token).send().status;
        for token in &self.tokens {
            assert_eq!(opens(token), 200, "{when}: a token is lost");
        }
        for token in &self.revoked {
            assert_eq!(opens(token), 401, "{when}: a revoked token works");
        }
    }
}

/// The id of the token with this subject.
fn id_of(site: &Site, subject: &str) -> String {
    let list: Vec<Value> = serde_json::from_str(&site.cachectl_ok(&["token", "list", "--json"])).unwrap();
    let found = list.iter().find(|token| token["subject"] == subject).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

fn try_pin(site: &Site, name: &str, path: &Path) -> Response {
    let body = json!({"name": name, "storePath": path.store_path(), "artifacts": [], "keep": null});
    let token = site.token("pub", Permission::Write);
    site.api().post("/api/v1/cache/pub/pin").bearer(&token).json(&body).send()
}

/// 503 that a client repeats.
#[track_caller]
fn assert_unavailable(reply: &Response) {
    assert_eq!(reply.status, 503, "{}", String::from_utf8_lossy(&reply.body));
    assert!(reply.header("Retry-After").is_some());
}

/// Pushes until the catalog cannot take one, which a disk with a little room puts off.
#[track_caller]
fn push_until_refused(site: &Site, acknowledged: &mut Acknowledged) {
    let pusher = site.pusher("pub");
    for _ in 0..2000 {
        let path = Path::small("refused");
        let reply = pusher.try_push(&path);
        if reply.status != 200 {
            return assert_unavailable(&reply);
        }
        acknowledged.paths.push(path);
    }
    panic!("the catalog does not fail");
}

/// Waits until uploads are taken again.
#[track_caller]
fn wait_until_writable(site: &Site) {
    let pusher = site.pusher("pub");
    wait_for(SOON, "uploads are taken again", || {
        let reply = pusher.try_create(Compression::Zstd);
        (reply.status == 200).then_some(())
    });
}

#[track_caller]
fn pin_until_refused(site: &Site, acknowledged: &mut Acknowledged) {
    for number in 0..2000 {
        let name = format!("tight-{}-{number}", acknowledged.pins.len());
        let reply = try_pin(site, &name, acknowledged.paths.last().unwrap());
        if reply.status != 200 {
            return assert_unavailable(&reply);
        }
        acknowledged.pins.push(name);
    }
    panic!("the catalog does not fail");
}

#[track_caller]
fn make_tokens_until_refused(site: &Site, acknowledged: &mut Acknowledged) {
    for _ in 0..2000 {
        let output = site.cachectl(&["token", "create", "--cache", "priv", "--permission", "read"]);
        if !output.status.success() {
            let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(complaint.contains("the disk of the database"), "{complaint}");
            return;
        }
        acknowledged.tokens.push(String::from_utf8(output.stdout).unwrap().trim().to_owned());
    }
    panic!("the catalog does not fail");
}

/// As Nix pushes: the NAR waits for its narinfo, also while that cannot be recorded.
#[track_caller]
fn put_until_refused(site: &Site, acknowledged: &mut Acknowledged, fail: &impl Fn(bool)) {
    let token = site.token("pub", Permission::Write);
    let put = |target: &str, body: &[u8]| site.cache("pub").put(target).basic("", &token).body(body).send();
    let path = Path::small("put");
    put(&format!("/{}", path.file_url()), &path.file).expect_success();
    fail(true);
    push_until_refused(site, acknowledged);
    let narinfo = || put(&format!("/{}.narinfo", path.hash), path.narinfo_text().as_bytes());
    let refused = narinfo();
    if refused.status / 100 != 2 {
        assert_unavailable(&refused);
    }
    fail(false);
    narinfo().expect_success();
    site.reader("pub").assert_has(&path);
    acknowledged.paths.push(path);
}

/// Lets the catalog fail again and again, with acknowledged writes in between, and looks for those after a kill and after an
/// orderly stop.
fn nothing_acknowledged_is_lost(site: &mut Site, fail: impl Fn(bool)) {
    // Made now, as the catalog could not record one later.
    site.token("pub", Permission::Read);
    let mut acknowledged = Acknowledged::default();
    acknowledged.more(site);
    for distance in [0, 1, 0, 2] {
        for _ in 0..distance {
            acknowledged.more(site);
        }
        let path = Path::small("waiting");
        let (upload, parts) = site.pusher("pub").upload(&path);
        fail(true);
        push_until_refused(site, &mut acknowledged);
        let complete = || site.pusher("pub").complete(&upload, &parts, &path.nar_info_create());
        if complete().status != 200 {
            site.reader("pub").assert_lacks(&path);
        }
        pin_until_refused(site, &mut acknowledged);
        make_tokens_until_refused(site, &mut acknowledged);
        fail(false);
        // The client repeats what it was asked to repeat, without sending the bytes again.
        assert_eq!(complete().status, 200);
        site.reader("pub").assert_has(&path);
        acknowledged.paths.push(path);
        if distance == 1 {
            put_until_refused(site, &mut acknowledged, &fail);
        }
    }
    acknowledged.more(site);
    acknowledged.check(site, "while it runs");
    site.crash_and_restart();
    acknowledged.check(site, "after a kill");
    fail(true);
    push_until_refused(site, &mut acknowledged);
    pin_until_refused(site, &mut acknowledged);
    fail(false);
    wait_until_writable(site);
    acknowledged.more(site);
    assert!(site.stop_and_restart().success());
    acknowledged.check(site, "after a stop");
    let findings = site.cachectl(&["fsck", "--json"]);
    assert!(findings.status.success(), "{}", String::from_utf8_lossy(&findings.stderr));
}

fn site_with_faulty_catalog() -> Site {
    Site::launched(
        |_, _| (),
        |directory| {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            faulty::preload(&mut command, directory, "/db.sqlite");
            command
        },
    )
}

fn with_fault(fault: Fault) {
    let mut site = site_with_faulty_catalog();
    let directory = site.directory().to_owned();
    nothing_acknowledged_is_lost(&mut site, |fails| faulty::set(&directory, fails.then_some(fault)));
}

#[test]
fn nothing_acknowledged_is_lost_when_syncs_of_the_catalog_fail() {
    with_fault(Fault::Sync(EIO));
}

#[test]
fn nothing_acknowledged_is_lost_when_writes_to_the_catalog_fail() {
    with_fault(Fault::Write(EIO));
}

#[test]
fn nothing_acknowledged_is_lost_when_the_catalog_finds_no_room() {
    with_fault(Fault::Write(ENOSPC));
}

/// A mount namespace with a small file system for the state directory, which outlives the daemon.
struct SmallState(Child);

impl SmallState {
    fn mount(directory: &FilePath) -> Self {
        let script = "mkdir -p state && mount -t tmpfs -o size=12m tmpfs state && touch mounted && exec sleep infinity";
        let child = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "sh", "-c", script])
            .current_dir(directory)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        wait_for(SOON, "the file system is mounted", || directory.join("mounted").exists().then_some(()));
        Self(child)
    }

    /// The state directory as the daemon sees it.
    fn view(&self, directory: &FilePath) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.0.id()));
        root.join(directory.strip_prefix("/").unwrap()).join("state")
    }
}

impl Drop for SmallState {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// A site whose state directory is on a small file system, and that directory as the daemon sees it.
fn site_with_small_state() -> (Site, PathBuf, Arc<Mutex<Option<SmallState>>>) {
    let mounts = Arc::new(Mutex::new(None));
    let of_launcher = mounts.clone();
    let site = Site::launched(
        |_, _| (),
        move |directory| {
            let mut mounts = of_launcher.lock().unwrap();
            let state = mounts.get_or_insert_with(|| SmallState::mount(directory));
            let mut command = Command::new("nsenter");
            command.args(["--target", &state.0.id().to_string(), "--mount", DAEMON]).stdin(Stdio::null());
            command
        },
    );
    let state = mounts.lock().unwrap().as_ref().unwrap().view(site.directory());
    assert!(state.join("db.sqlite").exists());
    (site, state, mounts)
}

/// Leaves no byte of the file system free.
fn fill(filler: &FilePath) {
    let mut file = File::create(filler).unwrap();
    for size in [64 << 10, 4 << 10, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_the_disk_of_the_catalog_is_full() {
    let (mut site, state, _mounts) = site_with_small_state();
    let filler = state.join("filler");
    nothing_acknowledged_is_lost(&mut site, |full| match full {
        true => fill(&filler),
        false => fs::remove_file(&filler).unwrap(),
    });
}

/// What the daemon says about its catalog: `status`, and the level that the doctor gives it.
fn told_of_catalog(site: &Site) -> (Value, String) {
    let status: Value = serde_json::from_str(&site.cachectl_ok(&["status", "--json"])).unwrap();
    let findings: Vec<Value> = serde_json::from_slice(&site.cachectl(&["doctor", "--json"]).stdout).unwrap();
    let catalog = findings.iter().find(|finding| finding["subject"] == "catalog").unwrap();
    (status["catalog_failure"].clone(), catalog["level"].as_str().unwrap().to_owned())
}

#[test]
fn with_a_full_disk_the_daemon_starts_read_only_says_so_and_heals() {
    let (mut site, state, _mounts) = site_with_small_state();
    // Made now, as the catalog could not record one later.
    site.token("pub", Permission::Read);
    let mut acknowledged = Acknowledged::default();
    acknowledged.more(&site);
    assert_eq!(told_of_catalog(&site), (Value::Null, "ok".to_owned()));
    let filler = state.join("filler");
    for is_killed in [false, true, false] {
        fill(&filler);
        if is_killed {
            site.daemon().kill9();
        } else {
            site.daemon().terminate();
        }
        // What the end of the process has given back.
        fill(&state.join("rest"));
        site.restart();
        acknowledged.check(&site, "on a full disk");
        wait_for(SOON, "uploads are refused before they begin", || {
            let reply = site.pusher("pub").try_create(Compression::Zstd);
            (reply.status != 200).then(|| assert_unavailable(&reply))
        });
        let (failure, level) = told_of_catalog(&site);
        assert!(failure["reason"].as_str().unwrap().contains("disk"), "{failure}");
        assert_eq!(level, "error");
        for file in [&filler, &state.join("rest")] {
            fs::remove_file(file).unwrap();
        }
        wait_until_writable(&site);
        assert_eq!(told_of_catalog(&site), (Value::Null, "ok".to_owned()));
        acknowledged.more(&site);
        acknowledged.check(&site, "with room again");
    }
    assert!(site.stop_and_restart().success());
    acknowledged.check(&site, "after a stop");
}

#[test]
fn an_older_catalog_on_a_full_disk_gets_the_newer_paths_back_once_there_is_room() {
    let (mut site, state, _mounts) = site_with_small_state();
    // Made now, as the catalog could not record one later.
    site.token("pub", Permission::Read);
    let mut acknowledged = Acknowledged::default();
    acknowledged.more(&site);
    assert!(site.daemon().terminate().success());
    let copy = fs::read(state.join("db.sqlite")).unwrap();
    site.restart();
    let newer = Path::small("newer");
    site.pusher("pub").push(&newer);
    site.daemon().kill9();
    for end in ["-wal", "-shm"] {
        let _ = fs::remove_file(state.join(format!("db.sqlite{end}")));
    }
    fs::write(state.join("db.sqlite"), copy).unwrap();
    let filler = state.join("filler");
    fill(&filler);
    site.restart();
    acknowledged.check(&site, "on a full disk");
    assert_eq!(site.reader("pub").narinfo_status(&newer), 404);
    fs::remove_file(&filler).unwrap();
    wait_until_writable(&site);
    wait_for(SOON, "the newer path is back", || {
        (site.reader("pub").narinfo_status(&newer) == 200).then_some(())
    });
    acknowledged.check(&site, "with room again");
}
