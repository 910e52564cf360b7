//! Caches of one daemon: each has its own writers, and what these push is signed by it and by no other.

use serde_json::json;

use super::network::start;
use super::node::{Node, target};
use super::upstream::{Act, Upstream};
use crate::harness::nix_host::NixHost;
use crate::harness::read::Reader;
use crate::harness::{NarInfo, Path, Permission, SOON, Site, wait_for};
use crate::nix_client::{reader, url, writer};

/// Makes `pub` trust these keys from now on.
fn trust(site: &Site, keys: &[String]) {
    site.edit_config(|config| config["caches"][0]["trusted-public-keys"] = json!(keys));
    site.cachectl_ok(&["reload"]);
}

/// The cache `pub` at its own port.
fn at_own_port(site: &Site) -> Reader {
    Reader::new(site.cache_port("pub"))
}

#[test]
fn whoever_writes_to_one_cache_puts_nothing_into_another() {
    let site = start(1).remove(0);
    let path = Path::small("planted");
    site.pusher("my-cache-2").push(&path);
    for reader in [site.reader("pub"), at_own_port(&site), site.reader("priv"), site.reader("self")] {
        reader.assert_lacks(&path);
    }
    // Nor what was pushed by `nix copy`, under whatever other signatures.
    let attacker = writer(&site, "my-cache-2");
    let root = attacker.build_closure(2);
    attacker.ok(&format!("nix copy --to {} {root}", url(&site, "my-cache-2")));
    reader(&site, "my-cache-2").ok(&format!("nix copy --from {} {root}", url(&site, "my-cache-2")));
    reader(&site, "pub").fails(&format!("nix copy --from {} {root}", url(&site, "pub")));
    // What the cache's own writers push is served as ever.
    site.pusher("pub").push(&path);
    site.reader("pub").assert_has(&path);
}

#[test]
fn what_a_trusted_neighbour_has_is_served_with_the_signature_it_was_trusted_for() {
    let site = start(1).remove(0);
    let theirs = site.public_key("my-cache-2");
    trust(&site, std::slice::from_ref(&theirs));
    let path = Path::small("next-door");
    site.pusher("my-cache-2").push(&path);
    let info = site.reader("pub").assert_has(&path);
    assert!(info.is_signed_by(&theirs) && info.is_signed_by(&site.public_key("pub")));
    // Only where it is trusted.
    site.reader("self").assert_lacks(&path);
    site.reader("priv").assert_lacks(&path);
    // Its key is enough for a reader, as the signature goes along.
    let host = NixHost::trusting(&[theirs]);
    host.ok(&format!("nix copy --from {} {}", url(&site, "pub"), path.store_path()));
    // Once it is not trusted any more, neither narinfo nor the URL that somebody remembers leads there.
    assert_eq!(site.reader("pub").get(&info.url).status, 200);
    trust(&site, &[]);
    site.reader("pub").assert_lacks(&path);
    assert_eq!(site.reader("pub").get(&info.url).status, 404);
}

#[test]
fn nothing_comes_out_of_a_trusted_neighbour_that_is_private() {
    let site = start(1).remove(0);
    trust(&site, &[site.public_key("my-cache-2"), site.public_key("priv")]);
    let (open, secret) = (Path::small("open"), Path::small("secret"));
    site.pusher("my-cache-2").push(&open);
    site.pusher("priv").push(&secret);
    site.reader("pub").assert_lacks(&secret);
    let info = site.reader("pub").assert_has(&open);
    site.edit_config(|config| config["caches"][3]["access"] = json!("private"));
    site.cachectl_ok(&["reload"]);
    site.reader("pub").assert_lacks(&open);
    assert_eq!(site.reader("pub").get(&info.url).status, 404);
}

#[test]
fn of_a_neighbour_counts_what_a_trusted_third_party_has_signed() {
    let site = start(1).remove(0);
    let builder = Upstream::start();
    site.edit_config(|config| {
        for cache in [0, 3] {
            config["caches"][cache]["trusted-public-keys"] = json!([builder.public_key()]);
        }
    });
    site.cachectl_ok(&["reload"]);
    let (vouched, other) = (Path::small("vouched"), Path::small("other"));
    let put = |path: &Path, narinfo: String| {
        let token = site.token("my-cache-2", Permission::Write);
        let put = |target: &str, body: Vec<u8>| {
            site.cache("my-cache-2").put(target).bearer(&token).body(body).send().expect(200);
        };
        put(&format!("/{}", path.file_url()), path.file.clone());
        put(&format!("/{}.narinfo", path.hash), narinfo.into_bytes());
    };
    put(&vouched, builder.narinfo(&vouched));
    // Signed, but not what it is signed for.
    let stolen = builder.narinfo(&vouched);
    let signature = stolen.lines().last().unwrap();
    put(&other, format!("{}{signature}\n", other.narinfo_text()));
    let info = site.reader("pub").assert_has(&vouched);
    assert!(info.is_signed_by(&builder.public_key()) && info.is_signed_by(&site.public_key("pub")));
    assert!(info.is_signed_by(&site.public_key("my-cache-2")));
    site.reader("pub").assert_lacks(&other);
}

#[test]
fn a_neighbour_does_not_come_back_as_a_cache_of_another_node() {
    let site = start(1).remove(0);
    let path = Path::small("planted");
    site.pusher("my-cache-2").push(&path);
    let text = site.reader("my-cache-2").get(&format!("{}.narinfo", path.hash)).expect(200);
    let theirs = site.public_key("my-cache-2");
    assert!(NarInfo::parse(text.text()).is_signed_by(&theirs));
    // As a second daemon on the same database does, which has the same caches with the same keys.
    let web = Upstream::start();
    let node = Node::posing_under(&site, &web, std::slice::from_ref(&theirs));
    let asked = target(&format!("{}.narinfo", path.hash));
    web.on(&asked, Act::Send(text.body.clone()));
    web.on(&target(&path.file_url()), Act::Send(path.file.clone()));
    node.announce(&path);
    let reader = site.reader("pub");
    wait_for(SOON, "the node is asked", || {
        assert_eq!(reader.narinfo_status(&path), 404);
        (web.asked(&asked) > 0).then_some(())
    });
    reader.assert_lacks(&path);
    // It is the trust that is missing.
    site.cachectl_ok(&["path", "delete", &path.hash, "--cache", "my-cache-2"]);
    trust(&site, &[theirs]);
    wait_for(SOON, "it is found at the node", || (reader.narinfo_status(&path) == 200).then_some(()));
    reader.assert_has(&path);
}
