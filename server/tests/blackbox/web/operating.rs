//! The pages of operators show what cachectl shows.

use serde_json::json;

use super::page;
use crate::harness::{Path, Site};

#[test]
fn operators_see_jobs_tokens_storages_and_the_audit_log() {
    let site = Site::with_files(|config, directory| {
        config["server"]["audit-log"] = json!(directory.join("audit.log"));
    });
    site.pusher("pub").push(&Path::small("hello"));
    site.cachectl_ok(&["storage", "scrub"]);
    let admin = site.create_token(&["--all", "--permission", "admin", "--subject", "the operator"]);
    let text = |target: &str| page(&site.api(), target, &admin).expect(200).text().to_owned();
    let jobs = text("/server/work");
    assert!(jobs.contains("scrub") && jobs.contains("done") && jobs.contains("publisher"), "{jobs}");
    let tokens = text("/server/tokens");
    assert!(tokens.contains("the operator") && tokens.contains("admin: all caches"), "{tokens}");
    let overview = text("/server");
    assert!(overview.contains("disk") && overview.contains("Findings"), "{overview}");
    let audit = text("/server/audit");
    assert!(audit.contains("POST /v1/tokens") && audit.contains("uid 0 of this machine"), "{audit}");
    assert!(text("/server/network").contains("stands alone"));
}
