//! What an export writes, read by plain Nix.

use std::fs;
use std::path::Path as FilePath;

use super::{fails, file_url, succeeds};
use crate::harness::nix_host::NixHost;
use crate::harness::{Path, Site};
use crate::nix_client::{url, writer};

/// The names of all files below a directory.
fn files(directory: &FilePath) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            names.extend(files(&path));
        } else {
            names.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    names
}

#[test]
fn plain_nix_reads_an_exported_closure_pin_or_cache_and_trusts_its_signatures() {
    let site = Site::start();
    let host = writer(&site, "pub");
    let root = host.build_closure(10);
    host.ok(&format!("nix copy --to '{}?compression=zstd' {root}", url(&site, "pub")));
    let closure = host.describe_closure(&root);
    let other = Path::small("other");
    site.pusher("pub").push(&other);
    site.cachectl_ok(&["pin", "add", "release", &root, "--cache", "pub"]);

    for (number, what) in [&[root.as_str()][..], &["--pin", "release"], &[]].into_iter().enumerate() {
        let directory = site.directory().join(format!("out-{number}"));
        let target = file_url(&directory);
        let done = succeeds(&site, &[&["export", &target, "--cache", "pub"], what].concat());
        let expected = closure.len() + usize::from(what.is_empty());
        assert_eq!(done["exported"], expected, "{what:?}");
        let reader = NixHost::trusting(&site.public_keys("pub"));
        reader.ok(&format!("nix copy --from {target} {root}"));
        assert_eq!(reader.describe_closure(&root), closure);
        // Only what belongs to a binary cache.
        let names = files(&directory);
        assert_eq!(names.iter().filter(|name| name.ends_with(".narinfo")).count(), expected);
        assert!(names.iter().all(|name| !name.starts_with('.')), "{names:?}");
    }
}

#[test]
fn an_export_goes_on_where_one_that_was_killed_ended() {
    let mut site = Site::start();
    let paths: Vec<Path> =
        (0..10).map(|number| Path::incompressible(&format!("path-{number}"), 300_000)).collect();
    paths.iter().for_each(|path| site.pusher("pub").push(path));
    let directory = site.directory().join("out");
    let target = file_url(&directory);
    let export = site.start_cachectl(&["export", &target, "--cache", "pub", "--rate", "1MB", "--jobs", "3"]);
    let whole = |end: &str| {
        let names = if directory.exists() { files(&directory) } else { Vec::new() };
        names.into_iter().filter(|name| name.ends_with(end)).count()
    };
    crate::harness::wait_for(crate::harness::SOON, "some paths to be exported", || {
        (whole(".narinfo") > 1 && whole(".part") > 0).then_some(())
    });
    site.crash_and_restart();
    assert!(!export.wait_with_output().unwrap().status.success());
    // Whatever has its final name is whole.
    for name in files(&directory).iter().filter(|name| name.ends_with(".nar.zst")) {
        let path = paths.iter().find(|path| path.file_url().ends_with(name.as_str())).unwrap();
        assert_eq!(fs::read(directory.join("nar").join(name)).unwrap(), path.file);
    }
    // The daemon goes on by itself.
    crate::harness::wait_for(crate::harness::SOON * 2, "the export to end", || {
        (whole(".narinfo") == 10 && whole(".part") == 0).then_some(())
    });
    let again = succeeds(&site, &["export", &target, "--cache", "pub"]);
    assert_eq!((&again["exported"], &again["present"]), (&0.into(), &10.into()));

    // What was damaged since is written again.
    fs::write(directory.join(paths[0].file_url()), "short").unwrap();
    fs::remove_file(directory.join(format!("{}.narinfo", paths[1].hash))).unwrap();
    let again = succeeds(&site, &["export", &target, "--cache", "pub"]);
    assert_eq!(again["exported"], 2);
    assert_eq!(fs::read(directory.join(paths[0].file_url())).unwrap(), paths[0].file);
}

#[test]
fn an_export_that_cannot_begin_says_why() {
    let site = Site::start();
    let file = site.directory().join("file");
    fs::write(&file, "").unwrap();
    let hash = Path::small("absent").hash;
    for (arguments, reason) in [
        (
            &["export", "http://127.0.0.1/", "--cache", "pub"][..],
            "expected a directory or s3://BUCKET/PREFIX",
        ),
        (&["export", &file_url(&file), "--cache", "pub"], "cannot export"),
        (&["export", "file:///tmp/x", "--cache", "pub", "--pin", "none"], "no pin called `none`"),
        (&["export", "file:///tmp/x", "--cache", "absent"], "no cache called `absent`"),
    ] {
        let complaint = fails(&site, arguments);
        assert!(complaint.contains(reason), "{arguments:?}: {complaint}");
    }
    let directory = site.directory().join("out");
    let output = super::run(&site, &["export", &file_url(&directory), "--cache", "pub", &hash], "");
    let (done, code) = super::summary(&output);
    assert_eq!(code, 8);
    assert!(done["skipped"].to_string().contains("the cache does not have it"), "{done}");
}
