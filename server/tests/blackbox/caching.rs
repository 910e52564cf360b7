//! What stands between the daemon and its clients, and keeps what passes.

use crate::harness::{Path, Site};

/// What `nix copy` asks for before it pushes, so the answer must not be kept.
fn targets(path: &Path) -> Vec<String> {
    let (hash, file) = (&path.hash, path.file_url());
    let names = ["narinfo", "ls"].map(|kind| format!("/{hash}.{kind}"));
    let others = ["log/x.drv", "debuginfo/abc", "realisations/x.doi", "elsewhere/AAAA/x.nar"];
    let others = others.iter().map(|name| format!("/{name}"));
    names.into_iter().chain([format!("/{file}"), format!("/serve/{hash}/x")]).chain(others).collect()
}

#[test]
fn nobody_keeps_that_something_is_not_there() {
    let site = Site::start();
    let path = Path::small("not-yet");
    for cache in [site.cache("pub"), site.cache_port("pub")] {
        for target in targets(&path) {
            for request in [cache.get(&target), cache.head(&target)] {
                let reply = request.send().expect(404);
                assert_eq!(reply.header("cache-control"), Some("no-store"), "{target}");
            }
        }
    }
    let unknown = site.api().get("/api/v1/cache/nobody").send().expect(404);
    assert_eq!(unknown.header("cache-control"), Some("no-store"));
}

#[test]
fn a_nar_is_kept_and_changed_by_nobody() {
    let site = Site::start();
    let path = Path::small("kept");
    site.pusher("pub").push(&path);
    let url = format!("/{}", site.reader("pub").narinfo(&path).url);
    let cache = site.cache("pub");
    let reply = cache.get(&url).send().expect(200);
    let caching = reply.header("cache-control").unwrap();
    assert!(caching.contains("immutable") && caching.contains("no-transform"), "{caching}");
    // Who has it is not sent it again.
    let tag = reply.header("etag").unwrap();
    for known in [tag.to_owned(), format!("W/{tag}"), format!("\"other\", {tag}"), "*".to_owned()] {
        for request in [cache.get(&url), cache.head(&url)] {
            let reply = request.header("if-none-match", &known).send().expect(304);
            assert_eq!(reply.header("etag"), Some(tag), "{known}");
            assert!(reply.body.is_empty());
        }
    }
    let reply = cache.get(&url).header("if-none-match", "\"other\"").send().expect(200);
    assert!(reply.body == path.file);
}
