//! `nix copy --to http://…`, and back.

use serde_json::{Value, json};

use super::{reader, url, writer};
use crate::harness::nix_host::NixHost;
use crate::harness::site::HOST;
use crate::harness::{Permission, Site};

/// A content-addressed derivation.
const REALISED: &str = r#"derivation { name = "realised"; system = builtins.currentSystem; builder = "/bin/sh";
    args = [ "-c" "echo found > $out" ]; __contentAddressed = true;
    outputHashMode = "recursive"; outputHashAlgo = "sha256"; }"#;

#[test]
fn a_closure_copied_to_the_cache_comes_back_the_same() {
    let site = Site::start();
    let (here, there) = (writer(&site, "pub"), reader(&site, "pub"));
    let root = here.build_closure(20);
    let url = url(&site, "pub");
    here.ok(&format!("nix copy --to {url} {root}"));
    there.ok(&format!("nix copy --from {url} {root}"));
    assert_eq!(there.describe_closure(&root), here.describe_closure(&root));
    there.ok(&format!("nix-store --verify-path $(nix-store -q --requisites {root})"));
    assert_eq!(there.ok(&format!("{root}/bin/alias")), format!("closure-root lives in {root}"));

    // Again, with nothing left to do.
    here.ok(&format!("nix copy --to {url} {root}"));
    site.wait_for_empty_spool("pub");
}

#[test]
fn copying_without_a_token_is_refused() {
    let site = Site::start();
    let stranger = NixHost::new();
    let root = stranger.build_closure(1);
    let complaint = stranger.fails(&format!("nix copy --to {} {root}", url(&site, "pub")));
    assert!(complaint.contains("401"), "{complaint}");
    let read_only = NixHost::new().with_token(&format!("pub.{HOST}"), &site.token("pub", Permission::Read));
    let root = read_only.build_closure(1);
    read_only.fails(&format!("nix copy --to {} {root}", url(&site, "pub")));
    assert!(
        site.stored_files("pub").iter().all(|file| !file.ends_with(".narinfo") && !file.starts_with("nar/"))
    );
}

/// The cache keeps what it is given in any compression that Nix can make and read.
#[test]
fn every_compression_of_nix_makes_the_round_trip() {
    let site = Site::start();
    let here = writer(&site, "pub");
    let url = url(&site, "pub");
    for compression in ["xz", "zstd", "none", "bzip2", "br", "gzip"] {
        let path = here.ok(&format!(
            "echo 'compressed by {compression}' > {compression}; nix-store --add {compression}"
        ));
        here.ok(&format!("nix copy --to '{url}?compression={compression}' {path}"));
        let there = reader(&site, "pub");
        there.ok(&format!("nix copy --from {url} {path}"));
        assert_eq!(there.ok(&format!("cat {path}")), format!("compressed by {compression}"));
    }
}

#[test]
fn a_private_cache_takes_and_gives_only_with_a_token() {
    let site = Site::start();
    let here = writer(&site, "priv");
    let root = here.build_closure(3);
    let url = url(&site, "priv");
    here.ok(&format!("nix copy --to {url} {root}"));

    let stranger = reader(&site, "priv");
    stranger.fails(&format!("nix copy --from {url} {root}"));
    let foreign =
        reader(&site, "priv").with_token(&format!("priv.{HOST}"), &site.token("pub", Permission::Read));
    foreign.fails(&format!("nix copy --from {url} {root}"));

    let token = site.token("priv", Permission::Read);
    let machine = format!("machine priv.{HOST}");
    for netrc in [
        format!("{machine} password {token}\n"),
        format!("{machine} login \"\" password {token}\n"),
        format!("{machine}\nlogin anyone\npassword {token}\n"),
    ] {
        let friend = reader(&site, "priv").with_netrc(&netrc);
        friend.ok(&format!("nix copy --from {url} {root}"));
        assert_eq!(friend.describe_closure(&root), here.describe_closure(&root), "{netrc}");
    }
}

/// On one host name Nix sends the token of the private cache to the public one as well.
#[test]
fn one_netrc_entry_for_all_ports_of_a_host_opens_the_private_and_shuts_no_public_cache() {
    let site = Site::start();
    let here =
        NixHost::new().with_token("127.0.0.1", &site.create_token(&["--all", "--permission", "write"]));
    let root = here.build_closure(2);
    let port_url = |cache: &str| format!("http://127.0.0.1:{}", site.port(cache));
    for cache in ["pub", "priv"] {
        here.ok(&format!("nix copy --to {} {root}", port_url(cache)));
        let token = site.token("priv", Permission::Read);
        let there = reader(&site, cache).with_token("127.0.0.1", &token);
        there.ok(&format!("nix copy --from {} {root}", port_url(cache)));
    }
}

#[test]
fn the_path_below_the_api_is_a_cache_too() {
    let site = Site::start();
    let here = NixHost::new().with_token(HOST, &site.token("pub", Permission::Write));
    let root = here.build_closure(2);
    let url = format!("http://{HOST}:{}/api/v1/cache/pub", site.port("api"));
    here.ok(&format!("nix copy --to {url} {root}"));
    reader(&site, "pub").ok(&format!("nix copy --from {url} {root}"));
}

#[test]
fn the_storage_can_be_read_by_nix_without_the_daemon() {
    let mut site = Site::start();
    let here = writer(&site, "pub");
    let root = here.build_closure(10);
    here.ok(&format!("nix copy --to {} {root}", url(&site, "pub")));
    let there = reader(&site, "pub");
    assert!(site.daemon().terminate().success());
    there.ok(&format!("nix copy --from file://{} {root}", site.storage_dir("pub").display()));
    assert_eq!(there.describe_closure(&root), here.describe_closure(&root));
}

#[test]
fn a_content_addressed_path_keeps_its_address() {
    let site = Site::start();
    let here = writer(&site, "pub");
    let path = here.ok("echo 'addressed by contents' > file; nix-store --add-fixed sha256 file");
    let url = url(&site, "pub");
    here.ok(&format!("nix copy --to {url} {path}"));
    // Such a path needs no signature: it is trusted for its address alone.
    let stranger = NixHost::new();
    stranger.ok(&format!("nix copy --from {url} {path}"));
    let info = stranger.ok(&format!("nix path-info --json {path}"));
    assert!(info.contains("fixed:sha256:"), "{info}");
}

#[test]
fn a_content_addressed_derivation_brings_its_realisation() {
    let site = Site::start();
    let here = writer(&site, "pub");
    std::fs::write(here.directory().join("realised.nix"), REALISED).unwrap();
    let path = here.ok("nix-build realised.nix --no-out-link 2>build.log");
    let url = url(&site, "pub");
    here.ok(&format!("nix copy --to {url} --file realised.nix"));

    let there = reader(&site, "pub");
    std::fs::write(there.directory().join("realised.nix"), REALISED).unwrap();
    let script = format!("nix-build realised.nix --no-out-link --option substituters {url} --max-jobs 0");
    assert_eq!(there.ok(&script), path, "substituted, not built");
}

/// Nix makes the very signature that the cache makes when both have the same key, so readers take it from the cache.
#[test]
fn a_realisation_is_signed_as_nix_signs_it() {
    let here = NixHost::new();
    let name = format!("pub.{HOST}-1");
    here.ok(&format!("nix-store --generate-binary-cache-key {name} secret.key public.key"));
    let key = here.directory().join("secret.key");
    let site = Site::with(|config| config["caches"][0]["signing-key-file"] = json!(key));
    let here = here.with_token(&format!("pub.{HOST}"), &site.token("pub", Permission::Write));
    std::fs::write(here.directory().join("realised.nix"), REALISED).unwrap();
    here.ok("nix-build realised.nix --no-out-link --option secret-key-files $PWD/secret.key 2>build.log");
    let url = url(&site, "pub");
    here.ok(&format!("nix copy --to {url} --file realised.nix"));
    let stored = site.stored_files("pub");
    let realisation = stored.iter().find(|file| file.starts_with("realisations/")).expect("it was copied");
    let file = std::fs::read(site.directory().join("storage/pub").join(realisation)).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    let signatures = file["signatures"].as_array().unwrap();
    assert_eq!(signatures.len(), 1, "the signature of Nix and that of the cache are the same: {file}");
    assert!(signatures[0].as_str().unwrap().starts_with(&name));
}

#[test]
fn a_listing_and_debug_info_made_by_nix_are_taken() {
    let site = Site::start();
    let here = writer(&site, "pub");
    let build_id = "0123456789abcdef0123456789abcdef01234567";
    let path = here.ok(&format!(
        "mkdir -p debug/lib/debug/.build-id/{0}; echo symbols > debug/lib/debug/.build-id/{0}/{1}.debug
         nix-store --add debug",
        &build_id[..2],
        &build_id[2..],
    ));
    let url = url(&site, "pub");
    here.ok(&format!("nix copy --to '{url}?write-nar-listing=true&index-debug-info=true' {path}"));
    let hash = &path["/nix/store/".len()..][..32];
    let listing = site.reader("pub").get(&format!("{hash}.ls")).expect(200).json();
    assert_eq!(listing["root"]["type"], "directory");
    let debug = site.reader("pub").get(&format!("debuginfo/{build_id}.debug")).expect(200).json();
    let archive = debug["archive"].as_str().unwrap();
    let nar = site.reader("pub").get(archive.strip_prefix("../").expect("beside debuginfo"));
    assert_eq!(nar.status, 200, "{archive}");
}

/// Nix signs before it copies, and the cache keeps only what the client signed.
#[test]
fn a_client_signed_cache_takes_what_nix_has_signed() {
    let site = Site::start();
    let here = writer(&site, "self");
    let public = here.ok(&format!(
        "nix-store --generate-binary-cache-key self.{HOST}-1 secret.key public.key; cat public.key"
    ));
    let bare = public.split_once(':').unwrap().1;
    crate::conformance::post_key(&site, "self", &site.token("self", Permission::Admin), bare).expect(200);
    let root = here.build_closure(3);
    let url = url(&site, "self");
    here.fails(&format!("nix copy --to {url} {root}"));
    here.ok(&format!("nix copy --to \"{url}?secret-key=$PWD/secret.key\" {root}"));
    assert_eq!(site.public_keys("self"), [public]);
    reader(&site, "self").ok(&format!("nix copy --from {url} {root}"));
}

/// What the README and `cachectl cache info` recommend.
#[test]
fn a_path_that_was_deleted_is_pushed_again_when_nix_is_told_to_look() {
    let site = Site::start();
    let (url, host) = (url(&site, "pub"), writer(&site, "pub"));
    let path = host.ok("echo hello > file; nix-store --add file");
    for look in ["--refresh", "--option narinfo-cache-positive-ttl 0"] {
        // A memory that outlives the command, as that of a person does.
        let memory = "export XDG_CACHE_HOME=$PWD/memory";
        host.ok(&format!("{memory}; nix copy {look} --to '{url}?compression=zstd' {path}"));
        site.cachectl_ok(&["path", "delete", &path, "--cache", "pub"]);
        let status = || reader(&site, "pub").run(&format!("nix copy --from {url} {path}")).status;
        host.ok(&format!("{memory}; nix copy --to '{url}?compression=zstd' {path}"));
        assert!(!status().success(), "Nix trusts its memory");
        host.ok(&format!("{memory}; nix copy {look} --to '{url}?compression=zstd' {path}"));
        assert!(status().success(), "{look}");
        site.cachectl_ok(&["path", "delete", &path, "--cache", "pub"]);
    }
}
