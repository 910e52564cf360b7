//! Private sources: what they want to see, they get, and nobody else does. Nothing of it is kept.

use std::fs;
use std::path::Path as FilePath;
use std::process::Output;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{run, succeeds, summary};
use crate::federation::certificates::{Nginx, Trusts};
use crate::federation::upstream::{Act, Upstream};
use crate::harness::garage::{ACCESS_KEY, BUCKET, REGION, SECRET_KEY};
use crate::harness::{Path, SOON, Site, wait_for};
use crate::storages::bucket::Bucket;

const SECRET: &str = "hunter2-hunter2";
const CACHE_INFO: &[u8] = b"StoreDir: /nix/store\n";

/// The files with secrets are here, and nowhere else is any of it.
const SECRETS: &str = "secrets";

/// A daemon whose cache `pub` has an upstream with these keys besides its URL. `files` hold secrets.
fn site_of(upstream: &Upstream, keys: &Value, files: &[(&str, &str)]) -> Site {
    let mut entry = json!({"url": upstream.url(), "public-keys": upstream.public_key()});
    let keys = keys.as_object().unwrap().iter();
    let in_folder = |(key, value): (&String, &Value)| match value.as_str() {
        Some(name) if key.ends_with("-file") => (key.clone(), json!(format!("{SECRETS}/{name}"))),
        _ => (key.clone(), value.clone()),
    };
    entry.as_object_mut().unwrap().extend(keys.map(in_folder));
    Site::with_files(|config, directory| {
        fs::create_dir_all(directory.join(SECRETS)).unwrap();
        for (name, text) in files {
            fs::write(directory.join(SECRETS).join(name), text).unwrap();
        }
        config["caches"][0]["upstreams"] = json!([entry]);
        config["server"]["log"] = json!({"filter": "debug"});
    })
}

/// Imports these paths from the source into a cache.
fn import(site: &Site, cache: &str, source: &str, more: &[&str], paths: &[Path]) -> Output {
    let paths: Vec<String> = paths.iter().map(Path::store_path).collect();
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    run(site, &[&["import", source, "--cache", cache], more, &paths].concat(), "")
}

/// Nothing that the daemon or its operator can read holds the secret: neither its files, its log and its catalog among them, nor
/// what `cachectl` shows.
#[track_caller]
fn assert_is_kept_nowhere(site: &mut Site, secret: &str) {
    for command in [&["job", "list", "--json"][..], &["status", "--json"], &["doctor", "--json"]] {
        let shown = site.cachectl(command);
        assert!(!String::from_utf8_lossy(&shown.stdout).contains(secret), "{command:?}");
    }
    assert!(!site.daemon().log().contains(secret), "{}", site.daemon().log());
    search(site.directory(), secret);
    let of_process = format!("/proc/{}", site.daemon_pid());
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("{of_process}/{file}")).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{file}");
    }
}

#[track_caller]
fn search(directory: &FilePath, secret: &str) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() && entry.file_name() != SECRETS {
            search(&path, secret);
        } else if kind.is_file() {
            // One that is gone by now keeps nothing.
            let bytes = fs::read(&path).unwrap_or_default();
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "{}", path.display());
        }
    }
}

#[test]
fn a_source_gets_its_credentials_and_where_it_redirects_to_does_not() {
    let basic = |text: &str| format!("authorization: Basic {}", STANDARD.encode(text));
    let netrc =
        format!("machine elsewhere login x password y\nmachine 127.0.0.1 login me password {SECRET}\n");
    let headers = format!("# of the gateway\nX-Gateway: {SECRET}\n");
    let cases = [
        (json!({"token-file": "t"}), ("t", format!("{SECRET}\n")), format!("authorization: Bearer {SECRET}")),
        (
            json!({"user": "me", "password-file": "p"}),
            ("p", SECRET.to_owned()),
            basic(&format!("me:{SECRET}")),
        ),
        (json!({"password-file": "p"}), ("p", SECRET.to_owned()), basic(&format!(":{SECRET}"))),
        (json!({"netrc-file": "n"}), ("n", netrc), basic(&format!("me:{SECRET}"))),
        (json!({"headers-file": "h"}), ("h", headers), format!("x-gateway: {SECRET}")),
    ];
    for (keys, (name, text), wanted) in cases {
        let (source, elsewhere) = (Upstream::start(), Upstream::start());
        source.wants(&wanted);
        source.on("/nix-cache-info", Act::Send(CACHE_INFO.to_vec()));
        // One whose NAR is elsewhere, and one whose narinfo is.
        let paths = [Path::small("here"), Path::small("far"), Path::small("farther")];
        paths.iter().for_each(|path| source.has(path));
        source.on_nar(&paths[1], Act::Redirect(format!("{}/nar", elsewhere.url())));
        source.on_narinfo(&paths[2], Act::Redirect(format!("{}/narinfo", elsewhere.url())));
        elsewhere.on("/nar", Act::Send(paths[1].file.clone()));
        elsewhere.on("/narinfo", Act::Send(source.narinfo(&paths[2]).into_bytes()));
        let mut site = site_of(&source, &keys, &[(name, &text)]);

        // Without them there is nothing to be had.
        let refused = import(&site, "self", &source.url(), &[], &paths);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && told.contains("are its credentials right?"), "{keys}: {told}");

        let file = site.directory().join(SECRETS).join(name).display().to_string();
        let mut named: Vec<&str> = vec![];
        let option =
            format!("--{}", keys.as_object().unwrap().keys().find(|key| key.ends_with("-file")).unwrap());
        named.extend([option.as_str(), &file]);
        if let Some(user) = keys["user"].as_str() {
            named.extend(["--user", user]);
        }
        for (cache, arguments) in [("my-cache-2", &named[..]), ("pub", &["--as-upstream"])] {
            let (done, code) = summary(&import(&site, cache, &source.url(), arguments, &paths));
            assert_eq!((code, &done["imported"]), (0, &3.into()), "{keys}, {arguments:?}: {done}");
        }
        assert!(source.headers().contains(&wanted), "{keys}");
        let seen = elsewhere.headers();
        assert!(!seen.is_empty() && seen.iter().all(|header| !header.contains(SECRET)), "{keys}: {seen:?}");
        assert!(seen.iter().all(|header| !header.starts_with("authorization")), "{keys}: {seen:?}");
        assert_is_kept_nowhere(&mut site, SECRET);
        assert_is_kept_nowhere(&mut site, &STANDARD.encode(format!("me:{SECRET}")));
    }
}

#[test]
fn a_source_that_wants_a_client_certificate_sees_it() {
    let (signer, elsewhere) = (Upstream::start(), Upstream::start());
    let (here, far) = (Path::incompressible("here", 300_000), Path::small("far"));
    elsewhere.on("/far", Act::Send(far.file.clone()));
    let nginx = Nginx::start(&signer, &[&here, &far], &[(&far, format!("{}/far", elsewhere.url()))]);
    let site = nginx.site(&signer, true, Trusts::ByConfiguration);
    let (certificate, key) = (nginx.file("client.crt"), nginx.file("client.key"));
    let both = nginx.file("both.pem");
    fs::write(&both, [fs::read(&certificate).unwrap(), fs::read(&key).unwrap()].concat()).unwrap();
    let paths = [here, far];

    let refused = import(&site, "self", &nginx.url(), &[], &paths);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && told.contains("are its credentials right?"), "{told}");
    let wrong = import(&site, "self", &nginx.url(), &["--client-certificate-file", &certificate], &paths);
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(!wrong.status.success() && told.contains("no private key"), "{told}");

    for (cache, arguments) in [
        ("my-cache-2", &["--client-certificate-file", &certificate, "--client-key-file", &key][..]),
        ("self", &["--client-certificate-file", &both]),
        ("pub", &["--as-upstream"]),
    ] {
        let (done, code) = summary(&import(&site, cache, &nginx.url(), arguments, &paths));
        assert_eq!((code, &done["imported"]), (0, &2.into()), "{arguments:?}: {done}");
    }
}

#[test]
fn a_bucket_that_is_an_upstream_is_imported_with_its_keys() {
    let bucket = Bucket::start();
    let signer = Upstream::start();
    let paths: Vec<Path> = (0..3).map(|number| Path::small(&format!("path-{number}"))).collect();
    bucket.put("nix-cache-info", CACHE_INFO);
    for path in &paths {
        bucket.put(&format!("{}.narinfo", path.hash), signer.narinfo(path).as_bytes());
        bucket.put(&path.file_url(), &path.file);
    }
    let address = bucket.service.address();
    let source =
        format!("s3://{BUCKET}?region={REGION}&scheme=http&endpoint={address}&addressing-style=path");
    let mut site = Site::with_files(|config, directory| {
        fs::create_dir_all(directory.join(SECRETS)).unwrap();
        fs::write(directory.join(SECRETS).join("ak"), ACCESS_KEY).unwrap();
        fs::write(directory.join(SECRETS).join("sk"), SECRET_KEY).unwrap();
        let keys = json!({"s3-access-key-file": format!("{SECRETS}/ak"), "s3-secret-key-file": format!("{SECRETS}/sk")});
        let mut entry = json!({"url": source, "public-keys": signer.public_key()});
        entry.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
        config["caches"][0]["upstreams"] = json!([entry]);
        config["server"]["log"] = json!({"filter": "debug"});
    });
    let done = succeeds(&site, &["import", &source, "--cache", "pub", "--as-upstream"]);
    assert_eq!(done["imported"], 3);
    assert_is_kept_nowhere(&mut site, SECRET_KEY);
}

#[test]
fn credentials_that_cannot_be_used_are_refused_with_the_reason() {
    let upstream = Upstream::start();
    let site = site_of(&upstream, &json!({"token-file": "t"}), &[("t", SECRET)]);
    let file = site.directory().join(SECRETS).join("t").display().to_string();
    let url = upstream.url();
    let other_port = Upstream::start().url();
    for (cache, source, arguments, reason) in [
        // Those of one cache are of no use to another, and an upstream is one origin.
        ("my-cache-2", url.as_str(), &["--as-upstream"][..], "has no upstream"),
        ("pub", &other_port, &["--as-upstream"], "has no upstream"),
        ("pub", "file:///srv", &["--as-upstream"], "has no upstream"),
        ("pub", &url, &["--as-upstream", "--token-file", &file], "cannot be used with"),
        ("pub", &url, &["--client-key-file", &file], "--client-certificate-file"),
        ("pub", &url, &["--client-certificate-file", &file], "not `https://`"),
        ("pub", &url, &["--headers-file", &file], "line 1 is not `Name: value`"),
        ("pub", &url, &["--token-file", "/nonexistent"], "/nonexistent"),
        ("pub", "file:///srv", &["--headers-file", &file], "only a source behind http"),
    ] {
        let output = import(&site, cache, source, arguments, &[Path::small("any")]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(reason), "{arguments:?}: {told}");
        assert!(!told.contains(SECRET), "{told}");
    }
    assert_eq!(upstream.requests(), Vec::<String>::new());
}

#[test]
fn a_password_in_the_url_of_a_source_is_not_recorded() {
    let mut site = Site::with(|config| config["server"]["log"] = json!({"filter": "debug"}));
    for source in [
        format!("http://me:{SECRET}@127.0.0.1/"),
        format!("https://{SECRET}@127.0.0.1/"),
        format!("s3://me:{SECRET}@bucket"),
    ] {
        let output = import(&site, "pub", &source, &[], &[Path::small("any")]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains("--password-file"), "{told}");
    }
    assert_is_kept_nowhere(&mut site, SECRET);
}

#[test]
fn an_import_that_is_resumed_reads_its_credentials_again() {
    let source = Upstream::start();
    source.on("/nix-cache-info", Act::Send(CACHE_INFO.to_vec()));
    let paths: Vec<Path> =
        (0..10).map(|number| Path::incompressible(&format!("path-{number}"), 300_000)).collect();
    paths.iter().for_each(|path| source.has(path));
    source.wants(&format!("authorization: Bearer {SECRET}"));
    let mut site = Site::with_files(|_, directory| {
        fs::create_dir_all(directory.join(SECRETS)).unwrap();
        fs::write(directory.join(SECRETS).join("t"), SECRET).unwrap();
    });
    let file = site.directory().join(SECRETS).join("t");
    let wanted: Vec<String> = paths.iter().map(Path::store_path).collect();
    let (url, name) = (source.url(), file.display().to_string());
    let mut arguments =
        vec!["import", &url, "--cache", "pub", "--token-file", &name, "--rate", "1MB", "--jobs", "2"];
    arguments.extend(wanted.iter().map(String::as_str));
    let command = site.start_cachectl(&arguments);
    wait_for(SOON, "some paths to be imported", || (site.stored_nars("pub").len() > 1).then_some(()));
    // A new token, while the daemon is away.
    source.wants("authorization: Bearer another");
    fs::write(&file, "another").unwrap();
    site.crash_and_restart();
    assert!(!command.wait_with_output().unwrap().status.success());
    wait_for(SOON * 2, "the import to end", || {
        let jobs: Vec<Value> = serde_json::from_str(&site.cachectl_ok(&["job", "list", "--json"])).unwrap();
        jobs.iter().all(|job| job["state"] != "running").then_some(())
    });
    paths.iter().for_each(|path| drop(site.reader("pub").assert_has(path)));
    assert_is_kept_nowhere(&mut site, SECRET);
}
