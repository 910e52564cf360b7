//! `cachectl push`: real Nix on the one side, the real daemon on the other, and no cachix between them.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::daemon::cachectl;
use crate::harness::nix_host::NixHost;
use crate::harness::{Permission, SOON, Site, wait_for};
use crate::nix_client::{reader, url};

/// The beginning of a command line that pushes to a cache with its token.
fn push(site: &Site, host: &NixHost, cache: &str, permission: Permission) -> String {
    let token = host.directory().join(format!("token-{cache}-{permission:?}"));
    fs::write(&token, site.token(cache, permission)).unwrap();
    format!(
        "{} push --server http://127.0.0.1:{} --cache {cache} --token-file {}",
        cachectl().display(),
        site.port("api"),
        token.display()
    )
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn a_closure_is_pushed_and_nix_fetches_the_same() {
    let site = Site::start();
    let host = NixHost::new();
    let root = host.build_closure(20);
    let push = push(&site, &host, "pub", Permission::Write);
    let dry = json(&host.ok(&format!("{push} --dry-run --json {root}")));
    assert_eq!(dry["pushed"].as_array().unwrap().len(), host.describe_closure(&root).len());
    assert!(site.stored_nars("pub").is_empty());

    // By a link, as `nix-build` leaves one, and by something inside of the path.
    let summary = json(&host.ok(&format!("ln -s {root} result; {push} --json ./result {root}/.")));
    let closure = host.describe_closure(&root);
    assert_eq!(summary["paths"], closure.len());
    assert_eq!(summary["pushed"].as_array().unwrap().len(), closure.len());
    assert_eq!((&summary["present"], &summary["failed"]), (&0.into(), &Value::Array(Vec::new())));

    let reader = reader(&site, "pub");
    reader.ok(&format!("nix copy --from {} {root}", url(&site, "pub")));
    assert_eq!(reader.describe_closure(&root), closure);

    // Nothing is sent twice.
    let again = json(&host.ok(&format!("echo {root} | {push} --json")));
    assert_eq!((&again["present"], &again["file_bytes"]), (&closure.len().into(), &0.into()));
    let text = host.ok(&format!("{push} {root}"));
    assert_eq!(text, format!("Nothing to push: pub has all {} paths already.", closure.len()));
}

#[test]
fn a_large_path_goes_in_several_parts_with_either_compression() {
    let site = Site::start();
    let host = NixHost::new();
    let root = host.ok("head -c 20000000 /dev/urandom > noise; nix-store --add noise");
    for method in ["zstd", "xz"] {
        let push = push(&site, &host, "pub", Permission::Write);
        host.ok(&format!("{push} --compression {method} --level 1 {root}"));
        let name = root.strip_prefix("/nix/store/").unwrap();
        let narinfo = site.cache("pub").get(&format!("/{}.narinfo", &name[..32])).send().expect(200);
        assert!(narinfo.text().contains(&format!("Compression: {method}\n")), "{}", narinfo.text());
        reader(&site, "pub").ok(&format!("nix copy --from {} {root}", url(&site, "pub")));
        site.cachectl_ok(&["path", "delete", &root, "--cache", "pub", "--no-trash"]);
    }
}

#[test]
fn a_push_that_may_not_write_says_what_to_do() {
    let site = Site::start();
    let host = NixHost::new();
    let root = host.build_closure(3);
    let read_only = push(&site, &host, "pub", Permission::Read);
    let complaint = host.fails(&format!("{read_only} {root}"));
    assert!(complaint.contains("may not write to cache pub"), "{complaint}");

    let server = format!("{} push --server http://127.0.0.1:{}", cachectl().display(), site.port("api"));
    let complaint = host.fails(&format!("CACHE_SERVER_TOKEN=nonsense {server} --cache pub {root}"));
    assert!(complaint.contains("the auth token is not valid on this server"), "{complaint}");
    assert!(!complaint.contains("nonsense"), "{complaint}");
    let complaint = host.fails(&format!("{server} --cache pub {root}"));
    assert!(complaint.contains("no token for cache pub was found"), "{complaint}");
    let complaint = host.fails(&format!("{server} --cache absent {root}"));
    assert!(complaint.contains("404"), "{complaint}");
    assert!(site.stored_nars("pub").is_empty());
}

#[test]
fn the_token_is_found_where_cachix_use_writes_it() {
    let site = Site::start();
    let token = site.token("priv", Permission::Write);
    let host = NixHost::new();
    let root = host.build_closure(3);
    let server = format!("{} push --server http://127.0.0.1:{}", cachectl().display(), site.port("api"));
    fs::write(host.directory().join("home/.netrc"), format!("machine priv.127.0.0.1 password {token}\n"))
        .unwrap();
    host.ok(&format!("{server} --cache priv {root}"));
    assert_eq!(site.stored_nars("priv").len(), host.describe_closure(&root).len());
}

#[test]
fn a_cache_that_its_clients_sign_takes_a_push_with_their_key() {
    let site = Site::start();
    let host = NixHost::new();
    let root = host.build_closure(3);
    let public =
        host.ok("nix key generate-secret --key-name mine > key; nix key convert-secret-to-public < key");
    let push = push(&site, &host, "self", Permission::Write);
    let complaint = host.fails(&format!("{push} --signing-key-file key {root}"));
    assert!(complaint.contains("does not know the signing key mine"), "{complaint}");

    let bare = public.split_once(':').unwrap().1;
    let token = site.token("self", Permission::Admin);
    let body = serde_json::json!({ "publicKey": bare });
    site.api().post("/api/v1/cache/self/key").bearer(&token).json(&body).send().expect(200);
    host.ok(&format!("{push} --signing-key-file key {root}"));
    let reader = NixHost::trusting(&site.public_keys("self"));
    reader.ok(&format!("nix copy --from {} {root}", url(&site, "self")));
}

#[test]
fn what_is_added_to_a_watched_store_is_pushed_until_the_command_is_stopped() {
    let site = Site::start();
    let host = NixHost::new();
    let before = host.ok("echo before > before; nix-store --add before");
    let push = push(&site, &host, "pub", Permission::Write);
    // It runs on the same machine, so in the same namespace as what adds paths.
    let script = format!(
        "{push} --watch-store --json > pushed & watcher=$!\n\
         while [ ! -e stop ]; do\n\
           if [ -e add ]; then rm add; date +%N > new; nix-store --add new > added; fi\n\
           sleep 0.05\n\
         done\n\
         kill $watcher; wait $watcher"
    );
    let host = std::sync::Arc::new(host);
    let running = {
        let host = host.clone();
        std::thread::spawn(move || host.run(&script))
    };
    let watches = || std::fs::metadata(host.directory().join("pushed")).is_ok();
    wait_for(SOON, "the command to start", || watches().then_some(()));
    let file = |name: &str| host.directory().join(name);
    wait_for(SOON * 2, "a new path to be pushed", || {
        // Until the watcher has seen the store for the first time, a path is an old one to it; so there are several.
        fs::write(file("add"), "").unwrap();
        fs::read_to_string(file("pushed")).unwrap().contains("/nix/store/").then_some(())
    });
    fs::write(file("stop"), "").unwrap();
    let output = running.join().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let pushed = fs::read_to_string(file("pushed")).unwrap();
    let line = json(pushed.lines().next().unwrap());
    assert_eq!(line["failed"], Value::Array(Vec::new()));
    assert!(!pushed.contains(&before), "{pushed}");
}

#[test]
fn a_push_of_nothing_is_a_mistake() {
    let nothing = Command::new(cachectl())
        .args(["push", "--server", "http://127.0.0.1:1"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(nothing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("there is nothing to push"));
}
