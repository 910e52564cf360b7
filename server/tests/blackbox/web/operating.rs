//! The pages of operators show what cachectl shows.

use std::fs;
use std::process::Command;

use serde_json::json;

use super::page;
use crate::harness::{Path, SOON, Site, wait_for};

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
    assert!(text("/server/network").contains("does not belong to a network"));
}

#[test]
fn members_see_where_the_copies_of_a_path_lie_and_which_are_missing() {
    let site = Site::with_files(|config, directory| {
        config["caches"].as_array_mut().unwrap().truncate(1);
        config["caches"][0]["copies"] = json!(2);
        config["caches"][0]["storages"] = json!(
            ["first", "second"]
                .map(|name| json!({"name": name, "type": "local", "root": directory.join(name)}))
        );
    });
    let (copied, alone) = (Path::small("copied"), Path::small("alone"));
    let admin = site.create_token(&["--all", "--permission", "admin"]);
    let text = |target: &str, token: &str| page(&site.api(), target, token).expect(200).text().to_owned();
    let of_path = |path: &Path, token: &str| text(&format!("/cache/pub/path/{}", path.hash), token);
    site.pusher("pub").push(&copied);
    wait_for(SOON, "the copy is shown", || {
        let page = of_path(&copied, &admin);
        let is_shown = page.contains("Further copy") && page.contains("first") && page.contains("second");
        (is_shown && !text("/cache/pub", &admin).contains("missing")).then_some(())
    });
    fs::rename(site.directory().join("second"), site.directory().join("gone")).unwrap();
    site.pusher("pub").push(&alone);
    wait_for(SOON, "the missing copy is shown", || {
        text("/cache/pub", &admin).contains("1\u{a0}copy missing").then_some(())
    });
    // Until the storage is known to be away, it may be tried.
    wait_for(SOON, "it is shown to be nowhere", || {
        of_path(&alone, &admin).contains("not on a storage yet").then_some(())
    });
    assert!(text("/server", &admin).contains("1\u{a0}copy"));
    // Others learn nothing of storages.
    assert!(!of_path(&copied, "").contains("Further copy"));
    assert!(!text("/cache/pub", "").contains("copy missing"));
}

#[test]
fn operators_see_how_upstreams_do() {
    let site = Site::with(|config| config["caches"][0]["upstreams"] = json!(["http://127.0.0.1:9"]));
    let admin = site.create_token(&["--all", "--permission", "admin"]);
    let shown = || page(&site.api(), "/server/network", &admin).expect(200).text().to_owned();
    let text = shown();
    assert!(text.contains("http://127.0.0.1:9") && text.contains("not asked yet"), "{text}");
    wait_for(SOON, "the upstream is left alone", || {
        site.reader("pub").narinfo_status(&Path::small("absent"));
        let text = shown();
        (text.contains("not asked, as it failed") && text.contains("last error")).then_some(())
    });
}

#[test]
fn the_page_of_a_cache_shows_how_large_it_was() {
    let site = Site::start();
    site.pusher("pub").push(&Path::small("hello"));
    let database = site.state_dir().join("db.sqlite");
    let sql = |statement: &str| {
        let output = Command::new("python3")
            .args([
                "-c",
                "import sqlite3, sys; d = sqlite3.connect(sys.argv[1], timeout=20); \
                          print(d.execute(sys.argv[2]).fetchall()); d.commit()",
            ])
            .arg(&database)
            .arg(statement)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // The daemon notes the size of today, of which nothing can be compared yet.
    wait_for(SOON, "today is noted", || {
        sql("SELECT day FROM cache_size WHERE cache = 1").contains("(").then_some(())
    });
    assert!(!page(&site.api(), "/cache/pub", "").text().contains("days ago"));
    sql("INSERT INTO cache_size SELECT 1, day - 40, 7, 5 * 1024 * 1024, 9 FROM cache_size WHERE cache = 1");
    wait_for(SOON, "the page shows the growth", || {
        let text = page(&site.api(), "/cache/pub", "").expect(200).text().to_owned();
        (text.contains("less than 40\u{a0}days ago") && text.contains("5.0\u{a0}MiB")).then_some(())
    });
}
