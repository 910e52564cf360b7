//! `HEAD /api/v1/cache/NAME/HASH.narinfo`: test 54.

use crate::harness::path::random_hash;
use crate::harness::{Path, Permission, Site};

#[test]
fn t54_head_tells_present_from_absent() {
    let site = Site::start();
    let path = Path::small("present");
    site.pusher("pub").push(&path);
    let head = |cache: &str, hash: &str, token: &str| {
        site.api().head(&format!("/api/v1/cache/{cache}/{hash}.narinfo")).bearer(token).send()
    };
    head("pub", &path.hash, &site.token("pub", Permission::Read)).expect(200);
    head("pub", &path.hash, "").expect(200);
    head("pub", &random_hash(), "").expect(404);
    head("priv", &path.hash, "recorded-wrong-token").expect(401);
    head("priv", &path.hash, "").expect(401);
    head("priv", &path.hash, &site.token("priv", Permission::Read)).expect(404);
}

/// A body after the reply to HEAD would be taken for the next reply.
#[test]
fn t54_head_sends_no_body() {
    let site = Site::start();
    let path = Path::small("present");
    site.pusher("pub").push(&path);
    let mut connection = std::io::BufReader::new(site.api().connect().unwrap());
    for _ in 0..3 {
        for hash in [&path.hash, &random_hash()] {
            let expected = if *hash == path.hash { 200 } else { 404 };
            let head = site.api().head(&format!("/api/v1/cache/pub/{hash}.narinfo"));
            head.send_on(&mut connection).unwrap().expect(expected);
        }
    }
}
