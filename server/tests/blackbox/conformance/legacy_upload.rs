//! The single-shot upload of clients 1.0 to 1.2: tests 50 to 53.

use crate::harness::path::random_hash;
use crate::harness::site::HOST;
use crate::harness::{Compression, Path, Permission, Response, Site};

/// Odd on purpose, so that chunks and the daemon's buffers never line up.
const CHUNK: usize = 1021;

fn post_nar(site: &Site, host: &str, query: &str, file: &[u8]) -> Response {
    site.on_host(host)
        .post(&format!("/api/v1/cache/pub/nar{query}"))
        .bearer(&site.token("pub", Permission::Write))
        .header("Content-Type", "application/octet-stream")
        .chunked(file, CHUNK)
        .send()
}

fn post_narinfo(site: &Site, hash: &str, path: &Path) -> Response {
    let target = format!("/api/v1/cache/pub/{hash}.narinfo");
    site.api()
        .post(&target)
        .bearer(&site.token("pub", Permission::Write))
        .json(&path.nar_info_create())
        .send()
}

#[test]
fn t50_client_1_0_uploads_xz_to_the_host_of_the_cache() {
    let site = Site::start();
    let path = Path::incompressible("ancient", 300_000).compressed_with(Compression::Xz);
    post_nar(&site, &format!("pub.{HOST}"), "", &path.file).expect(200);
    site.reader("pub").assert_lacks(&path);
    post_narinfo(&site, &path.hash, &path).expect(200);
    let info = site.reader("pub").assert_has(&path);
    assert_eq!(info.compression, "xz");
    assert!(info.is_signed_by(&site.public_key("pub")));
    site.wait_for_empty_spool("pub");
    post_narinfo(&site, &path.hash, &path).expect(200);
}

#[test]
fn t51_client_1_1_uploads_zstd_through_api_host() {
    let site = Site::start();
    let path = Path::small("old");
    post_nar(&site, &format!("api.{HOST}"), "?compression=zst", &path.file).expect(200);
    post_narinfo(&site, &path.hash, &path).expect(200);
    assert_eq!(site.reader("pub").assert_has(&path).compression, "zstd");

    let path = Path::small("old-xz").compressed_with(Compression::Xz);
    post_nar(&site, HOST, "?compression=xz", &path.file).expect(200);
    post_narinfo(&site, &path.hash, &path).expect(200);
    assert_eq!(site.reader("pub").assert_has(&path).compression, "xz");

    post_nar(&site, HOST, "?compression=foo", &path.file).expect_refusal();
}

#[test]
fn t52_a_narinfo_without_its_file_is_refused() {
    let site = Site::start();
    let path = Path::small("never-uploaded");
    post_narinfo(&site, &path.hash, &path).expect_refusal();
    site.reader("pub").assert_lacks(&path);
}

#[test]
fn t53_the_hash_in_the_url_must_be_that_of_the_path() {
    let site = Site::start();
    let path = Path::small("elsewhere");
    post_nar(&site, HOST, "?compression=zst", &path.file).expect(200);
    let other = random_hash();
    post_narinfo(&site, &other, &path).expect_refusal();
    site.reader("pub").assert_lacks(&path);
    assert_eq!(site.reader("pub").get(&format!("{other}.narinfo")).status, 404);
}

#[test]
fn t53_legacy_uploads_are_verified_like_all_others() {
    let site = Site::start();
    for (field, value) in [("cNarHash", format!("sha256:{}", "0".repeat(52)).into()), ("cNarSize", 8.into())]
    {
        let path = Path::small("misannounced");
        post_nar(&site, HOST, "?compression=zst", &path.file).expect(200);
        let mut nar_info = path.nar_info_create();
        nar_info[field] = value;
        let target = format!("/api/v1/cache/pub/{}.narinfo", path.hash);
        let request = site.api().post(&target).bearer(&site.token("pub", Permission::Write)).json(&nar_info);
        request.send().expect_refusal();
        site.reader("pub").assert_lacks(&path);
    }
    let upload = |token: &str| {
        site.api()
            .post("/api/v1/cache/pub/nar?compression=zst")
            .bearer(token)
            .chunked(*b"bytes", CHUNK)
            .send()
    };
    upload(&site.token("pub", Permission::Read)).expect(401);
    upload("").expect(401);
}
