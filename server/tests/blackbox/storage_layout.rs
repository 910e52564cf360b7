//! What a storage holds is a standard flat binary cache, readable without us.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::harness::{Compression, NarInfo, Path, SOON, Site, wait_for};

#[test]
fn the_storage_is_a_binary_cache_by_itself() {
    let site = Site::start();
    let dependency = Path::small("dependency").compressed_with(Compression::Xz);
    let path = Path::small("top").referring_to([dependency.base_name()]);
    for path in [&dependency, &path] {
        site.pusher("pub").push(path);
    }
    let root = site.storage_dir("pub");
    assert!(fs::read_to_string(root.join("nix-cache-info")).unwrap().contains("StoreDir: /nix/store\n"));
    for path in [&dependency, &path] {
        let file = root.join(format!("{}.narinfo", path.hash));
        let text = wait_for(SOON, "the narinfo is written", || fs::read_to_string(&file).ok());
        let info = NarInfo::parse(&text);
        assert_eq!(info, site.reader("pub").narinfo(path));
        assert!(info.is_signed_by(&site.public_key("pub")));
        let extension = path.compression.extension();
        assert_eq!(
            info.url,
            format!("nar/{}.nar.{extension}", path.file_hash_nix32()),
            "named as Nix names it"
        );
        assert!(fs::read(root.join(&info.url)).unwrap() == path.file);
        let listing = root.join(format!("{}.ls", path.hash));
        wait_for(SOON, "the listing is written", || listing.is_file().then_some(()));
    }
}

/// A web server under another user can serve the directory, and nobody can read the spool.
#[test]
fn stored_files_are_readable_and_the_spool_is_not() {
    let site = Site::start();
    let path = Path::small("readable");
    site.pusher("pub").push(&path);
    let root = site.storage_dir("pub");
    let mode = |file: &str| fs::metadata(root.join(file)).unwrap().permissions().mode() & 0o777;
    let info = site.reader("pub").narinfo(&path);
    assert_eq!(mode(&info.url) & 0o444, 0o444, "{:o}", mode(&info.url));
    assert_eq!(mode("nar") & 0o555, 0o555, "{:o}", mode("nar"));
    assert_eq!(mode("nix-cache-info") & 0o444, 0o444);
    if root.join(".spool").exists() {
        assert_eq!(mode(".spool") & 0o077, 0, "{:o}", mode(".spool"));
    }
}

#[test]
fn what_belongs_to_the_daemon_alone_is_not_for_others() {
    let site = Site::start();
    site.pusher("pub").push(&Path::small("any"));
    let mode = |file: &std::path::Path| fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&site.state_dir().join("db.sqlite")) & 0o077, 0);
    assert_eq!(mode(&site.directory().join("admin.sock")), 0o660);
    let mut keys = 0;
    let mut directories = vec![site.state_dir()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if fs::read_to_string(&path).is_ok_and(|text| text.starts_with("pub.cachix.test-1:")) {
                keys += 1;
                assert_eq!(mode(&path), 0o600, "{}", path.display());
            }
        }
    }
    assert_eq!(keys, 1, "the signing key of `pub` is in the state directory");
}

#[test]
fn other_users_of_the_machine_cannot_read_a_private_cache() {
    let site = Site::start();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = Path::small("secret");
    for cache in ["priv", "pub"] {
        site.pusher(cache).push(&path);
    }
    assert_eq!(mode(&site.storage_dir("priv")) & 0o007, 0);
    for file in site.stored_files("priv") {
        let found = mode(&site.storage_dir("priv").join(&file));
        assert_eq!(found & 0o027, 0, "{file} has the mode {found:o}");
    }
    // A web server may serve the files of a public cache.
    assert_eq!(mode(&site.storage_dir("pub")) & 0o005, 0o005);
    for file in site.stored_files("pub") {
        assert_eq!(mode(&site.storage_dir("pub").join(&file)) & 0o004, 0o004, "{file}");
    }
    // A public cache that becomes private is closed as well.
    site.edit_config(|config| config["caches"][0]["access"] = serde_json::json!("private"));
    site.cachectl_ok(&["reload"]);
    wait_for(SOON, "the storage is closed", || (mode(&site.storage_dir("pub")) & 0o007 == 0).then_some(()));
}
