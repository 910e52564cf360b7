//! Logs that are uploaded slowly: more of them than the runtime has threads for blocking work.

use std::io::Write as _;

use super::{assert_serves_all, begin, status};
use crate::harness::path::random_hash;
use crate::harness::{Permission, Site};

#[test]
fn slow_log_uploads_to_one_cache_hold_up_no_other() {
    let site = Site::start();
    let token = site.token("my-cache-2", Permission::Write);
    let log = "a line of a log\n".repeat(10).into_bytes();
    let packed = zstd::encode_all(&log[..], 3).unwrap();
    let target = format!("/log/{}-hello-1.0.drv", random_hash());
    let request = site.cache("my-cache-2").put(&target).bearer(&token);
    let request = request.header("Content-Encoding", "zstd");
    let request = request.header("Content-Length", &packed.len().to_string());
    let mut uploads: Vec<_> = (0..600).map(|_| begin(&request, &packed[..5])).collect();
    for _ in 0..3 {
        assert_serves_all(&site);
    }
    assert!(site.cachectl(&["status"]).status.success());
    // They are served too, once they come to an end.
    let mut last = uploads.pop().unwrap();
    last.write_all(&packed[5..]).unwrap();
    assert_eq!(status(last).unwrap(), 200);
    assert_eq!(site.cache("my-cache-2").get(&target).send().expect(200).body, log);
    drop(uploads);
    site.wait_for_empty_spool("my-cache-2");
}
