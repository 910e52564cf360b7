//! A storage without room refuses what does not fit and harms nothing that is there.

use std::process::{Command, Stdio};

use crate::harness::daemon::DAEMON;
use crate::harness::{Path, Site};

/// Runs the daemon with a storage that is a file system of 16 MiB. Only the daemon sees that mount.
const SMALL_STORAGE: &str =
    "mkdir -p \"$STORAGE\" && mount -t tmpfs -o size=16m tmpfs \"$STORAGE\" && exec \"$0\" \"$@\"";

fn site_with_small_storage() -> Site {
    Site::launched(
        |_, _| (),
        |directory| {
            let mut command = Command::new("unshare");
            command.args(["--mount", "--propagation", "private", "sh", "-c", SMALL_STORAGE, DAEMON]);
            command.env("STORAGE", directory.join("storage")).stdin(Stdio::null());
            command
        },
    )
}

#[test]
fn what_does_not_fit_is_refused_and_all_else_goes_on() {
    let site = site_with_small_storage();
    let pusher = site.pusher("pub");
    let before = Path::incompressible("before", 2 << 20);
    pusher.push(&before);

    let large = Path::incompressible("large", 32 << 20);
    let upload = pusher.create(large.compression);
    let url = pusher.part_url(&upload, 1, &large.file);
    let reply = pusher.put(&url, &large.file);
    assert_eq!(reply.status, 507, "{}", String::from_utf8_lossy(&reply.body));
    assert_eq!(pusher.complete(&upload, &serde_json::json!(null), &large.nar_info_create()).status / 100, 4);
    site.reader("pub").assert_lacks(&large);
    pusher.abort(&upload);

    // The room that the failed upload took is free again.
    site.reader("pub").assert_has(&before);
    let after = Path::incompressible("after", 4 << 20);
    pusher.push(&after);
    site.reader("pub").assert_has(&after);
}
