//! Multipart upload up to its last part: tests 19 to 32.

use serde_json::json;

use crate::harness::path::noise;
use crate::harness::push::{content_md5, parts};
use crate::harness::site::HOST;
use crate::harness::{
    Compression, Node, Path, Permission, Pusher, Response, SOON, Site, random_bytes, wait_for,
};

const MIB: usize = 1 << 20;

fn create(site: &Site, cache: &str, query: &str, token: &str) -> Response {
    site.api().post(&format!("/api/v1/cache/{cache}/multipart-nar{query}")).bearer(token).body("").send()
}

/// Whether the text is a hyphenated UUID.
fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

#[test]
fn t19_create_answers_a_uuid_and_an_upload_id() {
    let site = Site::start();
    let reply =
        create(&site, "pub", "?compression=zst", &site.token("pub", Permission::Write)).expect(200).json();
    assert!(is_uuid(reply["narId"].as_str().unwrap()), "{reply}");
    assert!(!reply["uploadId"].as_str().unwrap().is_empty(), "{reply}");
}

#[test]
fn t20_compression_is_xz_or_zst_and_xz_when_not_given() {
    let site = Site::start();
    let token = site.token("pub", Permission::Write);
    create(&site, "pub", "?compression=xz", &token).expect(200);
    for unknown in ["foo", "", "zstd%00", "XZ%20"] {
        create(&site, "pub", &format!("?compression={unknown}"), &token).expect_refusal();
    }

    let reply = create(&site, "pub", "", &token).expect(200).json();
    let upload = crate::harness::push::Upload {
        nar_id: reply["narId"].as_str().unwrap().to_owned(),
        upload_id: reply["uploadId"].as_str().unwrap().to_owned(),
    };
    let path = Path::small("unnamed-compression").compressed_with(Compression::Xz);
    let pusher = site.pusher("pub");
    let etag = pusher.part(&upload, 1, &path.file);
    pusher.complete(&upload, &parts(&[etag]), &path.nar_info_create()).expect(200);
    assert_eq!(site.reader("pub").assert_has(&path).compression, "xz");
}

#[test]
fn t21_create_needs_the_right_to_write() {
    let site = Site::start();
    let query = "?compression=zst";
    create(&site, "pub", query, &site.token("pub", Permission::Read)).expect(401);
    create(&site, "pub", query, "").expect(401);
    create(&site, "pub", query, &site.token("priv", Permission::Write)).expect(401);
    create(&site, "pub", query, "recorded-wrong-token").expect(401);
    create(&site, "priv", query, &site.token("priv", Permission::Read)).expect(401);
    site.api().post("/api/v1/cache/pub/multipart-nar?compression=zst").body("").send().expect(401);
}

#[test]
fn t22_a_part_has_an_absolute_url() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let upload = pusher.create(Compression::Zstd);
    let url = pusher.part_url(&upload, 1, b"part");
    assert!(url.starts_with(&format!("http://{HOST}/")), "built from public-url: {url}");
}

#[test]
fn t23_a_part_url_may_be_asked_for_again() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::small("asked-twice");
    let upload = pusher.create(path.compression);
    let first = pusher.part_url(&upload, 1, &path.file);
    let second = pusher.part_url(&upload, 1, &path.file);
    pusher.put(&first, &path.file).expect_success();
    let etag = pusher.put(&second, &path.file).expect_success().header("ETag").unwrap().to_owned();
    pusher.complete(&upload, &parts(&[etag]), &path.nar_info_create()).expect(200);
    site.reader("pub").assert_has(&path);
}

#[test]
fn t24_part_urls_exist_only_for_open_uploads_and_numbers_from_1_to_10000() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let upload = pusher.create(Compression::Zstd);
    let md5 = content_md5(b"");
    for number in [0, -1, 10_001, i64::MAX] {
        pusher.try_part_url(&upload, number, &md5).expect_refusal();
    }
    for number in [1, 10_000] {
        pusher.try_part_url(&upload, number, &md5).expect(200);
    }

    let mut other_id = upload.clone();
    other_id.upload_id += "x";
    pusher.try_part_url(&other_id, 1, &md5).expect_refusal();
    let mut unknown = upload.clone();
    unknown.nar_id = "00000000-0000-4000-8000-000000000000".to_owned();
    pusher.try_part_url(&unknown, 1, &md5).expect_refusal();
    let mut no_uuid = upload.clone();
    no_uuid.nar_id = "..".to_owned();
    pusher.try_part_url(&no_uuid, 1, &md5).expect_refusal();
    for bad_md5 in ["", "no base64!", "AAAA"] {
        pusher.try_part_url(&upload, 1, bad_md5).expect_refusal();
    }
}

#[test]
fn t25_an_upload_belongs_to_its_cache() {
    let site = Site::start();
    let own = site.pusher("my-cache-2");
    let path = Path::small("elsewhere");
    let (upload, parts) = own.upload(&path);
    let other = site.pusher("pub");
    other.try_part_url(&upload, 1, &content_md5(b"")).expect_refusal();
    other.complete(&upload, &parts, &path.nar_info_create()).expect_refusal();
    other.abort(&upload);
    site.reader("pub").assert_lacks(&path);
    own.complete(&upload, &parts, &path.nar_info_create()).expect(200);
    site.reader("my-cache-2").assert_has(&path);
}

#[test]
fn t26_a_part_needs_no_token_and_gets_an_etag() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let upload = pusher.create(Compression::Zstd);
    let reply = pusher.put(&pusher.part_url(&upload, 1, b"part"), b"part").expect_success();
    assert!(!reply.header("ETag").unwrap_or_default().is_empty());
}

/// URLs that differ from `url` in one character of the query or of the path.
fn tampered(url: &str) -> Vec<String> {
    let start = "http://".len() + HOST.len() + 1;
    let replace = |at: usize, by: char| format!("{}{by}{}", &url[..at], &url[at + 1..]);
    url.char_indices()
        .skip(start)
        .filter(|(_, character)| character.is_ascii_alphanumeric())
        .map(|(at, character)| replace(at, if character == '1' { '2' } else { '1' }))
        .collect()
}

#[test]
fn t27_a_tampered_part_url_is_403() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let upload = pusher.create(Compression::Zstd);
    let url = pusher.part_url(&upload, 1, b"part");
    let query_start = url.find('?').expect("the URL authenticates itself in its query");
    for other in tampered(&url) {
        let status = pusher.put(&other, b"part").status;
        let in_value = other[query_start..]
            .split(['?', '&'])
            .zip(url[query_start..].split(['?', '&']))
            .all(|(ours, theirs)| ours.split('=').next() == theirs.split('=').next());
        if other[..query_start] == url[..query_start] && in_value {
            assert_eq!(status, 403, "{other}");
        } else {
            // Another path or another parameter: not this endpoint's URL at all, perhaps.
            assert!((400..500).contains(&status), "{status} for {other}");
        }
    }
    pusher.put(&url[..query_start], b"part").expect_refusal();
    pusher.put(&url, b"part").expect_success();
}

#[test]
fn t27_an_expired_part_url_is_403() {
    let site = Site::with(|config| config["server"]["upload-expiry"] = json!("3s"));
    let pusher = site.pusher("pub");
    // So much that it is not kept in memory.
    let part = vec![b'x'; 100_000];
    let upload = pusher.create(Compression::Zstd);
    let url = pusher.part_url(&upload, 1, &part);
    pusher.put(&url, &part).expect_success();
    // The URL ends with the upload that it belongs to; a PUT would keep both alive.
    wait_for(SOON, "the upload expires", || site.spooled_files("pub").is_empty().then_some(()));
    pusher.put(&url, &part).expect(403);
}

#[test]
fn t28_a_part_that_differs_from_its_md5_is_not_stored() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::small("mismatch");
    let put = |url: &str, md5: &str, bytes: &[u8]| {
        let (endpoint, target) = pusher.resolve(url);
        endpoint.put(&target).header("Content-MD5", md5).body(bytes).send()
    };

    let upload = pusher.create(path.compression);
    let url = pusher.part_url(&upload, 1, &path.file);
    // The header names the announced MD5, the body is another one.
    put(&url, &content_md5(&path.file), b"other bytes").expect_refusal();
    // Header and body agree with each other, but not with what was announced.
    put(&url, &content_md5(b"other bytes"), b"other bytes").expect_refusal();
    // The body is right, the header is not.
    put(&url, &content_md5(b"other bytes"), &path.file).expect_refusal();
    put(&url, "no base64!", &path.file).expect_refusal();
    pusher.complete(&upload, &json!(null), &path.nar_info_create()).expect_refusal();
    site.reader("pub").assert_lacks(&path);

    // A part refused does not spoil the upload for one that is right.
    let upload = pusher.create(path.compression);
    let url = pusher.part_url(&upload, 1, &path.file);
    put(&url, &content_md5(&path.file), b"other bytes").expect_refusal();
    let etag = pusher.put(&url, &path.file).expect_success().header("ETag").unwrap().to_owned();
    pusher.complete(&upload, &parts(&[etag]), &path.nar_info_create()).expect(200);
    site.reader("pub").assert_has(&path);
}

#[test]
fn t29_the_last_put_of_a_part_wins() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::incompressible("last-wins", 3 * MIB);
    let (first, rest) = path.file.split_at(MIB);
    let (second, third) = rest.split_at(MIB);
    let wrong = noise(MIB);

    let upload = pusher.create(path.compression);
    let etags =
        [pusher.part(&upload, 1, first), pusher.part(&upload, 2, &wrong), pusher.part(&upload, 3, third)];
    assert_eq!(pusher.part(&upload, 1, first), etags[0], "the same bytes have the same ETag");
    let replaced = pusher.part(&upload, 2, second);
    assert_ne!(replaced, etags[1]);
    let [first_etag, _, third_etag] = etags;
    pusher
        .complete(&upload, &parts(&[first_etag, replaced, third_etag]), &path.nar_info_create())
        .expect(200);
    site.reader("pub").assert_has(&path);
}

#[test]
fn t30_an_empty_last_part_is_a_part() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::small("empty-last");
    let upload = pusher.create(path.compression);
    let etags = [pusher.part(&upload, 1, &path.file), pusher.part(&upload, 2, b"")];
    pusher.complete(&upload, &parts(&etags), &path.nar_info_create()).expect(200);
    site.reader("pub").assert_has(&path);
}

#[test]
fn t31_parts_of_32_and_64_mib_are_taken() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    let path = Path::incompressible("large", 96 * MIB - 4096);
    let upload = pusher.create(path.compression);
    let (first, rest) = path.file.split_at(32 * MIB);
    assert!(rest.len() > 63 * MIB);
    let mut etags = vec![pusher.part(&upload, 1, first)];
    etags.push(pusher.part(&upload, 2, rest));
    pusher.complete(&upload, &parts(&etags), &path.nar_info_create()).expect(200);
    site.reader("pub").assert_has(&path);
}

/// Uploads the parts in the given order, each on a thread of its own if `at_once`.
fn upload_in_order(pusher: &Pusher, path: &Path, order: &[usize], at_once: bool) {
    let size = path.file.len().div_ceil(order.len());
    let chunks: Vec<&[u8]> = path.file.chunks(size).collect();
    assert_eq!(chunks.len(), order.len());
    let upload = pusher.create(path.compression);
    let mut etags = vec![String::new(); chunks.len()];
    let part = |index: usize| pusher.part(&upload, index as i64 + 1, chunks[index]);
    if at_once {
        std::thread::scope(|scope| {
            let part = &part;
            let running: Vec<_> =
                order.iter().map(|&index| (index, scope.spawn(move || part(index)))).collect();
            for (index, thread) in running {
                etags[index] = thread.join().unwrap();
            }
        });
    } else {
        for &index in order {
            etags[index] = part(index);
        }
    }
    pusher.complete(&upload, &parts(&etags), &path.nar_info_create()).expect(200);
}

#[test]
fn t32_parts_out_of_order_and_at_once_are_joined_in_order() {
    let site = Site::start();
    let pusher = site.pusher("pub");
    for (compression, at_once) in [
        (Compression::Zstd, false),
        (Compression::Zstd, true),
        (Compression::Xz, false),
        (Compression::Xz, true),
    ] {
        let path = Path::of("shuffled", &Node::file(noise(MIB + usize::from(random_bytes::<1>()[0]))));
        let path = path.compressed_with(compression);
        upload_in_order(&pusher, &path, &[2, 0, 1], at_once);
        site.reader("pub").assert_has(&path);
    }
}
