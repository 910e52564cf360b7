//! A blob found missing or damaged hides its narinfo, and the next push of the path heals it.

use std::fs;
use std::path::PathBuf;

use crate::harness::{Path, SOON, Site, wait_for};

struct Stored {
    site: Site,
    path: Path,
    /// The NAR's file in the storage.
    file: PathBuf,
    url: String,
}

fn store() -> Stored {
    let site = Site::start();
    let path = Path::incompressible("stored", 400_000);
    site.pusher("pub").push(&path);
    let url = site.reader("pub").assert_has(&path).url;
    let file = site.storage_dir("pub").join(&url);
    assert!(file.is_file(), "{}", file.display());
    Stored { site, path, file, url }
}

impl Stored {
    /// Reading the NAR never gives other bytes than promised; the path vanishes, and a new push brings it back.
    fn assert_hidden_and_healed(self) {
        let Stored { site, path, url, .. } = self;
        let reader = site.reader("pub");
        wait_for(SOON, "the narinfo is hidden", || {
            // An error is fine here, and so is a connection that is cut off; a short file that looks whole is not.
            if let Ok(reply) = site.cache("pub").get(&format!("/{url}")).try_send() {
                assert!(
                    reply.status != 200 || reply.body == path.file,
                    "{}: {} bytes",
                    reply.status,
                    reply.body.len()
                );
            }
            (reader.narinfo_status(&path) == 404).then_some(())
        });
        assert_eq!(site.pusher("pub").missing(&[&path.hash]), [path.hash.as_str()]);
        site.pusher("pub").push(&path);
        reader.assert_has(&path);
        assert!(site.pusher("pub").missing(&[&path.hash]).is_empty());
    }
}

#[test]
fn a_missing_blob_hides_its_path_until_it_is_pushed_again() {
    let stored = store();
    fs::remove_file(&stored.file).unwrap();
    stored.assert_hidden_and_healed();
}

#[test]
fn a_truncated_blob_hides_its_path_until_it_is_pushed_again() {
    let stored = store();
    fs::File::options().write(true).open(&stored.file).unwrap().set_len(100_000).unwrap();
    stored.assert_hidden_and_healed();
}

#[test]
fn an_emptied_blob_hides_its_path_until_it_is_pushed_again() {
    let stored = store();
    fs::File::options().write(true).open(&stored.file).unwrap().set_len(0).unwrap();
    stored.assert_hidden_and_healed();
}

#[test]
fn a_grown_blob_hides_its_path_until_it_is_pushed_again() {
    let stored = store();
    fs::File::options().write(true).open(&stored.file).unwrap().set_len(10_000_000).unwrap();
    stored.assert_hidden_and_healed();
}

#[test]
fn a_replaced_blob_that_nobody_has_read_yet_is_noticed_too() {
    let mut stored = store();
    stored.site.daemon().kill9();
    fs::remove_file(&stored.file).unwrap();
    fs::write(&stored.file, "replaced").unwrap();
    stored.site.restart();
    stored.assert_hidden_and_healed();
}

/// What hides a path survives a restart, and so does what heals it.
#[test]
fn damage_and_healing_survive_restarts() {
    let mut stored = store();
    fs::remove_file(&stored.file).unwrap();
    wait_for(SOON, "the narinfo is hidden", || {
        stored.site.cache("pub").get(&format!("/{}", stored.url)).try_send().ok();
        (stored.site.reader("pub").narinfo_status(&stored.path) == 404).then_some(())
    });
    stored.site.crash_and_restart();
    assert_eq!(stored.site.reader("pub").narinfo_status(&stored.path), 404);
    stored.site.pusher("pub").push(&stored.path);
    stored.site.crash_and_restart();
    stored.site.reader("pub").assert_has(&stored.path);
}

/// Two paths with one file: both are hidden, and pushing one brings back both.
#[test]
fn paths_that_share_a_blob_share_its_fate() {
    let stored = store();
    let twin =
        Path { hash: crate::harness::path::random_hash(), name: "twin".to_owned(), ..stored.path.clone() };
    stored.site.pusher("pub").push(&twin);
    fs::remove_file(&stored.file).unwrap();
    wait_for(SOON, "both are hidden", || {
        stored.site.cache("pub").get(&format!("/{}", stored.url)).try_send().ok();
        let reader = stored.site.reader("pub");
        (reader.narinfo_status(&stored.path) == 404 && reader.narinfo_status(&twin) == 404).then_some(())
    });
    stored.site.pusher("pub").push(&twin);
    stored.site.reader("pub").assert_has(&twin);
    stored.site.reader("pub").assert_has(&stored.path);
}
