//! A push that failed for a reason that passes is repeated by the client without its bytes.

use serde_json::json;

use crate::harness::{Path, Permission, Site};

const MIB: usize = 1 << 20;

/// A site whose cache `pub` has room for 3 MiB.
fn small_site() -> Site {
    Site::with(|config| config["caches"][0]["storages"][0]["max-size"] = json!("3MiB"))
}

fn make_room(site: &Site) {
    site.edit_config(|config| config["caches"][0]["storages"][0]["max-size"] = json!("30MiB"));
    site.cachectl_ok(&["reload"]);
}

#[test]
fn a_complete_that_finds_no_room_says_so_each_time_and_succeeds_once_there_is_room() {
    let site = small_site();
    let pusher = site.pusher("pub");
    pusher.push(&Path::incompressible("before", 2 * MIB));
    let path = Path::incompressible("large", 2 * MIB);
    let upload = pusher.create(path.compression);
    // In parts that come out of order, so that they are put together anew each time.
    let (first, second) = path.file.split_at(MIB);
    let etags = [(2, second), (1, first)].map(|(number, bytes)| pusher.part(&upload, number, bytes));
    let parts = json!([{"partNumber": 1, "eTag": etags[1]}, {"partNumber": 2, "eTag": etags[0]}]);
    let complete = || pusher.complete(&upload, &parts, &path.nar_info_create());
    for _ in 0..3 {
        let reply = complete();
        assert_eq!(reply.status, 507);
        assert!(String::from_utf8_lossy(&reply.body).contains("full"));
    }
    site.reader("pub").assert_lacks(&path);
    make_room(&site);
    complete().expect(200);
    complete().expect(200);
    site.reader("pub").assert_has(&path);
    site.wait_for_empty_spool("pub");
}

#[test]
fn a_narinfo_that_finds_no_room_can_be_put_again_without_its_nar() {
    let site = small_site();
    site.pusher("pub").push(&Path::incompressible("before", 2 * MIB));
    let path = Path::incompressible("large", 2 * MIB);
    let token = site.token("pub", Permission::Write);
    let put = |target: &str| site.cache("pub").put(target).basic("", &token);
    // Without a length nobody can tell beforehand that it will not fit.
    put(&format!("/{}", path.file_url())).chunked(path.file.clone(), 65_536).send().expect_success();
    let narinfo = || put(&format!("/{}.narinfo", path.hash)).body(path.narinfo_text()).send();
    assert_eq!(narinfo().status, 507);
    assert_eq!(narinfo().status, 507);
    make_room(&site);
    narinfo().expect_success();
    site.reader("pub").assert_has(&path);
    site.wait_for_empty_spool("pub");
}

#[test]
fn a_push_that_is_refused_for_good_ends_its_upload() {
    let site = small_site();
    let pusher = site.pusher("pub");
    let path = Path::small("wrong");
    let (upload, parts) = pusher.upload(&path);
    let mut nar_info = path.nar_info_create();
    nar_info["cNarSize"] = json!(1);
    assert_eq!(pusher.complete(&upload, &parts, &nar_info).status / 100, 4);
    assert_eq!(pusher.complete(&upload, &parts, &path.nar_info_create()).status, 404);
    site.wait_for_empty_spool("pub");
}

#[test]
fn an_upload_that_found_no_room_can_be_given_up() {
    let site = small_site();
    let pusher = site.pusher("pub");
    pusher.push(&Path::incompressible("before", 2 * MIB));
    let path = Path::incompressible("large", 2 * MIB);
    let (upload, parts) = pusher.upload(&path);
    assert_eq!(pusher.complete(&upload, &parts, &path.nar_info_create()).status, 507);
    pusher.abort(&upload);
    site.wait_for_empty_spool("pub");
    assert_eq!(pusher.complete(&upload, &parts, &path.nar_info_create()).status, 404);
}
