//! Uploads that lie are refused, quickly, and leave nothing behind.

use std::time::Instant;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::harness::nar::put;
use crate::harness::push::parts;
use crate::harness::{Compression, Node, Path, Response, SOON, Site, nix32, noise, to_hex};

const BOTH: [Compression; 2] = [Compression::Zstd, Compression::Xz];

/// Pushes a file that is announced truthfully, whatever is in it.
fn push_file(site: &Site, compression: Compression, nar: &[u8], file: Vec<u8>) -> (Path, Response) {
    let mut path = Path::of_nar("lying", nar.to_vec(), compression);
    path.file = file;
    let pusher = site.pusher("pub");
    let (upload, parts) = pusher.upload(&path);
    let reply = pusher.complete(&upload, &parts, &path.nar_info_create());
    (path, reply)
}

/// 4xx, and no trace of the path in what is served, in the storage or in the spool.
#[track_caller]
fn assert_refused_without_trace(
    site: &Site,
    what: &str,
    (path, reply): &(Path, Response),
    before: &[String],
) {
    let body = String::from_utf8_lossy(&reply.body);
    assert!((400..500).contains(&reply.status), "{what}: {} {body}", reply.status);
    site.reader("pub").assert_lacks(path);
    site.wait_for_empty_spool("pub");
    assert_eq!(site.stored_files("pub"), before, "{what}");
}

#[test]
fn a_truncated_file_is_refused() {
    let site = Site::start();
    let before = site.stored_files("pub");
    for compression in BOTH {
        let whole = Path::incompressible("whole", 100_000).compressed_with(compression);
        for cut in [1, 4, 1000, whole.file.len() - 1] {
            let file = whole.file[..whole.file.len() - cut].to_vec();
            let result = push_file(&site, compression, &whole.nar, file);
            assert_refused_without_trace(&site, &format!("{compression:?} less {cut}"), &result, &before);
        }
        let result = push_file(&site, compression, &whole.nar, Vec::new());
        assert_refused_without_trace(&site, "nothing at all", &result, &before);
    }
}

#[test]
fn a_file_with_something_behind_it_is_refused() {
    let site = Site::start();
    let before = site.stored_files("pub");
    for compression in BOTH {
        let whole = Path::small("whole").compressed_with(compression);
        for tail in [&b"x"[..], &b"trailing bytes"[..], &[0; 4096][..]] {
            // Zeros in fours after an xz stream are padding by its format.
            if compression == Compression::Xz && tail.len() == 4096 {
                continue;
            }
            let file = [&whole.file, tail].concat();
            let result = push_file(&site, compression, &whole.nar, file);
            assert_refused_without_trace(
                &site,
                &format!("{compression:?} and {} bytes", tail.len()),
                &result,
                &before,
            );
        }
    }
}

#[test]
fn a_nar_with_something_behind_it_is_refused() {
    let site = Site::start();
    let before = site.stored_files("pub");
    for compression in BOTH {
        let nar = Path::small("whole").nar;
        for tail in [&b"x"[..], &[0; 8][..], &nar.clone()[..]] {
            let long = [&nar, tail].concat();
            let file = compression.compress(&long);
            let result = push_file(&site, compression, &long, file.clone());
            assert_refused_without_trace(&site, "announced with its tail", &result, &before);
            let result = push_file(&site, compression, &nar, file);
            assert_refused_without_trace(&site, "announced without its tail", &result, &before);
        }
    }
}

/// NARs that are well compressed and truly announced, but no NARs.
fn malformed_nars() -> Vec<(&'static str, Vec<u8>)> {
    let tokens = |list: &[&str]| {
        let mut nar = Vec::new();
        for token in list {
            put(&mut nar, token.as_bytes());
        }
        nar
    };
    let entry = |name: &'static str| {
        ["entry", "(", "name", name, "node", "(", "type", "regular", "contents", "x", ")", ")"]
    };
    let directory = |names: &[&'static str]| {
        let mut list = vec!["nix-archive-1", "(", "type", "directory"];
        for name in names {
            list.extend(entry(name));
        }
        list.push(")");
        tokens(&list)
    };
    let file = Node::file("contents").to_nar();
    let mut bad_padding = Node::file("12345").to_nar();
    let padding = bad_padding.windows(5).position(|window| window == b"12345").unwrap() + 5;
    bad_padding[padding] = 1;
    let mut endless = tokens(&["nix-archive-1", "(", "type", "regular", "contents"]);
    endless.extend(u64::MAX.to_le_bytes());
    let mut deep = vec!["nix-archive-1"];
    for _ in 0..100_000 {
        deep.extend(["(", "type", "directory", "entry", "(", "name", "d", "node"]);
    }
    vec![
        ("noise", noise(10_000)),
        ("text", b"hello, this is no NAR at all".to_vec()),
        ("wrong magic", tokens(&["nix-archive-2", "(", "type", "regular", "contents", "x", ")"])),
        ("an end missing", file[..file.len() - 16].to_vec()),
        ("half a token", file[..file.len() - 4].to_vec()),
        ("padding that is not zero", bad_padding),
        ("a length without an end", endless),
        ("unknown type", tokens(&["nix-archive-1", "(", "type", "device", ")"])),
        ("unknown token", tokens(&["nix-archive-1", "(", "type", "regular", "surprise", "x", ")"])),
        ("unsorted", directory(&["b", "a"])),
        ("twice the same name", directory(&["a", "a"])),
        ("empty name", directory(&[""])),
        ("name dot", directory(&["."])),
        ("name dot dot", directory(&[".."])),
        ("name with slash", directory(&["a/b"])),
        ("name with NUL", directory(&["a\0b"])),
        ("hopelessly deep", tokens(&deep)),
    ]
}

#[test]
fn what_does_not_parse_as_a_nar_is_refused() {
    let site = Site::start();
    let before = site.stored_files("pub");
    for (what, nar) in malformed_nars() {
        for compression in BOTH {
            let result = push_file(&site, compression, &nar, compression.compress(&nar));
            assert_refused_without_trace(&site, what, &result, &before);
        }
    }
    // The daemon has not been hurt by any of it.
    let path = Path::small("good");
    site.pusher("pub").push(&path);
    site.reader("pub").assert_has(&path);
}

#[test]
fn a_file_in_another_compression_than_announced_is_refused() {
    let site = Site::start();
    let before = site.stored_files("pub");
    let nar = Path::small("whole").nar;
    let result = push_file(&site, Compression::Xz, &nar, Compression::Zstd.compress(&nar));
    assert_refused_without_trace(&site, "zstd as xz", &result, &before);
    let result = push_file(&site, Compression::Zstd, &nar, Compression::Xz.compress(&nar));
    assert_refused_without_trace(&site, "xz as zstd", &result, &before);
    let result = push_file(&site, Compression::Zstd, &nar, nar.clone());
    assert_refused_without_trace(&site, "not compressed", &result, &before);
}

/// A zstd frame that unpacks to the start of a NAR and `gib` GiB of zeros, in blocks of four bytes each.
fn bomb(gib: usize) -> (Vec<u8>, Vec<u8>) {
    const BLOCK: usize = 128 * 1024;
    let mut start = Vec::new();
    for token in ["nix-archive-1", "(", "type", "regular", "contents"] {
        put(&mut start, token.as_bytes());
    }
    start.extend(((gib as u64) << 30).to_le_bytes());

    // Window of 1 MiB, no content size, no checksum.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x50];
    frame.extend_from_slice(&((start.len() as u32) << 3).to_le_bytes()[..3]);
    frame.extend_from_slice(&start);
    let run_length = 1 << 1;
    for _ in 0..(gib << 30) / BLOCK {
        frame.extend_from_slice(&(run_length | (BLOCK as u32) << 3).to_le_bytes()[..3]);
        frame.push(0);
    }
    // An empty last block.
    frame.extend_from_slice(&[1, 0, 0]);
    (start, frame)
}

#[test]
fn a_decompression_bomb_is_stopped_at_the_announced_size() {
    let site = Site::start();
    let before = site.stored_files("pub");
    let (start, file) = bomb(256);
    assert!(file.len() < 10 << 20, "256 GiB in {} bytes", file.len());
    let pusher = site.pusher("pub");
    let (upload, parts) = pusher.upload_bytes(Compression::Zstd, &file);
    let mut path = Path::of_nar("bomb", start, Compression::Zstd);
    path.file = file;
    let began = Instant::now();
    let mut nar_info = path.nar_info_create();
    nar_info["cNarSize"] = json!(1 << 20);
    let reply = pusher.complete(&upload, &parts, &nar_info);
    assert!(began.elapsed() < SOON, "it took {:?}", began.elapsed());
    assert_refused_without_trace(&site, "a bomb", &(path, reply), &before);
}

/// A frame that asks its reader for a window of gigabytes would take the daemon's memory before a byte is unpacked.
#[test]
fn a_frame_with_a_monstrous_window_is_refused() {
    let site = Site::start();
    let before = site.stored_files("pub");
    let nar = Path::small("whole").nar;
    // Window descriptor with exponent 31: 2 TiB. One raw block with the NAR follows.
    let mut file = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 31 << 3];
    file.extend_from_slice(&(1 | (nar.len() as u32) << 3).to_le_bytes()[..3]);
    file.extend_from_slice(&nar);
    let result = push_file(&site, Compression::Zstd, &nar, file);
    assert_refused_without_trace(&site, "a window of 2 TiB", &result, &before);
}

/// The parts agree with their MD5s and the whole with its sizes, but the bytes are another file's.
#[test]
fn the_right_size_with_other_bytes_is_refused() {
    let site = Site::start();
    let before = site.stored_files("pub");
    let announced = Path::incompressible("announced", 50_000);
    let sent = Path::incompressible("sent", 50_000);
    assert_eq!(announced.file.len(), sent.file.len());
    let pusher = site.pusher("pub");
    let (upload, parts) = pusher.upload_bytes(Compression::Zstd, &sent.file);
    let reply = pusher.complete(&upload, &parts, &announced.nar_info_create());
    assert_refused_without_trace(&site, "other bytes", &(announced.clone(), reply), &before);

    // The file's hash is right this time, that of the NAR is the other one's.
    let (upload, parts) = pusher.upload(&sent);
    let mut nar_info = sent.nar_info_create();
    nar_info["cNarHash"] = json!(announced.nar_hash());
    let reply = pusher.complete(&upload, &parts, &nar_info);
    assert_refused_without_trace(&site, "another NAR", &(sent, reply), &before);
}

#[test]
fn hashes_are_taken_in_every_spelling_that_nix_knows() {
    let site = Site::start();
    let spell_file = |path: &Path| {
        let hash = Sha256::digest(&path.file);
        [to_hex(&hash), format!("sha256:{}", to_hex(&hash)), format!("sha256:{}", nix32::encode(&hash))]
    };
    for spelling in 0..3 {
        let path = Path::small("spelled");
        let mut nar_info = path.nar_info_create();
        nar_info["cFileHash"] = json!(spell_file(&path)[spelling]);
        nar_info["cNarHash"] = match spelling {
            0 => json!(path.nar_hash()),
            _ => json!(format!("sha256:{}", to_hex(&Sha256::digest(&path.nar)))),
        };
        let pusher = site.pusher("pub");
        let (upload, parts) = pusher.upload(&path);
        let reply = pusher.complete(&upload, &parts, &nar_info);
        // The client sends the first spelling only; what else is taken must come out right.
        if spelling == 0 || reply.status == 200 {
            reply.expect(200);
            site.reader("pub").assert_has(&path);
        } else {
            reply.expect_refusal();
        }
    }
}

#[test]
fn a_part_cut_off_in_the_middle_is_not_stored() {
    use std::io::Write as _;

    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::incompressible("cut", 500_000);
    let upload = pusher.create(path.compression);
    let url = pusher.part_url(&upload, 1, &path.file);
    let (endpoint, target) = pusher.resolve(&url);
    let md5 = crate::harness::push::content_md5(&path.file);
    let request = endpoint.put(&target).header("Content-MD5", &md5).body(path.file.clone());
    let mut stream = endpoint.connect().unwrap();
    stream.write_all(&request.head()).unwrap();
    stream.write_all(&path.file[..200_000]).unwrap();
    drop(stream);
    pusher.complete(&upload, &json!(null), &path.nar_info_create()).expect_refusal();
    site.reader("pub").assert_lacks(&path);
    pusher.abort(&upload);

    // A part cut off once can be put again.
    let upload = pusher.create(path.compression);
    let url = pusher.part_url(&upload, 1, &path.file);
    let (endpoint, target) = pusher.resolve(&url);
    let mut stream = endpoint.connect().unwrap();
    stream
        .write_all(&endpoint.put(&target).header("Content-MD5", &md5).body(path.file.clone()).head())
        .unwrap();
    stream.write_all(&path.file[..200_000]).unwrap();
    drop(stream);
    let etag = pusher.put(&url, &path.file).expect_success().header("ETag").unwrap().to_owned();
    pusher.complete(&upload, &parts(&[etag]), &path.nar_info_create()).expect(200);
    site.reader("pub").assert_has(&path);
    site.wait_for_empty_spool("pub");
}
