//! The catalog and the storages compared, both ways, and a catalog made anew from the storages alone.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::SigningKey;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::bucket::Bucket;
use super::jobs::last_event;
use super::medium::Medium;
use super::{assert_all_readable, disk, in_bucket, local, paths, site};
use crate::harness::read::Reader;
use crate::harness::{NarInfo, Path, SOON, Site, nix32, random_bytes, wait_for};
use crate::nix_client::{reader, url, writer};

/// What a check found, summed up over the storages.
fn found(output: &std::process::Output, figure: &str) -> u64 {
    let summary = &last_event(output)["summary"];
    let storages = summary["storages"].as_array().unwrap_or_else(|| panic!("{summary}"));
    storages.iter().map(|storage| storage[figure].as_u64().unwrap()).sum()
}

/// The names of all narinfo files on these storages, without their ends.
fn narinfos(media: &[Medium<'_>]) -> Vec<String> {
    let names = media.iter().flat_map(|medium| medium.files().into_keys());
    names.filter_map(|name| name.strip_suffix(".narinfo").map(str::to_owned)).collect()
}

#[test]
fn a_lost_catalog_is_made_anew_from_the_storages() {
    const PATHS: usize = 9;
    let bucket = Bucket::start();
    let mut site = site("round-robin", |directory| vec![local(directory, "disk"), bucket.storage("cloud")]);
    let here = writer(&site, "pub");
    let root = here.build_closure(PATHS as u32 - 1);
    here.ok(&format!("nix copy --to {} {root}", url(&site, "pub")));
    let there = reader(&site, "pub");
    let media = [disk(&site, "disk"), in_bucket(&bucket, "cloud")];
    wait_for(SOON, "every narinfo is stored", || (narinfos(&media).len() == PATHS).then_some(()));
    let hashes = narinfos(&media);
    // The tokens go with the catalog, and a public cache needs none.
    let public = Reader::new(site.cache("pub"));
    let ask = |hash: &str| public.get(&format!("{hash}.narinfo"));
    let before: Vec<Vec<u8>> = hashes.iter().map(|hash| ask(hash).expect(200).body).collect();

    assert!(site.daemon().terminate().success());
    for entry in fs::read_dir(site.state_dir()).unwrap().map(Result::unwrap) {
        if entry.file_name().to_str().unwrap().starts_with("db.sqlite") {
            fs::remove_file(entry.path()).unwrap();
        }
    }
    site.restart();
    assert!(hashes.iter().all(|hash| ask(hash).status == 404));

    // What is unknown is left alone unless it is to be taken in.
    let check = site.cachectl(&["fsck", "--json"]);
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stderr));
    assert_eq!((found(&check, "unknown_paths"), found(&check, "orphans_removed")), (PATHS as u64, 0));
    let rebuild = site.cachectl(&["fsck", "--rebuild", "--json"]);
    assert_eq!(rebuild.status.code(), Some(0), "{}", String::from_utf8_lossy(&rebuild.stderr));
    assert_eq!(found(&rebuild, "paths_rebuilt"), PATHS as u64);
    for (hash, before) in hashes.iter().zip(&before) {
        let after = ask(hash).expect(200).body;
        assert!(after == *before, "{}\n{}", String::from_utf8_lossy(&after), String::from_utf8_lossy(before));
    }
    there.ok(&format!("nix copy --from {} {root}", url(&site, "pub")));
    assert_eq!(there.describe_closure(&root), here.describe_closure(&root));
    let again = site.cachectl(&["fsck", "--rebuild", "--json"]);
    assert_eq!((again.status.code(), found(&again, "paths_rebuilt")), (Some(0), 0));
    assert_eq!(found(&again, "files_checked"), PATHS as u64);
}

/// A disk with one of each that can be wrong with it.
struct Wrong {
    site: Site,
    medium: Medium<'static>,
    missing: Path,
    short: Path,
    undescribed: Path,
    orphan: String,
    stray: &'static str,
}

impl Wrong {
    fn make() -> Self {
        let site = site("in-order", |directory| vec![local(directory, "disk")]);
        let [missing, short, undescribed, sound] = [(); 4].map(|()| Path::incompressible("path", 30_000));
        for path in [&missing, &short, &undescribed, &sound] {
            site.pusher("pub").push(path);
        }
        let medium = disk(&site, "disk");
        wait_for(SOON, "everything is written", || (medium.files().len() == 12).then_some(()));
        medium.remove(&missing.file_url());
        medium.write(&short.file_url(), &short.file[..1_000]);
        medium.remove(&format!("{}.narinfo", undescribed.hash));
        let unknown = Path::incompressible("unknown", 10_000);
        let orphan = format!("nar/{}.nar.zst", nix32::encode(&Sha256::digest(&unknown.file)));
        medium.write(&orphan, &unknown.file);
        let stray = "nar/holiday.jpg";
        medium.write(stray, b"sunset");
        Self { site, medium, missing, short, undescribed, orphan, stray }
    }
}

const FOUND: [(&str, u64); 6] = [
    ("missing", 1),
    ("wrong_size", 1),
    ("narinfos_rewritten", 1),
    ("orphans_removed", 1),
    ("problems", 1),
    ("unknown_paths", 0),
];

#[test]
fn a_check_finds_and_mends_what_is_wrong_on_a_disk() {
    let Wrong { site, medium, missing, short, undescribed, orphan, stray } = Wrong::make();
    let reader = site.reader("pub");
    let files = medium.files();
    let dry_run = site.cachectl(&["fsck", "--dry-run", "--json"]);
    assert_eq!(dry_run.status.code(), Some(9), "{}", String::from_utf8_lossy(&dry_run.stderr));
    assert_eq!(FOUND.map(|(figure, _)| (figure, found(&dry_run, figure))), FOUND);
    assert_eq!(last_event(&dry_run)["summary"]["dry_run"], true);
    assert_eq!(medium.files(), files, "nothing is changed");
    assert_eq!(reader.narinfo_status(&missing), 200, "nothing is hidden");

    let mended = site.cachectl(&["fsck", "--json"]);
    assert_eq!(mended.status.code(), Some(9), "{}", String::from_utf8_lossy(&mended.stderr));
    assert_eq!(FOUND.map(|(figure, _)| (figure, found(&mended, figure))), FOUND);
    let notes = String::from_utf8_lossy(&mended.stdout);
    for name in [&missing.file_url()["nar/".len()..], &short.file_url()["nar/".len()..], stray] {
        assert!(notes.contains(name), "{name} is named: {notes}");
    }
    for path in [&missing, &short] {
        assert_eq!(reader.narinfo_status(path), 404);
    }
    let narinfo = format!("{}.narinfo", undescribed.hash);
    wait_for(SOON, "the narinfo is written anew", || medium.files().contains_key(&narinfo).then_some(()));
    assert_eq!(medium.read(&narinfo), reader.get(&narinfo).expect(200).body);
    let left = medium.files();
    assert!(!left.contains_key(&orphan) && left.contains_key(stray));

    for path in [&missing, &short] {
        site.pusher("pub").push(path);
        reader.assert_has(path);
    }
    medium.remove(stray);
    let again: Value = last_event(&site.cachectl(&["fsck", "--json"]));
    assert_eq!(again["summary"]["storages"][0]["files_checked"], 4, "{again}");
    site.cachectl_ok(&["fsck"]);
}

#[test]
fn pushes_during_checks_are_not_harmed() {
    let site = site("round-robin", |directory| vec![local(directory, "first"), local(directory, "second")]);
    let all = paths([8_000; 160]);
    let done = AtomicBool::new(false);
    let checks = thread::scope(|scope| {
        let checking = scope.spawn(|| {
            let mut checks = 0;
            while !done.load(Ordering::Relaxed) {
                let arguments: &[&str] = if checks % 2 == 0 { &["fsck"] } else { &["fsck", "--rebuild"] };
                site.cachectl_ok(arguments);
                checks += 1;
            }
            checks
        });
        super::push_side_by_side(&site, &all, 4);
        done.store(true, Ordering::Relaxed);
        checking.join().unwrap()
    });
    assert!(checks > 1, "{checks}");
    assert_all_readable(&site, &all);
    site.cachectl_ok(&["fsck"]);
    assert_all_readable(&site, &all);
}

/// A folder that `nix copy --to file://` made is taken over by putting it where the storage is.
#[test]
fn paths_that_a_storage_came_with_are_signed_when_they_are_taken_in() {
    let site = Site::start();
    let storage = site.storage_dir("pub");
    let stranger = SigningKey::from_bytes(&random_bytes());
    let [signed, unsigned, forged] = ["signed", "unsigned", "forged"].map(Path::small);
    let old = format!("old-1:{}", signed.signed_with(&stranger));
    fs::create_dir_all(storage.join("nar")).unwrap();
    for (path, lines) in [
        (&signed, format!("Sig: {old}\n")),
        (&unsigned, String::new()),
        // Nobody's signature covers the content address.
        (&forged, format!("CA: fixed:r:{}\n", forged.nar_hash())),
    ] {
        fs::write(storage.join(path.file_url()), &path.file).unwrap();
        let text = format!("{}{lines}", path.narinfo_text());
        fs::write(storage.join(format!("{}.narinfo", path.hash)), text).unwrap();
    }
    let rebuild = site.cachectl(&["fsck", "--rebuild", "--json"]);
    assert_eq!((found(&rebuild, "paths_rebuilt"), found(&rebuild, "problems")), (2, 1));
    let key = site.public_key("pub");
    for path in [&signed, &unsigned] {
        assert!(site.reader("pub").assert_has(path).is_signed_by(&key));
        let file = storage.join(format!("{}.narinfo", path.hash));
        wait_for(SOON, "the narinfo on the storage is signed", || {
            NarInfo::parse(&fs::read_to_string(&file).unwrap()).is_signed_by(&key).then_some(())
        });
    }
    assert!(site.reader("pub").narinfo(&signed).signatures.contains(&old), "what others signed stays");
    site.reader("pub").assert_lacks(&forged);
}

#[test]
fn paths_without_a_signature_of_the_cache_are_noticed() {
    let mut site = Site::start();
    let path = Path::small("old");
    site.pusher("pub").push(&path);
    let secret =
        format!("new-1:{}", STANDARD.encode(SigningKey::from_bytes(&random_bytes()).to_keypair_bytes()));
    let file = site.directory().join("new.key");
    fs::write(&file, secret).unwrap();
    site.reconfigure(|config| config["caches"][0]["signing-key-file"] = file.to_str().unwrap().into());
    // Readers get the signature at once.
    assert!(site.reader("pub").assert_has(&path).is_signed_by(&site.public_key("pub")));
    let check = |arguments: &[&str]| String::from_utf8(site.cachectl(arguments).stdout).unwrap();
    let fsck = ["fsck", "--cache", "pub", "--json"];
    for arguments in [&[&fsck[..], &["--dry-run"]].concat(), &fsck[..]] {
        let told = check(arguments);
        assert!(told.contains("1 paths lacked a signature"), "{told}");
    }
    assert!(!check(&fsck).contains("lacked a signature"));
    assert!(site.reader("pub").assert_has(&path).is_signed_by(&site.public_key("pub")));
}
