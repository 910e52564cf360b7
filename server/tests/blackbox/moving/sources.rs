//! The kinds of sources: each played by the real thing.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{file_url, run, succeeds, summary};
use crate::harness::daemon::DAEMON;
use crate::harness::garage::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};
use crate::harness::nix_host::NixHost;
use crate::harness::{Path, Permission, Site};
use crate::nix_client::{reader, url};
use crate::storages::bucket::Bucket;

#[test]
fn another_cache_server_is_imported_by_the_closures_of_a_list() {
    let (old, new) = (Site::start(), Site::start());
    let host = NixHost::new();
    let root = host.build_closure(8);
    let token = host.directory().join("token");
    std::fs::write(&token, old.token("pub", Permission::Write)).unwrap();
    let cachectl = crate::harness::daemon::cachectl();
    host.ok(&format!(
        "{} push {root} --server http://127.0.0.1:{} --cache pub --token-file {}",
        cachectl.display(),
        old.port("api"),
        token.display()
    ));
    let source = format!("http://127.0.0.1:{}/", old.port("pub"));

    // Such a cache has no list of its own.
    let output = run(&new, &["import", &source, "--cache", "pub"], "\n");
    assert_eq!(output.status.code(), Some(2), "{}", String::from_utf8_lossy(&output.stderr));

    let (done, code) = summary(&run(&new, &["import", &source, "--cache", "pub", "--closure"], &root));
    let closure = host.describe_closure(&root);
    assert_eq!((code, &done["imported"]), (0, &closure.len().into()), "{done}");
    let reader = reader(&new, "pub");
    reader.ok(&format!("nix copy --from {} {root}", url(&new, "pub")));
    assert_eq!(reader.describe_closure(&root), closure);

    // A path that it does not have is said.
    let absent = Path::small("absent").store_path();
    let (done, code) = summary(&run(&new, &["import", &source, "--cache", "pub", "-"], &absent));
    assert_eq!(code, 8);
    assert!(done["skipped"].to_string().contains("does not have it"), "{done}");
}

#[test]
fn a_nix_store_is_imported_through_its_command_line() {
    let site = Site::launched(
        |_, _| {},
        |directory| {
            let mut command = Command::new(DAEMON);
            command.env_clear().stdin(Stdio::null());
            command
                .env("PATH", std::env::var_os("PATH").unwrap_or_default())
                .env("HOME", directory.join("home"));
            command
        },
    );
    let host = NixHost::new();
    let root = host.build_closure(8);
    let key =
        host.ok("nix key generate-secret --key-name builder-1 > key; nix key convert-secret-to-public < key");
    host.ok(&format!("nix store sign --key-file key --recursive {root}"));
    let source = format!("local?root={}", host.directory().display());
    let closure = host.describe_closure(&root);
    let done = succeeds(&site, &["import", &source, "--cache", "pub", "--closure", &root]);
    assert_eq!(done["imported"], closure.len());
    // All of the store, but the derivations.
    let rest = succeeds(&site, &["import", &source, "--cache", "pub"]);
    assert_eq!(rest["present"], closure.len());
    for trusted in [site.public_key("pub"), key] {
        let reader = NixHost::trusting(&[trusted]);
        reader.ok(&format!("nix copy --from {} {root}", url(&site, "pub")));
        assert_eq!(reader.describe_closure(&root), closure);
    }
}

#[test]
fn a_cache_goes_out_to_a_bucket_and_comes_back_from_it() {
    let bucket = Bucket::start();
    let site = Site::start();
    let paths: Vec<Path> = (0..5).map(|number| Path::small(&format!("path-{number}"))).collect();
    paths.iter().for_each(|path| site.pusher("pub").push(path));
    let (access, secret) = (site.directory().join("access"), site.directory().join("secret"));
    std::fs::write(&access, ACCESS_KEY).unwrap();
    std::fs::write(&secret, SECRET_KEY).unwrap();
    let place = format!(
        "s3://{BUCKET}/moved?endpoint={}&region={REGION}&access-key-file={}&secret-key-file={}",
        bucket.service.endpoint(),
        access.display(),
        secret.display()
    );
    let done = succeeds(&site, &["export", &place, "--cache", "pub"]);
    assert_eq!(done["exported"], 5);
    let objects = bucket.list("moved/");
    assert_eq!(objects.len(), 11, "{objects:?}");
    let again = succeeds(&site, &["export", &place, "--cache", "pub"]);
    assert_eq!((&again["exported"], &again["present"]), (&0.into(), &5.into()));

    let done = succeeds(&site, &["import", &place, "--cache", "my-cache-2"]);
    assert_eq!((&done["imported"], &done["skipped"]), (&5.into(), &Value::Array(Vec::new())));
    paths.iter().for_each(|path| drop(site.reader("my-cache-2").assert_has(path)));

    // As a static web server would have it.
    let mirror = site.directory().join("mirror");
    bucket.mirror("moved/", &mirror);
    let done = succeeds(&site, &["import", &file_url(&mirror), "--cache", "my-cache-2"]);
    assert_eq!(done["present"], 5);
}

#[test]
fn a_bucket_is_imported_with_the_credentials_of_a_profile() {
    let bucket = Bucket::start();
    let site = Site::launched(
        |_, directory| {
            let profiles = format!(
                "[moving]\naws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET_KEY}\n\n\
                 [default]\naws_access_key_id = nobody\naws_secret_access_key = nothing\n"
            );
            std::fs::write(directory.join("aws"), profiles).unwrap();
        },
        |directory| {
            let mut command = Command::new(DAEMON);
            command.env_clear().env("AWS_SHARED_CREDENTIALS_FILE", directory.join("aws"));
            command.stdin(Stdio::null());
            command
        },
    );
    let path = Path::small("moved");
    site.pusher("pub").push(&path);
    let endpoint = bucket.service.endpoint();
    let place = |profile: &str| {
        format!("s3://{BUCKET}/moved?endpoint={endpoint}&region={REGION}{profile}&multipart-upload=true")
    };
    let named = place("&profile=moving");
    assert_eq!(succeeds(&site, &["export", &named, "--cache", "pub"])["exported"], 1);
    assert_eq!(succeeds(&site, &["import", &named, "--cache", "my-cache-2"])["imported"], 1);
    site.reader("my-cache-2").assert_has(&path);
    for profile in ["", "&profile=absent"] {
        let output = site.cachectl(&["import", &place(profile), "--cache", "pub"]);
        assert!(!output.status.success(), "{output:?}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains(SECRET_KEY));
    }
}

#[test]
fn a_private_cache_is_imported_with_the_credentials_that_it_wants() {
    let (old, new) = (Site::start(), Site::start());
    let path = Path::small("private");
    old.pusher("priv").push(&path);
    let token = old.token("priv", Permission::Read);
    let source = format!("http://127.0.0.1:{}/", old.port("priv"));
    let wanted = path.store_path();
    let file = |name: &str, text: &str| {
        let file = new.directory().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let (right, wrong) = (file("token", &token), file("wrong", "nonsense"));
    let netrc = file("netrc", &format!("machine 127.0.0.1 login me password {token}\n"));
    let import = |cache: &str, more: &[&str]| {
        let arguments = [&["import", &source, "--cache", cache], more, &[&wanted]].concat();
        run(&new, &arguments, "")
    };
    for arguments in [&[][..], &["--token-file", &wrong], &["--token-file", "/nonexistent"]] {
        let output = import("pub", arguments);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains("credentials"), "{arguments:?}: {told}");
    }
    for (cache, arguments) in [
        ("pub", vec!["--token-file", &right]),
        ("my-cache-2", vec!["--password-file", &right]),
        ("self", vec!["--netrc-file", &netrc]),
        ("priv", vec!["--user", "me", "--password-file", &right]),
    ] {
        let (done, code) = summary(&import(cache, &arguments));
        assert_eq!((code, &done["imported"]), (0, &1.into()), "{arguments:?}: {done}");
    }
    // They are nowhere to be read.
    assert!(!new.cachectl_ok(&["job", "list", "--json"]).contains(&token));
    let output = run(&new, &["import", "file:///srv", "--cache", "pub", "--token-file", &right], "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("http"), "{output:?}");
}
