//! The end of a multipart upload, good or bad: tests 33 to 49.

use std::io::Write as _;
use std::time::{Duration, Instant};

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};

use crate::harness::path::random_hash;
use crate::harness::push::{content_md5, parts};
use crate::harness::site::HOST;
use crate::harness::{
    Compression, Incoming, Node, Path, Permission, Pusher, SOON, Site, random_bytes, to_hex, wait_for,
};

#[test]
fn t33_complete_answers_exactly_200() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    for compression in [Compression::Zstd, Compression::Xz] {
        let path = Path::small("plain").compressed_with(compression);
        let (upload, parts) = pusher.upload(&path);
        let reply = pusher.complete(&upload, &parts, &path.nar_info_create());
        assert_eq!(reply.status, 200);
        site.reader("pub").assert_has(&path);
    }
}

#[test]
fn t34_complete_may_be_repeated() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::small("repeated");
    let (upload, parts) = pusher.upload(&path);
    pusher.complete(&upload, &parts, &path.nar_info_create()).expect(200);
    let narinfo = site.reader("pub").narinfo(&path);
    let nars = site.stored_nars("pub");
    for _ in 0..3 {
        pusher.complete(&upload, &parts, &path.nar_info_create()).expect(200);
    }
    assert_eq!(site.reader("pub").assert_has(&path), narinfo);
    assert_eq!(site.stored_nars("pub"), nars);
    site.wait_for_empty_spool("pub");
}

#[test]
fn t34_complete_may_be_sent_twice_at_once() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::incompressible("impatient", 1 << 20);
    let (upload, parts) = pusher.upload(&path);
    let nar_info = path.nar_info_create();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| pusher.complete(&upload, &parts, &nar_info).expect(200));
        }
    });
    site.reader("pub").assert_has(&path);
    site.wait_for_empty_spool("pub");
}

#[test]
fn t35_parts_may_be_null_when_the_server_knows_them() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::small("null-parts");
    let upload = pusher.create(path.compression);
    let (head, tail) = path.file.split_at(path.file.len() / 2);
    pusher.part(&upload, 2, tail);
    pusher.part(&upload, 1, head);
    pusher.complete(&upload, &json!(null), &path.nar_info_create()).expect(200);
    site.reader("pub").assert_has(&path);
}

#[test]
fn t36_a_wrong_part_list_is_refused() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let part = |number: i64, etag: &str| json!({"partNumber": number, "eTag": etag});
    type Spoil<'a> = Box<dyn Fn(&[String]) -> Value + 'a>;
    let wrong_lists: [(&str, Spoil); 7] = [
        (
            "wrong ETag",
            Box::new(|e| json!([part(1, &e[0]), part(2, "\"00000000000000000000000000000000\"")])),
        ),
        ("swapped ETags", Box::new(|e| json!([part(1, &e[1]), part(2, &e[0])]))),
        ("missing part", Box::new(|e| json!([part(1, &e[0])]))),
        ("part that was never put", Box::new(|e| json!([part(1, &e[0]), part(2, &e[1]), part(3, &e[1])]))),
        ("part number twice", Box::new(|e| json!([part(1, &e[0]), part(1, &e[0]), part(2, &e[1])]))),
        ("no parts", Box::new(|_| json!([]))),
        ("part number zero", Box::new(|e| json!([part(0, &e[0]), part(2, &e[1])]))),
    ];
    for (what, spoil) in wrong_lists {
        let path = Path::small("wrong-list");
        let upload = pusher.create(path.compression);
        let (head, tail) = path.file.split_at(path.file.len() / 2);
        let etags = [pusher.part(&upload, 1, head), pusher.part(&upload, 2, tail)];
        let reply = pusher.complete(&upload, &spoil(&etags), &path.nar_info_create());
        assert!((400..500).contains(&reply.status), "{what}: {}", reply.status);
        site.reader("pub").assert_lacks(&path);
    }
    // Nothing but the list was wrong.
    let path = Path::small("right-list");
    let upload = pusher.create(path.compression);
    let (head, tail) = path.file.split_at(path.file.len() / 2);
    let etags = [pusher.part(&upload, 1, head), pusher.part(&upload, 2, tail)];
    pusher.complete(&upload, &parts(&etags), &path.nar_info_create()).expect(200);
}

#[test]
fn t37_wrong_hashes_and_sizes_are_refused_and_leave_nothing() {
    for compression in [Compression::Zstd, Compression::Xz] {
        let site = Site::start();
        let pusher = site.pusher("pub");
        let untouched = site.stored_files("pub");
        let path = Path::small("misannounced").compressed_with(compression);
        let wrong = [
            ("cFileHash", json!("0".repeat(64))),
            ("cFileSize", json!(path.file.len() + 1)),
            ("cFileSize", json!(path.file.len() - 1)),
            ("cNarHash", json!(format!("sha256:{}", "0".repeat(52)))),
            ("cNarSize", json!(path.nar.len() + 8)),
            ("cNarSize", json!(path.nar.len() - 8)),
        ];
        for (field, value) in wrong {
            let reply = pusher.push_announcing(&path, field, value.clone());
            assert!((400..500).contains(&reply.status), "{field} {value}: {}", reply.status);
            site.reader("pub").assert_lacks(&path);
            site.wait_for_empty_spool("pub");
            assert_eq!(site.stored_files("pub"), untouched, "{field} {value}");
        }
        // What is no size at all is refused before anything is verified.
        for value in [json!(0), json!(-1), json!("1"), json!(null), json!(1.5)] {
            for field in ["cFileSize", "cNarSize"] {
                pusher.push_announcing(&path, field, value.clone()).expect_refusal();
                site.reader("pub").assert_lacks(&path);
            }
        }
        // Nothing but the announcement was wrong.
        pusher.push(&path);
        site.reader("pub").assert_has(&path);
    }
}

#[test]
fn t38_references_may_come_later_than_what_refers_to_them() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let dependency = Path::small("dependency");
    let path = Path::small("top").referring_to([dependency.base_name()]);
    pusher.push(&path);
    site.reader("pub").assert_has(&path);
    pusher.push(&dependency);
    site.reader("pub").assert_has(&dependency);
}

#[test]
fn t39_a_path_that_exists_stays_as_it_is() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let first = Path::small("twice");
    pusher.push(&first);
    let narinfo = site.reader("pub").narinfo(&first);

    // Another upload under the same hash, with other contents and another compression.
    let mut second = Path::small("twice").compressed_with(Compression::Xz);
    second.hash = first.hash.clone();
    pusher.push(&second);
    assert_eq!(site.reader("pub").assert_has(&first), narinfo);
    site.wait_for_empty_spool("pub");
    let url = format!("nar/{}.nar.xz", second.file_hash_hex());
    assert_eq!(site.reader("pub").get(&url).status, 404, "the file of the second upload is not kept");
}

#[test]
fn t40_an_unknown_deriver_is_no_deriver() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let underived = Path::small("underived");
    assert_eq!(underived.nar_info_create()["cDeriver"], "unknown-deriver");
    pusher.push(&underived);
    assert_eq!(site.reader("pub").assert_has(&underived).deriver, None);

    let derived = Path::small("derived").derived_by(&format!("{}-derived.drv", random_hash()));
    pusher.push(&derived);
    assert_eq!(site.reader("pub").assert_has(&derived).deriver, derived.deriver);
}

#[test]
fn t41_no_references_leave_a_blank_and_a_valid_signature() {
    let site = Site::start();
    let path = Path::small("alone");
    site.pusher("pub").push(&path);
    let reply = site.reader("pub").get(&format!("{}.narinfo", path.hash)).expect(200);
    assert!(reply.text().contains("\nReferences: \n"), "{:?}", reply.text());
    assert!(site.reader("pub").narinfo(&path).is_signed_by(&site.public_key("pub")));

    let itself = Path::small("itself");
    let itself = itself.clone().referring_to([itself.base_name(), path.base_name()]);
    site.pusher("pub").push(&itself);
    assert!(site.reader("pub").assert_has(&itself).is_signed_by(&site.public_key("pub")));
}

#[test]
fn t42_a_client_signature_on_a_managed_cache_is_never_published_unverified() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let key = SigningKey::from_bytes(&random_bytes());
    let good_form = Path::small("signed");
    let signatures = [
        json!(good_form.signed_with(&key)),
        json!("AAAA"),
        json!("no base64!\nSig: x:y"),
        json!("main-1:AAAA"),
    ];
    for signature in signatures {
        let path = Path { hash: random_hash(), ..good_form.clone() };
        let reply = pusher.push_announcing(&path, "cSig", signature.clone());
        if reply.status == 200 {
            let info = site.reader("pub").assert_has(&path);
            assert!(info.is_signed_by(&site.public_key("pub")));
            assert_eq!(info.signatures.len(), 1, "cSig {signature}: {:?}", info.signatures);
        } else {
            reply.expect_refusal();
            site.reader("pub").assert_lacks(&path);
        }
    }
}

#[test]
fn t43_a_client_signed_cache_publishes_the_clients_signature_and_only_that() {
    let site = Site::start();
    let pusher = site.pusher("self");
    let key = super::register_key(&site, "self");

    let path = Path::small("signed");
    let signature = path.signed_with(&key);
    pusher.push_announcing(&path, "cSig", json!(signature)).expect(200);
    let info = site.reader("self").assert_has(&path);
    assert_eq!(info.signatures, [format!("self.{HOST}-1:{signature}")]);
    assert!(info.is_signed_by(&site.public_key("self")));

    let stranger = SigningKey::from_bytes(&random_bytes());
    let other = Path::small("other");
    let wrong = [
        json!(null),
        json!(""),
        json!("AAAA"),
        json!(other.signed_with(&stranger)),
        json!(path.signed_with(&key)),
        json!(format!("self.{HOST}-1:{}", other.signed_with(&stranger))),
    ];
    for signature in wrong {
        let reply = pusher.push_announcing(&other, "cSig", signature.clone());
        assert!((400..500).contains(&reply.status), "{}: cSig {signature}", reply.status);
        site.reader("self").assert_lacks(&other);
    }
}

#[test]
fn t44_names_cannot_break_out_of_paths_or_lines() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let untouched = site.stored_files("pub");
    let hash = random_hash();
    // The same upload with nothing wrong in it is at the end.
    let wrong = [
        ("cStoreHash", json!("")),
        ("cStoreHash", json!(&hash[1..])),
        ("cStoreHash", json!(format!("{hash}0"))),
        ("cStoreHash", json!(format!("../{}", &hash[3..]))),
        ("cStoreHash", json!(format!("{}\n", &hash[1..]))),
        ("cStoreHash", json!("e".repeat(32))),
        ("cStoreSuffix", json!("")),
        ("cStoreSuffix", json!(".")),
        ("cStoreSuffix", json!("..")),
        ("cStoreSuffix", json!("../../etc/passwd")),
        ("cStoreSuffix", json!("a/b")),
        ("cStoreSuffix", json!("a\nURL: http://evil.test/x.nar")),
        ("cStoreSuffix", json!("a\u{0}b")),
        ("cStoreSuffix", json!("with blank")),
        ("cStoreSuffix", json!("umläut")),
        ("cStoreSuffix", json!("x".repeat(212))),
        ("cReferences", json!([""])),
        ("cReferences", json!(["../../etc/passwd"])),
        ("cReferences", json!([format!("{hash}-a/b")])),
        ("cReferences", json!([format!("{hash}-a\nSig: evil:AAAA")])),
        ("cReferences", json!([format!("{hash}-a {hash}-b")])),
        ("cReferences", json!([format!("/nix/store/{hash}-a")])),
        ("cReferences", json!([hash])),
        ("cReferences", json!([format!("{}-short", &hash[1..])])),
        ("cReferences", json!("no list")),
        ("cDeriver", json!(format!("{hash}-a.drv\nSig: evil:AAAA"))),
        ("cDeriver", json!("../../etc/passwd")),
        ("cFileHash", json!("../../../etc/passwd")),
        ("cFileHash", json!("")),
        ("cNarHash", json!("sha256:\nSig: evil:AAAA")),
    ];
    for (field, value) in wrong {
        let path = Path::small("injected");
        let reply = pusher.push_announcing(&path, field, value.clone());
        assert!((400..500).contains(&reply.status), "{field} {value}: {}", reply.status);
        site.reader("pub").assert_lacks(&path);
        assert_eq!(site.stored_files("pub"), untouched, "{field} {value}");
    }
    let path = Path::small("x".repeat(211).as_str()).referring_to([format!("{hash}-a.b_c+d?e=f-g")]);
    pusher.push(&path);
    site.reader("pub").assert_has(&path);
}

#[test]
fn t45_an_aborted_upload_is_over() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::small("aborted");
    let (upload, parts) = pusher.upload(&path);
    let url = pusher.part_url(&upload, 2, b"more");
    pusher.abort(&upload).expect(200);
    pusher.put(&url, b"more").expect_refusal();
    pusher.try_part_url(&upload, 1, &content_md5(b"")).expect_refusal();
    pusher.complete(&upload, &parts, &path.nar_info_create()).expect_refusal();
    site.reader("pub").assert_lacks(&path);
    site.wait_for_empty_spool("pub");
    let again = pusher.abort(&upload).status;
    assert!(matches!(again, 200 | 404), "{again}");
}

#[test]
fn t45_abort_after_complete_harms_nothing() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::small("kept");
    let (upload, parts) = pusher.upload(&path);
    pusher.complete(&upload, &parts, &path.nar_info_create()).expect(200);
    let status = pusher.abort(&upload).status;
    assert!(matches!(status, 200 | 404), "{status}");
    site.reader("pub").assert_has(&path);
}

/// The age limit of unfinished uploads in test 46: a machine that stalls for a moment must not let the rest expire.
const EXPIRY: Duration = Duration::from_secs(4);

#[test]
fn t46_an_upload_left_alone_is_collected() {
    let site = Site::with(|config| config["server"]["upload-expiry"] = json!("4s"));
    let pusher = site.pusher("pub");
    let path = Path::incompressible("forgotten", 200_000);
    let (upload, parts) = pusher.upload(&path);
    assert!(!site.spooled_files("pub").is_empty(), "the part is in the spool");
    // A small one is in memory.
    let small = Path::small("forgotten-as-well");
    let (small_upload, small_parts) = pusher.upload(&small);
    site.wait_for_empty_spool("pub");
    pusher.complete(&upload, &parts, &path.nar_info_create()).expect_refusal();
    site.reader("pub").assert_lacks(&path);
    wait_for(SOON, "no upload is open", || {
        (site.cachectl_ok(&["upload", "list", "--json"]).trim() == "[]").then_some(())
    });
    pusher.complete(&small_upload, &small_parts, &small.nar_info_create()).expect_refusal();
    site.reader("pub").assert_lacks(&small);
}

#[test]
fn t46_an_upload_that_is_running_is_not_collected() {
    let site = Site::with(|config| config["server"]["upload-expiry"] = json!("4s"));
    let pusher = site.pusher("pub");
    let path = Path::small("slow");
    let upload = pusher.create(path.compression);
    let (endpoint, target) = pusher.resolve(&pusher.part_url(&upload, 1, &path.file));
    let md5 = content_md5(&path.file);
    let request = endpoint.put(&target).header("Content-MD5", &md5).body(path.file.clone());

    // Bytes drip in for longer than the limit.
    let mut stream = endpoint.connect().unwrap();
    stream.write_all(&request.head()).unwrap();
    let started = Instant::now();
    let pieces: Vec<&[u8]> = path.file.chunks(path.file.len().div_ceil(30)).collect();
    for piece in &pieces {
        stream.write_all(piece).unwrap();
        std::thread::sleep(2 * EXPIRY / pieces.len() as u32);
    }
    assert!(started.elapsed() > EXPIRY);
    let reply = Incoming::read(std::io::BufReader::new(stream), false).unwrap().into_response().unwrap();
    let etag = reply.expect_success().header("ETag").unwrap().to_owned();
    pusher.complete(&upload, &parts(&[etag]), &path.nar_info_create()).expect(200);
    site.reader("pub").assert_has(&path);
}

#[test]
fn t47_two_paths_with_the_same_file_share_it() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let first = Path::small("first");
    let second = Path { hash: random_hash(), name: "second".to_owned(), ..first.clone() };
    pusher.push(&first);
    assert_eq!(site.stored_nars("pub").len(), 1);
    pusher.push(&second);
    assert_eq!(site.stored_nars("pub").len(), 1, "stored once");
    site.reader("pub").assert_has(&first);
    site.reader("pub").assert_has(&second);
    // "Deleting one keeps the other" comes with deletion.
}

#[test]
fn t47_two_paths_with_the_same_file_may_be_completed_at_once() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let first = Path::incompressible("same", 1 << 20);
    let paths: Vec<Path> = (0..6).map(|_| Path { hash: random_hash(), ..first.clone() }).collect();
    std::thread::scope(|scope| {
        for path in &paths {
            scope.spawn(|| pusher.push(path));
        }
    });
    for path in &paths {
        site.reader("pub").assert_has(path);
    }
}

/// Pushes eight paths of four parts each, all at once.
fn push_eight_by_four(site: &Site, pusher: &Pusher) {
    let paths: Vec<Path> = (0..8)
        .map(|number| {
            let compression = if number % 2 == 0 { Compression::Zstd } else { Compression::Xz };
            let contents = Node::file(format!("{number} {}", to_hex(&random_bytes::<65_536>())));
            Path::of(&format!("parallel-{number}"), &contents).compressed_with(compression)
        })
        .collect();
    std::thread::scope(|scope| {
        for path in &paths {
            scope.spawn(move || {
                let upload = pusher.create(path.compression);
                let chunks: Vec<&[u8]> = path.file.chunks(path.file.len().div_ceil(4)).collect();
                assert_eq!(chunks.len(), 4);
                let etags: Vec<String> = std::thread::scope(|scope| {
                    let put = |(number, chunk)| pusher.part(&upload, number, chunk);
                    let threads: Vec<_> =
                        (1..).zip(chunks).map(|part| scope.spawn(move || put(part))).collect();
                    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
                });
                pusher.complete(&upload, &parts(&etags), &path.nar_info_create()).expect(200);
            });
        }
    });
    for path in &paths {
        site.reader("pub").assert_has(path);
    }
}

#[test]
fn t48_eight_paths_of_four_parts_in_parallel() {
    let site = Site::start();
    push_eight_by_four(&site, &site.pusher("pub"));
}

#[test]
fn t49_clients_1_3_to_1_6_upload_to_the_host_of_the_cache() {
    let site = Site::start();
    let token = site.token("pub", Permission::Write);
    let pusher = Pusher::new(site.cache("pub"), "pub", &token);
    push_eight_by_four(&site, &pusher);

    let path = Path::small("repeated");
    let (upload, parts) = pusher.upload(&path);
    pusher.complete(&upload, &parts, &path.nar_info_create()).expect(200);
    pusher.complete(&upload, &parts, &path.nar_info_create()).expect(200);
    site.reader("pub").assert_has(&path);
    let (upload, _) = pusher.upload(&Path::small("aborted"));
    pusher.abort(&upload).expect(200);
    site.wait_for_empty_spool("pub");
}
