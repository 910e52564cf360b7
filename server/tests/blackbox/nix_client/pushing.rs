//! Real store paths, pushed the way `cachix push` pushes them, and fetched by Nix.

use serde_json::Value;

use super::{reader, url};
use crate::harness::nix_host::NixHost;
use crate::harness::{Compression, Path, Permission, Pusher, Site};

/// A closure of a real store as the client would announce it, with the compressions in turn.
pub fn of_store(host: &NixHost, root: &str, compressions: [Compression; 2]) -> Vec<Path> {
    host.ok(&format!(
        "mkdir -p dumps; for path in $(nix-store -q --requisites {root}); do
             nix-store --dump $path > dumps/$(basename $path)
         done"
    ));
    let base_name =
        |path: &Value| path.as_str().map(|path| path.strip_prefix("/nix/store/").unwrap().to_owned());
    let make = |((store_path, facts), compression): ((String, Value), Compression)| {
        let (hash, name) = store_path.strip_prefix("/nix/store/").unwrap().split_at(32);
        let nar = std::fs::read(host.directory().join(format!("dumps/{hash}{name}"))).unwrap();
        let references = facts["references"].as_array().unwrap().iter().filter_map(base_name);
        let path = Path::of_nar(&name[1..], nar, compression).referring_to(references);
        Path { hash: hash.to_owned(), deriver: base_name(&facts["deriver"]), ..path }
    };
    host.describe_closure(root).into_iter().zip(compressions.into_iter().cycle()).map(make).collect()
}

/// Pushes all paths, eight at a time, as the client does.
fn push_all(pusher: &Pusher, paths: &[Path]) {
    std::thread::scope(|scope| {
        for share in paths.chunks(paths.len().div_ceil(8)) {
            scope.spawn(|| share.iter().for_each(|path| pusher.push(path)));
        }
    });
}

#[test]
fn a_closure_of_200_paths_is_pushed_and_realised() {
    let site = Site::start();
    let here = NixHost::new();
    let root = here.build_closure(200);
    let paths = of_store(&here, &root, [Compression::Zstd, Compression::Xz]);
    assert_eq!(paths.len(), 201);
    assert!(paths.iter().any(|path| path.references.contains(&path.base_name())), "a self reference");
    let pusher = site.pusher("pub");
    let hashes: Vec<&str> = paths.iter().map(|path| path.hash.as_str()).collect();
    assert_eq!(pusher.missing(&hashes).len(), 201);
    push_all(&pusher, &paths);
    assert!(pusher.missing(&hashes).is_empty());

    let there = reader(&site, "pub");
    there.ok(&format!("nix-store --realise {root} --option substituters {}", url(&site, "pub")));
    assert_eq!(there.describe_closure(&root), here.describe_closure(&root));
    there.ok(&format!("nix-store --verify-path $(nix-store -q --requisites {root})"));
    let deriver = format!("nix-store -q --deriver {root}");
    assert_eq!(there.ok(&deriver), here.ok(&deriver));
}

#[test]
fn what_is_pushed_to_a_private_cache_is_realised_with_a_token() {
    let site = Site::start();
    let here = NixHost::new();
    let root = here.build_closure(5);
    let paths = of_store(&here, &root, [Compression::Zstd; 2]);
    push_all(&site.pusher("priv"), &paths);
    let realise = format!("nix-store --realise {root} --option substituters {}", url(&site, "priv"));
    reader(&site, "priv").fails(&realise);
    let host = url(&site, "priv");
    let host = host.strip_prefix("http://").unwrap().split(':').next().unwrap().to_owned();
    let friend = reader(&site, "priv").with_token(&host, &site.token("priv", Permission::Read));
    friend.ok(&realise);
    assert_eq!(friend.describe_closure(&root), here.describe_closure(&root));
}

/// Every kind of thing a NAR can hold, made by Nix and not by the tests' own writer.
#[test]
fn odd_contents_survive() {
    let site = Site::start();
    let here = NixHost::new();
    let path = here.ok("mkdir -p odd/empty odd/deep/er/and/deeper 'odd/with blank'
         : > odd/nothing
         printf 'exactly8' > odd/eight
         printf 'umläut' > 'odd/with blank/umläut'
         head -c 5000000 /dev/urandom > odd/large
         printf '#!/bin/sh\\necho odd\\n' > odd/program; chmod +x odd/program
         ln -s /nowhere odd/dangling
         ln -s . odd/deep/self
         nix-store --add odd");
    for compression in [Compression::Zstd, Compression::Xz] {
        let cache = if compression == Compression::Zstd { "pub" } else { "my-cache-2" };
        site.pusher(cache).push(&of_store(&here, &path, [compression; 2])[0]);
        let there = reader(&site, cache);
        there.ok(&format!("nix copy --from {} {path}", url(&site, cache)));
        let tree = format!(
            "cd {path}; find . -printf '%p %y %l %m %s\\n' | sort; find . -type f -print0 | sort -z | xargs -0 sha256sum"
        );
        // The size of a directory is the file system's affair.
        let clean = |text: String| -> Vec<String> {
            text.lines().filter(|line| !line.contains(" d ")).map(str::to_owned).collect()
        };
        assert_eq!(clean(there.ok(&tree)), clean(here.ok(&tree)));
        assert_eq!(there.ok(&format!("{path}/program")), "odd");
        assert_eq!(there.ok(&format!("ls -d {path}/empty")), format!("{path}/empty"));
    }
}
