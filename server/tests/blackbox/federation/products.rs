//! The products that people have upstream. Each is played as it behaves on the wire, and real Nix fetches from it directly, through
//! us, and from what we imported of it: always the same.
//!
//! Where the behaviour is known from, in the repository of each product:
//!
//! | product | source |
//! |---|---|
//! | attic | `server/src/database/entity/object.rs`, `server/src/narinfo/mod.rs`, `server/src/api/binary_cache.rs` |
//! | Cachix | `cachix-api/src/Cachix/API.hs`, `cachix-api/src/Cachix/Types/Servant.hs` of its client |
//! | harmonia | `harmonia-store-nar-info/src/lib.rs`, `harmonia-cache/src/nar.rs`, `harmonia-cache/src/zstd_body.rs` |
//! | niks3 | `client/narinfo.go`, `client/metadata_tasks.go`, `client/parallel.go` |
//! | nix-serve | `nix-serve.psgi` |
//! | nix-serve-ng | `src/Main.hs` |
//!
//! The real thing of other kinds is in `buckets.rs` (Garage) and below: a cache-server that sends its readers to a bucket.

use serde_json::json;

use super::upstream::{Act, Upstream};
use crate::harness::nix_host::NixHost;
use crate::harness::{Compression, Path, Site};
use crate::moving::{run, summary};
use crate::nix_client::{reader, url, writer};
use crate::storages::bucket::Bucket;

/// Has a path at the first server; the second is the storage behind it.
type Offer = fn(&Upstream, &Upstream, &Path);

/// The bare NAR hash.
fn nar_hash(path: &Path) -> String {
    path.nar_hash()["sha256:".len()..].to_owned()
}

/// The signature line of a path.
fn signature(server: &Upstream, path: &Path) -> String {
    server.narinfo(path).lines().find(|line| line.starts_with("Sig: ")).unwrap().to_owned()
}

/// The `References` line, which some leave out if there is nothing in it.
fn references(path: &Path) -> String {
    if path.references.is_empty() {
        String::new()
    } else {
        format!("References: {}\n", path.references.join(" "))
    }
}

/// The lines of a narinfo about the NAR, as all write them.
fn head(path: &Path, url: &str, compression: &str) -> String {
    format!("StorePath: {}\nURL: {url}\nCompression: {compression}\n", path.store_path())
}

fn nar_lines(path: &Path) -> String {
    format!("NarHash: {}\nNarSize: {}\n", path.nar_hash(), path.nar.len())
}

fn narinfo(server: &Upstream, base: &str, path: &Path, headers: &'static str, text: String) {
    let text = text + &signature(server, path) + "\n";
    server.on(&format!("{base}/{}.narinfo", path.hash), Act::Headed(headers, text.into_bytes()));
}

/// Neither hash nor size of the file; always a `References` line.
fn attic_narinfo(server: &Upstream, path: &Path) -> String {
    let url = format!("nar/{}.nar", path.hash);
    let references = format!("References: {}\n", path.references.join(" "));
    let text = head(path, &url, "zstd") + &nar_lines(path) + &references;
    narinfo(server, "/team", path, "Content-Type: text/x-nix-narinfo\r\n", text);
    format!("/team/{url}")
}

/// A temporary redirect to a URL that is signed.
fn attic_in_bucket(server: &Upstream, storage: &Upstream, path: &Path) {
    let nar = attic_narinfo(server, path);
    let object = format!("/attic/{}.chunk?x-id=GetObject&X-Amz-Signature=0123", path.hash);
    storage.on(&object, Act::Send(path.file.clone()));
    server.on(&nar, Act::Moved(307, format!("Location: {}{object}\r\n", storage.url())));
}

/// A body of unknown length, put together from chunks that were compressed one by one.
fn attic_in_chunks(server: &Upstream, _: &Upstream, path: &Path) {
    let chunks = path.nar.chunks(64 << 10).map(|chunk| Compression::Zstd.compress(chunk));
    server.on(&attic_narinfo(server, path), Act::Chunked(chunks.flatten().collect()));
}

/// All of the narinfo, and a 302 to where the NAR is.
fn cachix(server: &Upstream, storage: &Upstream, path: &Path) {
    server.on_narinfo(path, Act::Headed("ETag: \"x\"\r\n", server.narinfo(path).into_bytes()));
    let object = format!("/{}?X-Amz-Signature=0123", path.file_url());
    storage.on(&object, Act::Send(path.file.clone()));
    server.on_nar(path, Act::Redirect(format!("{}{object}", storage.url())));
}

/// The hash of the path as a query; hash and size of the file are those of the NAR, however it is sent.
fn harmonia(server: &Upstream, path: &Path, encoding: Option<&'static str>) {
    let url = format!("nar/{}.nar?hash={}", nar_hash(path), path.hash);
    let file = format!("FileHash: {}\nFileSize: {}\n", path.nar_hash(), path.nar.len());
    let text = head(path, &url, "none") + &file + &nar_lines(path) + &references(path);
    narinfo(server, "", path, "Content-Type: text/x-nix-narinfo\r\nCache-Control: max-age=86400\r\n", text);
    let nar = match encoding {
        Some(encoding) => Act::Encoded(encoding, Compression::Zstd.compress(&path.nar)),
        None => Act::Headed("Accept-Ranges: bytes\r\n", path.nar.clone()),
    };
    server.on(&format!("/{url}"), nar);
}

/// An object with a `Content-Encoding` in a bucket for the narinfo; a space behind `References:` in any case.
fn niks3(server: &Upstream, _: &Upstream, path: &Path) {
    let url = format!("nar/{}.nar.zst", nar_hash(path));
    let references = match path.references.as_slice() {
        [] => "References: \n".to_owned(),
        some => format!("References: {}\n", some.join(" ")),
    };
    let text = head(path, &url, "zstd") + &nar_lines(path) + &references + &signature(server, path) + "\n";
    server.on_narinfo(path, Act::Encoded("zstd", Compression::Zstd.compress(text.as_bytes())));
    server.on(&format!("/{url}"), Act::Send(path.file.clone()));
}

/// Both hashes in the URL; the NAR as plain text.
fn nix_serve(server: &Upstream, _: &Upstream, path: &Path) {
    let url = format!("nar/{}-{}.nar", path.hash, nar_hash(path));
    let text = head(path, &url, "none") + &nar_lines(path) + &references(path);
    narinfo(server, "", path, "Content-Type: text/x-nix-narinfo\r\n", text);
    server.on(&format!("/{url}"), Act::Headed("Content-Type: text/plain\r\n", path.nar.clone()));
}

/// The same URL, and a body of unknown length.
fn nix_serve_ng(server: &Upstream, _: &Upstream, path: &Path) {
    let url = format!("nar/{}-{}.nar", path.hash, nar_hash(path));
    let text = head(path, &url, "none") + &nar_lines(path) + &references(path);
    narinfo(server, "", path, "Content-Type: text/x-nix-narinfo\r\n", text);
    server.on(&format!("/{url}"), Act::Chunked(path.nar.clone()));
}

/// Nix gets the same directly, through us, and from what we imported. `base` is the path of a cache in the URL of the product.
#[track_caller]
fn assert_is_the_same_everywhere(base: &str, offer: Offer) {
    let (server, storage) = (Upstream::start(), Upstream::start());
    let dependency = Path::incompressible("dependency", 300_000);
    let root = Path::small("root").referring_to([dependency.base_name()]);
    for path in [&dependency, &root] {
        offer(&server, &storage, path);
    }
    let info = b"StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 40\n".to_vec();
    server.on(&format!("{base}/nix-cache-info"), Act::Send(info));
    let source = format!("{}{base}", server.url());
    let entry = format!("{source} {}", server.public_key());
    let site = Site::with(|config| {
        config["caches"][0]["upstreams"] = json!([entry]);
        config["server"]["federation"] = json!({"lookup-timeout": "4s"});
    });
    let fetch = |host: &NixHost, from: &str| {
        host.ok(&format!("nix copy --from {from} {}", root.store_path()));
        host.ok(&format!("nix-store --verify-path $(nix-store -q --requisites {})", root.store_path()));
        host.describe_closure(&root.store_path())
    };
    let direct = fetch(&NixHost::trusting(&[server.public_key()]), &source);
    assert_eq!(direct.len(), 2);
    assert_eq!(fetch(&reader(&site, "pub"), &url(&site, "pub")), direct);
    // With the key of the upstream alone as well.
    assert_eq!(fetch(&NixHost::trusting(&[server.public_key()]), &url(&site, "pub")), direct);

    let import = ["import", &source, "--cache", "my-cache-2", "--closure", &root.store_path()];
    let (done, code) = summary(&run(&site, &import, ""));
    assert_eq!((code, &done["imported"]), (0, &2.into()), "{done}");
    assert_eq!(fetch(&reader(&site, "my-cache-2"), &url(&site, "my-cache-2")), direct);
}

#[test]
fn attic_with_one_chunk_in_a_bucket() {
    assert_is_the_same_everywhere("/team", attic_in_bucket);
}

#[test]
fn attic_with_many_chunks() {
    assert_is_the_same_everywhere("/team", attic_in_chunks);
}

#[test]
fn cachix_with_nars_in_a_bucket() {
    assert_is_the_same_everywhere("", cachix);
}

#[test]
fn harmonia_to_a_client_that_takes_no_encoding() {
    assert_is_the_same_everywhere("", |server, _, path| harmonia(server, path, None));
}

#[test]
fn harmonia_behind_something_that_asks_for_zstd() {
    assert_is_the_same_everywhere("", |server, _, path| harmonia(server, path, Some("zstd")));
}

#[test]
fn niks3_with_encoded_narinfos() {
    assert_is_the_same_everywhere("", niks3);
}

#[test]
fn nix_serve_with_both_hashes_in_the_url() {
    assert_is_the_same_everywhere("", nix_serve);
}

#[test]
fn nix_serve_ng_without_lengths() {
    assert_is_the_same_everywhere("", nix_serve_ng);
}

#[test]
fn files_as_nix_copy_writes_them() {
    assert_is_the_same_everywhere("", |server, _, path| server.has(path));
}

#[test]
fn a_cache_server_that_sends_its_readers_to_a_bucket() {
    let bucket = Bucket::start();
    let upstream = Site::with(|config| {
        let mut storage = bucket.storage("behind");
        storage["s3_redirect"] = json!(true);
        config["caches"][0]["storages"] = json!([storage]);
    });
    let here = writer(&upstream, "pub");
    let root = here.build_closure(6);
    here.ok(&format!("nix copy --to '{}?compression=zstd' {root}", url(&upstream, "pub")));
    let closure = here.describe_closure(&root);
    let hash = &root["/nix/store/".len()..][..32];
    let text = upstream.reader("pub").get(&format!("{hash}.narinfo")).expect(200).text().to_owned();
    let nar = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap().to_owned();
    assert_eq!(upstream.reader("pub").get(&nar).status, 302);

    let source = format!("http://127.0.0.1:{}", upstream.port("pub"));
    let entry = format!("{source} {}", upstream.public_keys("pub").join(" "));
    let site = Site::with(|config| {
        config["caches"][0]["upstreams"] = json!([entry]);
        config["server"]["federation"] = json!({"lookup-timeout": "4s"});
    });
    for keys in [site.public_keys("pub"), upstream.public_keys("pub")] {
        let there = NixHost::trusting(&keys);
        there.ok(&format!("nix copy --from {} {root}", url(&site, "pub")));
        assert_eq!(there.describe_closure(&root), closure);
    }
    let import = ["import", &source, "--cache", "my-cache-2", "--closure", &root];
    let (done, code) = summary(&run(&site, &import, ""));
    assert_eq!((code, &done["imported"]), (0, &closure.len().into()), "{done}");
    let there = reader(&site, "my-cache-2");
    there.ok(&format!("nix copy --from {} {root}", url(&site, "my-cache-2")));
    assert_eq!(there.describe_closure(&root), closure);
}
