//! NARs in every form that Nix takes from a binary cache: rare compressions, and `Content-Encoding`.
//!
//! Where the forms are known from: `src/libstore/binary-cache-store.cc` and `src/libstore/filetransfer.cc` of Nix, and
//! `serve.psgi` of nix-serve.

use std::io::Write as _;

use liblzma::stream::{LzmaOptions, Stream};
use sha2::{Digest as _, Sha256};

use super::kinds::{asking, assert_never_whole, described};
use super::upstream::{Act, Upstream};
use crate::harness::{Compression, Path, SOON, Site, nix32, wait_for};
use crate::nix_client::{reader, url};

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A raw LZMA stream between the header and the trailer of lzip.
fn lzip(bytes: &[u8]) -> Vec<u8> {
    let mut options = LzmaOptions::new_preset(1).unwrap();
    options.dict_size(1 << 20);
    let stream = Stream::new_lzma_encoder(&options).unwrap();
    let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
    encoder.write_all(bytes).unwrap();
    let raw = encoder.finish().unwrap().split_off(13);
    let mut checksum = flate2::Crc::new();
    checksum.update(bytes);
    let size = (raw.len() + 26) as u64;
    let trailer = (checksum.sum().to_le_bytes(), (bytes.len() as u64).to_le_bytes(), size.to_le_bytes());
    [b"LZIP\x01\x14", &raw[..], &trailer.0, &trailer.1, &trailer.2].concat()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn brotli(bytes: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    let params = brotli::enc::BrotliEncoderParams { quality: 1, ..Default::default() };
    brotli::BrotliCompress(&mut &bytes[..], &mut file, &params).unwrap();
    file
}

/// The signed narinfo of a path whose file is something else than the harness makes.
pub fn narinfo(
    upstream: &Upstream,
    path: &Path,
    compression: &str,
    url: &str,
    file: Option<&[u8]>,
) -> String {
    let text = upstream.narinfo(path);
    let mut lines: Vec<String> = Vec::new();
    for line in text.lines() {
        match line.split_once(": ").unwrap().0 {
            "URL" => lines.push(format!("URL: {url}")),
            "Compression" => lines.push(format!("Compression: {compression}")),
            "FileHash" => lines.extend(
                file.map(|file| format!("FileHash: sha256:{}", nix32::encode(&Sha256::digest(file)))),
            ),
            "FileSize" => lines.extend(file.map(|file| format!("FileSize: {}", file.len()))),
            _ => lines.push(line.to_owned()),
        }
    }
    lines.join("\n") + "\n"
}

/// Has a path with this file at the upstream.
fn offer(upstream: &Upstream, path: &Path, compression: &str, file: &[u8], is_described: bool) -> String {
    let name = format!("nar/{}.nar.{compression}", nix32::encode(&Sha256::digest(file)));
    let described = is_described.then_some(file);
    upstream.on_narinfo(path, Act::Send(narinfo(upstream, path, compression, &name, described).into_bytes()));
    upstream.on(&format!("/{name}"), Act::Send(file.to_vec()));
    name
}

/// The NAR of a path as its reader gets it, and what our narinfo says of it.
#[track_caller]
fn fetch(site: &Site, path: &Path) -> (Vec<u8>, String) {
    let (url, text) = described(site, path);
    (site.cache("pub").get(&url).send().expect(200).body, text)
}

/// Makes other bytes of a file.
type Spoiler = fn(&[u8]) -> Vec<u8>;

#[test]
fn lzip_and_lz4_are_passed_through_as_they_are() {
    let upstream = Upstream::start();
    let site = asking(&upstream, false);
    for (compression, pack) in [("lz4", lz4 as fn(&[u8]) -> Vec<u8>), ("lzip", lzip)] {
        for (size, is_described) in [(1000, true), (1000, false), (700_000, true), (700_000, false)] {
            let path = Path::incompressible("rare", size);
            let file = pack(&path.nar);
            offer(&upstream, &path, compression, &file, is_described);
            let (body, text) = fetch(&site, &path);
            assert!(body == file, "{compression}, {size}");
            assert!(text.contains(&format!("\nCompression: {compression}\n")), "{text}");
        }
        // One that holds something else, or less, is never had as a whole.
        let wrong: [Spoiler; 3] = [
            |nar| [&nar[..nar.len() - 1], b"x"].concat(),
            |nar| nar[..nar.len() - 8].to_vec(),
            |nar| [nar, b"more"].concat(),
        ];
        for change in wrong {
            for is_described in [true, false] {
                let path = Path::incompressible("wrong", 300_000);
                offer(&upstream, &path, compression, &pack(&change(&path.nar)), is_described);
                assert_never_whole(&site, &described(&site, &path).0, compression);
            }
        }
    }
}

#[test]
fn lzip_and_lz4_are_kept_and_read_by_nix() {
    let upstream = Upstream::start();
    let mut site = asking(&upstream, true);
    upstream.on("/nix-cache-info", Act::Send(b"StoreDir: /nix/store\n".to_vec()));
    for (compression, pack) in [("lz4", lz4 as fn(&[u8]) -> Vec<u8>), ("lzip", lzip)] {
        let path = Path::incompressible("rare", 200_000);
        let file = pack(&path.nar);
        let name = offer(&upstream, &path, compression, &file, true);
        // Nix reads it from us as it reads it from there, if its libarchive can.
        let host = reader(&site, "pub");
        let direct = crate::harness::nix_host::NixHost::trusting(&[upstream.public_key()]);
        let copy = |from: &str| format!("nix copy --from {from} {}", path.store_path());
        assert_eq!(
            host.run(&copy(&url(&site, "pub"))).status.success(),
            direct.run(&copy(&upstream.url())).status.success(),
            "{compression}"
        );
        assert!(fetch(&site, &path).0 == file);
        let kept = site.storage_dir("pub").join(format!("{}.narinfo", path.hash));
        wait_for(SOON, "the path to be kept", || kept.exists().then_some(()));
        upstream.on(&format!("/{name}"), Act::Status(404));
        upstream.on_narinfo(&path, Act::Status(404));
        site.crash_and_restart();
        assert!(fetch(&site, &path).0 == file, "{compression}");
    }
}

#[test]
fn a_nar_with_a_content_encoding_is_served_without_it() {
    let upstream = Upstream::start();
    let site = asking(&upstream, false);
    type Pack = fn(&[u8]) -> Vec<u8>;
    let encodings: [(&str, Pack); 6] = [
        ("zstd", |bytes| Compression::Zstd.compress(bytes)),
        ("xz", |bytes| Compression::Xz.compress(bytes)),
        ("gzip", gzip),
        ("x-gzip", gzip),
        ("br", brotli),
        ("identity", <[u8]>::to_vec),
    ];
    for (encoding, pack) in encodings {
        for size in [1000, 600_000] {
            // As harmonia and nix-serve-ng serve it; the second says of its file what it sends.
            for is_of_encoded in [false, true] {
                let path = Path::incompressible("encoded", size);
                let encoded = pack(&path.nar);
                let name = format!("nar/{}.nar", path.hash);
                let described: &[u8] = if is_of_encoded { &encoded } else { &path.nar };
                let text = narinfo(&upstream, &path, "none", &name, Some(described));
                upstream.on_narinfo(&path, Act::Send(text.into_bytes()));
                upstream.on(&format!("/{name}"), Act::Encoded(encoding, encoded));
                let (body, text) = fetch(&site, &path);
                assert!(body == path.nar, "{encoding}");
                assert!(text.contains(&format!("\nFileSize: {}\n", path.nar.len())), "{text}");
            }
        }
        // A compressed file may be encoded as well.
        let path = Path::incompressible("twice", 300_000);
        upstream.has(&path);
        upstream.on_nar(&path, Act::Encoded(encoding, pack(&path.file)));
        site.reader("pub").assert_has(&path);
    }
}

#[test]
fn a_narinfo_with_a_content_encoding_is_read_and_a_bomb_costs_no_more_than_its_path() {
    let upstream = Upstream::start();
    let site = asking(&upstream, false);
    type Pack = fn(&[u8]) -> Vec<u8>;
    let encodings: [(&str, Pack); 5] = [
        ("zstd", |bytes| Compression::Zstd.compress(bytes)),
        ("xz", |bytes| Compression::Xz.compress(bytes)),
        ("gzip", gzip),
        ("x-gzip", gzip),
        ("br", brotli),
    ];
    let check = b"StoreDir: /nix/store\n";
    for (encoding, pack) in encodings {
        let path = Path::small("described");
        upstream.has(&path);
        upstream.on_narinfo(&path, Act::Encoded(encoding, pack(upstream.narinfo(&path).as_bytes())));
        site.reader("pub").assert_has(&path);
        upstream.on("/nix-cache-info", Act::Encoded(encoding, pack(check)));
        site.cachectl_ok(&["upstream", "check"]);
        // 20 MB in a few kilobytes, asked for by many at once.
        let bomb = Act::Encoded(encoding, pack(&vec![b'x'; 20_000_000]));
        let paths: Vec<Path> = (0..20).map(|_| Path::small("bomb")).collect();
        paths.iter().for_each(|path| upstream.on_narinfo(path, bomb.clone()));
        std::thread::scope(|scope| {
            for path in &paths {
                let reader = site.reader("pub");
                scope.spawn(move || {
                    wait_for(SOON, "it is left out", || (reader.narinfo_status(path) == 404).then_some(()));
                });
            }
        });
        let good = Path::small("good");
        upstream.has(&good);
        site.reader("pub").assert_has(&good);
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.daemon_pid())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: u64 = peak.trim().strip_suffix(" kB").unwrap().trim().parse().unwrap();
    assert!(peak < 350_000, "{peak} kB");
}

#[test]
fn what_is_not_encoded_as_it_says_is_never_had_as_a_whole() {
    let upstream = Upstream::start();
    let site = asking(&upstream, false);
    let acts: [fn(&Path) -> Act; 7] = [
        |path| Act::Encoded("rot13", path.nar.clone()),
        |path| Act::Encoded("gzip, br", path.nar.clone()),
        |path| Act::Encoded("gzip", path.nar.clone()),
        |path| Act::Encoded("zstd", Compression::Zstd.compress(&path.nar[..path.nar.len() - 1])),
        |path| Act::Encoded("zstd", Compression::Zstd.compress(&[&path.nar[..], b"x"].concat())),
        // Much of nothing, and a bomb.
        |path| Act::Encoded("zstd", b"\x50\x2a\x4d\x18\x00\x00\x00\x00".repeat(path.nar.len())),
        |_| Act::Encoded("gzip", gzip(&vec![0; 50_000_000])),
    ];
    for (number, act) in acts.into_iter().enumerate() {
        for size in [1000, 300_000] {
            let path = Path::incompressible("wrong", size);
            let name = format!("nar/{}.nar", path.hash);
            let text = narinfo(&upstream, &path, "none", &name, None);
            upstream.on_narinfo(&path, Act::Send(text.into_bytes()));
            upstream.on(&format!("/{name}"), act(&path));
            assert_never_whole(&site, &described(&site, &path).0, &number.to_string());
        }
    }
    let path = Path::small("good");
    upstream.has(&path);
    site.reader("pub").assert_has(&path);
}

#[test]
fn nix_takes_from_us_what_it_takes_from_nix_serve() {
    let upstream = Upstream::start();
    let site = asking(&upstream, false);
    for encoding in ["identity", "zstd", "br", "gzip", "xz"] {
        let path = Path::incompressible("served", 400_000);
        let hash = path.nar_hash();
        // `nar/HASH-NARHASH.nar`, without FileHash and with FileSize 0 in some versions.
        let name = format!("nar/{}-{}.nar", path.hash, &hash[7..]);
        let mut text = narinfo(&upstream, &path, "none", &name, None);
        if encoding == "identity" {
            text = text.replace("Compression: none\n", "Compression: none\nFileSize: 0\n");
        }
        upstream.on_narinfo(&path, Act::Send(text.into_bytes()));
        let body = match encoding {
            "zstd" => Compression::Zstd.compress(&path.nar),
            "xz" => Compression::Xz.compress(&path.nar),
            "br" => brotli(&path.nar),
            "gzip" => gzip(&path.nar),
            _ => path.nar.clone(),
        };
        upstream.on(&format!("/{name}"), Act::Encoded(encoding, body));
        upstream.on("/nix-cache-info", Act::Send(b"StoreDir: /nix/store\n".to_vec()));
        let host = reader(&site, "pub");
        host.ok(&format!("nix copy --from {} {}", url(&site, "pub"), path.store_path()));
        host.ok(&format!("nix store verify --no-trust {}", path.store_path()));
    }
}
