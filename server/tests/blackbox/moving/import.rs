//! What an import takes, what it leaves out, and what it says.

use std::fs;

use serde_json::Value;

use super::{fails, file_url, run, succeeds, summary, write_flat};
use crate::harness::nix_host::NixHost;
use crate::harness::{Path, Permission, Site};
use crate::nix_client::{reader, url};

#[test]
fn a_cache_that_nix_wrote_is_imported_with_its_signatures_and_nix_fetches_from_us() {
    let site = Site::start();
    let host = NixHost::new();
    let root = host.build_closure(12);
    let old_key =
        host.ok("nix key generate-secret --key-name old-1 > key; nix key convert-secret-to-public < key");
    host.ok(&format!("nix copy --to \"file://$PWD/flat?secret-key=$PWD/key\" {root}"));
    let closure = host.describe_closure(&root);
    let source = file_url(&host.directory().join("flat"));

    let planned = succeeds(&site, &["import", &source, "--cache", "pub", "--dry-run"]);
    assert_eq!((&planned["imported"], &planned["dry_run"]), (&closure.len().into(), &true.into()));
    assert!(site.stored_nars("pub").is_empty());

    let done = succeeds(&site, &["import", &source, "--cache", "pub"]);
    assert_eq!((&done["imported"], &done["present"]), (&closure.len().into(), &0.into()));
    assert_eq!(done["skipped"], Value::Array(Vec::new()));
    assert_eq!(done["file_bytes"], planned["file_bytes"]);

    // Both those who trust us and those who trust the old cache have it.
    for trusted in [site.public_key("pub"), old_key] {
        let reader = NixHost::trusting(&[trusted]);
        reader.ok(&format!("nix copy --from {} {root}", url(&site, "pub")));
        assert_eq!(reader.describe_closure(&root), closure);
    }

    let again = succeeds(&site, &["import", &source, "--cache", "pub"]);
    assert_eq!((&again["imported"], &again["present"]), (&0.into(), &closure.len().into()));
    let text = site.cachectl_ok(&["import", &source, "--cache", "pub"]);
    let expected = format!("Imported 0 paths (0 B, 0 B unpacked).\n{} paths there already\n", closure.len());
    assert_eq!(text, expected);
}

#[test]
fn what_is_not_what_it_claims_is_left_out_with_the_reason_and_the_rest_is_imported() {
    let site = Site::start();
    let flat = site.directory().join("flat");
    let paths: Vec<Path> = (0..7).map(|number| Path::small(&format!("path-{number}"))).collect();
    write_flat(&flat, &paths);
    let [damaged, missing, renamed, foreign, garbage, outside, sound] =
        <&[Path; 7]>::try_from(&paths[..]).unwrap();
    let narinfo = |path: &Path| flat.join(format!("{}.narinfo", path.hash));
    let nar = flat.join(damaged.file_url());
    let mut bytes = fs::read(&nar).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&nar, bytes).unwrap();
    fs::remove_file(flat.join(missing.file_url())).unwrap();
    fs::write(narinfo(renamed), sound.narinfo_text()).unwrap();
    let lzma = foreign.narinfo_text().replace("Compression: zstd", "Compression: lzma");
    fs::write(narinfo(foreign), lzma).unwrap();
    fs::write(narinfo(garbage), "StorePath: no\n").unwrap();
    let secret = site.directory().join("secret");
    fs::write(&secret, "secret").unwrap();
    let leading_out = outside.narinfo_text().replace(&outside.file_url(), "../secret");
    fs::write(narinfo(outside), leading_out).unwrap();

    let output = run(&site, &["import", &file_url(&flat), "--cache", "pub"], "");
    let (done, code) = summary(&output);
    assert_eq!((code, &done["imported"]), (8, &1.into()), "{done}");
    let text = done["skipped"].to_string();
    for reason in [
        "SHA-256 in its name",
        "does not have its NAR",
        "about another path",
        "unsupported compression `lzma`",
        "malformed",
        "URL outside of the cache",
    ] {
        assert!(text.contains(reason), "{reason}: {text}");
    }
    let notes = String::from_utf8_lossy(&output.stdout);
    assert!(notes.contains(&format!("{} was not imported", damaged.base_name())), "{notes}");
    site.reader("pub").assert_has(sound);
    for path in &paths[..6] {
        site.reader("pub").assert_lacks(path);
    }
    site.wait_for_empty_spool("pub");
}

#[test]
fn a_filter_and_a_list_choose_what_is_imported() {
    let site = Site::start();
    let flat = site.directory().join("flat");
    let dependency = Path::small("dependency");
    let wanted = Path::small("linux-6.12").referring_to([dependency.base_name()]);
    let other = Path::small("windows");
    write_flat(&flat, &[dependency.clone(), wanted.clone(), other.clone()]);
    let source = file_url(&flat);

    let done = succeeds(&site, &["import", &source, "--cache", "pub", "--filter", "linux-*"]);
    assert_eq!((&done["imported"], &done["filtered"]), (&1.into(), &2.into()));
    site.reader("pub").assert_has(&wanted);
    site.reader("pub").assert_lacks(&dependency);

    // What refers to it is there, and what it refers to is found all the same.
    let done = succeeds(&site, &["import", &source, "--cache", "pub", "--closure", &wanted.store_path()]);
    assert_eq!((&done["imported"], &done["present"]), (&1.into(), &1.into()));
    site.reader("pub").assert_has(&dependency);
    site.reader("pub").assert_lacks(&other);
}

#[test]
fn an_import_that_cannot_begin_says_why() {
    let site = Site::start();
    for (arguments, reason) in [
        (&["import", "file:///does/not/exist", "--cache", "pub"][..], "cannot read /does/not/exist"),
        (&["import", "file://relative", "--cache", "pub"], "begins with file:///"),
        (&["import", "http://127.0.0.1:1/", "--cache", "pub", "--closure", "x"], "cannot import"),
        (&["import", "s3://b?colour=red", "--cache", "pub"], "unknown parameter colour"),
        (&["import", "file:///tmp", "--cache", "absent"], "no cache called `absent`"),
        (&["import", "http://u:secret@127.0.0.1/", "--cache", "pub", "x"], "password"),
    ] {
        let complaint = fails(&site, arguments);
        assert!(complaint.contains(reason), "{arguments:?}: {complaint}");
    }
}

#[test]
fn an_import_is_a_job_that_is_listed_stopped_and_joined() {
    let site = Site::start();
    let flat = site.directory().join("flat");
    let paths: Vec<Path> =
        (0..12).map(|number| Path::incompressible(&format!("path-{number}"), 300_000)).collect();
    write_flat(&flat, &paths);
    let source = file_url(&flat);
    // Slow enough to be seen.
    let slow = ["import", &source, "--cache", "pub", "--rate", "400kB", "--jobs", "2"];
    let first = site.start_cachectl(&slow);
    let jobs =
        || -> Vec<Value> { serde_json::from_str(&site.cachectl_ok(&["job", "list", "--json"])).unwrap() };
    let job = crate::harness::wait_for(crate::harness::SOON, "the import to be listed", || {
        jobs().into_iter().find(|job| job["kind"] == "import" && job["done"].as_u64() > Some(0))
    });
    assert_eq!(job["state"], "running");
    assert_eq!(job["subject"], format!("{source} into pub"));
    let second = site.start_cachectl(&slow);
    site.cachectl_ok(&["job", "stop", job["id"].as_str().unwrap()]);
    for follower in [first, second] {
        let output = follower.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(8), "{}", String::from_utf8_lossy(&output.stderr));
    }
    site.wait_for_empty_spool("pub");
    let there = site.stored_nars("pub").len();
    assert!((1..12).contains(&there), "{there}");
    // What was stopped is not resumed by itself, but by the command.
    let done = succeeds(&site, &["import", &source, "--cache", "pub"]);
    assert_eq!(done["present"].as_u64().unwrap() as usize, there);
    paths.iter().for_each(|path| drop(site.reader("pub").assert_has(path)));
}

#[test]
fn a_client_signed_cache_takes_only_what_its_key_signed() {
    let site = Site::start();
    let key = ed25519_dalek::SigningKey::from_bytes(&crate::harness::random_bytes());
    let token = site.token("self", Permission::Admin);
    let public = {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(key.verifying_key().as_bytes())
    };
    let body = serde_json::json!({ "publicKey": public });
    site.api().post("/api/v1/cache/self/key").bearer(&token).json(&body).send().expect(200);
    let name = site.public_key("self").split_once(':').unwrap().0.to_owned();
    let flat = site.directory().join("flat");
    let (signed, unsigned) = (Path::small("signed"), Path::small("unsigned"));
    write_flat(&flat, &[signed.clone(), unsigned.clone()]);
    let text = format!("{}Sig: {name}:{}\n", signed.narinfo_text(), signed.signed_with(&key));
    fs::write(flat.join(format!("{}.narinfo", signed.hash)), text).unwrap();
    let (done, code) = summary(&run(&site, &["import", &file_url(&flat), "--cache", "self"], ""));
    assert_eq!((code, &done["imported"]), (8, &1.into()), "{done}");
    assert!(done["skipped"].to_string().contains("signed by its clients"), "{done}");
    site.reader("self").assert_has(&signed);
    site.reader("self").assert_lacks(&unsigned);
}

#[test]
fn nix_reads_what_was_imported() {
    let site = Site::start();
    let host = NixHost::new();
    let root = host.build_closure(3);
    host.ok(&format!("nix copy --to \"file://$PWD/flat?compression=bzip2\" {root}"));
    succeeds(&site, &["import", &file_url(&host.directory().join("flat")), "--cache", "pub"]);
    reader(&site, "pub").ok(&format!("nix copy --from {} {root}", url(&site, "pub")));
}
