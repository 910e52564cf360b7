//! Upstreams of every kind: what Nix takes of a cache, so do we.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};

use serde_json::json;

use super::upstream::{Act, Upstream};
use crate::harness::{Framing, Path, SOON, Site, wait_for};
use crate::nix_client::{reader, url};

pub fn asking(upstream: &Upstream, keep: bool) -> Site {
    let entry = upstream.entry();
    Site::with(|config| {
        config["caches"][0]["upstreams"] = json!([entry]);
        config["caches"][0]["federation"] = json!({"keep": keep});
        config["server"]["federation"] = json!({"lookup-timeout": "4s"});
    })
}

/// The narinfo as a cache writes it that does not know its files, only what is in them.
fn without_file(upstream: &Upstream, path: &Path, url: &str) -> String {
    let narinfo = upstream.narinfo(path).replace(&path.file_url(), url);
    let lines = narinfo.lines().filter(|line| !line.starts_with("File"));
    lines.map(|line| format!("{line}\n")).collect()
}

/// The URL of the NAR in our narinfo, which promises nothing about the file that nobody knows.
#[track_caller]
fn url_of(site: &Site, path: &Path) -> String {
    let (url, text) = described(site, path);
    assert!(!text.contains("FileHash"), "{text}");
    url
}

/// The URL of the NAR in our narinfo, and the narinfo.
#[track_caller]
pub fn described(site: &Site, path: &Path) -> (String, String) {
    let text = site.reader("pub").get(&format!("{}.narinfo", path.hash)).expect(200).text().to_owned();
    let url = text.lines().find_map(|line| line.strip_prefix("URL: ")).unwrap();
    (format!("/{url}"), text)
}

/// The NAR is cut off, or refused before anything was sent.
#[track_caller]
pub fn assert_never_whole(site: &Site, url: &str, what: &str) {
    if let Ok(reply) = site.cache("pub").get(url).try_send() {
        assert_eq!(reply.status, 404, "{what}");
    }
}

#[test]
fn an_upstream_that_says_nothing_about_its_files_is_served() {
    let upstream = Upstream::start();
    let site = asking(&upstream, false);
    // As attic: the hash of the path in the URL, in chunks. As niks3: the hash of the NAR, with a length. As harmonia: a query.
    type Kind = (fn(&Path) -> String, fn(Vec<u8>) -> Act);
    let kinds: [Kind; 3] = [
        (|path| format!("nar/{}.nar", path.hash), Act::Chunked),
        (|path| format!("nar/{}.nar.zst", &path.nar_hash()[7..]), Act::Send),
        (|path| format!("nar/{}.nar?hash={}", &path.nar_hash()[7..], path.hash), Act::Chunked),
    ];
    for (name, act) in kinds {
        // A small one has a length for our readers, as has any of which the upstream tells it.
        for (size, framing) in [(1000, true), (3_000_000, false)] {
            let path = Path::incompressible("unmeasured", size);
            let file = name(&path);
            upstream.on_narinfo(&path, Act::Send(without_file(&upstream, &path, &file).into_bytes()));
            upstream.on(&format!("/{file}"), act(path.file.clone()));
            let url = url_of(&site, &path);
            let reply = site.cache("pub").get(&url).send().expect(200);
            assert!(reply.body == path.file);
            let is_measured = framing || matches!(act(Vec::new()), Act::Send(_));
            let length = Framing::Length(path.file.len() as u64);
            assert_eq!(reply.framing, if is_measured { length } else { Framing::Chunked });
            // There is nothing to say in advance, but that it is there.
            site.cache("pub").head(&url).send().expect(200);
        }
    }
}

#[test]
fn nix_takes_it() {
    let upstream = Upstream::start();
    let site = asking(&upstream, false);
    let path = Path::incompressible("unmeasured", 2_000_000);
    let file = format!("nar/{}.nar", path.hash);
    upstream.on_narinfo(&path, Act::Send(without_file(&upstream, &path, &file).into_bytes()));
    upstream.on(&format!("/{file}"), Act::Chunked(path.file.clone()));
    let host = reader(&site, "pub");
    host.ok(&format!("nix copy --from {} {}", url(&site, "pub"), path.store_path()));
    host.ok(&format!("nix store verify --no-trust {}", path.store_path()));
}

#[test]
fn what_an_unmeasured_file_lacks_or_has_too_much_never_looks_like_the_whole() {
    let upstream = Upstream::start();
    let site = asking(&upstream, false);
    type MakeAct = fn(&Path) -> Act;
    let wrong: [MakeAct; 7] = [
        |path| Act::BrokenChunks(path.file.clone()),
        |path| Act::BrokenChunks(path.file[..path.file.len() / 2].to_vec()),
        |path| Act::Chunked(path.file[..path.file.len() - 1].to_vec()),
        |path| Act::Chunked([&path.file[..], b"more"].concat()),
        |path| Act::Chunked([&path.file[..], &vec![0; 3_000_000]].concat()),
        |path| Act::Promise(path.file.len(), path.file[..path.file.len() - 1].to_vec()),
        |path| {
            let mut file = path.file.clone();
            file[path.file.len() / 2] ^= 1;
            Act::Chunked(file)
        },
    ];
    for (number, act) in wrong.into_iter().enumerate() {
        for size in [1000, 1_000_000] {
            let path = Path::incompressible("wrong", size);
            let file = format!("nar/{}.nar", path.hash);
            upstream.on_narinfo(&path, Act::Send(without_file(&upstream, &path, &file).into_bytes()));
            upstream.on(&format!("/{file}"), act(&path));
            let url = url_of(&site, &path);
            assert_never_whole(&site, &url, &number.to_string());
        }
    }
    // None of that is the fault of other paths.
    let path = Path::small("good");
    upstream.has(&path);
    site.reader("pub").assert_has(&path);
}

#[test]
fn a_client_that_cannot_tell_a_broken_transfer_gets_no_file_of_unknown_length() {
    let upstream = Upstream::start();
    let site = asking(&upstream, false);
    let path = Path::incompressible("unmeasured", 1_000_000);
    let file = format!("nar/{}.nar", path.hash);
    upstream.on_narinfo(&path, Act::Send(without_file(&upstream, &path, &file).into_bytes()));
    upstream.on(&format!("/{file}"), Act::Chunked(path.file.clone()));
    let url = url_of(&site, &path);
    let endpoint = site.cache("pub");
    let mut stream = endpoint.connect().unwrap();
    write!(stream, "GET {url} HTTP/1.0\r\nHost: {}\r\n\r\n", endpoint.host).unwrap();
    let mut reply = BufReader::new(stream);
    let mut status = String::new();
    reply.read_line(&mut status).unwrap();
    assert!(status.contains(" 505 "), "{status}");
    let mut rest = String::new();
    reply.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("proxy_http_version 1.1"), "{rest}");
}

#[test]
fn a_file_that_nobody_described_is_kept_under_its_own_hash() {
    let upstream = Upstream::start();
    let mut site = asking(&upstream, true);
    for (act, size) in
        [(Act::Chunked as fn(Vec<u8>) -> Act, 1_000_000), (Act::Send, 1_000_000), (Act::Chunked, 100)]
    {
        let path = Path::incompressible("kept", size);
        let file = format!("nar/{}.nar", path.hash);
        upstream.on_narinfo(&path, Act::Send(without_file(&upstream, &path, &file).into_bytes()));
        upstream.on(&format!("/{file}"), act(path.file.clone()));
        let url = url_of(&site, &path);
        assert!(site.cache("pub").get(&url).send().expect(200).body == path.file);
        let pusher = site.pusher("pub");
        wait_for(SOON, "the path is kept", || pusher.missing(&[&path.hash]).is_empty().then_some(()));
        // Whoever has the URL of before gets it from here.
        upstream.on(&format!("/{file}"), Act::Status(500));
        assert!(site.cache("pub").get(&url).send().expect(200).body == path.file);
        site.crash_and_restart();
        let info = site.reader("pub").assert_has(&path);
        assert_eq!(info.url, path.file_url());
        assert!(info.is_signed_by(&upstream.public_key()) && info.is_signed_by(&site.public_key("pub")));
    }
}

#[test]
fn narinfos_that_nix_compressed_are_read() {
    // As `nix copy --to 's3://…?narinfo-compression=gzip'` stores them: src/libstore/s3-binary-cache-store.cc.
    let upstream = Upstream::start();
    let site = asking(&upstream, false);
    let path = Path::small("compressed");
    upstream.has(&path);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(upstream.narinfo(&path).as_bytes()).unwrap();
    upstream.on_narinfo(&path, Act::Encoded("gzip", encoder.finish().unwrap()));
    site.reader("pub").assert_has(&path);
    // One that says nothing, and one that is something else than it says.
    for (encoding, body) in [("identity", Some(())), ("gzip", None), ("rot13", None)] {
        let path = Path::small("encoded");
        upstream.has(&path);
        upstream.on_narinfo(&path, Act::Encoded(encoding, upstream.narinfo(&path).into_bytes()));
        assert_eq!(
            site.reader("pub").narinfo_status(&path),
            if body.is_some() { 200 } else { 404 },
            "{encoding}"
        );
    }
}
