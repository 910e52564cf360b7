//! Content addresses: what is served with one is what it says.

use md5::{Digest as _, Md5};
use serde_json::json;
use sha1::Sha1;
use sha2::{Sha256, Sha512};

use crate::harness::{Node, Path, Permission, Response, Site, nix32, to_hex};

/// The hash of a store path: what Nix's `makeStorePath` makes of the SHA-256 `inner`.
fn store_hash(kind: &str, inner: &[u8], name: &str) -> String {
    let digest = Sha256::digest(format!("{kind}:sha256:{}:/nix/store:{name}", to_hex(inner)));
    let mut folded = [0; 20];
    digest.iter().enumerate().for_each(|(index, byte)| folded[index % 20] ^= byte);
    nix32::encode(&folded)
}

/// A path with a hash that follows from a content address, and that.
fn addressed(path: Path, address: &str) -> (Path, String) {
    let (prefix, digits) = address.rsplit_once(':').unwrap();
    let hash = nix32::decode(digits, digits.len() * 5 / 8).unwrap();
    let name = path.name.clone();
    let full: Vec<String> = path.references.iter().map(|base| format!("/nix/store/{base}")).collect();
    let with_references = |kind: &str| [&[kind.to_owned()], &full[..]].concat().join(":");
    let hash = match prefix {
        "text:sha256" => store_hash(&with_references("text"), &hash, &name),
        "fixed:r:sha256" => store_hash(&with_references("source"), &hash, &name),
        other => {
            let rest = other.strip_prefix("fixed:").unwrap();
            let inner = Sha256::digest(format!("fixed:out:{rest}:{}:", to_hex(&hash)));
            store_hash("output:out", &inner, &name)
        }
    };
    (Path { hash, ..path }, address.to_owned())
}

fn file(name: &str, contents: &str) -> Path {
    Path::of(name, &Node::file(contents))
}

/// One path of each kind whose address is right. `salt` makes them differ.
fn right(salt: &str) -> Vec<(Path, String)> {
    let contents = format!("contents {salt}\n");
    let path = file("fixed", &contents);
    let tree = Path::of("tree", &Node::directory([("a", Node::program(contents.as_str()))]));
    let text = file("text", &contents).referring_to(["0".repeat(32) + "-a", "1".repeat(32) + "-b"]);
    let source = tree.clone().referring_to(["0".repeat(32) + "-a"]);
    let digest = |kind: &str, digest: &[u8]| format!("{kind}:{}", nix32::encode(digest));
    let flat = contents.as_bytes();
    vec![
        addressed(path.clone(), &digest("fixed:sha256", &Sha256::digest(flat))),
        addressed(path.clone(), &digest("fixed:sha1", &Sha1::digest(flat))),
        addressed(path.clone(), &digest("fixed:md5", &Md5::digest(flat))),
        addressed(path, &digest("fixed:sha512", &Sha512::digest(flat))),
        addressed(text, &digest("text:sha256", &Sha256::digest(flat))),
        addressed(tree.clone(), &digest("fixed:r:sha256", &Sha256::digest(&tree.nar))),
        addressed(tree.clone(), &digest("fixed:r:sha1", &Sha1::digest(&tree.nar))),
        addressed(tree.clone(), &digest("fixed:r:md5", &Md5::digest(&tree.nar))),
        addressed(tree.clone(), &digest("fixed:r:sha512", &Sha512::digest(&tree.nar))),
        addressed(source.clone(), &digest("fixed:r:sha256", &Sha256::digest(&source.nar))),
    ]
}

fn put(site: &Site, target: &str, body: impl Into<Vec<u8>>) -> Response {
    let token = site.token("pub", Permission::Write);
    site.cache("pub").put(&format!("/{target}")).basic("", &token).body(body).send()
}

fn put_nar(site: &Site, path: &Path) {
    put(site, &path.file_url(), path.file.clone()).expect_success();
}

fn put_narinfo(site: &Site, path: &Path, address: &str) -> Response {
    put(site, &format!("{}.narinfo", path.hash), format!("{}CA: {address}\n", path.narinfo_text()))
}

#[test]
fn a_content_address_that_fits_is_served() {
    let site = Site::start();
    for (path, address) in right("a") {
        put_nar(&site, &path);
        put_narinfo(&site, &path, &address).expect_success();
        assert_eq!(site.reader("pub").assert_has(&path).ca, Some(address));
    }
    // Hashes in hex are as good.
    let (path, address) = right("b").remove(5);
    let hex = format!("fixed:r:sha256:{}", to_hex(&Sha256::digest(&path.nar)));
    put_nar(&site, &path);
    put_narinfo(&site, &path, &hex).expect_success();
    assert_ne!(hex, address);
    site.reader("pub").assert_has(&path);
}

/// Else whoever may write could keep the right contents of a path out of the cache.
#[test]
fn contents_that_do_not_fit_their_content_address_are_refused() {
    let site = Site::start();
    for ((good, address), (bad, _)) in right("good").into_iter().zip(right("bad")) {
        let bad = Path { hash: good.hash.clone(), ..bad };
        put_nar(&site, &bad);
        let told = put_narinfo(&site, &bad, &address).expect(400);
        assert!(told.text().contains("content address"), "{}", told.text());
        assert_eq!(site.reader("pub").narinfo_status(&bad), 404);

        // The same where the NAR is known by another path.
        let other = Path { hash: crate::harness::path::random_hash(), ..bad.clone() };
        site.pusher("pub").push(&other);
        put_narinfo(&site, &bad, &address).expect(400);
        assert_eq!(site.reader("pub").narinfo_status(&bad), 404);

        site.pusher("pub").push(&Path { hash: crate::harness::path::random_hash(), ..good.clone() });
        put_narinfo(&site, &good, &address).expect_success();
        assert_eq!(site.reader("pub").assert_has(&good).ca, Some(address.clone()));
        // What is there is not described wrongly afterwards.
        put_narinfo(&site, &good, &address.replace("fixed:", "fixed:x:").replace("text:", "text:x:"))
            .expect(400);
    }
    site.wait_for_empty_spool("pub");
}

#[test]
fn a_store_path_that_does_not_follow_from_its_content_address_is_refused() {
    let site = Site::start();
    let path = Path::small("path");
    let digest = nix32::encode(&Sha256::digest(&path.nar));
    let itself = Path { references: vec![path.base_name()], ..path.clone() };
    for (path, address) in [
        (&path, format!("fixed:r:sha256:{digest}")),
        (&path, format!("fixed:sha256:{digest}")),
        (&path, format!("text:sha256:{digest}")),
        (&path, format!("fixed:git:sha1:{}", "0".repeat(32))),
        (&path, format!("fixed:crc32:{digest}")),
        (&path, format!("fixed:r:sha1:{digest}")),
        (&path, "nonsense".to_owned()),
        (&path, format!("text:md5:{}", "0".repeat(26))),
        (&itself, format!("fixed:r:sha256:{digest}")),
        (&itself, format!("fixed:sha256:{digest}")),
        (&itself, format!("text:sha256:{digest}")),
    ] {
        put_nar(&site, path);
        put_narinfo(&site, path, &address).expect(400);
        assert_eq!(site.reader("pub").narinfo_status(path), 404, "{address}");
    }
    put_nar(&site, &path);
    put(&site, &format!("{}.narinfo", path.hash), path.narinfo_text()).expect_success();
    assert_eq!(site.reader("pub").assert_has(&path).ca, None);
}

/// Git hashes trees in a form of its own. The path is taken, and not served as content-addressed.
#[test]
fn a_content_address_that_cannot_be_checked_is_left_out() {
    let site = Site::start();
    let address = format!("fixed:git:sha1:{}", nix32::encode(&Sha1::digest("a tree")));
    let (path, address) = addressed(Path::small("tree"), &address);
    put_nar(&site, &path);
    put_narinfo(&site, &path, &address).expect_success();
    assert_eq!(site.reader("pub").assert_has(&path).ca, None);
}

/// The Cachix API has no field for it.
#[test]
fn a_content_address_that_follows_is_there_after_a_cachix_push() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    for (path, address) in right("a") {
        pusher.push(&path);
        let follows = address.starts_with("fixed:r:sha256:");
        assert_eq!(site.reader("pub").assert_has(&path).ca, follows.then_some(address));
    }
    let ordinary = Path::small("ordinary");
    pusher.push(&ordinary);
    assert_eq!(site.reader("pub").assert_has(&ordinary).ca, None);
    let told = pusher.push_announcing(&Path::small("odd"), "cSig", json!("nonsense"));
    assert!(told.status < 500);
}
