//! Figures: how fast an import is beside `nix copy`, and what a push uploads if an upstream has most of it.
//!
//! They are printed and not judged, but for what must be left out. `MOVING_PATHS` sets the number of paths.

use std::time::{Duration, Instant};

use serde_json::json;

use super::kill::number_of_paths;
use super::{file_url, succeeds, write_flat};
use crate::harness::nix_host::NixHost;
use crate::harness::site::HOST;
use crate::harness::{Path, Permission, Site};
use crate::nix_client::{reader, url, writer};

fn rate(paths: usize, bytes: usize, took: Duration) -> String {
    let seconds = took.as_secs_f64();
    let (per_second, megabytes) = (paths as f64 / seconds, bytes as f64 / 1e6 / seconds);
    format!("{paths} paths in {took:.1?}: {per_second:.0} paths/s, {megabytes:.1} MB/s of NARs")
}

#[test]
fn an_import_is_measured_beside_nix_copy() {
    let site = Site::start();
    let flat = site.directory().join("flat");
    let count = usize::try_from(number_of_paths() / 3).unwrap();
    let paths: Vec<Path> = (0..count)
        .map(|number| match number % 10 {
            0 => Path::incompressible(&format!("large-{number}"), 1_000_000),
            _ => Path::incompressible(&format!("small-{number}"), 20_000),
        })
        .collect();
    write_flat(&flat, &paths);
    let bytes = paths.iter().map(|path| path.nar.len()).sum();
    let begun = Instant::now();
    let done = succeeds(&site, &["import", &file_url(&flat), "--cache", "pub"]);
    let import = begun.elapsed();
    assert_eq!(done["imported"], count);
    let host = NixHost::new();
    let list = paths.iter().map(|path| path.store_path() + "\n").collect::<String>();
    std::fs::write(host.directory().join("list"), list).unwrap();
    let target = host.directory().join("copy");
    let begun = Instant::now();
    host.ok(&format!(
        "xargs nix copy --no-check-sigs --from {} --to 'file://{}?compression=zstd' < list",
        file_url(&flat),
        target.display()
    ));
    let copy = begun.elapsed();
    println!("import:   {}", rate(count, bytes, import));
    println!("nix copy: {}", rate(count, bytes, copy));
}

/// A daemon whose cache `pub` has this one as upstream.
fn above(upstream: &Site) -> Site {
    let keys = upstream.public_keys("pub").join(" ");
    let entry = format!("http://127.0.0.1:{} {keys}", upstream.port("pub"));
    Site::with(|config| config["caches"][0]["upstreams"] = json!([entry]))
}

/// The bytes of a file in the storage.
fn bytes_of(site: &Site, name: &str) -> u64 {
    std::fs::metadata(site.storage_dir("pub").join(name)).unwrap().len()
}

#[test]
fn a_push_of_which_nine_tenths_are_upstream_uploads_the_rest() {
    // As the cachix client does.
    let upstream = Site::start();
    let paths: Vec<Path> =
        (0..200).map(|number| Path::incompressible(&format!("path-{number}"), 50_000)).collect();
    paths[..180].iter().for_each(|path| upstream.pusher("pub").push(path));
    let site = above(&upstream);
    let pusher = site.pusher("pub");
    let hashes: Vec<&str> = paths.iter().map(|path| path.hash.as_str()).collect();
    let missing = pusher.missing(&hashes);
    let uploaded: Vec<&Path> = paths.iter().filter(|path| missing.contains(&path.hash)).collect();
    uploaded.iter().for_each(|path| pusher.push(path));
    let size = |paths: &[&Path]| paths.iter().map(|path| path.file.len()).sum::<usize>();
    let all = size(&paths.iter().collect::<Vec<_>>());
    println!(
        "cachix: {} of {all} bytes uploaded, {} of {} paths",
        size(&uploaded),
        uploaded.len(),
        paths.len()
    );
    assert_eq!(uploaded.len(), 20);
    // As Nix does.
    let here = writer(&upstream, "pub");
    let root = here.build_closure(40);
    let closure = here.ok(&format!("nix-store -q --requisites {root}"));
    let closure: Vec<&str> = closure.lines().collect();
    let shared = &closure[..closure.len() * 9 / 10];
    here.ok(&format!("nix copy --to {} {}", url(&upstream, "pub"), shared.join(" ")));
    let here = here.with_token(&format!("pub.{HOST}"), &site.token("pub", Permission::Write));
    let before = site.stored_nars("pub");
    here.ok(&format!("nix copy --to {} {root}", url(&site, "pub")));
    let uploaded = site.stored_nars("pub");
    let bytes = |names: &[String]| names.iter().map(|name| bytes_of(&site, name)).sum::<u64>();
    let new: Vec<String> = uploaded.into_iter().filter(|name| !before.contains(name)).collect();
    // What it would have been: the same push to a cache without an upstream.
    let whole = Site::start();
    let again = writer(&whole, "pub");
    assert_eq!(again.build_closure(40), root);
    again.ok(&format!("nix copy --to {} {root}", url(&whole, "pub")));
    let all: u64 = whole.stored_nars("pub").iter().map(|name| bytes_of(&whole, name)).sum();
    println!("nix copy: {} of {all} bytes uploaded, {} of {} paths", bytes(&new), new.len(), closure.len());
    assert_eq!(new.len(), closure.len() - shared.len());
    let there = reader(&site, "pub");
    there.ok(&format!("nix copy --from {} {root}", url(&site, "pub")));
}
